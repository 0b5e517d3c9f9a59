"""A running count, for commands that have no bar to show."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loader.cli.display import Display

_LIVE_SECONDS = 0.2
_LINE_SECONDS = 5.0


@asynccontextmanager
async def counting(display: Display, line: Callable[[], str], *, shown: bool) -> AsyncIterator[None]:
    """Shows a line of counts while the block runs: live on a terminal, now and then elsewhere."""
    if not shown:
        yield
        return
    task = asyncio.create_task(_live(line) if sys.stderr.isatty() else _lines(display, line))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _live(line: Callable[[], str]) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
        while True:
            live.update(Text(line(), overflow="ellipsis", no_wrap=True), refresh=True)
            await asyncio.sleep(_LIVE_SECONDS)


async def _lines(display: Display, line: Callable[[], str]) -> None:
    while True:
        await asyncio.sleep(_LINE_SECONDS)
        display.say(line())

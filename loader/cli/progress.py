"""Progress on stderr while a command works: live on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

LIVE_SECONDS = 0.2
LINE_SECONDS = 5.0

Showing = Callable[[], Coroutine[Any, Any, None]]
"""Shows progress until it is cancelled."""

Say = Callable[[str], None]
"""Shows one line to the user."""


@asynccontextmanager
async def progress(live: Showing, lines: Showing, *, shown: bool) -> AsyncIterator[None]:
    """Runs ``live`` on a terminal, ``lines`` elsewhere, while the block runs."""
    if not shown:
        yield
        return
    task = asyncio.create_task(live() if sys.stderr.isatty() else lines())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def counting(say: Say, line: Callable[[], str], *, shown: bool) -> AbstractAsyncContextManager[None]:
    """Shows a line of counts while the block runs, for commands without a progress bar."""
    return progress(lambda: _live(line), lambda: repeat_line(say, line), shown=shown)


async def repeat_line(say: Say, line: Callable[[], str]) -> None:
    """Shows a line every few seconds."""
    while True:
        await asyncio.sleep(LINE_SECONDS)
        say(line())


async def _live(line: Callable[[], str]) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
        while True:
            live.update(Text(line(), overflow="ellipsis", no_wrap=True), refresh=True)
            await asyncio.sleep(LIVE_SECONDS)

"""Progress on stderr while a command works: live on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

from loader.cli.stderr import is_json, is_live

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.text import Text

    from loader.cli.display import Display

LIVE_SECONDS = 0.2
LINE_SECONDS = 5.0

Showing = Callable[[], Coroutine[Any, Any, None]]
"""Shows progress until it is cancelled."""

Figures = Callable[[], Mapping[str, Any]]
"""The JSON report so far."""


@asynccontextmanager
async def progress(live: Showing, lines: Showing, *, shown: bool) -> AsyncIterator[None]:
    """Runs ``live`` on a terminal, ``lines`` elsewhere, while the block runs."""
    if not shown:
        yield
        return
    task = asyncio.create_task(live() if is_live() else lines())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def counting(
    display: Display, line: Callable[[], str], report: Figures, *, shown: bool
) -> AbstractAsyncContextManager[None]:
    """Shows a line of counts while the block runs, for commands without a progress bar."""
    return progress(lambda: _live(display, line), lambda: repeat_line(display, line, report), shown=shown)


def one_line(text: str) -> Text:
    """Text for a line of a live display: cut at the edge of the terminal."""
    from rich.text import Text

    return Text(text, overflow="ellipsis", no_wrap=True)


def with_waiting(display: Display, *rows: RenderableType) -> Group:
    """The rows of a live display, and a line for the server that is waited for, if any."""
    from rich.console import Group

    return Group(*rows, *([one_line(text)] if (text := display.waiting_line()) else []))


async def repeat_line(display: Display, line: Callable[[], str], report: Figures) -> None:
    """Shows a line every few seconds."""
    while True:
        await asyncio.sleep(LINE_SECONDS)
        say_progress(display, line(), report)


def say_progress(display: Display, line: str, report: Figures) -> None:
    """Shows a line of progress; as JSON, with the figures of the report so far."""
    if not is_json():
        display.say(line)
        return
    from loader.cli.json_lines import figures

    display.say(line, event="progress", **figures(report()))


async def _live(display: Display, line: Callable[[], str]) -> None:
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live, display.is_live():
        while True:
            live.update(with_waiting(display, one_line(line())), refresh=True)
            await asyncio.sleep(LIVE_SECONDS)

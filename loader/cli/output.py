"""What commands share: a running count, the report's file."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from loader.errors import LoaderError

if TYPE_CHECKING:
    from loader.cli.display import Display

_LIVE_SECONDS = 0.2
_LINE_SECONDS = 5.0
_OUTPUT = Group("Report", sort_key=8)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """What a run shows and writes about itself."""

    report: Annotated[Path | None, Parameter(group=_OUTPUT, allow_leading_hyphen=True)] = None
    """Write the JSON report to this file; '-' for standard output."""

    no_progress: Annotated[bool, Parameter(group=_OUTPUT, show_default=False)] = False
    """Show no progress."""

    quiet: Annotated[bool, Parameter(group=_OUTPUT, show_default=False)] = False
    """Show errors only."""

    debug: Annotated[bool, Parameter(group=_OUTPUT, show_default=False)] = False
    """On an error, show where in the program it arose."""

    @property
    def shows_progress(self) -> bool:
        return not (self.no_progress or self.quiet)


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


def print_json(value: Any) -> None:
    """Prints JSON on standard output."""
    import orjson

    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    with open(1, "wb", closefd=False) as stdout:  # sys.stdout may be None, or not UTF-8
        stdout.write(text)


def write_report(path: Path | None, report: dict[str, Any]) -> None:
    """Writes the JSON report, if one is wanted.

    Raises:
        LoaderError: The file cannot be written.
    """
    if path is None:
        return
    import orjson

    try:
        if str(path) == "-":
            print_json(report)
        else:
            path.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    except BrokenPipeError:
        raise
    except OSError as error:
        raise LoaderError(f"--report {path} cannot be written: {error.strerror}", "The rest is done") from error

"""Shows a load to the user while it runs, on stderr: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from loader.cli.pace_lines import pace_parts
from loader.cli.progress import LINE_SECONDS, LIVE_SECONDS, one_line, progress, say_progress, with_waiting
from loader.cli.recent import Recent
from loader.cli.stderr import for_terminal, tell, wrapped
from loader.jobs.report import LoadReport
from loader.log_fields import fields_of

if TYPE_CHECKING:
    from rich.console import Console

    from loader.api import Loader

_PENDING_SECONDS = 1.0


class Waiting(Protocol):
    """What is waited for, as log records have it in ``waiting``."""

    def line(self, now: float) -> str:
        """The line for the user at this time (``time.monotonic``)."""
        ...


class Display:
    """Shows one load.

    Args:
        quiet: Whether to show only errors.
        verbose: Whether to show the debug messages of the loader too.
        progress: Whether to show progress while it runs.

    Attributes:
        stopping: Set once the user has asked to stop.
    """

    def __init__(self, *, quiet: bool, verbose: bool, progress: bool) -> None:
        self._quiet = quiet
        self._progress = progress
        self._console: Console | None = None
        self._recent = Recent(2)
        self._is_live = False
        self._waiting: Waiting | None = None
        self.stopping = False
        log = logging.getLogger("runqy_loader")
        level = logging.ERROR if quiet else logging.DEBUG if verbose else logging.INFO
        log.setLevel(level)
        log.propagate = False
        log.handlers[:] = [_DisplayHandler(self, level)]

    def say(self, text: str, *, level: str = "info", **fields: Any) -> None:
        """Shows one line to the user.

        Args:
            level: Its level in a JSON line.
            fields: What a JSON line holds beside the message.
        """
        if self._quiet and level not in ("error", "critical"):
            return
        if self._console is not None:
            line = wrapped(f"runqy-loader: {for_terminal(text)}", self._console.width)
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            tell(f"runqy-loader: {text}", level=level, **fields)

    def wait_for(self, waiting: Waiting | None, text: str, level: str) -> None:
        """Shows that a server is waited for: on a terminal one line that is kept up to date, elsewhere line after line.

        Args:
            waiting: None when the wait is over.
            text: What there is to say now.
        """
        self._waiting = waiting
        if waiting is None or not self._is_live:
            self.say(text, level=level, event="waiting" if waiting is not None else "reached")

    def waiting_line(self) -> str:
        """The line about the server that is waited for; '' if there is none."""
        return "" if self._waiting is None else self._waiting.line(time.monotonic())

    @contextmanager
    def is_live(self) -> Iterator[None]:
        """During the block, a live display shows ``waiting_line``."""
        self._is_live = True
        try:
            yield
        finally:
            self._is_live = False

    def showing(self, loader: Loader) -> AbstractAsyncContextManager[None]:
        """Shows progress while the block runs."""
        return progress(lambda: self._live(loader), lambda: self._lines(loader), shown=self._progress)

    async def _live(self, loader: Loader) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TimeRemainingColumn

        console = Console(stderr=True)
        bar = Progress(
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            DownloadColumn(),
            TimeRemainingColumn(compact=True),
            console=console,
            expand=True,
        )
        task = bar.add_task("load", total=None)
        read_at, pending = 0.0, None
        with Live(console=console, auto_refresh=False, transient=True) as live, self.is_live():
            self._console = console
            try:
                while True:
                    if (report := loader.report) is not None:
                        if time.monotonic() - read_at > _PENDING_SECONDS:
                            read_at, pending = time.monotonic(), await _pending(loader)
                        bar.update(task, completed=done_bytes(report), total=_total(report))
                        counts = one_line(self._line(report, loader, pending))
                        held = [one_line(text)] if (text := report.holding.text) else []
                        live.update(with_waiting(self, bar, counts, *held), refresh=True)
                    await asyncio.sleep(LIVE_SECONDS)
            finally:
                self._console = None

    async def _lines(self, loader: Loader) -> None:
        while True:
            await asyncio.sleep(LINE_SECONDS)
            report = loader.report
            if report is not None:
                total = _total(report)
                share = f"{100 * done_bytes(report) // total:.0f} %, " if total else ""
                held = f" · {report.holding.text}" if report.holding.text else ""
                pending = await _pending(loader)
                more = {"bytes": total, "pending": pending}
                line = share + self._line(report, loader, pending) + held
                say_progress(self, line, partial(_with, report, more))

    def _line(self, report: LoadReport, loader: Loader, pending: int | None) -> str:
        rate, intended = self._rates(report)
        paced = pace_parts(report, rate, intended)
        parts = [f"{report.loaded:,} loaded", *(paced or [f"{rate:,.0f}/s"])]
        if report.dry_run:
            parts = [f"{report.valid:,} valid"]
        if report.already_loaded:
            parts.append(f"{report.already_loaded:,} already in")
        if report.rejected or paced is None:  # the line of a paced load is long, and the queue is usually full
            parts.append(f"{report.rejected:,} rejected")
        if not report.dry_run and paced is None:
            parts.append(f"queue {loader.batches_waiting}/{loader.options.queue_depth}")
        if pending is not None:
            parts.append(f"{pending:,} pending")
        return " · ".join(parts)

    def _rates(self, report: LoadReport) -> tuple[float, float]:
        """Tasks per second over the last seconds: loaded, and due by the schedule, if there is one."""
        due = 0 if report.pace is None else report.pace.intended(time.monotonic())
        loaded, intended = self._recent.rates(report.seconds, report.loaded, due)
        return loaded, intended


async def _pending(loader: Loader) -> int | None:
    """As ``Loader.pending``; None also if there is no answer soon: all else is to be shown meanwhile."""
    try:
        async with asyncio.timeout(_PENDING_SECONDS):
            return await loader.pending()
    except TimeoutError:
        return None


def _with(report: LoadReport, more: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**report.to_dict(), **more}


def done_bytes(report: LoadReport) -> float:
    """Bytes of input that are dealt with. A load that is held back has read more than that."""
    if not report.records_read:
        return 0.0
    done = report.bytes_read * min(1.0, report.dealt_with / report.records_read)
    return done if (total := _total(report)) is None else min(done, total)


def _total(report: LoadReport) -> int | None:
    sizes = [source.size for source in report.sources]
    return None if None in sizes else sum(size for size in sizes if size is not None)


class _DisplayHandler(logging.Handler):
    def __init__(self, display: Display, level: int) -> None:
        super().__init__(level)  # metrics may need more of the log than is shown
        self._display = display

    def emit(self, record: logging.LogRecord) -> None:
        level = record.levelname.lower()
        if hasattr(record, "waiting"):
            self._display.wait_for(record.waiting, record.getMessage(), level)
        else:
            self._display.say(record.getMessage(), level=level, **fields_of(record))

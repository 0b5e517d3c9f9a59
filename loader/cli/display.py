"""Shows a load to the user, on stderr: a live bar on a terminal, plain lines elsewhere, and a summary at the end."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from loader.cli.progress import LINE_SECONDS, LIVE_SECONDS, progress
from loader.cli.rejected import rejected_lines
from loader.jobs.report import LoadReport

if TYPE_CHECKING:
    from rich.console import Console

    from loader.api import Loader

_PENDING_SECONDS = 1.0
_RATE_WINDOW = 5.0


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
        self._samples: list[tuple[float, int]] = []
        self.stopping = False
        log = logging.getLogger("runqy_loader")
        log.setLevel(logging.ERROR if quiet else logging.DEBUG if verbose else logging.INFO)
        log.propagate = False
        log.handlers[:] = [_DisplayHandler(self)]

    def say(self, text: str) -> None:
        """Shows one line to the user."""
        if self._quiet:
            return
        if self._console is not None:
            self._console.print(f"runqy-loader: {text}", markup=False, highlight=False, soft_wrap=True)
        else:
            print(f"runqy-loader: {text}", file=sys.stderr, flush=True)

    def showing(self, loader: Loader) -> AbstractAsyncContextManager[None]:
        """Shows progress while the block runs."""
        return progress(lambda: self._live(loader), lambda: self._lines(loader), shown=self._progress)

    async def _live(self, loader: Loader) -> None:
        from rich.console import Console, Group
        from rich.live import Live
        from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TimeRemainingColumn
        from rich.text import Text

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
        with Live(console=console, auto_refresh=False, transient=True) as live:
            self._console = console
            try:
                while True:
                    if (report := loader.report) is not None:
                        if time.monotonic() - read_at > _PENDING_SECONDS:
                            read_at, pending = time.monotonic(), await loader.pending()
                        bar.update(task, completed=report.bytes_read, total=_total(report))
                        counts = Text(self._line(report, loader, pending), overflow="ellipsis", no_wrap=True)
                        live.update(Group(bar, counts), refresh=True)
                    await asyncio.sleep(LIVE_SECONDS)
            finally:
                self._console = None

    async def _lines(self, loader: Loader) -> None:
        while True:
            await asyncio.sleep(LINE_SECONDS)
            report = loader.report
            if report is not None:
                total = _total(report)
                share = f"{100 * report.bytes_read / total:.0f} %, " if total else ""
                self.say(share + self._line(report, loader, await loader.pending()))

    def _line(self, report: LoadReport, loader: Loader, pending: int | None) -> str:
        parts = [f"{report.loaded:,} loaded", f"{self._rate(report):,.0f}/s"]
        if report.dry_run:
            parts = [f"{report.valid:,} valid"]
        if report.already_loaded:
            parts.append(f"{report.already_loaded:,} already in")
        parts.append(f"{report.rejected:,} rejected")
        if not report.dry_run:
            parts.append(f"queue {loader.batches_waiting}/{loader.options.queue_depth}")
        if pending is not None:
            parts.append(f"{pending:,} pending")
        return " · ".join(parts)

    def _rate(self, report: LoadReport) -> float:
        """Tasks per second over the last seconds."""
        now = time.monotonic()
        self._samples.append((now, report.loaded))
        while self._samples[0][0] < now - _RATE_WINDOW and len(self._samples) > 2:
            del self._samples[0]
        start, loaded_before = self._samples[0]
        elapsed = now - start
        return (report.loaded - loaded_before) / elapsed if elapsed > 0 else report.tasks_per_second

    def summary(self, report: LoadReport, resume: str) -> None:
        """Shows the closing lines: what was done, and how to go on."""
        if self._quiet:
            return
        lines = [f"job {report.job}: {report.status} in {report.seconds:.1f} s"]
        if report.dry_run:
            lines.append(f"  {'valid':<15}{report.valid:>13,}  (dry run: nothing was written to Redis)")
        else:
            queues = ", ".join(sorted(report.queues)[:5]) + (", …" if len(report.queues) > 5 else "")
            into = f" into {queues}" if queues else ""
            lines.append(f"  {'loaded':<15}{report.loaded:>13,}  {report.tasks_per_second:,.0f} tasks/s{into}")
            lines.append(f"  {'already loaded':<15}{report.already_loaded:>13,}")
        where = f"  see {report.rejects_file}" if report.rejects_file else ""
        if report.rejected and not where:
            where = f"  {report.last_reject} (--rejects FILE keeps them)"
        lines.append(f"  {'rejected':<15}{report.rejected:>13,}{where}")
        lines += rejected_lines(report)
        count = len(report.sources)
        lines.append(
            f"  {'records read':<15}{report.records_read:>13,}  "
            f"{report.bytes_read / 1e6:,.1f} MB from {count} source{'' if count == 1 else 's'}"
        )
        lines += _doubt_lines(report)
        if report.status != "completed":
            lines.append(f"go on with: {resume}")
        elif report.discarded:
            lines.append("nothing was written: --redis discard drops the encoded tasks")
        elif report.journal is not None:
            lines.append(f"job {report.job} does not send again what {report.journal} has as acknowledged")
        elif not report.dry_run:
            lines.append(f"job {report.job} loads nothing twice if it is run again; --job NAME makes a new one")
        for line in lines:
            print(line, file=sys.stderr)


def _doubt_lines(report: LoadReport) -> list[str]:
    """Lines about batches sent over HTTP whose outcome was unknown."""
    repeated = [batch for batch in report.in_doubt if batch.repeated]
    lines: list[str] = []
    if repeated:
        places = ", ".join(batch.place for batch in repeated[:3]) + (", …" if len(repeated) > 3 else "")
        count = sum(batch.records for batch in repeated)
        lines.append(f"  {'in doubt':<15}{count:>13,}  tasks were sent again and may be in twice: {places}")
    if report.unsettled:
        batches = "batch" if report.unsettled == 1 else "batches"
        lines.append(
            f"  {'unsettled':<15}{report.unsettled:>13,}  {batches} sent without an answer; a resume repeats them"
        )
    return lines


def _total(report: LoadReport) -> int | None:
    sizes = [source.size for source in report.sources]
    return None if None in sizes else sum(size for size in sizes if size is not None)


class _DisplayHandler(logging.Handler):
    def __init__(self, display: Display) -> None:
        super().__init__()
        self._display = display

    def emit(self, record: logging.LogRecord) -> None:
        self._display.say(record.getMessage())

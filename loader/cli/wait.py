"""``runqy-loader wait``."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from loader.results.options import WaitOptions

if TYPE_CHECKING:
    from loader.results.session import WaitSession
    from loader.results.waiter import WaitReport

_SHOWN = Group("Display", sort_key=4)
_LIVE_SECONDS, _LINE_SECONDS = 0.2, 5.0


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class ShownOptions:
    """What waiting shows."""

    no_progress: Annotated[bool, Parameter(group=_SHOWN, show_default=False)] = False
    """Show no progress."""

    quiet: Annotated[bool, Parameter(group=_SHOWN, show_default=False)] = False
    """Show errors only."""

    debug: Annotated[bool, Parameter(group=_SHOWN, show_default=False)] = False
    """On an error, show where in the program it arose."""


def wait(*, options: WaitOptions | None = None, shown: ShownOptions | None = None) -> int:
    """Waits for the results of tasks and writes them as they come, one JSON object a line.

    The same command again waits only for what is not in the results file yet.
    """
    # Imported here, so that --help does not wait for what only the work needs.
    import asyncio

    from loader.engine.loop import loop_factory
    from loader.results.session import WaitSession

    shown = shown or ShownOptions()
    _set_up_log(quiet=shown.quiet)
    session = WaitSession(options or WaitOptions())
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        report = runner.run(_wait(session, shown))
    if not shown.quiet:
        _summarise(session, report)
    return report.exit_status


async def _wait(session: WaitSession, shown: ShownOptions) -> WaitReport:
    import asyncio

    main = asyncio.current_task()
    assert main is not None  # noqa: S101 - this is a coroutine
    loop, asked = asyncio.get_running_loop(), False

    def stop() -> None:
        """First signal: end soon. Second: at once; what is in the file stays either way."""
        nonlocal asked
        if asked:
            main.cancel()
        asked = True
        session.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    progress = None if shown.quiet or shown.no_progress else asyncio.create_task(_show(session.report))
    try:
        return await session.run()
    except asyncio.CancelledError:
        if not asked:
            raise
        main.uncancel()
        session.report.interrupted = True
        return session.report
    finally:
        if progress is not None:
            progress.cancel()
            await asyncio.wait([progress])


async def _show(report: WaitReport) -> None:
    import asyncio

    if not sys.stderr.isatty():
        while True:
            await asyncio.sleep(_LINE_SECONDS)
            _say(_line(report))
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (BarColumn(bar_width=None), TaskProgressColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as bar:
        task = bar.add_task("", total=None)
        while True:
            bar.update(task, total=report.total or None, completed=report.done, description=_line(report), refresh=True)
            await asyncio.sleep(_LIVE_SECONDS)


def _line(report: WaitReport) -> str:
    parts = [f"{report.done:,} of {report.total:,} done"]
    parts += [f"{count:,} {name}" for name in ("failed", "expired") if (count := getattr(report, name))]
    return " · ".join(parts)


def _summarise(session: WaitSession, report: WaitReport) -> None:
    counts = {"completed": report.completed, "failed": report.failed, "expired": report.expired}
    if report.already:
        counts["in the file before"] = report.already
    if report.timed_out:
        counts |= {"pending": report.pending, "missing": report.missing}
    for name, count in counts.items():
        print(f"  {name:<18}{count:>13,}", file=sys.stderr)
    if report.interrupted:
        _say(f"interrupted with {report.left:,} left; the same command goes on")
    elif report.timed_out:
        where = f": see {session.missing_file}" if session.missing_file is not None else ""
        _say(f"the time was up with {report.left:,} not done{where}; the same command goes on")


def _say(text: str) -> None:
    print(f"runqy-loader: {text}", file=sys.stderr, flush=True)


def _set_up_log(*, quiet: bool) -> None:
    import logging

    log = logging.getLogger("runqy_loader")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("runqy-loader: %(message)s"))
    log.setLevel(logging.ERROR if quiet else logging.INFO)
    log.propagate = False
    log.handlers[:] = [handler]

"""``runqy-loader wait``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from loader.cli.commands import ALL, Command
from loader.cli.output import print_json
from loader.cli.report_options import ProgressOptions
from loader.cli.stderr import is_json, tell_end
from loader.errors import UsageError
from loader.results.options import WaitOptions

if TYPE_CHECKING:
    from loader.cli.display import Display
    from loader.results.polling import WaitReport
    from loader.results.session import WaitSession


def wait(options: WaitOptions, shown: ProgressOptions) -> int:
    """Waits for the results of tasks and writes them as they come, one JSON object a line.

    Run again, the same command waits only for results that are not in the file yet.
    """
    # Imported here, so that --help does not wait for imports that only the work needs.
    from loader.cli.display import Display
    from loader.cli.signals import run
    from loader.results.session import WaitSession

    if shown.json and str(options.out) == "-":
        raise UsageError("--out and --json cannot both be standard output", "Name a file for the results")
    display = Display(quiet=shown.quiet, verbose=False, progress=False)
    session = WaitSession(options)
    report = run(_wait(session, display, shown=shown.shows_progress))
    if shown.json:
        print_json({**report.to_dict(), "interrupted": report.interrupted})
    if not shown.quiet:
        _summarise(session, report, display)
    return report.exit_status


async def _wait(session: WaitSession, display: Display, *, shown: bool) -> WaitReport:
    from loader.cli.progress import progress, repeat_line
    from loader.cli.signals import stoppable

    report = session.report
    lines = partial(repeat_line, display, lambda: _line(report), report.to_dict)
    async with progress(lambda: _bar(report, display), lines, shown=shown):
        if await stoppable(session.run(), session.stop, display) is None:
            report.interrupted = True  # the results in the file stay
    return report


async def _bar(report: WaitReport, display: Display) -> None:
    import asyncio

    from rich.console import Console
    from rich.live import Live
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    from loader.cli.progress import LIVE_SECONDS, with_waiting

    console = Console(stderr=True)
    columns = (BarColumn(bar_width=None), TaskProgressColumn(), TextColumn("{task.description}"))
    bar = Progress(*columns, console=console)
    task = bar.add_task("", total=None)
    with Live(console=console, auto_refresh=False, transient=True) as live, display.is_live():
        while True:
            bar.update(task, total=report.total or None, completed=report.done, description=_line(report))
            live.update(with_waiting(display, bar), refresh=True)
            await asyncio.sleep(LIVE_SECONDS)


def _line(report: WaitReport) -> str:
    parts = [f"{report.done:,} of {report.total:,} done"]
    parts += [f"{count:,} {name}" for name in ("failed", "expired") if (count := getattr(report, name))]
    return " · ".join(parts)


def _summarise(session: WaitSession, report: WaitReport, display: Display) -> None:
    counts = {"completed": report.completed, "failed": report.failed, "expired": report.expired}
    if report.already:
        counts["already in file"] = report.already
    if report.timed_out:
        counts |= {"pending": report.pending, "missing": report.missing}
    lines = [f"  {name:<18}{count:>13,}" for name, count in counts.items()]
    if is_json():
        lines.insert(0, _line(report))
    tell_end(lines, report.to_dict)
    again = "run the same command again to go on"
    if report.interrupted:
        display.say(f"interrupted with {report.left:,} left; {again}", level="warning")
    elif report.timed_out:
        where = f": see {session.missing_file}" if session.missing_file is not None else ""
        display.say(f"timed out with {report.left:,} not done{where}; {again}", level="warning")


COMMAND = Command(
    run=wait,
    options=(WaitOptions, ProgressOptions),
    exit_status="Exit status: 0 all completed; 1 error; 2 usage; 3 all done, but some failed or expired; 4 timed out; "
    "130 interrupted. After 1, 4 and 130, run the same command again to go on.",
    own_variables=ALL,  # --timeout limits the wait here, but RUNQY_LOADER_TIMEOUT is for the connections of a load
)

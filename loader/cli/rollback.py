"""``runqy-loader rollback``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loader.cli.commands import Command
from loader.cli.output import write_report
from loader.cli.report_options import ReportOptions
from loader.cli.stderr import tell_end
from loader.errors import UsageError
from loader.undo.options import RollbackOptions

if TYPE_CHECKING:
    from loader.cli.display import Display
    from loader.undo.report import RollbackReport


def rollback(job: tuple[str, ...], options: RollbackOptions, reporting: ReportOptions) -> int:
    """Takes back what a job has loaded: each of its tasks that no consumer has taken.

    Hashes, list entries, locks, look-ups and the job's own record go. What consumers have taken is left, and counted.
    Consumers may run meanwhile: each task is run, or taken back. If it is stopped or killed, run it again.
    """
    from loader.cli.signals import run

    if len(job) != 1:
        raise UsageError(
            f"rollback takes the name of one job, not {len(job)}", "runqy-loader jobs lists the jobs of a server"
        )
    display = reporting.display()
    return run(_rollback(job[0], options, reporting, display))


async def _rollback(job: str, options: RollbackOptions, reporting: ReportOptions, display: Display) -> int:
    from loader.cli.progress import counting
    from loader.cli.signals import stoppable
    from loader.undo.rollback import Rollback

    work = Rollback(job, options)
    report = work.report
    try:
        async with counting(display, lambda: _line(report), report.to_dict, shown=reporting.shows_progress):
            await stoppable(work.run(), work.stop, display)
    finally:
        write_report(reporting.report_file, report.to_dict())
        if not reporting.quiet and report.status in ("completed", "interrupted"):
            _summary(report)
    return report.exit_status


def _line(report: RollbackReport) -> str:
    rate = f"{report.tasks_per_second:,.0f}/s"
    return f"{report.taken_back:,} taken back · {rate} · {report.looked_at:,} ids looked at"


def _summary(report: RollbackReport) -> None:
    what = "would be taken back" if report.dry_run else "taken back"
    lines = [f"job {report.job}: {report.status} in {report.seconds:.1f} s"]
    lines.append(f"  {what:<22}{report.taken_back:>13,}  {_where(report)}".rstrip())
    if report.earlier:
        lines.append(f"  {'taken back earlier':<22}{report.earlier:>13,}")
    if report.orphans:
        lines.append(f"  {'never pushed':<22}{report.orphans:>13,}  hashes of a killed run, deleted")
    if report.status == "completed":
        left = "unknown" if report.left is None else f"{report.left:,}"
        lines.append(f"  {'left':<22}{left:>13}  {'' if report.left == 0 else 'taken by consumers'}".rstrip())
    else:
        lines.append(f"run the same command again to go on (job {report.job})")
    tell_end(lines, report.to_dict)


def _where(report: RollbackReport) -> str:
    states = {"pending": "pending", "scheduled": "scheduled", "aggregating": "in groups"}
    return ", ".join(f"{report.removed[state]:,} {name}" for state, name in states.items() if report.removed[state])


COMMAND = Command(
    run=rollback,
    options=(RollbackOptions, ReportOptions),
    argument="Name of the job, as the load said it; runqy-loader jobs lists all.",
    argument_name="job",
    usage="JOB [OPTIONS]",
    exit_status="Exit status: 0 all taken back that could be; 1 failed; 2 usage; 130 interrupted.",
    own_variables={"keep_job", "ids"},
)

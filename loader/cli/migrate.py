"""``runqy-loader migrate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loader.cli.commands import Command
from loader.cli.output import FileMark, write_report
from loader.cli.report_options import ReportOptions
from loader.cli.stderr import tell_end
from loader.errors import JobBusyError, TooManyRejectsError
from loader.migrate.options import MigrateOptions
from loader.telemetry.options import TelemetryOptions

if TYPE_CHECKING:
    from loader.cli.display import Display
    from loader.migrate.report import MigrateReport


def migrate(options: MigrateOptions, reporting: ReportOptions, telemetry: TelemetryOptions) -> int:
    """Copies or moves the pending tasks of a queue: to another layout, another server, another queue.

    --from-system copies the jobs that wait in Celery, BullMQ, Sidekiq, Dramatiq, RQ, saq, bee-queue or taskiq.

    Each task is in the target once, however often the command is stopped, killed and run again. With --move, a task
    leaves the source only once it is in the target. A task that a worker takes first is not moved.
    """
    from loader.cli.signals import run

    display = reporting.display()
    telemetry.check()
    return run(_migrate(options, reporting, telemetry, display))


async def _migrate(
    options: MigrateOptions, reporting: ReportOptions, telemetry: TelemetryOptions, display: Display
) -> int:
    from loader.cli.progress import counting
    from loader.cli.signals import stoppable
    from loader.migrate.run import Migration

    migration = Migration(options)
    report = migration.report
    before, taken_over = FileMark.of(reporting.report_file), False

    async def work_and_report() -> int:
        nonlocal taken_over
        try:
            async with counting(display, lambda: _line(report), report.to_dict, shown=reporting.shows_progress):
                await stoppable(migration.run(), migration.stop, display)
        except JobBusyError as error:
            taken_over = error.taken_over
            raise
        finally:
            write_report(reporting.report_file, report.to_dict(), unless_changed=before if taken_over else None)
            if not reporting.quiet and report.status != "running" and not report.refused and _is_begun(report):
                _summary(report)
        return report.exit_status

    if not telemetry.is_on:
        return await work_and_report()
    from loader.telemetry.readings import of_migrate
    from loader.telemetry.session import telling

    async with telling(telemetry, "migrate", lambda: report, of_migrate, display.say) as outcome:
        outcome.exit_status = await work_and_report()
    return outcome.exit_status


def _is_begun(report: MigrateReport) -> bool:
    """Whether there is something to show: a run that failed before its first task is told by its error alone."""
    counts = (report.migrated, report.already, report.missing, report.rejected, report.put_back, report.held)
    return report.status != "failed" or any(counts)


def _line(report: MigrateReport) -> str:
    done = "moved" if report.moves else "copied"
    parts = [f"{report.migrated:,} of about {report.waiting:,} {done}", f"{report.tasks_per_second:,.0f}/s"]
    if report.already:
        parts.append(f"{report.already:,} already there")
    parts.append(f"{report.rejected:,} rejected")
    return " · ".join(parts)


def _summary(report: MigrateReport) -> None:
    from loader.cli.rejected import rejected_lines

    rows = [
        ("moved" if report.moves else "copied", report.migrated, f"{report.tasks_per_second:,.0f} tasks/s"),
        ("already there", report.already, ""),
        ("already gone", report.missing, ""),
        ("rejected", report.rejected, f"see {report.rejects_file}" if report.rejects_file else ""),
    ]
    lines = [f"job {report.job}: {report.status} in {report.seconds:.1f} s", f"  {report.source} to {report.target}"]
    lines += [f"  {name:<15}{count:>13,}  {remark}".rstrip() for name, count, remark in rows]
    lines += rejected_lines(report)
    if report.moves:
        lines.append(f"  {'put back':<15}{report.put_back:>13,}  to the source")
    if report.held:
        lines.append(f"  {'held':<15}{report.held:>13,}  may be in the target; run the same command again to find out")
    if report.lost:
        lost = ", ".join(
            f"{what} ({count:,} task{'s' if count != 1 else ''})" for what, count in sorted(report.lost.items())
        )
        lines.append(f"not kept, since the target's layout cannot hold it: {lost}")
    if report.other_states:
        states = ", ".join(f"{count:,} {state}" for state, count in report.other_states.items())
        lines.append(f"left in the source: {states}")
    if report.elsewhere:
        lines.append(f"the source queue has {report.elsewhere:,} pending tasks in the other layout: see --from-layout")
    if report.status != "completed" and report.error_code not in (TooManyRejectsError.code, JobBusyError.code):
        lines.append(f"run the same command again to go on (job {report.job})")
    tell_end(lines, report.to_dict)


COMMAND = Command(
    run=migrate,
    options=(MigrateOptions, ReportOptions, TelemetryOptions),
    usage="--from-queue NAME [OPTIONS]",
    own_variables={"job", "batch_size"},  # a job of a load is another job, and its batches may be larger
)

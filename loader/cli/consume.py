"""``runqy-loader consume``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loader.cli.commands import ALL, Command
from loader.cli.recent import Recent
from loader.cli.report_options import ReportOptions
from loader.cli.stderr import tell_end
from loader.consume.options import ConsumeOptions
from loader.extras import require

if TYPE_CHECKING:
    from loader.cli.display import Display
    from loader.consume.report import ConsumeReport
    from loader.consume.run import Consumer


def consume(options: ConsumeOptions, reporting: ReportOptions) -> int:
    """Takes tasks and ends them as workers would, without executing them: for load tests without workers.

    It refuses a queue that real workers serve.
    """
    # Imported here, so that --help does not wait for imports that only the work needs.
    from loader.cli.signals import run

    require("pace", "consume")
    from loader.engine.tuning import tune_process

    display = reporting.display()
    tune_process()
    return run(_consume(options, reporting, display))


async def _consume(options: ConsumeOptions, reporting: ReportOptions, display: Display) -> int:
    from loader.cli.output import write_report
    from loader.cli.progress import counting
    from loader.cli.signals import stoppable
    from loader.consume.run import Consumer

    consumer = Consumer(options)
    report = consumer.report
    recent = Recent()
    try:
        async with counting(display, lambda: _line(report, recent), report.to_dict, shown=reporting.shows_progress):
            if await stoppable(consumer.run(), consumer.stop, display) is None:
                report.end("interrupted")
    finally:
        write_report(reporting.report_file, report.to_dict())
    if not reporting.quiet:
        _summary(report, consumer)
    return report.exit_status


def _line(report: ConsumeReport, recent: Recent) -> str:
    (rate,) = recent.rates(report.seconds, report.ended)
    parts = [f"{report.ended:,} ended", f"{rate:,.0f}/s", f"{report.in_service:,} in service"]
    parts += [f"{report.failed:,} failed"] if report.failed else []
    return " · ".join(parts)


def _summary(report: ConsumeReport, consumer: Consumer) -> None:
    lines = [f"consume: {report.status} in {report.seconds:.1f} s, queue {report.queue}, layout {report.layout}"]
    lines.append(_count("taken", report.taken, f"{report.tasks_per_second:,.0f}/s ended"))
    lines.append(_count("done", report.done))
    shown = {
        "retried": report.retried,
        "archived": report.archived,
        "put back": report.put_back,
        "left active": report.left_active,
        "unreadable": report.unreadable,
        "not ours any more": report.no_longer_ours,
        "recovered": report.recovered,
    }
    lines += [_count(name, count) for name, count in shown.items() if count]
    if report.capacity is not None:
        achieved = "" if report.achieved_capacity is None else f", {report.achieved_capacity:,.1f}/s while tasks waited"
        busy = f"{100 * report.utilisation:.0f} % busy"
        lines.append(f"  {'capacity':<19}{report.capacity:>11,.1f}/s{achieved}; {busy}")
    if waited := report.time_in_queue.to_dict():
        figures = " ".join(f"{name} {waited[name]:,.1f}" for name in ("p50", "p99", "max"))
        lines.append(f"  {'time in queue':<19}{figures} ms")
    tell_end(lines, report.to_dict)


def _count(name: str, count: int, remark: str = "") -> str:
    return f"  {name:<19}{count:>13,}{f'  {remark}' if remark else ''}"


COMMAND = Command(
    run=consume,
    options=(ConsumeOptions, ReportOptions),
    usage="--queue NAME [OPTIONS]",
    exit_status="Exit status: 0 ended as told (with no --count, --duration or --until-empty, by a signal); 1 failed; "
    "2 usage; 130 interrupted before that.",
    own_variables=ALL,
)

"""``runqy-loader export``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from loader.cli.commands import Command
from loader.cli.report_options import ReportOptions
from loader.cli.stderr import tell_end
from loader.cli.whole_output import write_whole
from loader.export.options import ExportOptions
from loader.outputs.whole import WholeFile
from loader.settings.shared import OUTPUT
from loader.settings.values import convert_values

if TYPE_CHECKING:
    from loader.cli.display import Display
    from loader.export.run import ExportReport


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """Where the tasks go."""

    output: Annotated[Path, OUTPUT] = Path("-")

    def __post_init__(self) -> None:
        convert_values(self)


def export(options: ExportOptions, to: OutputOptions, reporting: ReportOptions) -> int:
    """Writes the pending tasks of a queue to a file, one a line, in the order in which workers would take them.

    The tasks stay in the queue. Consumers are not disturbed: nothing is locked or written in Redis. The lines can be
    loaded again with load --envelope.
    """
    from loader.cli.signals import run

    reporting.require_other_output(to.output, "--output")
    display = reporting.display()
    return run(_export(options, to.output, reporting, display))


async def _export(options: ExportOptions, output: Path, reporting: ReportOptions, display: Display) -> int:
    import asyncio

    from loader.export.run import Exporter

    def begin(out: WholeFile) -> Exporter:
        async def write(piece: bytes) -> None:
            await asyncio.to_thread(out.write, piece)

        return Exporter(options, write)

    report = await write_whole(output, reporting, display, begin, _line)
    if not reporting.quiet:
        _summary(report, output)
    return report.exit_status


def _line(report: ExportReport) -> str:
    return f"{report.exported:,} of {report.listed:,} exported · {report.missing:,} already taken"


def _summary(report: ExportReport, output: Path) -> None:
    from loader.cli.rejected import rejected_lines

    where = "" if str(output) == "-" else f" to {output}"
    lines = [
        f"export of {report.queue}: {report.status} in {report.seconds:.1f} s",
        f"  {'exported':<15}{report.exported:>13,}  {report.bytes_written / 1e6:,.1f} MB{where}",
        f"  {'already taken':<15}{report.missing:>13,}",
        f"  {'rejected':<15}{report.rejected:>13,}",
    ]
    lines += rejected_lines(report, examples=False)  # the first ones follow
    lines += [f"    {task_id}: {why.text}" for task_id, why in report.rejects]
    lines += [f"not in the file: {what} ({_tasks(count)})" for what, count in sorted(report.lost.items())]
    if report.other_states:
        states = ", ".join(f"{count:,} {state}" for state, count in report.other_states.items())
        how = " (--state aggregating exports these)" if "aggregating" in report.other_states else ""
        lines.append(f"not exported: {states}{how}")
    if report.elsewhere:
        other = "asynq" if report.layout == "documented" else "documented"
        lines.append(f"the queue has {report.elsewhere:,} pending tasks in the other layout: --layout {other}")
    tell_end(lines, report.to_dict)


def _tasks(count: int) -> str:
    return f"{count:,} task{'s' if count != 1 else ''}"


COMMAND = Command(
    run=export,
    options=(ExportOptions, OutputOptions, ReportOptions),
    usage="--queue NAME [OPTIONS]",
    own_variables={"format"},  # what the lines hold; RUNQY_LOADER_FORMAT is the format of a load's input
)

"""``runqy-loader generate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from loader.cli.commands import ALL, Command
from loader.cli.output import print_json
from loader.cli.report_options import ReportOptions
from loader.cli.stderr import tell_end
from loader.cli.whole_output import write_whole
from loader.generate.options import GenerateOptions
from loader.outputs.whole import WholeFile

if TYPE_CHECKING:
    from loader.cli.display import Display
    from loader.generate.report import GenerateReport


def generate(template: tuple[str, ...], options: GenerateOptions, reporting: ReportOptions) -> int:
    """Makes records from a template, a JSON document with placeholders, and writes them as JSON lines.

    A record depends on the template, --seed and its number alone: the same command makes the same records, and load
    --generate loads them without a file. --like makes a template from a sample.
    """
    from loader.cli.signals import run

    options.check(len(template))
    if options.like is not None:
        return run(_like(options.like, options.sample, reporting))
    reporting.require_other_output(options.output, "--output")
    return run(_generate(Path(template[0]), options, reporting, reporting.display()))


async def _generate(template: Path, options: GenerateOptions, reporting: ReportOptions, display: Display) -> int:
    from loader.generate.run import Generating

    def begin(out: WholeFile) -> Generating:
        return Generating(template, options, out.write)

    report = await write_whole(options.output, reporting, display, begin, _line)
    if not reporting.quiet:
        _summary(report, options)
    return report.exit_status


async def _like(path: Path, records: int, reporting: ReportOptions) -> int:
    from loader.generate.like import learn

    reporting.display()
    found = await learn(path, records)
    if reporting.json:
        print_json({"template": found.value, **found.counts})
    else:
        sys.stdout.write(f"{found.template}\n")
    if not reporting.quiet:
        lines = [f"template from {found.records:,} records of {path}"]
        if found.unreadable:
            lines.append(f"  {found.unreadable:,} more records are no JSON, and were passed over")
        if found.left_out:
            lines.append(f"  {found.left_out:,} names of members are rare or many, so they may be data: left out")
        tell_end(lines, lambda: found.counts)
    return 0


def _line(report: GenerateReport) -> str:
    return f"{report.records:,} records · {report.bytes_written / 1e6:,.1f} MB · {report.records_per_second:,.0f}/s"


def _summary(report: GenerateReport, options: GenerateOptions) -> None:
    where = "" if str(options.output) == "-" else f" to {options.output}"
    kept = "" if report.status == "completed" or str(options.output) == "-" else ", not kept"
    lines = [f"generate: {report.status} in {report.seconds:.1f} s"]
    lines.append(f"  {'records':<15}{report.records:>13,}  {report.bytes_written / 1e6:,.1f} MB{where}{kept}")
    if options.count is None and report.status == "completed":
        again = f"--first {report.first} " if report.first != 1 else ""
        lines.append(f"  the same again: {again}--count {report.records} --seed {report.seed}")
    tell_end(lines, report.to_dict)


COMMAND = Command(
    run=generate,
    options=(GenerateOptions, ReportOptions),
    argument="A JSON document with placeholders; docs/generate.md lists them.",
    argument_name="template",
    usage="TEMPLATE --count N [OPTIONS]",
    exit_status="Exit status: 0 all written; 1 failed; 2 usage; 130 interrupted.",
    own_variables=ALL,
)

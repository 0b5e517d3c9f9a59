"""Commands that write one file of records, which gets its name when it is complete."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from loader.cli.output import write_report
from loader.cli.report_options import ReportOptions
from loader.outputs.whole import WholeFile

if TYPE_CHECKING:
    from loader.cli.display import Display
    from loader.export.run import ExportReport
    from loader.generate.report import GenerateReport

R_co = TypeVar("R_co", "ExportReport", "GenerateReport", covariant=True)


class Work(Protocol[R_co]):
    """What makes the records."""

    @property
    def report(self) -> R_co: ...

    def run(self) -> Coroutine[Any, Any, R_co]: ...

    def stop(self) -> None: ...


async def write_whole(
    output: Path,
    reporting: ReportOptions,
    display: Display,
    begin: Callable[[WholeFile], Work[R_co]],
    line: Callable[[R_co], str],
) -> R_co:
    """Runs work that writes a file, and shows its progress. Signals stop it. Returns its report, which is written too.

    Args:
        begin: Makes the work, which is not run yet.
        line: The line of progress.

    Raises:
        LoaderError: The work fails, or a file cannot be written.
    """
    from loader.cli.progress import counting
    from loader.cli.signals import stoppable

    with WholeFile(output, "--output") as out:
        work = begin(out)
        report = work.report
        try:
            async with counting(display, lambda: line(report), report.to_dict, shown=reporting.shows_progress):
                if await stoppable(work.run(), work.stop, display) is None:
                    report.end("interrupted")
            if report.status == "completed":
                out.keep()
        finally:
            write_report(reporting.report_file, report.to_dict())
    return report

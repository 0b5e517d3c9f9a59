"""``runqy-loader verify``."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from loader.cli.commands import Command
from loader.cli.load import format_names
from loader.cli.output import write_report
from loader.cli.report_options import ReportOptions
from loader.cli.stderr import tell_end
from loader.errors import UsageError
from loader.outputs.whole import WholeFile
from loader.settings import LoadOptions
from loader.verify.options import VerifyOptions

if TYPE_CHECKING:
    from loader.cli.display import Display
    from loader.verify.report import VerifyReport


def verify(paths: tuple[str, ...], load: LoadOptions, options: VerifyOptions, reporting: ReportOptions) -> int:
    """Compares input with what Redis has of it: missing, changed and misplaced tasks. Nothing is written to Redis.

    It takes the input and the options of load: in a command, replace 'load' by 'verify'. Or it takes the name of a job:
    then its input is read if it is here, and otherwise what the job's ledgers say is compared.

    Workers may go on. Of a task that is loaded and no longer there, nothing tells whether a worker has finished it; so
    it is counted apart, and is no difference unless --undrained is given.
    """
    from loader.cli.signals import run

    if not paths and not load.names_input:
        raise UsageError(
            "nothing to compare",
            "Name the files of the load ('-' for standard input), or a job, or give --sql or --generate",
        )
    reporting.require_other_output(options.differences, "--differences")
    return run(_verify(paths, load, options, reporting, reporting.display()))


async def _verify(
    paths: tuple[str, ...], load: LoadOptions, options: VerifyOptions, reporting: ReportOptions, display: Display
) -> int:
    from loader.cli.progress import counting
    from loader.cli.signals import stoppable
    from loader.verify.run import Verifier

    own = [path for path in (options.differences, reporting.report_file) if path is not None and str(path) != "-"]
    with _Differences(options.differences) as differences:
        verifier = Verifier(load, options, None if options.differences is None else differences.write, own)
        report = verifier.report
        try:
            async with counting(display, lambda: _line(report), report.to_dict, shown=reporting.shows_progress):
                work = verifier.run_job(paths[0]) if paths and _is_job(paths) else verifier.run(paths)
                if await stoppable(work, verifier.stop, display) is None:
                    report.end("interrupted")
            differences.keep()
        finally:
            if verifier.has_begun:  # otherwise the report's file may be the input
                write_report(reporting.report_file, report.to_dict())
    if not reporting.quiet:
        tell_end(_summary(report, options), report.to_dict)
    return report.exit_status


def _is_job(paths: tuple[str, ...]) -> bool:
    """Whether the only word is the name of a job: it names no file, and can be no pattern of files."""
    from loader.settings import is_job_name

    (word, *others) = paths
    return not others and word != "-" and is_job_name(word) and not Path(word).exists()


class _Differences:
    """The file of the differences. It is opened for the first one, when it is known that it is no input.

    Args:
        path: '-' for standard output; None for no file.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._files = ExitStack()
        self._file: WholeFile | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._files.close()

    def write(self, line: bytes) -> None:
        """Writes a line. Raises LoaderError if the file cannot be written."""
        self._opened().write(line)

    def keep(self) -> None:
        """Completes the file, also if there is no difference. Raises LoaderError if it cannot be written."""
        if self._path is not None:
            self._opened().keep()

    def _opened(self) -> WholeFile:
        if self._file is None:
            assert self._path is not None  # noqa: S101 - else nothing is written
            self._file = self._files.enter_context(WholeFile(self._path, "--differences"))
        return self._file


def _line(report: VerifyReport) -> str:
    return f"{report.compared:,} compared · {report.differences:,} differences"


def _summary(report: VerifyReport, options: VerifyOptions) -> list[str]:
    from loader.verify.report import Kind

    lines = [f"verify job {report.job}, layout {report.layout}: {report.status} in {report.seconds:.1f} s"]

    def count(name: str, number: int, text: str = "") -> None:
        lines.append(f"  {name:<15}{number:>13,}" + (f"  {text}" if text else ""))

    states = ", ".join(f"{number:,} {state}" for state, number in report.states.most_common() if number)
    count("compared", report.compared)
    count("same", report.same, states)
    if report.set_aside:
        count("set aside", report.set_aside, "their id or lock was taken")
    if report.gone:
        text = "loaded, but no longer there" if report.undrained else "finished, expired or lost: it cannot be told"
        count("gone", report.gone, text)
    for kind in Kind:
        if report.found[kind]:
            count(kind.value.replace("_", " "), report.found[kind], kind.meaning)
    if report.unknown_batches:
        count("unknown batches", report.unknown_batches, "an earlier version has loaded them: give the input")
    if report.invalid:
        count("invalid", report.invalid, "records that no load takes")
    if report.not_sampled:
        count("not sampled", report.not_sampled, f"--compare {options.compare}")
    lines += [
        f"    {one.kind.value.replace('_', ' ')}: {one.place or one.id}"
        + (f", id {one.id}" if one.place else "")
        + (f": {one.detail}" if one.detail else "")
        for one in report.examples
    ]
    if report.status != "completed":
        return lines
    if not report.input_read:
        lines.append("the input is not here: the job's ledgers were compared")
        lines.append("records that were never loaded are not known")
    if not report.lists_read:
        lines.append("the lists were not read: whether tasks are in them is not known")
    elif report.layout == "documented" and report.same and not report.undrained:
        lines.append("hashes of this layout hold no state: tasks in no list may be with workers")
    lines.append("no difference" if not report.differences else f"{report.differences:,} differences")
    return lines


COMMAND = Command(
    run=verify,
    options=(LoadOptions, VerifyOptions, ReportOptions),
    argument="Input of the load, or the name of its job.",
    values={"format": format_names},
    usage="PATH... --queue NAME [OPTIONS] | JOB [OPTIONS]",
    exit_status="Exit status: 0 no difference; 1 failed; 2 usage; 3 differences; 130 interrupted.",
)

"""What is left of a load when it is over: the JSON report, the page, and the conditions that its figures meet."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loader.cli.load_test_options import LoadTestOptions
from loader.cli.logins import without_password
from loader.cli.output import FileMark, unwritten, write_report
from loader.errors import JobBusyError, LoaderError
from loader.settings import LoadOptions
from loader.settings.check import is_given
from loader.settings.option import declared

if TYPE_CHECKING:
    from loader.jobs.report import LoadReport

CONDITION_MET = 4
_SECRET = ("redis_password_file", "redis_password_command")


@dataclass(frozen=True, slots=True)
class LoadOutputs:
    """The files in which a load reports, as they are before it begins.

    Attributes:
        report: The option of that name.
    """

    report: Path | None
    testing: LoadTestOptions
    before: tuple[FileMark, FileMark]

    @classmethod
    def of(cls, report: Path | None, testing: LoadTestOptions) -> LoadOutputs:
        return cls(report, testing, (FileMark.of(report), FileMark.of(testing.html)))

    @property
    def paths(self) -> list[Path]:
        """The files. They are no input."""
        return [path for path in (self.report, self.testing.html) if path is not None]

    def judge(self, report: LoadReport) -> None:
        """Notes the conditions that the load meets. A failed load is not judged: it has failed."""
        if self.testing.fail_if and report.status != "failed":
            from loader.reports.conditions import Condition, failures

            conditions = [Condition.parse(text) for text in self.testing.fail_if]
            report.failed_conditions = failures(conditions, report.to_dict())

    def write(self, report: LoadReport, options: LoadOptions, failure: LoaderError | None) -> None:
        """Writes the files.

        Raises:
            LoaderError: One cannot be written. The other is.
        """
        if report.measured is not None:
            report.measured.command = command_line(sys.argv[1:])
            report.measured.options = _given(options)
        figures = report.to_dict()
        taken_over = isinstance(failure, JobBusyError) and failure.taken_over
        marks = self.before if taken_over else (None, None)
        try:
            write_report(self.report, figures, unless_changed=marks[0])
        finally:
            _write_page(self.testing.html, figures, unless_changed=marks[1])


def _write_page(path: Path | None, figures: dict[str, Any], *, unless_changed: FileMark | None) -> None:
    if path is None or (unless_changed is not None and path.is_file() and FileMark.of(path) != unless_changed):
        return
    from loader.outputs.whole import WholeFile
    from loader.reports.page import page

    text = page(figures).encode()
    try:
        with WholeFile(path, "--html") as file:
            file.write(text)
            file.keep()
    except LoaderError as error:
        raise unwritten(str(error.args[0])) from error


def command_line(arguments: Sequence[str]) -> str:
    """The command of this run, without passwords: it may end up in a log."""
    return shlex.join(["runqy-loader", *map(without_password, arguments)])


def _given(options: LoadOptions) -> dict[str, str]:
    """The options that differ from their defaults, wherever they are from, without passwords and files to write."""
    found = {}
    for one in declared(type(options)):
        if is_given(one, options) and not one.option.writes and one.name not in _SECRET:
            value = getattr(options, one.name)
            parts = value if one.repeated else [value]
            found[one.flag] = "given" if one.is_switch else ", ".join(without_password(str(part)) for part in parts)
    return found

"""Options for what a command reports about its run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from loader.errors import UsageError
from loader.outputs.names import JSON
from loader.settings.check import check_declared
from loader.settings.option import Excludes, Option
from loader.settings.values import convert_values

if TYPE_CHECKING:
    from loader.cli.display import Display

_GROUP = "Report"

Quiet = Annotated[bool, Option(help="Show errors only.", group=_GROUP)]
NoProgress = Annotated[bool, Option(help="Show no progress.", group=_GROUP)]
Debug = Annotated[bool, Option(help="On an error, show where in the program it occurred.", group=_GROUP)]
LogFormat = Annotated[
    Literal["text", "json"],
    Option(
        help="Form of what is told on standard error: lines for people, or one JSON object a line for programs; see "
        "docs/observability.md.",
        group=_GROUP,
    ),
]
Verbose = Annotated[
    bool, Option(help="Show more details.", group=_GROUP, goes_with=(Excludes("quiet", alternative=True),))
]


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonOptions:
    """Options of a command that prints findings."""

    json: Annotated[bool, Option(help="Print JSON.", group=_GROUP)] = False
    debug: Debug = False
    log_format: LogFormat = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """Options of a command that runs until the user stops it."""

    quiet: Quiet = False
    verbose: Verbose = False
    debug: Debug = False
    log_format: LogFormat = "text"

    def display(self) -> Display:
        """The display for the run. Raises UsageError if two of the options contradict each other."""
        return _display(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressOptions:
    """Options of a command that shows its progress and writes no report."""

    json: Annotated[
        bool, Option(help="Print the counts as JSON at the end. The results need a file then.", group=_GROUP)
    ] = False
    no_progress: NoProgress = False
    quiet: Quiet = False
    debug: Debug = False
    log_format: LogFormat = "text"

    @property
    def shows_progress(self) -> bool:
        return not (self.no_progress or self.quiet)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """Options of a command that writes a report."""

    report: Annotated[
        Path | None,
        Option(
            help="Write the JSON report to this file; '-' for standard output.", group=_GROUP, unit="FILE", writes=JSON
        ),
    ] = None
    json: Annotated[
        bool,
        Option(
            help="Print the JSON report, as --report - does.",
            group=_GROUP,
            goes_with=(Excludes("report", alternative=True),),
        ),
    ] = False
    no_progress: NoProgress = False
    quiet: Quiet = False
    verbose: Verbose = False
    debug: Debug = False
    log_format: LogFormat = "text"

    def __post_init__(self) -> None:
        convert_values(self)

    def display(self, *, progress: bool = False) -> Display:
        """The display for the run. Raises UsageError if two of the options contradict each other."""
        return _display(self, progress=progress)

    @property
    def report_file(self) -> Path | None:
        """Where the report goes: a file, '-' for standard output, or None for nowhere."""
        return Path("-") if self.json else self.report

    def require_other_output(self, path: Path | None, flag: str) -> None:
        """Raises UsageError if both the report and the file of an option are standard output.

        Args:
            path: The file.
            flag: The option that names it, or that prints something if it has no file.
        """
        if str(path) == "-" == str(self.report_file):
            own = "--json" if self.json else "--report"
            raise UsageError(f"{flag} and {own} cannot both be standard output", "Name a file for one of them")

    @property
    def shows_progress(self) -> bool:
        return not (self.no_progress or self.quiet)


def _display(options: LogOptions | ReportOptions, *, progress: bool = False) -> Display:
    from loader.cli.display import Display

    check_declared(options)
    return Display(quiet=options.quiet, verbose=options.verbose, progress=progress)

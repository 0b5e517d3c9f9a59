"""Options that commands with a report share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from loader.errors import UsageError

if TYPE_CHECKING:
    from loader.cli.display import Display

_GROUP = Group("Report", sort_key=8)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """What a run shows and writes about itself."""

    report: Annotated[Path | None, Parameter(group=_GROUP, allow_leading_hyphen=True)] = None
    """Write the JSON report to this file; '-' for standard output."""

    no_progress: Annotated[bool, Parameter(group=_GROUP, show_default=False)] = False
    """Show no progress."""

    quiet: Annotated[bool, Parameter(group=_GROUP, show_default=False)] = False
    """Show errors only."""

    verbose: Annotated[bool, Parameter(group=_GROUP, show_default=False)] = False
    """Show more of what happens."""

    debug: Annotated[bool, Parameter(group=_GROUP, show_default=False)] = False
    """On an error, show where in the program it arose."""

    def display(self, *, progress: bool = False) -> Display:
        """What shows the run. Raises UsageError if two of the options contradict each other."""
        from loader.cli.display import Display

        if self.quiet and self.verbose:
            raise UsageError("--quiet and --verbose contradict each other", "Give one of them")
        return Display(quiet=self.quiet, verbose=self.verbose, progress=progress)

    @property
    def shows_progress(self) -> bool:
        return not (self.no_progress or self.quiet)

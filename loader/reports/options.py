"""The options of the command that compares reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from loader.reports.conditions import change_problem
from loader.settings.check import check_declared
from loader.settings.option import Option


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """Options of the command. Field names are the long options of the command line with underscores."""

    fail_if: Annotated[
        tuple[str, ...],
        Option(
            help="End with status 4 if a figure has changed so, and the change is not within noise: such as "
            "'tasks_per_second<-5%' or 'p99>10%'. May be repeated.",
            group="Comparison",
            unit="CONDITION",
            rule=change_problem,
        ),
    ] = ()

    def check(self) -> None:
        """Raises UsageError if a condition is none."""
        check_declared(self)

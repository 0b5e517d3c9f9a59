"""Conditions over the figures of a report, such as ``p99>50ms``: what makes a load test fail."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from loader.jobs.knee import kept_up
from loader.reports.figures import FIGURES, Figure, Kind, Needs, Report, points, share_of_records

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_TEXT = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(>=|<=|>|<)\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*([A-Za-z%]*)\s*", re.ASCII)
_UNITS: Mapping[Kind, Mapping[str, float]] = {
    "ms": {"ms": 1, "s": 1000, "us": 0.001},
    "s": {"s": 1, "ms": 0.001},
    "share": {"%": 0.01},
    "count": {"": 1},
    "rate": {"": 1},
    "bytes": {"": 1},
}
"""For each kind of figure: the units that a condition may have, in the figure's own."""

_WHY: Mapping[Needs, tuple[str, str]] = {
    "latency": ("latencies", "Only a load with a pace has them: give --rate"),
    "pace": ("an intended rate", "Give --rate"),
    "queue": ("a queue that is looked at", "Only a load into Redis has one"),
}
NAMES = ", ".join(FIGURES)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition over one figure.

    Attributes:
        text: As the user wrote it.
        sign: One of ``> >= < <=``.
        value: In the unit of the figure; a share if it is in percent.
        is_percent: Whether it was given in percent.
    """

    text: str
    figure: Figure
    sign: str
    value: float
    is_percent: bool = False

    @classmethod
    def parse(cls, text: str, *, of_changes: bool = False) -> Condition:
        """Reads a condition.

        Args:
            of_changes: Whether it is about the change of a figure between two loads, which is in percent.

        Raises:
            ValueError: It is none. The message goes on a sentence that begins with the option.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            example = "tasks_per_second<-5%" if of_changes else "p99>50ms"
            raise ValueError(f"must be a figure, one of > >= < <=, and a number, such as '{example}'")
        name, sign, number, unit = match.groups()
        if (figure := FIGURES.get(name)) is None:
            raise ValueError(f"must name one of the figures {NAMES}")
        units = {"%": 0.01} if of_changes else dict(_UNITS[figure.kind])
        if figure.name == "rejected":
            units["%"] = 0.01
        if unit not in units:
            named = [one or "none" for one in units]
            raise ValueError(f"must have one of these units for {name}: {', '.join(named)}")
        return cls(text.strip(), figure, sign, float(number) * units[unit], unit == "%")

    def holds(self, value: float) -> bool:
        """Whether a value of the figure meets it."""
        return _COMPARE[self.sign](value, self.value)

    def failure(self, report: Report) -> str | None:
        """What there is to say if a report meets the condition, or has not got the figure; None if all is well."""
        share = self.figure.name == "rejected" and self.is_percent
        value = share_of_records(report) if share else self.figure.read(report)
        if value is None:
            return self._unknown(report)
        if not self.holds(value):
            return None
        return f"{self.text}: {self.figure.name} was {f'{100 * value:.3g}%' if share else self.figure.text(value)}"

    def _unknown(self, report: Report) -> str | None:
        """What there is to say of a figure that a report has not got; None if the condition is not met all the same."""
        if not report.get("loaded"):
            again = "; --again loads it a second time" if report.get("already_loaded") else ""
            return f"{self.text}: nothing was loaded{again}"
        if self.figure.name == "oldest_pending" and report["layout"] == "documented":
            return f"{self.text}: not known, as layout documented keeps no times"
        if self.figure.name != "capacity":
            return f"{self.text}: the report has no {self.figure.name}"
        rate = kept_up(points(report))
        if rate is not None and self.sign.startswith("<") and not self.holds(rate):
            return None  # consumers did not fall behind at a rate that is high enough
        kept = "" if rate is None else f", up to {self.figure.text(rate)}/s"
        return f"{self.text}: not known, as consumers did not fall behind{kept}; let the rate rise further, or longer"


def condition_problem(text: str) -> str | None:
    """What is wrong with a condition, for a message that begins with the option; None if nothing is."""
    return _problem(text, of_changes=False)


def change_problem(text: str) -> str | None:
    """As ``condition_problem``, for one over the change of a figure."""
    return _problem(text, of_changes=True)


def _problem(text: str, *, of_changes: bool) -> str | None:
    try:
        Condition.parse(text, of_changes=of_changes)
    except ValueError as error:
        return str(error)
    return None


def missing(condition: Condition, there: Collection[Needs]) -> tuple[str, str] | None:
    """What a load has not got that a condition needs, and what to do about it; None if it has all."""
    needs = condition.figure.needs
    if not needs or needs in there:
        return None
    names = ", ".join(name for name, figure in FIGURES.items() if not figure.needs or figure.needs in there)
    what, hint = _WHY[needs]
    return f"this load has not got {what}", f"{hint}. It will have {names}"


def failures(conditions: Sequence[Condition], report: Report) -> list[str]:
    """The conditions that a report meets, or that cannot be judged by it, each with the value."""
    found = (condition.failure(report) for condition in conditions)
    return [line for line in found if line is not None]

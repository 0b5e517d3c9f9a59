"""Compares the reports of two loads, or of two sets of runs: what changed, and what of it is beyond noise."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from loader.reports import noise
from loader.reports.conditions import Condition
from loader.reports.differences import differences
from loader.reports.figures import FIGURES, Figure, Report, points
from loader.reports.noise import Judgement

if TYPE_CHECKING:
    from loader.reports.quantiles import Intervals

_COMPARED = (
    "tasks_per_second",
    "capacity",
    "p50",
    "p90",
    "p99",
    "p99.9",
    "max",
    "rejected",
    "rate_error",
    "pending",
    "oldest_pending",
    "peak_rss",
    "server_bytes_a_task",
)
_QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
"""By the name of the figure. The longest latency is none: nothing is known of it but itself."""

_EQUAL = Judgement(False, "equality")
_ONE_VALUE = Judgement(None, "one value a run")


@dataclass(frozen=True, slots=True)
class Change:
    """A figure before and after.

    Attributes:
        before: Of several runs, the mean.
        change: As a share of ``before``; None if only that is 0.
    """

    figure: Figure
    before: float
    after: float
    judgement: Judgement

    @property
    def change(self) -> float | None:
        if not self.before:
            return None if self.after else 0.0
        return self.after / self.before - 1

    def to_dict(self) -> dict[str, Any]:
        judgement = self.judgement
        return {
            "name": self.figure.name,
            "unit": self.figure.kind,
            "before": self.before,
            "after": self.after,
            "change": self.change,
            "beyond_noise": judgement.beyond,
            "judged_by": judgement.by,
            "low": judgement.low,
            "high": judgement.high,
            "p": judgement.p,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed between loads.

    Attributes:
        differences: What differs in input, options, machine and server, a line each.
    """

    changes: Sequence[Change]
    differences: Sequence[str]
    runs: tuple[int, int]
    failed_conditions: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {
            "runs": {"before": self.runs[0], "after": self.runs[1]},
            "changes": [one.to_dict() for one in self.changes],
            "differences": list(self.differences),
            "failed_conditions": self.failed_conditions,
        }


def compare(before: Sequence[Report], after: Sequence[Report], conditions: Sequence[Condition] = ()) -> Comparison:
    """Compares reports.

    Args:
        before: The report of one load, or of several runs of it.
        after: The same, to compare with.
        conditions: Over changes; see ``Condition.parse``.
    """
    pair = _Pair(before[0], after[0]) if len(before) == len(after) == 1 else None
    named = [condition.figure.name for condition in conditions]
    names = dict.fromkeys([*_COMPARED, *named])
    found = (_change(FIGURES[name], before, after, pair, wanted=name in named) for name in names)
    changes = [one for one in found if one is not None]
    failed = [line for line in (_failure(one, changes) for one in conditions) if line is not None]
    return Comparison(changes, differences(before, after), (len(before), len(after)), failed)


def _change(
    figure: Figure, before: Sequence[Report], after: Sequence[Report], pair: _Pair | None, *, wanted: bool
) -> Change | None:
    """The change of a figure; None if not all reports have it.

    Args:
        wanted: Whether it is told also if it is 0 everywhere.
    """
    old, new = _values(figure, before), _values(figure, after)
    if old is None or new is None or not (wanted or any(old + new)):
        return None
    return Change(figure, statistics.fmean(old), statistics.fmean(new), _judgement(figure, old, new, pair))


def _judgement(figure: Figure, before: list[float], after: list[float], pair: _Pair | None) -> Judgement:
    if pair is None:
        return noise.judge_runs(before, after)
    return _EQUAL if before == after else pair.judge(figure)


def _values(figure: Figure, reports: Sequence[Report]) -> list[float] | None:
    """The figure of each report; None if a report has not got it."""
    found = [figure.read(report) for report in reports]
    values = [value for value in found if value is not None]
    return values if len(values) == len(found) else None


class _Pair:
    """One run and one other, judged by what is known of their insides."""

    def __init__(self, before: Report, after: Report) -> None:
        self._reports = before, after
        self._blocks = [_blocks(before), _blocks(after)]
        self._intervals: Intervals | None = None

    def judge(self, figure: Figure) -> Judgement:
        if figure.name == "tasks_per_second":
            if not all(self._blocks):
                return Judgement(None, "no series of some length: load with --series")
            before, after = ([_loaded(block) for block in blocks] for blocks in self._blocks)
            return noise.judge_blocks(before, after, _rate)
        if figure.name not in _QUANTILES:
            return _ONE_VALUE
        from loader.reports.quantiles import Intervals, judge_histograms  # reports without latencies need no package

        quantile = _QUANTILES[figure.name]
        if not all(any(point["histogram"] for block in blocks for point in block) for blocks in self._blocks):
            return judge_histograms(*self._reports, quantile)
        if self._intervals is None:
            self._intervals = Intervals(*self._blocks)
        return self._intervals.judge(quantile)


_Block = Sequence[Mapping[str, Any]]


def _blocks(report: Report) -> list[_Block]:
    """The intervals of a load in blocks, without the first and the last: in these, it begins and ends."""
    inner = points(report)[1:-1]
    return noise.blocks_of(inner, [point["loaded"] / point["seconds"] for point in inner])


def _loaded(block: _Block) -> tuple[int, float]:
    return sum(point["loaded"] for point in block), sum(point["seconds"] for point in block)


def _rate(blocks: Sequence[tuple[int, float]]) -> float:
    return sum(loaded for loaded, _ in blocks) / sum(seconds for _, seconds in blocks)


def _failure(condition: Condition, changes: Sequence[Change]) -> str | None:
    """A condition that a change meets. A change within noise meets none."""
    name = condition.figure.name
    found = next((one for one in changes if one.figure.name == name), None)
    if found is None:
        return f"{condition.text}: not all reports have {name}"
    change = math.inf if found.change is None else found.change  # it was 0 before
    if found.judgement.beyond is False or not condition.holds(change):
        return None
    judged = "beyond noise" if found.judgement.beyond else "noise is not known"
    changed = f"by {100 * change:+.1f}%" if found.before else f"from 0 to {condition.figure.text(found.after)}"
    return f"{condition.text}: {name} changed {changed} ({judged})"

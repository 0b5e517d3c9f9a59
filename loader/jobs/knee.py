"""The rate at which a fleet of consumers falls behind, from the intervals of a load with a rising rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

FEWEST_INTERVALS = 5
"""Intervals with a backlog that a capacity is told from. With fewer, one more or less would change it by a fifth."""

_FEWEST_BEFORE = 2
"""Intervals in which consumers kept up, before they fell behind. A load at full speed is not one at a rising rate."""

_WAITING_SECONDS = 0.1
"""Tasks that arrive in this time may wait without a backlog: the state of a queue is read between two batches."""


@dataclass(frozen=True, slots=True)
class Knee:
    """Where the queue began to grow for good.

    Attributes:
        at: When, in seconds since the load began: from then on, more was loaded than consumers took.
        offered: Tasks a second that were loaded in the interval in which that was.
        capacity: Tasks a second that consumers took from then on, while tasks were waiting all the time. A load at less
            than this rate leaves no backlog.
        seconds: The time over which the capacity was measured.
    """

    at: float
    offered: float
    capacity: float
    seconds: float

    def to_dict(self) -> dict[str, float]:
        """The fields of the JSON report."""
        return {
            "at": round(self.at, 3),
            "offered": round(self.offered, 1),
            "capacity": round(self.capacity, 1),
            "seconds": round(self.seconds, 3),
        }


def find_knee(points: Sequence[Mapping[str, Any]]) -> Knee | None:
    """The knee of a load; None if its queue was never longer for good, or from its beginning, or if nobody took tasks.

    What consumers took in an interval is what was loaded in it, less the growth of the pending list. While tasks wait,
    consumers have all that they can take, so that this is their capacity. Tasks that others enqueue, or that fail and
    come back to be tried again, are not known here: the capacity is then that which is left for this load.

    Args:
        points: The ``points`` of the JSON report's ``series``; those without a state of the queue are left out.
    """
    known = [point for point in points if point.get("pending") is not None and point["seconds"] > 0]
    run = _longest_backlog(known)
    if run is None:
        return None
    first, last = run
    # The interval in which the backlog began is left out: consumers were idle for a part of it.
    seconds = known[last]["at"] - known[first]["at"]
    if last - first < FEWEST_INTERVALS or seconds <= 0:
        return None
    # Loads go on between two states that are known, so the counts of all intervals in between matter.
    loaded = sum(point["loaded"] for point in points if known[first]["at"] < point["at"] <= known[last]["at"])
    taken = loaded - (known[last]["pending"] - known[first]["pending"])
    capacity = taken / seconds
    before = [point for point in known[:first] if point["loaded"] and not _has_backlog(point)]
    if capacity <= 0 or len(before) < _FEWEST_BEFORE:
        return None
    begin = next(at for at, point in enumerate(points) if point["at"] == known[first]["at"])
    # A queue is not seen to grow at once. Counts are of whole tasks, so one more or less is no difference.
    while begin and points[begin - 1]["loaded"] + 1 > capacity * points[begin - 1]["seconds"]:
        begin -= 1
    return Knee(points[begin]["at"] - points[begin]["seconds"], _rate(points[begin]), capacity, seconds)


def _rate(point: Mapping[str, Any]) -> float:
    return float(point["loaded"] / point["seconds"])


def kept_up(points: Sequence[Mapping[str, Any]]) -> float | None:
    """The highest rate of loading, in tasks a second, that left no backlog; None if none did for long enough.

    Args:
        points: See ``find_knee``.
    """
    known = [point for point in points if point.get("pending") is not None and point["seconds"] > 0]
    runs = [known[at : at + FEWEST_INTERVALS] for at in range(len(known) - FEWEST_INTERVALS + 1)]
    rates = [
        sum(point["loaded"] for point in run) / sum(point["seconds"] for point in run)
        for run in runs
        if not any(map(_has_backlog, run))
    ]
    return max(rates, default=None)


def _longest_backlog(known: Sequence[Mapping[str, Any]]) -> tuple[int, int] | None:
    """The first and the last of the intervals at whose ends tasks wait, of the longest such run with one before it."""
    ends = [-1, *(at for at, point in enumerate(known) if not _has_backlog(point)), len(known)]
    runs = [(before + 1, after - 1) for before, after in pairwise(ends) if before >= 0 and after - before > 1]
    return max(runs, key=lambda run: run[1] - run[0], default=None)


def _has_backlog(point: Mapping[str, Any]) -> bool:
    return bool(point["pending"] > max(1, _rate(point) * _WAITING_SECONDS))

"""The times of sampled tasks, and their percentiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hdrh.histogram import HdrHistogram

_LONGEST_MS = 30 * 86_400_000
_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Percentiles of a time, in seconds.

    Attributes:
        sampled: The number of tasks that were followed to the end of this time.
        tasks: The number of tasks that the percentiles stand for. It is larger than ``sampled`` where each sampled task
            stands for several that became pending with it, or where tasks were counted that came and went between two
            looks.
        resolution: The longest time between two looks. Each time is an upper limit, and too long by at most this.
    """

    sampled: int
    tasks: int
    mean: float
    p50: float
    p90: float
    p99: float
    max: float
    resolution: float


@dataclass(frozen=True, slots=True)
class TaskTimes:
    """Times of the tasks of one queue that were followed so far.

    Each time is an upper limit: it ends with the look that saw the change, so it is at most one interval too long. In
    the documented layout, where a task has no time of its own, it also begins with the look before the task was seen.

    Attributes:
        in_queue: From pending to taken by a worker; None if no task has been taken.
        to_completion: From pending to completed, retries and all; None if no task has been completed.
        unseen: How many tasks became pending and were taken between two looks. They count in ``in_queue`` as tasks that
            waited for one interval, and are not in ``to_completion``. None in the documented layout, where nothing
            counts them.
        following: How many tasks are followed now.
        failed: How many followed tasks have failed for good.
        lost: How many followed tasks were given up.
    """

    in_queue: Percentiles | None
    to_completion: Percentiles | None
    unseen: int | None
    following: int
    failed: int
    lost: int


class Timer:
    """Collects one kind of time in a histogram (HdrHistogram: three digits, from a millisecond to 30 days)."""

    def __init__(self) -> None:
        from hdrh.histogram import HdrHistogram

        self._histogram: HdrHistogram = HdrHistogram(1, _LONGEST_MS, _DIGITS)
        self._sampled = 0
        self._resolution = 0.0

    def add(self, seconds: float, tasks: int, resolution: float, *, sampled: bool = True) -> None:
        """Adds a time.

        Args:
            resolution: By how much it may be too long.
            tasks: How many tasks it stands for.
            sampled: Whether it was seen of a followed task.
        """
        self._sampled += sampled
        self._resolution = max(self._resolution, resolution)
        self._histogram.record_value(min(_LONGEST_MS, max(1, round(seconds * 1000))), count=tasks)

    def percentiles(self) -> Percentiles | None:
        """The percentiles of all times so far; None if there are none."""
        found: Any = self._histogram
        if not found.get_total_count():
            return None

        def at(share: float) -> float:
            return float(min(found.get_value_at_percentile(share), found.get_max_value()) / 1000)

        return Percentiles(
            sampled=self._sampled,
            tasks=found.get_total_count(),
            mean=found.get_mean_value() / 1000,
            p50=at(50),
            p90=at(90),
            p99=at(99),
            max=at(100),
            resolution=self._resolution,
        )

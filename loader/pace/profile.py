"""Schedules whose rate changes over time."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

_CLOSE = 1e-9
"""A due time is searched for as exactly as this: in seconds, or as a share of it if it is above a second."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which the rate goes evenly from one to another.

    Attributes:
        seconds: Its length; ``math.inf`` for one without an end, whose rate stays.
        begin: Tasks a second at its beginning.
        end: Tasks a second at its end.
    """

    seconds: float
    begin: float
    end: float

    @property
    def tasks(self) -> float:
        return math.inf if math.isinf(self.seconds) else (self.begin + self.end) / 2 * self.seconds

    def rate(self, seconds: float) -> float:
        return self.begin + self._slope * seconds

    def count(self, seconds: float) -> float:
        return (self.begin + self._slope / 2 * seconds) * seconds

    def due(self, count: float) -> float:
        """The inverse of ``count``. It solves the quadratic in the form that has no difference of like numbers."""
        if count <= 0:
            return 0.0
        root = math.sqrt(max(0.0, self.begin**2 + 2 * self._slope * count))
        if self.begin + root == 0:  # a count so small that its product with the slope is no number above 0
            return 0.0
        return min(self.seconds, 2 * count / (self.begin + root))

    @property
    def _slope(self) -> float:
        return 0.0 if math.isinf(self.seconds) else (self.end - self.begin) / self.seconds


class Stretches:
    """One stretch after the other. See ``Schedule``.

    While the rate is 0, nothing is due: a task that is next when such a time begins is due when it ends.

    Args:
        stretches: Each with a length above 0. If they are not repeated, the last one has no end and a rate above 0.
        repeated: Whether they begin again after the last one. Then the rate is above 0 in one of them.
    """

    def __init__(self, stretches: Sequence[Stretch], *, repeated: bool = False) -> None:
        self._stretches = stretches
        *self._times, seconds = accumulate((stretch.seconds for stretch in stretches), initial=0.0)
        *self._counts, tasks = accumulate((stretch.tasks for stretch in stretches), initial=0.0)
        self._period = (seconds, tasks) if repeated else (math.inf, math.inf)

    def due(self, count: float) -> float:
        seconds, tasks = self._period
        periods, count = (0.0, count) if math.isinf(tasks) else divmod(count, tasks)
        index = bisect_right(self._counts, count) - 1
        begin = self._times[index] + (periods * seconds if periods else 0.0)
        return begin + self._stretches[index].due(count - self._counts[index])

    def count(self, seconds: float) -> float:
        period, tasks = self._period
        periods, seconds = (0.0, seconds) if math.isinf(period) else divmod(seconds, period)
        index = self._at(seconds)
        before = periods * tasks if periods else 0.0
        return before + self._counts[index] + self._stretches[index].count(seconds - self._times[index])

    def rate(self, seconds: float) -> float:
        seconds = seconds if math.isinf(self._period[0]) else seconds % self._period[0]
        index = self._at(seconds)
        return self._stretches[index].rate(seconds - self._times[index])

    def _at(self, seconds: float) -> int:
        return max(0, bisect_right(self._times, seconds) - 1)


@dataclass(frozen=True, slots=True)
class Sine:
    """A rate that rises from the lowest to the highest and falls again, over and over. See ``Schedule``.

    Attributes:
        lowest: Tasks a second; not negative.
        highest: Tasks a second; above ``lowest``.
        period: Seconds from one lowest rate to the next.
    """

    lowest: float
    highest: float
    period: float

    def due(self, count: float) -> float:
        mean, swing = (self.highest + self.lowest) / 2, self._swing
        low, high = (count - swing) / mean, (count + swing) / mean
        seconds = count / mean
        close = _CLOSE * max(1.0, seconds)
        while high - low > close:  # Newton's method, kept within the bounds: where the rate is near 0, it leaps far
            wrong = self.count(seconds) - count
            if wrong > 0:
                high = seconds
            else:
                low = seconds
            rate = self.rate(seconds)
            step = wrong / rate if rate > 0 else math.inf
            if abs(step) < close:
                break
            seconds = seconds - step if low < seconds - step < high else (low + high) / 2
        return max(0.0, seconds)

    def count(self, seconds: float) -> float:
        return (self.highest + self.lowest) / 2 * seconds - self._swing * math.sin(self._angle(seconds))

    def rate(self, seconds: float) -> float:
        middle, amplitude = (self.highest + self.lowest) / 2, (self.highest - self.lowest) / 2
        return middle - amplitude * math.cos(self._angle(seconds))

    def _angle(self, seconds: float) -> float:
        return 2 * math.pi * seconds / self.period

    @property
    def _swing(self) -> float:
        """By how many tasks the count is at most ahead of, or behind, that of the mean rate."""
        return (self.highest - self.lowest) / 2 * self.period / (2 * math.pi)

"""What a schedule tells, and the simplest one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Schedule(Protocol):
    """Tasks over time. Task 0 is due at the start.

    Times are seconds since the start. Counts may have a fraction: they are the integral of the rate.
    """

    def due(self, count: float) -> float:
        """The time at which this many tasks are due before: the due time of the task with this number."""
        ...

    def count(self, seconds: float) -> float:
        """The number of tasks that are due before this time."""
        ...

    def rate(self, seconds: float) -> float:
        """Tasks a second at this time."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    """The same rate all the time.

    Attributes:
        per_second: Tasks a second; above 0.
    """

    per_second: float

    def due(self, count: float) -> float:
        return count / self.per_second

    def count(self, seconds: float) -> float:
        return seconds * self.per_second

    def rate(self, seconds: float) -> float:
        return self.per_second

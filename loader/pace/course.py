"""The due times of a run's tasks by the clock, in the order in which they are sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from loader.pace.schedule import Schedule

_EVEN = 0.01
"""Seconds. The due times within a shorter time are taken to have the same gaps."""


class Course(Protocol):
    """Gives tasks their due times. Times are those of ``time.monotonic``.

    ``records`` are those of the next tasks, as they are in the source.
    """

    @property
    def is_started(self) -> bool: ...

    def start(self, now: float) -> None:
        """The next task, the first one, is due now. Before, nothing is due, and nothing can be shifted."""
        ...

    def go_on(self, now: float, saved: float = 0.0) -> None:
        """Another course has applied until now. What would have been due in this time is not made up for.

        Args:
            saved: What the other course has saved up; see ``saved``.
        """
        ...

    def saved(self, now: float) -> float:
        """How many tasks more than were sent the rate has allowed until now, with its fraction.

        The next task is due when this is 0, and below 0 it is due later.
        """
        ...

    def due(self, records: Sequence[bytes]) -> float:
        """When the last of the next tasks is due."""
        ...

    def take(self, records: Sequence[bytes]) -> Sequence[float]:
        """The due time of each of the next tasks. They are sent, so the next call goes on after them."""
        ...

    def shift(self, seconds: float) -> None:
        """All further tasks are due this much later."""
        ...

    def rate(self, now: float) -> float | None:
        """Tasks a second now; None if only the records tell."""
        ...

    def overdue(self, now: float) -> int:
        """The number of further tasks that are due by now, as far as this is known."""
        ...


class ByRate:
    """The course of a schedule."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._start = 0.0
        self.is_started = False
        self._next = 0.0  # the schedule's number of the next task; it has a fraction after another course

    def start(self, now: float) -> None:
        self._start = now
        self.is_started = True

    def go_on(self, now: float, saved: float = 0.0) -> None:
        if not self.is_started:
            self.start(now - self._schedule.due(max(0.0, saved)))
        self._next = max(0.0, self._schedule.count(now - self._start) - saved)

    def saved(self, now: float) -> float:
        return self._schedule.count(now - self._start) - self._next

    def due(self, records: Sequence[bytes]) -> float:
        return self._start + self._schedule.due(self._next + len(records) - 1)

    def take(self, records: Sequence[bytes]) -> Sequence[float]:
        start, due, first, count = self._start, self._schedule.due, self._next, len(records)
        self._next = first + count
        begin, end = due(first), due(first + count - 1)
        if count > 2 and end - begin < _EVEN:  # hot path: the rate is as good as constant
            gap = (end - begin) / (count - 1)
            return [start + begin + gap * position for position in range(count)]
        return [start + due(first + position) for position in range(count)]

    def shift(self, seconds: float) -> None:
        self._start += seconds

    def rate(self, now: float) -> float | None:
        return self._schedule.rate(now - self._start)

    def overdue(self, now: float) -> int:
        seconds, first = now - self._start, self._next
        tasks = max(0, int(self._schedule.count(seconds) - first) + 1)
        while tasks and self._schedule.due(first + tasks - 1) > seconds:  # at most once: the schedule may rest here
            tasks -= 1
        return tasks

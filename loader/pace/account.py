"""What was due, and what was sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loader.pace.latency import Lateness

_GRACE = 0.01
"""Seconds. A task that is sent so soon after the second in which it was due counts in that second. Otherwise, at one
task a second, a lateness of a microsecond could be an error of 100 %."""


class Seconds:
    """Compares, over each whole second of a run, the tasks sent with those due.

    Attributes:
        worst: The largest error so far, as a share of the tasks due in that second (of one task, if there were none);
            None before the end of the first second.
    """

    def __init__(self) -> None:
        self._start: float | None = None
        self._due: dict[int, int] = {}
        self._sent: dict[int, int] = {}
        self._judged = 0  # the first second that is not judged yet
        self.worst: float | None = None

    def add(self, due: Sequence[float], now: float) -> None:
        """Adds tasks that are sent now. Tasks come in the order in which they are due."""
        if self._start is None:
            self._start = due[0]
        start = self._start
        first, last, current = int(due[0] - start), int(due[-1] - start), int(now - start)
        self._judge(first)
        if first == last:  # hot path
            self._count(first, len(due), current if now - start - (first + 1) > _GRACE else first)
            return
        for at in due:
            second = int(at - start)
            self._count(second, 1, current if now - start - (second + 1) > _GRACE else second)

    def end(self, now: float, overdue: Callable[[float], int]) -> None:
        """Judges what is left of a run that ends before its input.

        Args:
            overdue: The number of tasks that were due by a time and are not sent.
        """
        if self._start is None:
            return
        current = int(now - self._start)
        before = 0
        for second in range(self._judged, current):
            until = overdue(self._start + second + 1)
            self._due[second] = self._due.get(second, 0) + until - before
            before = until
        self._judge(current)

    def _count(self, second: int, tasks: int, sent: int) -> None:
        self._due[second] = self._due.get(second, 0) + tasks
        self._sent[sent] = self._sent.get(sent, 0) + tasks

    def _judge(self, end: int) -> None:
        """Judges the seconds before this one. Of what was due in them, all is sent."""
        for second in range(self._judged, end):
            due, sent = self._due.pop(second, 0), self._sent.pop(second, 0)
            self.worst = max(self.worst or 0.0, abs(sent - due) / max(due, 1))
        self._judged = max(self._judged, end)


@dataclass(slots=True)
class PaceReport:
    """The pace of a load, for its report.

    Attributes:
        profile: The rate or profile, for people; None if only limits hold the load back.
        sent: Tasks that were handed over to the workers.
        overdue: Returns the number of tasks that are due by a time and not sent yet.
        rate: Returns the tasks a second that are due at a time; None if the records tell.
        lateness: How late deliveries were handed over; None without a schedule.
    """

    profile: str | None = None
    sent: int = 0
    overdue: Callable[[float], int] = field(default=lambda now: 0)
    rate: Callable[[float], float | None] = field(default=lambda now: None)
    lateness: Lateness | None = None
    _seconds: Seconds = field(default_factory=Seconds)
    _left: int | None = None  # tasks that were due at the end and not sent

    def sends(self, due: Sequence[float], now: float) -> None:
        """Counts tasks that are handed over now.

        Args:
            due: When each of them was due.
        """
        self.sent += len(due)
        self._seconds.add(due, now)
        if self.lateness is not None:
            self.lateness.record(now - due[-1])

    def end(self, now: float, left: int | None) -> None:
        """The run is over.

        Args:
            left: Tasks of the input that were not sent; None if it was not read to its end. No more of them were due
                than that.
        """

        def overdue(at: float) -> int:
            due = self.overdue(at)
            return due if left is None else min(due, left)

        self._left = overdue(now)
        if left != 0:
            self._seconds.end(now, overdue)

    def intended(self, now: float) -> int:
        """Tasks that were due until now, or until the end."""
        return self.sent + (self.overdue(now) if self._left is None else self._left)

    @property
    def worst_second_error(self) -> float | None:
        """See ``Seconds.worst``."""
        return self._seconds.worst

    def to_dict(self, now: float, held: Mapping[str, float]) -> dict[str, Any]:
        """The JSON report; see docs/reference.md.

        Args:
            held: For how many seconds each limit, and a pause, has held the load.
        """
        worst = self.worst_second_error
        return {
            "profile": self.profile,
            "intended": self.intended(now) if self.profile is not None else None,
            "sent": self.sent,
            "worst_second_error": None if worst is None else round(worst, 6),
            "jitter": None if self.lateness is None else self.lateness.to_dict(),
            "held_seconds": {name: round(seconds, 3) for name, seconds in held.items()},
        }

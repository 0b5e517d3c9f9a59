"""What a load notes while it runs, for load tests: figures for each interval, and what they were measured on."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

from loader.jobs.knee import Knee, find_knee

MOST_POINTS = 3600
"""After so many intervals, further ones are twice as long, and with each of them two neighbours become one."""


@dataclass(frozen=True, slots=True)
class QueueLengths:
    """The state of the load's queues at the end of an interval, all queues together.

    Attributes:
        oldest_pending_seconds: How long the task has waited that has waited longest; None if none waits, or it is not
            known.
    """

    pending: int
    active: int
    scheduled: int
    retry: int
    archived: int
    completed: int
    oldest_pending_seconds: float | None = None

    def larger(self, other: QueueLengths) -> QueueLengths:
        """The larger of two values for each figure."""
        values = ((getattr(self, one.name), getattr(other, one.name)) for one in fields(self))
        return QueueLengths(*(max((v for v in pair if v is not None), default=None) for pair in values))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Latencies:
    """The latencies of the tasks that were acknowledged in an interval, in milliseconds.

    Attributes:
        histogram: All of them, as an HdrHistogram (V2, compressed, base64) of microseconds.
    """

    count: int
    p50: float
    p99: float
    max: float
    histogram: str


@dataclass(frozen=True, slots=True)
class Point:
    """One interval of a load.

    Attributes:
        at: Its end, in seconds since the load began.
        seconds: Its length.
        loaded: Tasks that were acknowledged in it.
        rejected: Records that were rejected in it.
        intended: Tasks that were due in it; None for a load without a pace.
        latency: None if nothing was acknowledged, or the load has no latencies.
        queue: None if there is no queue, or no answer.
    """

    at: float
    seconds: float
    loaded: int
    rejected: int
    intended: int | None = None
    latency: Latencies | None = None
    queue: QueueLengths | None = None

    def with_next(self, other: Point) -> Point:
        """This interval and the next one as one."""
        intended = None
        if self.intended is not None or other.intended is not None:
            intended = (self.intended or 0) + (other.intended or 0)
        latency, queue = self.latency or other.latency, self.queue or other.queue
        if self.latency is not None and other.latency is not None:
            from loader.jobs.latencies import together  # a load without latencies need not have the package

            latency = together(self.latency, other.latency)
        if self.queue is not None and other.queue is not None:
            queue = self.queue.larger(other.queue)
        seconds = self.seconds + other.seconds
        return Point(
            other.at, seconds, self.loaded + other.loaded, self.rejected + other.rejected, intended, latency, queue
        )

    def to_dict(self) -> dict[str, Any]:
        latency, queue = self.latency, self.queue
        return {
            "at": round(self.at, 3),
            "seconds": max(0.001, round(self.seconds, 3)),  # rates are divided by it
            "loaded": self.loaded,
            "intended": self.intended,
            "rejected": self.rejected,
            **{name: None if latency is None else getattr(latency, name) for name in ("p50", "p99", "max")},
            "histogram": None if latency is None else latency.histogram,
            **{one.name: None if queue is None else getattr(queue, one.name) for one in fields(QueueLengths)},
        }


@dataclass(slots=True, kw_only=True)
class Measurements:
    """All that a load has noted.

    Attributes:
        version: Of this program.
        started: When it began to load, as RFC 3339 in UTC.
        interval: The wanted length of an interval now, in seconds.
        queues: Whose state the points have.
        machine: See ``loader.machine.describe_machine``.
        server: What the server is; None if there is none, or it does not tell.
        command: The command line of the load, without passwords.
        options: Options that differ from their defaults, as text, by flag.
    """

    interval: float
    version: str = ""
    started: str = ""
    points: list[Point] = field(default_factory=list)
    queues: list[str] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=dict)
    server: dict[str, Any] | None = None
    command: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    _joined: int = 0  # intervals at the beginning that are two in one, since intervals became longer last

    def add(self, point: Point) -> None:
        """Adds an interval. Two neighbours are joined if there are too many.

        Not all of them at once: for histograms that takes about ten seconds, in which the load would stand still, and
        lose its lease.
        """
        self.points.append(point)
        if len(self.points) <= MOST_POINTS:
            return
        if self._joined == MOST_POINTS // 2:
            self._joined = 0
        if not self._joined:
            self.interval *= 2
        at = self._joined
        self.points[at : at + 2] = [self.points[at].with_next(self.points[at + 1])]
        self._joined += 1

    def join_short_end(self) -> None:
        """Joins a last interval that is shorter than half of one with that before it: its rate would say nothing."""
        if len(self.points) > 1 and self.points[-1].seconds < self.interval / 2:
            last = self.points.pop()
            self.points[-1] = self.points[-1].with_next(last)

    def cap_intended(self) -> None:
        """Takes from the intended tasks those that were never to come: a schedule does not know where the input ends.

        Their sum is right at the end of the load; before, it may be larger.
        """
        whole, before, capped = sum(point.intended or 0 for point in self.points), 0, 0
        for at, point in enumerate(self.points):
            if point.intended is not None:
                before += point.intended
                now = max(capped, min(before, whole))
                self.points[at] = replace(point, intended=now - capped)
                capped = now

    @property
    def knee(self) -> Knee | None:
        """Where consumers fell behind; None if they did not. See ``find_knee``."""
        return find_knee([point.to_dict() for point in self.points])

    def to_dict(self) -> dict[str, Any]:
        """The fields of the JSON report; see docs/reference.md."""
        knee = self.knee
        return {
            "version": self.version,
            "started": self.started,
            "command": self.command,
            "options": self.options,
            "machine": self.machine,
            "server": self.server,
            "series": {
                "interval": self.interval,
                "queues": self.queues,
                "knee": None if knee is None else knee.to_dict(),
                "points": [point.to_dict() for point in self.points],
            },
        }

"""Notes how a load goes, once an interval: what was loaded, how long it took, and how the queue is."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from loader.errors import LoaderError
from loader.jobs.measurements import Latencies, Measurements, Point, QueueLengths
from loader.jobs.report import LoadReport

MOST_QUEUES = 16
"""The state of no more queues is read: each costs the server some commands an interval."""

_LONGEST_LOOK = 2.0
"""Seconds after which a look at the queues is given up, so that the intervals stay about equal."""

T = TypeVar("T")

log = logging.getLogger("runqy_loader")

LookAtQueues = Callable[[Sequence[str]], Awaitable[QueueLengths | None]]
"""Reads the state of queues, all together; None if there is no answer. It raises LoaderError as well."""


@dataclass(frozen=True, slots=True)
class _Counts:
    at: float
    loaded: int = 0
    rejected: int = 0
    intended: int | None = None


class SeriesRecorder:
    """Records one load.

    Args:
        report: Its counts are read, and ``measured`` is written.
        queues: The queues that ``--queue`` means. Records may name others.
        look: None if the load has no queue that can be looked at.
    """

    def __init__(
        self,
        report: LoadReport,
        measured: Measurements,
        queues: Sequence[str] = (),
        look: LookAtQueues | None = None,
    ) -> None:
        self._report = report
        self._measured = measured
        self._queues = queues
        self._look = look
        self._told = False
        self._last = self._counts()

    async def during(self, work: Awaitable[T]) -> T:
        """Awaits the work, and records meanwhile."""
        recording = asyncio.create_task(self._record())
        try:
            return await work
        finally:
            recording.cancel()
            await asyncio.wait([recording])
            if not recording.cancelled() and (failure := recording.exception()) is not None:
                raise failure
            await self._note()
            self._measured.join_short_end()
            self._measured.cap_intended()

    async def _record(self) -> None:
        due = time.monotonic()
        while True:
            due += self._measured.interval
            now = time.monotonic()
            if due < now:  # the process was busy, or suspended: what it missed is one long interval
                due = now
            await asyncio.sleep(due - now)
            await self._note()

    async def _note(self) -> None:
        queue = await self._queue_now()
        # From here on nothing is awaited: a point that is cancelled has taken no counts.
        now, last = self._counts(), self._last
        self._last = now
        self._measured.add(
            Point(
                at=now.at,
                seconds=now.at - last.at,
                loaded=now.loaded - last.loaded,
                rejected=now.rejected - last.rejected,
                intended=None if now.intended is None else now.intended - (last.intended or 0),
                latency=self._latencies(),
                queue=queue,
            )
        )

    def _counts(self) -> _Counts:
        report, pace = self._report, self._report.pace
        has_schedule = pace is not None and pace.profile is not None
        intended = pace.intended(time.monotonic()) if pace is not None and has_schedule else None
        return _Counts(report.seconds, report.loaded, report.rejected, intended)

    def _latencies(self) -> Latencies | None:
        if self._report.latency is None:
            return None
        from loader.jobs.latencies import of_histogram  # a load without latencies need not have the package

        return of_histogram(self._report.latency.take_interval())

    async def _queue_now(self) -> QueueLengths | None:
        queues = sorted({*self._queues, *self._report.queues})[:MOST_QUEUES]
        if self._look is None or not queues:
            return None
        self._measured.queues = queues
        try:
            async with asyncio.timeout(_LONGEST_LOOK):
                return await self._look(queues)
        except (LoaderError, TimeoutError) as error:  # a figure for the report must not fail a load
            why = str(error) or f"no answer within {_LONGEST_LOOK:g} s"
            level = logging.DEBUG if self._told else logging.WARNING
            log.log(level, "the state of the queue could not be read, for the report: %s", why)
            self._told = True
            return None

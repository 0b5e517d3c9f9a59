"""All that a delivery waits for between the bounded queue and a worker: limits, and its due time."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from loader.jobs.orders import Orders
from loader.jobs.report import LoadReport
from loader.pace.account import PaceReport
from loader.pace.course import ByRate, Course
from loader.pace.schedule import Constant
from loader.settings import LoadOptions
from loader.sinks.base import Delivery

if TYPE_CHECKING:
    from loader.pace.latency import LatencyRecorder

_LONGEST_SLEEP = 1.0
"""Seconds. Whoever waits for a due time looks at the limits again after this time."""

_TICK = 0.001
"""Seconds. The timers of uvloop and of epoll_wait(2) count milliseconds, and a shorter sleep may end too early."""

_REST = 0.01
"""Seconds. An input that is later than this rests. Shorter waits are those for the loader's own work: a loader that is
too slow for its rate must show."""

_COARSE = 0.1
"""Seconds: of batches that take longer at the highest rate, the user is warned."""

log = logging.getLogger("runqy_loader")


class Limits(Protocol):
    """Reasons to hold deliveries back for a time; see ``loader.engine.limits.limits``."""

    async def clear(self, delivery: Delivery, stopping: Callable[[], bool], held: Callable[[float], None]) -> None:
        """Returns when a delivery may go on, or soon after ``stopping()`` is true.

        Args:
            held: Told again and again, as it waits, for how many further seconds it was held: 0 when that begins. The
                time that a server takes to answer whether it must wait at all is no part of it: it would shift the
                schedule, which must show it.
        """
        ...

    def passed(self, delivery: Delivery) -> None:
        """A delivery is handed over."""
        ...

    def landed(self, delivery: Delivery) -> None:
        """A delivery is in."""
        ...


class Handover:
    """Hands deliveries over to the workers, one after the other.

    The due time of a task does not depend on how fast the server answers (open loop): deliveries that had to wait for
    room on their way are handed over at once. What limits and ``pause`` hold back is not made up for: it shifts the
    schedule.

    Args:
        limits: None for none.
        course: When tasks are due; None: at once.
        report: Told what is handed over.
    """

    def __init__(
        self, limits: Limits | None = None, course: Course | None = None, report: PaceReport | None = None
    ) -> None:
        self._limits = limits
        self._planned = self._course = course
        self._paused = self._stopping = False
        self._ordered: float | None = None
        self._handed_at = 0.0  # when a delivery was handed over last
        self._landed = 0  # tasks that are in
        self._idle = 0  # workers that wait for a delivery while there is none
        self._idle_since: float | None = None  # when the first of them began to wait
        self._held_from: float | None = None  # until when what holds the delivery that waits has shifted the schedule
        self._tasks = 1  # of the last delivery that had to wait
        self._turn = asyncio.Lock()
        self._alarm: asyncio.Future[None] | None = None  # of the delivery that waits
        self._report = report or PaceReport()
        self._report.rate, self._report.overdue = self._rate, self._overdue

    async def wait(self, delivery: Delivery) -> None:
        """Returns when the delivery may be sent, or at once after ``stop``. Its tasks have their due times then."""
        if not (self._limits or self._course or self._paused):  # hot path: nothing to wait for
            return
        records = delivery.source_records
        self._tasks = len(records)
        async with self._turn:
            while not self._stopping:
                if not await self._is_clear(delivery):
                    return
                if (course := self._course) is None:
                    self._report.sent += len(records)
                    break
                now = time.monotonic()
                if not course.is_started:
                    course.start(now)
                left = course.due(records) - now
                if left <= 0:
                    delivery.due = course.take(records)
                    self._report.sends(delivery.due, now)
                    self._handed_at = now
                    break
                await self._sleep(min(left, _LONGEST_SLEEP))
            if self._limits is not None:
                self._limits.passed(delivery)

    async def next_of(self, queue: asyncio.Queue[Delivery | None]) -> Delivery | None:
        """The next delivery of a queue; None at its end.

        If the queue was empty, so that the delivery comes later than it was due, the schedule shifts by so much: a slow
        input is no stall of the server, and what it holds up is not made up for.
        """
        if not queue.empty():  # hot path
            return await queue.get()
        self._idle += 1
        if self._idle_since is None:
            self._idle_since = time.monotonic()
        try:
            delivery = await queue.get()
        except BaseException:
            self._idles_no_more()
            raise
        if delivery is not None:  # at the end, nothing more is due
            self._shift_for(delivery)
            self._idles_no_more()
        return delivery

    def _idles_no_more(self) -> None:
        self._idle -= 1
        if not self._idle:
            self._idle_since = None

    def _shift_for(self, delivery: Delivery) -> None:
        """Shifts the schedule if a delivery comes late although a worker has waited for it."""
        course, idle_from = self._course, self._idle_from
        if course is not None and course.is_started and idle_from is not None:
            late = time.monotonic() - max(idle_from, course.due(delivery.source_records))
            if late >= _REST:
                self._shift(late)

    @property
    def _idle_from(self) -> float | None:
        """Since when nothing is there to be handed over, although a worker waits for it; None if something is."""
        if self._idle_since is None or self._turn.locked():
            return None
        return max(self._idle_since, self._handed_at)

    def landed(self, delivery: Delivery) -> None:
        """A delivery is in."""
        self._landed += len(delivery.records)
        if self._limits is not None:
            self._limits.landed(delivery)

    def pause(self) -> None:
        """Hands nothing over until ``resume``."""
        self._paused = True
        self._wake()

    def resume(self) -> None:
        self._paused = False
        self._wake()

    def change_rate(self, rate: float | None) -> None:
        """From now on, another rate applies than the options say.

        Args:
            rate: Tasks a second, above 0; None: as the options say.
        """
        before, planned = self._course, self._planned
        if rate is not None:
            self._course = ByRate(Constant(rate))
        elif before is not planned:
            self._course = planned
        course = self._course
        if course is not None and course is not before and before is not None and before.is_started:
            # What the delivery that waits has saved up is kept: orders that come often neither hold it nor let more go.
            now = time.monotonic()
            course.go_on(now, min(before.saved(now), self._tasks))
        self._wake()

    def order(self, orders: Orders) -> None:
        """Does what was ordered from outside."""
        if orders.rate != self._ordered:
            self._ordered = orders.rate
            self.change_rate(orders.rate)
        if (orders.paused is not None) != self._paused:
            (self.pause if orders.paused else self.resume)()

    def stop(self) -> None:
        """Wakes whoever waits, and lets nobody wait any more."""
        self._stopping = True
        self._wake()

    def end(self, left: int | None) -> None:
        """The run is over.

        Args:
            left: Records of the input that are not in; None if it was not read to its end.
        """
        on_their_way = max(0, self._report.sent - self._landed)
        self._report.end(time.monotonic(), None if left is None else max(0, left - on_their_way))

    def _rate(self, now: float) -> float | None:
        course = self._course
        return course.rate(now) if course is not None and course.is_started else None

    def _overdue(self, now: float) -> int:
        course = self._course
        if course is None or not course.is_started:
            return 0
        rests = [since for since in (self._idle_from, self._held_from) if since is not None]
        return course.overdue(min([now, *rests]))

    async def _is_clear(self, delivery: Delivery) -> bool:
        """Returns once nothing holds a delivery any more; False if the load is to end."""
        while not self._stopping:
            try:
                if self._paused:
                    self._held_from = began = time.monotonic()
                    await self._sleep(_LONGEST_SLEEP)
                    self._shift(time.monotonic() - began)
                    continue
                if self._limits is not None:
                    await self._limits.clear(delivery, lambda: self._stopping or self._paused, self._is_held)
            finally:
                self._held_from = None
            if not self._paused:
                return not self._stopping
        return False

    def _is_held(self, seconds: float) -> None:
        """Limits have held the delivery that waits for so many further seconds, until now."""
        self._held_from = time.monotonic() if self._held_from is None else self._held_from + seconds
        self._shift(seconds)

    def _shift(self, seconds: float) -> None:
        for course in {self._planned, self._course}:
            if course is not None and seconds:
                course.shift(seconds)

    async def _sleep(self, seconds: float) -> None:
        """Sleeps for this time, rounded up to what timers can do, or until ``_wake``."""
        loop = asyncio.get_running_loop()
        self._alarm = alarm = loop.create_future()
        timer = loop.call_later(math.ceil(seconds / _TICK) * _TICK, _ring, alarm)
        try:
            await alarm
        finally:
            timer.cancel()
            self._alarm = None

    def _wake(self) -> None:
        if self._alarm is not None:
            _ring(self._alarm)


def handover_of(
    options: LoadOptions, report: LoadReport, limits: Limits | None = None
) -> tuple[Handover, LatencyRecorder | None]:
    """The handover of a load, and what keeps its latencies: None without due times. The report gets both."""
    if not (options.is_paced or limits):
        return Handover(), None
    _warn_of_batches(options)
    course, latency = options.course(), None
    report.pace = PaceReport(options.paced_by)
    if course is not None:
        from loader.pace.latency import LatencyRecorder, Lateness  # needs the extra pace

        report.pace.lateness = Lateness()
        report.latency = latency = LatencyRecorder()
    return Handover(limits, course, report.pace), latency


def _warn_of_batches(options: LoadOptions) -> None:
    """Warns of batches that are too large for the rate: given, or those with which a resumed job began."""
    rates, batch = options.rates, options.records_a_batch
    if rates is not None and batch > 1 and batch / rates.highest >= _COARSE:
        log.warning(
            "batches of %s tasks are large for this pace: at %.10g/s, one is sent every %.3g s; see docs/pace.md",
            f"{batch:,}",
            rates.highest,
            batch / rates.highest,
        )


def _ring(alarm: asyncio.Future[None]) -> None:
    if not alarm.done():
        alarm.set_result(None)

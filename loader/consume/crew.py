"""The consumers: which tasks are in service, when each ends, and what is sent next.

One coroutine decides, and up to ``_TURNS`` round trips are under way. A round trip ends the tasks whose time is over,
and asks for a task for each consumer that this makes free. So a consumer costs no more than an entry in a heap.

A consumer that finds a task waiting begins with it at the moment at which its last one was to end, not when the answer
of the server came: its cycle is the service time, and N consumers take N tasks in each service time, as long as a round
trip is shorter than that. A delay of up to ``_MADE_GOOD`` seconds, of the network or this machine, is made good so.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from loader.consume.report import ConsumeReport
from loader.consume.service import Service
from loader.consume.way import Ending, Taken, Turn, Way, failure

_TURNS = 4
_MOST_A_TURN = 500
_MADE_GOOD = 1.0

FAILED = "failed by runqy-loader consume"
"""The error of an execution that was drawn to fail."""

_TOO_LATE = "context deadline exceeded"
"""The error of an execution that takes longer than its task allows (Go's ``context.DeadlineExceeded``)."""


log = logging.getLogger("runqy_loader")


@dataclass(frozen=True, slots=True)
class Limits:
    """When the consumers end.

    Attributes:
        count: After so many executions; None for no limit.
        until_empty: When the queue is empty.
        poll_seconds: How often an empty queue is looked at.
    """

    count: int | None
    until_empty: bool
    poll_seconds: float


@dataclass(slots=True)
class _Slot:
    """A consumer that asks for a task.

    Attributes:
        ready: When its last task was to end (``time.monotonic``); None if it has found the queue empty since.
        before: When it took its last task; None as well, or if it has had none.
    """

    ready: float | None = None
    before: float | None = None


class Crew:
    """The consumers of one queue.

    Attributes:
        uncertain: Whether tasks may have been taken of which the server's answer was lost.
    """

    def __init__(self, way: Way, count: int, service: Service, limits: Limits, report: ConsumeReport) -> None:
        self._way = way
        self._count = count
        self._service = service
        self._limits = limits
        self._report = report
        self._numbers = itertools.count()
        self._serving: list[tuple[float, int, Ending]] = []  # a heap, by the end of the service
        self._due: deque[tuple[float, Ending]] = deque()  # their time is over
        self._ready: deque[_Slot] = deque()  # free, and have not asked since their last task
        self._idle = 0  # free, and have found the queue empty
        self._asked = 0  # tasks that turns under way have asked for
        self._turns: dict[asyncio.Task[None], list[Ending]] = {}
        self._poll_at, self._poll_size = 0.0, 1
        self._wake = asyncio.Event()
        self._takes = True
        self._put_back_at = math.inf
        self._error: Exception | None = None
        self._found_empty = False
        self._look: asyncio.Task[None] | None = None
        self._told_paused = False
        self._settled: set[int] = set()
        self.uncertain = False

    # --- what others ask for ------------------------------------------------------------------------------------

    def end(self, grace: float = math.inf) -> None:
        """Takes no more tasks. Those in service may go on for ``grace`` seconds; then ``serve`` returns."""
        self._takes = False
        self._put_back_at = min(self._put_back_at, time.monotonic() + grace)
        self._wake.set()

    def fail(self, error: Exception) -> None:
        """Ends the run: ``serve`` raises this error."""
        self._error = self._error or error
        self.end(0.0)

    def abandon(self) -> None:
        """As ``end(0)``, and does not wait for the answers of a server that may be gone."""
        self.end(0.0)
        for turn in self._turns:
            turn.cancel()
        if self._look is not None:
            self._look.cancel()

    def settle(self, ending: Ending) -> None:
        """Forgets a task that is no longer this crew's. For the time after ``serve``."""
        self._settled.add(ending.task.number)

    @property
    def left(self) -> list[Ending]:
        """The endings that are still to come of the tasks that this crew has taken; the last one taken comes first."""
        under_way = (ending for endings in self._turns.values() for ending in endings)
        found = [*(entry[2] for entry in self._serving), *(entry[1] for entry in self._due), *under_way]
        kept = (ending for ending in found if ending.task.number not in self._settled)
        return sorted(kept, key=lambda ending: -ending.task.number)

    @property
    def in_service(self) -> list[Taken]:
        """The tasks that this crew has taken and not ended yet."""
        return [ending.task for ending in self.left]

    # --- the decisions ------------------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Takes and ends tasks until a limit, ``end`` or ``fail``.

        No round trip is under way when it returns or raises; ``left`` has what is left. It must not be cancelled.
        """
        self._ready.extend(_Slot(time.monotonic()) for _ in range(self._count))
        while not self._is_over():
            self._wake.clear()
            self._collect_due()
            while self._begin_turn():
                pass
            if self._found_empty:
                self._look = asyncio.ensure_future(self._look_whether_empty())
                await asyncio.wait([self._look])
                if not self._look.cancelled():
                    self._look.result()
            await self._sleep()
        if self._error is not None:
            raise self._error

    def _is_over(self) -> bool:
        if self._takes or self._turns:
            return False
        return time.monotonic() >= self._put_back_at or not (self._serving or self._due)

    async def _sleep(self) -> None:
        """Waits for the next event: a turn that ends, a service that ends, a look at the empty queue, an order."""
        if self._is_over():
            return
        now = time.monotonic()
        at = self._serving[0][0] if self._serving else math.inf
        if self._idle and self._takes and len(self._turns) < _TURNS and self._may_ask():
            at = min(at, self._poll_at)
        if not self._takes and now < self._put_back_at:
            at = min(at, self._put_back_at)
        if len(self._turns) >= _TURNS:
            at = math.inf  # nothing can begin before one of them ends
        if at <= now:
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        timer = None if math.isinf(at) else loop.call_later(at - now, self._wake.set)
        await self._wake.wait()
        if timer is not None:
            timer.cancel()

    def _collect_due(self) -> None:
        now = time.monotonic()
        while self._serving and self._serving[0][0] <= now:
            end, _, ending = heapq.heappop(self._serving)
            self._due.append((end, ending))

    def _may_ask(self) -> bool:
        limit = self._limits.count
        return limit is None or self._report.taken + self._asked < limit

    def _begin_turn(self) -> bool:
        """Sends what is to be sent. Returns whether that was anything."""
        if len(self._turns) >= _TURNS or self._error is not None:
            return False
        ended = [self._due.popleft() for _ in range(min(len(self._due), _MOST_A_TURN))]
        self._ready.extend(_Slot(end, ending.task.taken_at) for end, ending in ended)
        slots = self._slots_that_ask()
        if not (ended or slots):
            return False
        endings = [ending for _, ending in ended]
        self._asked += len(slots)
        task = asyncio.ensure_future(self._turn(endings, slots))
        self._turns[task] = endings
        # Not in the turn itself: of a task that is cancelled before its first step, nothing runs.
        task.add_done_callback(partial(self._turn_is_over, asked=len(slots)))
        return True

    def _turn_is_over(self, task: asyncio.Task[None], *, asked: int) -> None:
        endings = self._turns.pop(task)
        self._asked -= asked
        error = None if task.cancelled() else task.exception()
        if error is not None or task.cancelled():
            self._due.extend((0.0, ending) for ending in endings)  # it is not known whether they have ended
            self.uncertain = True  # what it has taken is not known either
        if isinstance(error, Exception):
            self.fail(error)
        self._report.in_service = len(self._serving) + len(self._due)
        self._wake.set()

    def _slots_that_ask(self) -> list[_Slot]:
        if not self._takes:
            return []
        most = _MOST_A_TURN
        if self._limits.count is not None:
            most = min(most, self._limits.count - self._report.taken - self._asked)
        slots = [self._ready.popleft() for _ in range(max(0, min(most, len(self._ready))))]
        if self._idle and len(slots) < most and time.monotonic() >= self._poll_at:
            polls = min(self._idle, self._poll_size, most - len(slots))
            self._idle -= polls
            slots += [_Slot() for _ in range(polls)]
            self._poll_at = math.inf  # until the answer is there
        return slots

    async def _turn(self, endings: Sequence[Ending], slots: Sequence[_Slot]) -> None:
        repeats = self._way.repeats
        turn = await self._way.turn(endings, len(slots))
        repeated = self._way.repeats != repeats
        self.uncertain |= repeated and bool(slots)
        self._note_ended(endings, turn, repeated=repeated)
        self._note_taken(slots, turn)
        if turn.error is not None:
            self.uncertain = True
            self.fail(turn.error)

    def _note_ended(self, endings: Sequence[Ending], turn: Turn, *, repeated: bool) -> None:
        report = self._report
        for ending, ours in zip(endings, turn.ended, strict=True):
            if ours is None:
                self._due.append((0.0, ending))  # the server has refused it
                continue
            report.count(ending)
            if not (ours or repeated):  # a repeated call finds what the first attempt has done
                report.no_longer_ours += 1

    def _note_taken(self, slots: Sequence[_Slot], turn: Turn) -> None:
        if not slots:
            return
        report, now = self._report, time.monotonic()
        report.unreadable += turn.unreadable
        for slot, task in zip(slots, turn.taken, strict=False):
            self._begin(slot, task, now)
        rest = slots[len(turn.taken) :]
        self._ready.extend(rest[: turn.unreadable])
        empty = rest[turn.unreadable :]
        self._idle += len(empty)
        if empty:
            self._poll_at, self._poll_size = now + self._limits.poll_seconds, 1
            self._found_empty = True
        elif self._idle:
            self._poll_at, self._poll_size = now, min(2 * self._poll_size, _MOST_A_TURN)
        if self._limits.count is not None and report.taken >= self._limits.count:
            self.end()

    def _begin(self, slot: _Slot, task: Taken, now: float) -> None:
        start = now if slot.ready is None else max(slot.ready, now - _MADE_GOOD)
        report, wall = self._report, time.time()
        report.taken += 1
        task.started, task.taken_at, task.number = wall, now, next(self._numbers)
        if slot.before is not None:
            report.cycles += 1
            report.cycle_seconds += now - slot.before
        if task.pending_since is not None:
            report.time_in_queue.record(wall - task.pending_since)
        drawn = self._service.draw(task.id, task.retried)
        seconds, ending = drawn.seconds, Ending(task, "done")
        if drawn.fails:
            ending = failure(task, FAILED)
        if task.deadline is not None and wall + seconds > task.deadline:
            seconds, ending = max(0.0, task.deadline - wall), failure(task, _TOO_LATE)
        report.executions += 1
        report.service_seconds += seconds
        heapq.heappush(self._serving, (start + seconds, task.number, ending))

    async def _look_whether_empty(self) -> None:
        """Ends the run if it is to end with an empty queue, and the queue is."""
        self._found_empty = False
        if not (self._limits.until_empty and self._takes) or self._turns or self._serving or self._due:
            return
        moved = await self._way.forward()
        if moved or await self._way.pending():
            self._poll_at = time.monotonic()  # what was pending may be another's to take, or the queue is paused
            if not moved:
                self._poll_at += self._limits.poll_seconds
                await self._tell_if_paused()
        else:
            self.end()

    async def _tell_if_paused(self) -> None:
        """Says once that the queue is paused, as the run may wait long for its end."""
        if not self._told_paused and await self._way.paused():
            self._told_paused = True
            log.warning("queue %s is paused: waiting until it is resumed", self._way.queue)

"""Looks at queues again and again, at fixed times."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from itertools import count
from secrets import token_hex
from typing import Any

from loader.errors import SinkError
from loader.extras import require
from loader.servers.session import Session, open_session
from loader.settings.server_address import server_address
from loader.stored.queue_reader import StoredQueue
from loader.watch.find import Finder
from loader.watch.follow import Sample
from loader.watch.look import Look
from loader.watch.options import WatchOptions
from loader.watch.queue_state import QueueState
from loader.watch.rates import Rates, entered, rates
from loader.watch.times import TaskTimes

_FIND_SECONDS = 10.0
"""How often new queues are looked for, once those that the user wants are found."""

_ROUNDING = 1e-6

_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class WatchedQueue:
    """What one look tells about a queue.

    Attributes:
        state: Its tasks by state.
        rates: The changes since the look before.
        times: The times of sampled tasks since the beginning; None if no tasks are sampled.
    """

    state: QueueState
    rates: Rates
    times: TaskTimes | None = None

    def to_dict(self) -> dict[str, Any]:
        """One flat object for JSON, but for the times."""
        changes = {f"{name}_per_second": _rounded(value) for name, value in asdict(self.rates).items()}
        times = None if self.times is None else asdict(self.times)
        return {**asdict(self.state), **changes, "times": times}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


@dataclass(frozen=True, slots=True)
class Observation:
    """What one look at a server tells.

    Attributes:
        time: Unix seconds, by the clock of this machine.
        seconds: Since the first look.
        queues: The queues, by name.
        missing: Names given with ``queue`` of which the server has no key yet.
        left_out: How many queues of the server are not looked at, because there are too many.
    """

    time: float
    seconds: float
    queues: tuple[WatchedQueue, ...]
    missing: tuple[str, ...] = ()
    left_out: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The line of ``watch --json``."""
        return {
            "time": round(self.time, 3),
            "seconds": round(self.seconds, 3),
            "queues": [queue.to_dict() for queue in self.queues],
            "missing": list(self.missing),
            "left_out": self.left_out,
        }


class Watcher:
    """Looks at queues until the time or the count of the options is over. It only reads.

    The times of the looks are fixed by the first one: a slow look does not move those after it. A look for which it is
    too late is left out.

    Raises:
        UsageError: From the constructor: an option is out of range, or the URL is not valid.
    """

    def __init__(self, options: WatchOptions) -> None:
        options.check()
        if options.sample_tasks:
            require("pace", "--sample-tasks")
        self.address = server_address(options)
        self._options = options
        self._before: dict[_Key, tuple[float, QueueState]] = {}
        self._samples: dict[_Key, Sample] = {}
        self._found_at = -math.inf

    async def observations(self) -> AsyncGenerator[Observation, None]:
        """One observation for each look.

        Raises:
            LoaderError: The server cannot be reached, refuses, or was away for longer than ``retry_for``.
        """
        options = self._options
        async with self._session() as session:
            finder = Finder(session, options.queue)
            begun = time.monotonic()
            for number in count(1):
                yield await self._in_time(self._observe(session, finder, time.monotonic() - begun), begun)
                passed = time.monotonic() - begun
                due = (math.floor(passed / options.interval) + 1) * options.interval
                if number == options.count or (options.for_ is not None and due > options.for_ + _ROUNDING):
                    return
                await asyncio.sleep(due - passed)

    async def _in_time(self, observing: Coroutine[Any, Any, Observation], begun: float) -> Observation:
        """Awaits an observation, but hardly longer than ``for_`` allows.

        Raises:
            SinkError: There was none in time.
        """
        if self._options.for_ is None:
            return await observing
        left = begun + self._options.for_ + self._options.interval - time.monotonic()
        try:
            return await asyncio.wait_for(observing, max(left, self._options.interval))
        except TimeoutError:
            message = f"{self.address.place} did not answer until the time of --for was over"
            raise SinkError(message, "Check the server") from None

    def _session(self) -> AbstractAsyncContextManager[Session]:
        options, numbers, name = self._options, count(1), f"runqy-loader:watch:{token_hex(6)}"
        next_name: Callable[[], str] = lambda: f"{name}:0.{next(numbers)}"  # noqa: E731
        return open_session(self.address, options.timeout, options.retry_for, next_name)

    async def _observe(self, session: Session, finder: Finder, seconds: float) -> Observation:
        if not finder.is_done or time.monotonic() - self._found_at >= _FIND_SECONDS:
            await finder.find()
            self._found_at = time.monotonic()
        states = await Look(session, finder.found).read()
        looked_at, now = time.monotonic(), time.time()
        seen = zip(finder.found, states, strict=True)
        watched = await asyncio.gather(*(self._watched(session, *one, looked_at, now) for one in seen))
        return Observation(now, seconds, tuple(watched), tuple(finder.missing), finder.left_out)

    async def _watched(
        self, session: Session, queue: StoredQueue, state: QueueState, looked_at: float, now: float
    ) -> WatchedQueue:
        key = (queue.layout, queue.name)
        before_at, before = self._before.get(key, (looked_at, None))
        self._before[key] = looked_at, state
        times = None
        if self._options.sample_tasks:
            if key not in self._samples:
                self._samples[key] = Sample(session, queue, self._options.sample_tasks)
            sample = self._samples[key]
            await sample.look(now, state.pending, None if before is None else entered(before, state))
            times = sample.times
        return WatchedQueue(state, rates(before, state, looked_at - before_at), times)

"""``--max-pending``: holds a load while the queue of its next tasks is long."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from loader.engine.limits.limits import Hold
from loader.sinks.base import Delivery

_SHORTEST = 0.05
"""A queue's length is read this many seconds after the last time at the earliest."""
_LONGEST = 1.0
"""After so many seconds it is read anew, because others may push as well."""

Length = Callable[[str], Awaitable[int]]
"""Reads the length of the pending list of a queue (full name)."""


@dataclass(slots=True)
class _Queue:
    """What is known of a queue.

    Attributes:
        length: Its length as it was read last.
        read_at: When that was (``time.monotonic``).
        added: Tasks that may be in the queue and not in ``length``: those that were on their way at that time, and
            those that were sent since then.
        on_their_way: Tasks that were sent and not acknowledged yet.
    """

    length: int = 0
    read_at: float = float("-inf")
    added: int = 0
    on_their_way: int = 0

    @property
    def longest(self) -> int:
        """The largest length that it may have, if nobody else pushes."""
        return self.length + self.added


class MaxPending:
    """See ``Limit``. A load that nobody helps to fill a queue exceeds the limit by less than one batch.

    There is no second, lower threshold for going on: batches go one by one, as consumers make room for them.
    """

    name = "max-pending"

    def __init__(self, limit: int, length: Length, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._length = length
        self._clock = clock
        self._queues: dict[str, _Queue] = {}

    async def hold(self, delivery: Delivery) -> Hold | None:
        queue = self._queues.setdefault(delivery.queue, _Queue())
        passed = self._clock() - queue.read_at
        if passed < _LONGEST and queue.longest < self._limit:
            return None
        if passed < _SHORTEST:
            return Hold(self._text(delivery.queue, queue), _SHORTEST - passed)
        queue.added = queue.on_their_way  # before it is read: what is pushed meanwhile counts twice rather than never
        queue.length = await self._length(delivery.queue)
        queue.read_at = self._clock()
        return None if queue.longest < self._limit else Hold(self._text(delivery.queue, queue), _SHORTEST)

    def passed(self, delivery: Delivery) -> None:
        queue = self._queues.setdefault(delivery.queue, _Queue())
        queue.added += len(delivery.payloads)
        queue.on_their_way += len(delivery.payloads)

    def landed(self, delivery: Delivery) -> None:
        self._queues[delivery.queue].on_their_way -= len(delivery.payloads)

    def _text(self, name: str, queue: _Queue) -> str:
        coming = f" when last asked, and {queue.added:,} have been sent since" if queue.added else ""
        return f"waiting for room: {name} had {queue.length:,} pending{coming} (--max-pending {self._limit})"

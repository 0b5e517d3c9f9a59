"""``--memory-headroom``: holds a load while a server has too little free memory below its maxmemory."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping

from loader.engine.limits.limits import Hold
from loader.servers.memory import Memory
from loader.settings.memory import Headroom
from loader.sinks.base import Delivery
from loader.tasks.sizes import in_bytes
from loader.wire.address import Address

_SHORTEST = 0.05
_LONGEST = 1.0
"""The seconds between two reads of the memory of all servers."""
_WAITING = 0.5
"""The same while the load waits: what consumers free is not to be used up by questions."""
_LOOKS_AHEAD = 4
"""At the present rate of growth, the memory is read so many times before the headroom is reached."""
_LEAST_RATE = 64e6
"""The smallest rate of growth to expect, in bytes a second; see ``MemoryWatch``."""

Read = Callable[[], Awaitable[Mapping[Address, Memory | None]]]
"""Reads the memory of each primary."""


class MemoryHeadroom:
    """See ``Limit``.

    Args:
        given: The option's value, for people.
        read: See ``Read``.
        servers_of: The servers that get tasks of a queue (full name).
    """

    name = "memory-headroom"

    def __init__(
        self,
        headroom: Headroom,
        given: str,
        read: Read,
        servers_of: Callable[[str], Collection[Address]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._headroom = headroom
        self._given = given
        self._read = read
        self._servers_of = servers_of
        self._clock = clock
        self._memory: Mapping[Address, Memory | None] = {}
        self._read_at = float("-inf")
        self._pause = 0.0

    async def hold(self, delivery: Delivery) -> Hold | None:
        now = self._clock()
        if now - self._read_at >= self._pause:
            before, passed = self._memory, now - self._read_at
            self._memory = await self._read()
            self._read_at = self._clock()
            rests = (self._rest(before.get(address), memory, passed) for address, memory in self._memory.items())
            self._pause = min(rests, default=_LONGEST)
        for address in self._servers_of(delivery.queue):
            memory = self._memory.get(address)
            if memory is not None and self._left(memory) < 0:
                free = max(0, memory.limit - memory.used)
                text = f"waiting for memory: {address} has {in_bytes(free)} free (--memory-headroom {self._given})"
                self._pause = _WAITING
                return Hold(text, max(_SHORTEST, self._read_at + _WAITING - self._clock()))
        return None

    def passed(self, delivery: Delivery) -> None:
        """Nothing to note."""

    def landed(self, delivery: Delivery) -> None:
        """Nothing to note."""

    def _left(self, memory: Memory) -> int:
        """The bytes that may be filled yet. A limit that was taken away meanwhile is none."""
        return memory.limit - memory.used - self._headroom.of(memory.limit) if memory.limit else 1 << 62

    def _rest(self, before: Memory | None, memory: Memory | None, passed: float) -> float:
        """Seconds until the memory is to be read again."""
        if memory is None:
            return _LONGEST
        grown = 0.0 if before is None else (memory.used - before.used) / max(passed, 1e-6)
        seconds = self._left(memory) / max(grown, _LEAST_RATE) / _LOOKS_AHEAD
        return min(_LONGEST, max(_SHORTEST, seconds))

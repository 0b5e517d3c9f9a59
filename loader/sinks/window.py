"""How much one worker has on the way."""

from __future__ import annotations

import asyncio

from loader.sinks.base import Delivery

_LEAST = 2
_MOST = 8
_TASKS = 2000
_BYTES = 2 * 1024 * 1024


class Window:
    """Has room for two deliveries: the server works on one while the client writes the next.

    It has room for more while they are small. Of deliveries of 100 tasks, the server would be done with two before the
    client has made another, and a server that falls asleep and wakes again and again needs more time for each task.
    """

    def __init__(self) -> None:
        self._deliveries = self._tasks = self._bytes = 0
        self._room = asyncio.Event()
        self._room.set()

    async def room(self) -> None:
        """Returns once there is room for a delivery."""
        await self._room.wait()

    def enter(self, delivery: Delivery) -> None:
        """Counts a delivery that is on the way from now on."""
        self._count(delivery, 1)

    def leave(self, delivery: Delivery) -> None:
        """Counts it no more."""
        self._count(delivery, -1)

    def _count(self, delivery: Delivery, sign: int) -> None:
        self._deliveries += sign
        self._tasks += sign * len(delivery.payloads)
        self._bytes += sign * delivery.size
        small = self._deliveries < _MOST and self._tasks < _TASKS and self._bytes < _BYTES
        if self._deliveries < _LEAST or small:
            self._room.set()
        else:
            self._room.clear()

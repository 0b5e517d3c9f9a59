"""Limits how much one worker has in flight."""

from __future__ import annotations

import asyncio

from loader.sinks.base import Delivery

_MIN_DELIVERIES = 2
_MAX_DELIVERIES = 8
_MAX_TASKS = 2000
_MAX_BYTES = 2 * 1024 * 1024


class Window:
    """Has room for two deliveries: the server works on one while the client writes the next.

    It has room for more while they are small. The server would finish two deliveries of 100 tasks before the client has
    made another one. A server that becomes idle and wakes up again and again needs more time for each task.
    """

    def __init__(self) -> None:
        self._deliveries = self._tasks = self._bytes = 0
        self._room = asyncio.Event()
        self._room.set()

    async def room(self) -> None:
        """Returns once there is room for a delivery."""
        await self._room.wait()

    def enter(self, delivery: Delivery) -> None:
        """Counts a delivery that is in flight from now on."""
        self._count(delivery, 1)

    def leave(self, delivery: Delivery) -> None:
        """Stops counting a delivery that is no longer in flight."""
        self._count(delivery, -1)

    def _count(self, delivery: Delivery, sign: int) -> None:
        self._deliveries += sign
        self._tasks += sign * len(delivery.payloads)
        self._bytes += sign * delivery.size
        small = self._deliveries < _MAX_DELIVERIES and self._tasks < _MAX_TASKS and self._bytes < _MAX_BYTES
        if self._deliveries < _MIN_DELIVERIES or small:
            self._room.set()
        else:
            self._room.clear()

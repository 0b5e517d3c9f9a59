"""Limits how much one worker has in flight."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from loader.sinks.base import Delivery


@dataclass(frozen=True, slots=True)
class WindowLimits:
    """How much a window takes.

    Attributes:
        least: So many deliveries, of any size.
        most: No more than so many deliveries.
        tasks, size: Beyond ``least``, no delivery once there are so many tasks, or so many bytes of payloads.
    """

    least: int = 2
    most: int = 8
    tasks: int = 2000
    size: int = 2 * 1024 * 1024

    def times(self, factor: int) -> WindowLimits:
        """Limits that are so many times as high."""
        return WindowLimits(self.least * factor, self.most * factor, self.tasks * factor, self.size * factor)


OF_ONE_SERVER = WindowLimits()
"""Two deliveries: the server works on one while the client writes the next. More while they are small: the server would
finish two deliveries of 100 tasks before the client has made another one. A server that becomes idle and wakes up again
and again needs more time for each task."""


class Window:
    """The deliveries that are in flight, and whether there is room for another one."""

    def __init__(self, limits: WindowLimits = OF_ONE_SERVER) -> None:
        self._limits = limits
        self._deliveries = self._tasks = self._bytes = 0
        self._room = asyncio.Event()
        self._room.set()

    @property
    def has_room(self) -> bool:
        return self._room.is_set()

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
        limits = self._limits
        small = self._deliveries < limits.most and self._tasks < limits.tasks and self._bytes < limits.size
        if self._deliveries < limits.least or small:
            self._room.set()
        else:
            self._room.clear()

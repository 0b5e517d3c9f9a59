"""Limits of what goes on at the same time. Whoever meets one waits for a while, in turn, before it is refused."""

from __future__ import annotations

import asyncio
from collections import deque

from loader.gateway.http import unavailable


class Limit:
    """A number of units (requests, or bytes) that may be taken at the same time.

    Args:
        total: How many there are; an attribute too.
        seconds: How long a request waits for them at most.
        what: For the error, such as "requests".
    """

    def __init__(self, total: int, seconds: float, what: str) -> None:
        self.total = total
        self._seconds = seconds
        self._what = what
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.used = 0

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    def take_now(self, units: int = 1) -> bool:
        """Takes units if there are as many and nobody waits. Returns whether it did."""
        if self._waiting or self.used + units > self.total:
            return False
        self.used += units
        return True

    async def take(self, units: int = 1) -> None:
        """Takes units, as soon as there are as many and nobody waits longer.

        Raises:
            HttpError: There were none in time (503).
        """
        if self.take_now(units):
            return
        loop = asyncio.get_running_loop()
        place = (units, loop.create_future())
        self._waiting.append(place)
        # Not asyncio.timeout, which takes several times as long. Under overload, each request waits here.
        timer = loop.call_later(self._seconds, self._expire, place)
        try:
            await place[1]
        except asyncio.CancelledError:
            self._leave(place)
            raise
        finally:
            timer.cancel()

    def give_back(self, units: int = 1) -> None:
        self.used -= units
        self._admit()

    def _expire(self, place: tuple[int, asyncio.Future[None]]) -> None:
        if not place[1].done():
            place[1].set_exception(unavailable(f"the gateway is at its limit of {self._what}; try again"))
            self._waiting.remove(place)
            self._admit()

    def _leave(self, place: tuple[int, asyncio.Future[None]]) -> None:
        if place in self._waiting:
            self._waiting.remove(place)
        elif not place[1].cancelled():  # admitted in the same moment
            self.used -= place[0]
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self.used + self._waiting[0][0] <= self.total:
            units, admitted = self._waiting.popleft()
            if not admitted.cancelled():
                self.used += units
                admitted.set_result(None)

"""Asks the limits of a load before each delivery, and waits while one of them holds it back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from loader.jobs.holding import Holding
from loader.sinks.base import Delivery

T = TypeVar("T")

_LOOK_SECONDS = 0.1
"""How often a load that waits looks whether it is to end."""
_TOLD_SECONDS = 60.0
"""A limit is told again after it has not held the load for so long."""
_LONG_SECONDS = 5.0
"""The end of a wait is told if it was at least so long."""

log = logging.getLogger("runqy_loader")


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a delivery must wait.

    Attributes:
        text: The reason with its numbers, for people.
        seconds: After how many seconds to ask again.
        is_news: Whether the reason is told. If not, only the progress display has it.
    """

    text: str
    seconds: float
    is_news: bool = True


class Limit(Protocol):
    """A reason to hold deliveries back for a time.

    Attributes:
        name: The option, without dashes.
    """

    @property
    def name(self) -> str: ...

    async def hold(self, delivery: Delivery) -> Hold | None:
        """Why a delivery must wait; None if it may go on now.

        Raises:
            LoaderError: The server refuses what the limit asks, or could not be reached for too long.
        """
        ...

    def passed(self, delivery: Delivery) -> None:
        """A delivery goes to a worker."""
        ...

    def landed(self, delivery: Delivery) -> None:
        """A delivery is in."""
        ...


class Limits:
    """All limits of a load. They are asked for one delivery at a time.

    Args:
        holding: Gets why the load waits, and for how long.
    """

    def __init__(self, limits: Sequence[Limit], holding: Holding) -> None:
        self._limits = limits
        self._holding = holding
        self._held_at: dict[str, float] = {}

    async def clear(self, delivery: Delivery, stopping: Callable[[], bool], held: Callable[[float], None]) -> None:
        """Returns when a delivery may go on, or when the load is to end.

        Args:
            held: Told again and again for how many further seconds limits have held it: from the first answer that
                it must wait to the last one that it may go on. The time of the question before the first such answer,
                and of a question that fails, is no part of it.

        Raises:
            LoaderError: See ``Limit.hold``.
        """
        time_held, is_clear = _TimeHeld(held), False
        while not (is_clear or stopping()):
            is_clear = True
            for number, limit in enumerate(self._limits):
                if await self._wait_for(limit, delivery, stopping, time_held) and number:
                    is_clear = False  # the limits before this one may hold by now

    def passed(self, delivery: Delivery) -> None:
        """A delivery is handed over."""
        for limit in self._limits:
            limit.passed(delivery)

    def landed(self, delivery: Delivery) -> None:
        """A delivery is in."""
        for limit in self._limits:
            limit.landed(delivery)

    async def _wait_for(
        self, limit: Limit, delivery: Delivery, stopping: Callable[[], bool], time_held: _TimeHeld
    ) -> bool:
        """Waits while one limit holds a delivery. Returns whether it did."""
        has_held = is_news = False
        try:
            while not stopping():
                hold = await _unless(stopping, limit.hold(delivery))
                time_held.goes_on()
                if hold is None:
                    break
                has_held, is_news = True, hold.is_news
                if is_news:
                    self._tell(limit.name, hold)
                self._holding.begins(limit.name, hold.text)
                time_held.begins()
                until = time.monotonic() + hold.seconds
                while not stopping() and (left := until - time.monotonic()) > 0:
                    await asyncio.sleep(min(left, _LOOK_SECONDS))
                    time_held.goes_on()
        finally:
            lasted = self._holding.ends(limit.name)
        if limit.name in self._held_at:
            self._held_at[limit.name] = time.monotonic()
        if is_news and lasted >= _LONG_SECONDS and not stopping():
            log.info("going on after %s s (--%s)", f"{lasted:,.0f}", limit.name)
        return has_held

    def _tell(self, name: str, hold: Hold) -> None:
        now, before = time.monotonic(), self._held_at.get(name)
        self._held_at[name] = now
        if before is None or now - before > _TOLD_SECONDS:
            log.info("%s", hold.text)


class _TimeHeld:
    """Tells, piece by piece, for how long a delivery is held.

    Args:
        tell: Gets the seconds since it was called last; 0 when the delivery begins to be held.
    """

    def __init__(self, tell: Callable[[float], None]) -> None:
        self._tell = tell
        self._since: float | None = None  # what is told lasts until then

    def begins(self) -> None:
        """The delivery is held from now on, if it is not already."""
        if self._since is None:
            self._since = time.monotonic()
            self._tell(0.0)

    def goes_on(self) -> None:
        """If the delivery is held, it was held until now."""
        if self._since is not None:
            now = time.monotonic()
            self._tell(now - self._since)
            self._since = now


async def _unless(stopping: Callable[[], bool], asked: Awaitable[T]) -> T | None:
    """What is asked; None if the load is to end before there is an answer."""
    asking = asyncio.ensure_future(asked)
    try:
        while not asking.done():
            await asyncio.wait([asking], timeout=_LOOK_SECONDS)
            if stopping() and not asking.done():
                return None
        return asking.result()
    finally:
        asking.cancel()

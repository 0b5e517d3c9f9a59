"""``--max-latency``: slows a load down while Redis takes long to answer other clients."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

from loader.engine.limits.limits import Hold
from loader.sinks.base import Delivery

FLOOR = 1_000.0
"""Tasks a second: the load gets no slower, however slow Redis is. They take less than 1% of a server's time."""
_FIRST = 4_000.0
"""Tasks a second with which a load begins."""
ANSWERS_A_SECOND = 20
"""So many answers of the server are measured in a second."""

_LOWER = 0.67
_HIGHER = 1.004
"""Factors of the rate after an answer that was too slow, and after one that was not. 99 of the latter undo one of the
former, so the rate settles where one answer of a hundred is too slow: the limit is one for the 99th percentile."""
_SOON_HIGHER = 2 ** (2 / ANSWERS_A_SECOND)
"""The same while the rate is below two thirds of the one that was too high last: twice the rate in half a second."""
_ONE_EVENT = 0.25
"""Slow answers within so many seconds lower the rate once: they have the same cause."""
_LONGEST = 0.25
"""Seconds after which a delivery that waits is looked at again, because the rate has changed."""

log = logging.getLogger("runqy_loader")


class Controller:
    """The rate at which a server still answers fast enough: a rise in small steps, a fall by a third.

    Args:
        limit: Seconds that an answer may take.
        clock: Seconds that only grow.

    Attributes:
        rate: Tasks a second.
        slowest: The last answer that was too slow, in seconds; 0 if there was none yet.
    """

    def __init__(self, limit: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self.rate = _FIRST
        self.slowest = 0.0
        self._known_good = math.inf
        self._lowered_at = -math.inf
        self._is_falling = False

    def answered(self, seconds: float, *, is_used: bool) -> bool:
        """Takes an answer into account. Returns whether the rate was lowered.

        Args:
            is_used: Whether the load would be faster if it were allowed to. If not, the rate does not rise.
        """
        if seconds > self._limit:
            return self._lower(seconds)
        self._is_falling = False
        if is_used:
            self.rate *= _SOON_HIGHER if self.rate < self._known_good else _HIGHER
        return False

    def _lower(self, seconds: float) -> bool:
        now = self._clock()
        self.slowest = seconds
        if now - self._lowered_at < _ONE_EVENT:
            return False
        if not self._is_falling:
            self._known_good = _LOWER * self.rate
        self._is_falling, self._lowered_at = True, now
        self.rate = max(FLOOR, _LOWER * self.rate)
        return True


class MaxLatency:
    """See ``Limit``.

    Args:
        limit: Seconds.
        given: The option's value, for people.
    """

    name = "max-latency"

    def __init__(self, limit: float, given: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.controller = Controller(limit, clock)
        self._given = given
        self._clock = clock
        self._sent_at = -math.inf
        self._sent = 0
        self._is_used = False
        self._is_told = self._is_floor_told = False

    async def hold(self, delivery: Delivery) -> Hold | None:
        left = self._sent_at + self._sent / self.controller.rate - self._clock()
        if left <= 0:
            return None
        self._is_used = True
        return Hold(self._text(), min(left, _LONGEST), is_news=False)

    def passed(self, delivery: Delivery) -> None:
        """Notes the time from which the tasks of a delivery count. What the load did not use before is lost."""
        self._sent_at, self._sent = self._clock(), len(delivery.payloads)

    def landed(self, delivery: Delivery) -> None:
        """Nothing to note."""

    def answered(self, seconds: float) -> None:
        """The server has answered another client, or has not yet, after so many seconds."""
        is_lowered = self.controller.answered(seconds, is_used=self._is_used)
        self._is_used = False
        if is_lowered and not self._is_told:
            self._is_told = True
            log.info("slowing down: Redis took %s to answer (--max-latency %s)", _shown(seconds), self._given)
        if is_lowered and self.controller.rate <= FLOOR and not self._is_floor_told:
            self._is_floor_told = True
            log.info("the load is at its lowest rate, %s/s, and Redis is still too slow", f"{FLOOR:,.0f}")

    def _text(self) -> str:
        return f"at most {self.controller.rate:,.0f}/s (--max-latency {self._given})"


def _shown(seconds: float) -> str:
    return f"{seconds * 1e3:,.3g} ms" if seconds < 1 else f"{seconds:,.1f} s"

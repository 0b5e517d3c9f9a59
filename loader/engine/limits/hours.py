"""``--only-between``: holds a load outside of some hours of the day."""

from __future__ import annotations

import time
from collections.abc import Callable

from loader.engine.limits.limits import Hold
from loader.settings.hours import Hours
from loader.sinks.base import Delivery

_LONGEST = 30.0
"""Seconds between two looks at the clock, which somebody may set meanwhile."""


class OnlyBetween:
    """See ``Limit``.

    Args:
        clock: The Unix time.
    """

    name = "only-between"

    def __init__(self, hours: Hours, clock: Callable[[], float] = time.time) -> None:
        self._hours = hours
        self._clock = clock

    async def hold(self, delivery: Delivery) -> Hold | None:
        now = self._clock()
        opens = self._hours.opens_at(now)
        if opens <= now:
            return None
        text = f"waiting until {self._hours.shown(opens)} (--only-between {self._hours.text})"
        return Hold(text, min(opens - now, _LONGEST))

    def passed(self, delivery: Delivery) -> None:
        """Nothing to note."""

    def landed(self, delivery: Delivery) -> None:
        """Nothing to note."""

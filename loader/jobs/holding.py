"""What holds a load back now, and for how long each reason has held it."""

from __future__ import annotations

import time
from collections.abc import Callable


class Holding:
    """The reasons for which a load waits, each with a text for people.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[str, float] = {}
        self._texts: dict[str, str] = {}
        self._seconds: dict[str, float] = {}

    def begins(self, reason: str, text: str) -> None:
        """The load waits for this reason from now on. If it does already, only the text changes."""
        self._since.setdefault(reason, self._clock())
        self._texts[reason] = text

    def ends(self, reason: str) -> float:
        """The load waits for this reason no longer. Returns for how many seconds it did."""
        if (since := self._since.pop(reason, None)) is None:
            return 0.0
        del self._texts[reason]
        held = self._clock() - since
        self._seconds[reason] = self._seconds.get(reason, 0.0) + held
        return held

    @property
    def text(self) -> str:
        """Why the load waits now; '' if it does not."""
        return "; ".join(self._texts.values())

    @property
    def seconds(self) -> dict[str, float]:
        """For how long each reason has held the load so far."""
        now, found = self._clock(), dict(self._seconds)
        for reason, since in self._since.items():
            found[reason] = found.get(reason, 0.0) + now - since
        return found

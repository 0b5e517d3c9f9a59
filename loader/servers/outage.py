"""Tells the user that a server is waited for: a line at the beginning, a line now and then, and one at the end."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass

from loader.errors import RefusedNowError, TransientError

_EVERY_SECONDS = 10.0
"""The time between two lines about the same fault."""

log = logging.getLogger("runqy_loader")


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is waited for. Log records have it as ``waiting``, so that a display can keep one line up to date.

    Attributes:
        text: The fault.
        since: Since when (``time.monotonic``).
        seconds: How long it is waited for.
    """

    text: str
    since: float
    seconds: float

    def line(self, now: float) -> str:
        """The line for the user."""
        passed = max(0, int(now - self.since))
        if math.isinf(self.seconds):
            return f"{self.text}, for {passed:,} s so far" if passed else self.text
        return f"{self.text}, {passed:,} s of {self.seconds:,.0f} s" if passed else self._first_line()

    def _first_line(self) -> str:
        return f"{self.text} for up to {self.seconds:,.3g} s"


class Outage:
    """The faults of one server that is waited for.

    Many steps may wait for it at the same time. Each fault is told when it begins, then every few seconds.
    """

    def __init__(self) -> None:
        self._told: dict[str, float] = {}
        self._since = 0.0

    @property
    def is_on(self) -> bool:
        """Whether a fault was told, and nothing has succeeded since."""
        return bool(self._told)

    def lasts(self, error: TransientError, waited: float, seconds: float) -> None:
        """A step failed, and will be repeated.

        Args:
            waited: For how many seconds it has been repeated.
            seconds: For how many seconds it may be.
        """
        if isinstance(error, RefusedNowError):
            self._tell(f"{error.brief}; waiting", waited, seconds)
        elif error.retry_after:
            asked = f"in {error.retry_after:.1f} s, as it asks"
            self._tell(f"{error.args[0]}; trying again ({asked})", waited, seconds)
        else:
            self._tell(f"{error.args[0]}; trying again", waited, seconds)

    def begins(self, error: TransientError, seconds: float) -> None:
        """A connection that worked has been lost, or its server refuses. The work goes on over another connection."""
        if isinstance(error, RefusedNowError):
            self.lasts(error, 0.0, seconds)
        else:
            self._tell(f"{error.args[0]}; reconnecting", 0.0, seconds)

    def relay(self, waiting: Waiting | None) -> None:
        """Tells what another process waits for; None once its server answers again."""
        if waiting is None:
            self.over()
        else:
            self._tell(waiting.text, time.monotonic() - waiting.since, waiting.seconds)

    def _tell(self, text: str, waited: float, seconds: float) -> None:
        now = time.monotonic()
        if not self._told:
            self._since = now - waited
        told = self._told.get(text)
        if told is None or now - told >= _EVERY_SECONDS:
            self._told[text] = now
            waiting = Waiting(text, now - waited, seconds)
            log.warning("%s", waiting.line(now), extra={"waiting": waiting})

    def over(self) -> None:
        """A step has succeeded."""
        if self._told:
            self._told.clear()
            passed = time.monotonic() - self._since
            log.info("the server answers again, after %.1f s", passed, extra={"waiting": None})

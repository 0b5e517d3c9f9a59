"""Warnings that come at most once a second, however many requests fail."""

from __future__ import annotations

import logging
import time

_SECONDS = 1.0

log = logging.getLogger("runqy_loader")


class RareWarnings:
    """Writes warnings to the log. Those that come too soon after one are counted, and the next one tells how many."""

    def __init__(self) -> None:
        self._last = -_SECONDS
        self._left_out = 0

    def warn(self, text: str) -> None:
        now = time.monotonic()
        if now - self._last < _SECONDS:
            self._left_out += 1
            return
        more = f" (and {self._left_out:,} more since the last line)" if self._left_out else ""
        self._last, self._left_out = now, 0
        log.warning("%s%s", text, more)

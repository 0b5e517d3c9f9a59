"""How fast counts have grown lately."""

from __future__ import annotations

_WINDOW = 5.0
"""Seconds."""


class Recent:
    """Growth a second, over the last few seconds, of counts that are 0 at the beginning.

    Args:
        counts: How many counts there are.
    """

    def __init__(self, counts: int = 1) -> None:
        self._samples: list[tuple[float, tuple[float, ...]]] = [(0.0, (0.0,) * counts)]

    def rates(self, at: float, *counts: float) -> tuple[float, ...]:
        """The growth of each count.

        Args:
            at: Seconds since the beginning.
        """
        self._samples.append((at, counts))
        while self._samples[0][0] < at - _WINDOW and len(self._samples) > 2:
            del self._samples[0]
        start, before = self._samples[0]
        seconds = at - start
        return tuple((now - then) / seconds if seconds > 0 else 0.0 for now, then in zip(counts, before, strict=True))

"""Times counted in buckets, as Prometheus's histograms are."""

from __future__ import annotations

from bisect import bisect_left

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the buckets of times."""

_MICROSECONDS = 1_000_000
_LIMITS = [round(bound * _MICROSECONDS) for bound in SECONDS]


class Buckets:
    """Counts of times.

    Attributes:
        counts: How many times are in each bucket of ``SECONDS``, and, last, how many are longer.
        seconds: The sum of all times.
    """

    def __init__(self) -> None:
        self.counts = [0] * (len(SECONDS) + 1)
        self.seconds = 0.0

    def add(self, microseconds: int, count: int) -> None:
        """Counts some equal times."""
        self.counts[bisect_left(_LIMITS, microseconds)] += count
        self.seconds += microseconds * count / _MICROSECONDS

"""How long tasks were pending before they were taken: an HdrHistogram."""

from __future__ import annotations

from typing import Any

_LONGEST_MICROSECONDS = 7 * 86_400 * 1_000_000
_DIGITS = 3
_SHARES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99_9": 99.9}


class TimeInQueue:
    """Times between a task becoming pending and being taken, to three digits; a week and more counts as a week."""

    def __init__(self) -> None:
        from hdrh.histogram import HdrHistogram  # of the extra pace

        self._histogram = HdrHistogram(1, _LONGEST_MICROSECONDS, _DIGITS)

    def record(self, seconds: float) -> None:
        """Adds a time. A negative one counts as 0: the clock of whoever made the task pending was ahead."""
        self._histogram.record_value(min(max(0, round(seconds * 1e6)), _LONGEST_MICROSECONDS))

    @property
    def count(self) -> int:
        return int(self._histogram.get_total_count())

    def to_dict(self) -> dict[str, Any] | None:
        """The figures of the JSON report, in milliseconds; None if there are none."""
        if not self.count:
            return None
        histogram = self._histogram
        found = histogram.get_percentile_to_value_dict(list(_SHARES.values()))
        return {
            "unit": "ms",
            "count": self.count,
            "min": histogram.get_min_value() / 1e3,
            "mean": round(histogram.get_mean_value() / 1e3, 3),
            **{name: found[percent] / 1e3 for name, percent in _SHARES.items()},
            "max": histogram.get_max_value() / 1e3,
            "histogram": histogram.encode().decode(),
        }

"""Latencies, kept in histograms. This module needs the extra ``pace``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from hdrh.histogram import HdrHistogram

from loader.pace.buckets import Buckets

_LOWEST, _HIGHEST, _DIGITS = 1, 24 * 3600 * 1_000_000, 3
"""Histograms hold from a microsecond to a day, with three significant digits. What takes longer counts as a day."""

_MICROSECONDS = 1_000_000
_BITS = 11
"""So many of its first bits place a value in a histogram with three digits."""

_MOST_COUNTS = 4096
"""Different values that are kept beside the histogram: to add so many takes 6 ms."""

_PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99_9": 99.9}


def new_histogram() -> HdrHistogram:
    """An empty histogram of microseconds."""
    return HdrHistogram(_LOWEST, _HIGHEST, _DIGITS)


class LatencyRecorder:
    """The time from a task's due time to the server's acknowledgement, of every task."""

    def __init__(self) -> None:
        self._before = new_histogram()
        self._now = new_histogram()
        self._buckets = Buckets()
        self._counts = Counter[int]()  # what is not in ``_now`` yet: how many tasks took so many microseconds

    def record(self, due: Sequence[float], skipped: Collection[int], now: float) -> None:
        """Adds tasks that are in since now.

        Args:
            due: The due time of each (``time.monotonic``).
            skipped: Positions of those that are not in.
            now: The time on the same clock.
        """
        if skipped:
            due = [at for position, at in enumerate(due) if position not in skipped]
        if not due:
            return
        # Hot path: 0.2 µs a task. To record each value on its own takes ten times as long. Most values recur, the more
        # as they are cut to what the histogram tells apart: 11 bits.
        width = 1 << max(0, int((now - due[-1]) * _MICROSECONDS).bit_length() - _BITS)
        scale = _MICROSECONDS / width
        self._counts.update([int((now - at) * scale) * width for at in due])
        if len(self._counts) > _MOST_COUNTS:
            self._settle()

    def take_interval(self) -> HdrHistogram:
        """The histogram, in microseconds, of what was recorded since the last call."""
        self._settle()
        taken, self._now = self._now, new_histogram()
        if taken.get_total_count():
            self._before.add(taken)
        return taken

    @property
    def total(self) -> HdrHistogram:
        """The histogram of the whole run, in microseconds."""
        self._settle()
        whole = new_histogram()
        for part in (self._before, self._now):
            if part.get_total_count():  # findings/hdrhistogram-empty.sh: to add an empty one makes the minimum 0
                whole.add(part)
        return whole

    def _settle(self) -> None:
        for microseconds, count in self._counts.items():
            self._buckets.add(microseconds, count)
            self._now.record_value(min(_HIGHEST, max(_LOWEST, microseconds)), count)
        self._counts.clear()

    def milliseconds(self, *percentiles: float) -> list[float] | None:
        """Percentiles of the whole run; None if there is nothing yet."""
        total = self.total
        if not total.get_total_count():
            return None
        return [in_ms(total.get_value_at_percentile(percentile)) for percentile in percentiles]

    @property
    def buckets(self) -> Buckets:
        """The times of the whole run so far, in buckets. They are not to be changed."""
        self._settle()
        return self._buckets

    def to_dict(self) -> dict[str, Any]:
        """The JSON report; see ``histogram_report``."""
        return histogram_report(self.total)


class Lateness:
    """How late deliveries were handed over after their due time."""

    def __init__(self) -> None:
        self._histogram = new_histogram()

    def record(self, seconds: float) -> None:
        self._histogram.record_value(_clipped(seconds))

    def milliseconds(self, percentile: float) -> float:
        return in_ms(self._histogram.get_value_at_percentile(percentile))

    def to_dict(self) -> dict[str, Any]:
        """The JSON report, in milliseconds."""
        return {
            "unit": "ms",
            "p50": self.milliseconds(50),
            "p99": self.milliseconds(99),
            "max": in_ms(self._histogram.get_max_value()) if self._histogram.get_total_count() else 0.0,
        }


def histogram_report(histogram: HdrHistogram) -> dict[str, Any]:
    """A histogram of microseconds for the JSON report, in milliseconds; see docs/reference.md.

    ``histogram`` has all of it, in microseconds, as HdrHistogram's compressed format V2 in base64.
    """
    count = histogram.get_total_count()
    values = {"min": histogram.get_min_value(), "mean": histogram.get_mean_value()} if count else {}
    values |= {name: histogram.get_value_at_percentile(percentile) for name, percentile in _PERCENTILES.items()}
    values["max"] = histogram.get_max_value() if count else 0
    return {
        "unit": "ms",
        "count": count,
        **{name: in_ms(value) if count else None for name, value in {"min": 0, "mean": 0, **values}.items()},
        "histogram": histogram.encode().decode(),
    }


def in_ms(microseconds: float) -> float:
    """Milliseconds, to the microsecond."""
    return round(microseconds / 1000, 3)


def _clipped(seconds: float) -> int:
    return min(_HIGHEST, max(_LOWEST, round(seconds * _MICROSECONDS)))

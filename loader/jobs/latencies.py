"""Latencies of an interval, from HdrHistograms of microseconds."""

from __future__ import annotations

from hdrh.histogram import HdrHistogram

from loader.jobs.measurements import Latencies
from loader.pace.latency import in_ms


def of_histogram(histogram: HdrHistogram) -> Latencies | None:
    """The latencies in a histogram; None if it has none."""
    count = int(histogram.get_total_count())
    if not count:
        return None
    p50, p99 = (in_ms(histogram.get_value_at_percentile(percent)) for percent in (50, 99))
    return Latencies(count, p50, p99, in_ms(histogram.get_max_value()), histogram.encode().decode())


def together(first: Latencies, second: Latencies) -> Latencies:
    """The latencies of two intervals as those of one."""
    both = HdrHistogram.decode(first.histogram.encode())
    both.add(HdrHistogram.decode(second.histogram.encode()))
    found = of_histogram(both)
    return first if found is None else found

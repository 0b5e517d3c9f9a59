"""Whether quantiles of latencies differ by more than noise, from HdrHistograms."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from hdrh.histogram import HdrHistogram

from loader.reports.figures import Report
from loader.reports.noise import Judgement, judge_blocks, quantile_ranks

QUANTILES: Mapping[str, float] = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
"""By the name of the figure. The longest latency is none: nothing is known of it but itself."""

Blocks = Sequence[Sequence[Mapping[str, Any]]]


def counts_of(histogram: str) -> Counter[int]:
    """How often each value occurs in an encoded histogram."""
    found = HdrHistogram.decode(histogram.encode())
    return Counter({item.value_iterated_to: item.count_at_value_iterated_to for item in found.get_recorded_iterator()})


def judge_intervals(before: Blocks, after: Blocks, quantile: float) -> Judgement:
    """Compares a quantile by the histograms of the intervals, in blocks; see ``noise.judge_blocks``."""
    counted = [_counted(before), _counted(after)]
    values = sorted({value for side in counted for block in side for value in block})
    cumulated = [[_cumulated(block, values) for block in side] for side in counted]

    def figure(blocks: Sequence[Sequence[int]]) -> float:
        wanted = quantile * sum(block[-1] for block in blocks)
        at = bisect.bisect_left(range(len(values)), wanted, key=lambda at: sum(block[at] for block in blocks))
        return float(values[min(at, len(values) - 1)])

    return judge_blocks(cumulated[0], cumulated[1], figure)


def _counted(blocks: Blocks) -> list[Counter[int]]:
    """The values in each block that has any."""
    found = []
    for block in blocks:
        counts: Counter[int] = Counter()
        for point in block:
            if point["histogram"]:
                counts.update(counts_of(point["histogram"]))
        if counts:
            found.append(counts)
    return found


def _cumulated(block: Counter[int], values: Sequence[int]) -> list[int]:
    """For each value, how many in the block are not above it."""
    return list(accumulate(block[value] for value in values))


def judge_histograms(before: Report, after: Report, quantile: float) -> Judgement:
    """Compares a quantile by the histograms of whole loads: whether its confidence intervals overlap.

    Tasks of a batch are acknowledged together, so a batch counts as one value.
    """
    sides = []
    for report in (before, after):
        histogram = (report.get("latency") or {}).get("histogram")
        if not histogram:
            return Judgement(None, "no histogram in a report")
        counts = counts_of(histogram)
        ranks = quantile_ranks(min(report["batches"], counts.total()), quantile)
        if ranks is None:
            return Judgement(None, f"too few batches for {100 * quantile:g}%")
        share = counts.total() / min(report["batches"], counts.total())
        sides.append([_value_at(counts, rank * share) for rank in ranks])
    (low_before, high_before), (low_after, high_after) = sides
    low, high = low_after / max(high_before, 1) - 1, high_after / max(low_before, 1) - 1
    return Judgement(not low <= 0 <= high, "batches, as if they were independent; --series tells more", low, high)


def _value_at(counts: Counter[int], rank: float) -> int:
    seen = 0
    for value, count in sorted(counts.items()):
        seen += count
        if seen >= rank:
            return value
    return max(counts)

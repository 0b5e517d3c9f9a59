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

Blocks = Sequence[Sequence[Mapping[str, Any]]]


def counts_of(*histograms: str) -> Counter[int]:
    """How often each value occurs in encoded histograms, all together."""
    first, *others = (HdrHistogram.decode(one.encode()) for one in histograms)
    for other in others:
        first.add(other)
    # Its iterator takes 50 ms, as a histogram has places for all values up to a day.
    end = first.get_counts_array_index(first.get_max_value()) + 1
    found = Counter[int]()
    for index, count in enumerate(first.counts[:end]):
        if count:
            found[first.get_highest_equivalent_value(first.get_value_from_index(index))] = count
    return found


class Intervals:
    """The latencies of two loads in blocks of intervals.

    Args:
        before: Blocks of points of a report's series.
        after: The same, of the other load.
    """

    def __init__(self, before: Blocks, after: Blocks) -> None:
        counted = [_counted(before), _counted(after)]
        self._values = sorted({value for side in counted for block in side for value in block})
        self._sides = [[_cumulated(block, self._values) for block in side] for side in counted]

    def judge(self, quantile: float) -> Judgement:
        """Compares a quantile; see ``noise.judge_blocks``."""
        values = self._values

        def figure(blocks: Sequence[Sequence[int]]) -> float:
            wanted = quantile * sum(block[-1] for block in blocks)
            at = bisect.bisect_left(range(len(values)), wanted, key=lambda at: sum(block[at] for block in blocks))
            return float(values[min(at, len(values) - 1)])

        return judge_blocks(self._sides[0], self._sides[1], figure)


def _counted(blocks: Blocks) -> list[Counter[int]]:
    """The values in each block that has any."""
    found = ([point["histogram"] for point in block if point["histogram"]] for block in blocks)
    return [counts_of(*histograms) for histograms in found if histograms]


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

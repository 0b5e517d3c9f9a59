"""Whether two loads differ by more than noise. Decision 0026 says why these methods.

Every judgement is at the level of 1%: of a hundred figures that have not changed, about one is said to have.
"""

from __future__ import annotations

import itertools
import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

ALPHA = 0.01
FEWEST_RUNS = 5
"""With four runs of each, the smallest possible p is 2/70: nothing could be told at the level of 1%."""

FEWEST_BLOCKS = 10
_MOST_BLOCKS = 60
_RESAMPLES = 2000
_MOST_ORDERS = 20_000
_EXACT_BELOW = 100.0
"""Below this variance, the normal approximation of a binomial distribution is not used."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What noise says of a change.

    Attributes:
        beyond: Whether the change is beyond noise; None if there is nothing to judge it by.
        by: What it was judged by, or why it was not, for people.
        low: With ``high``: the change as a share of the value before, as it may be without noise; None if not known.
        p: The p-value of a test of whole runs; None if it was another method.
    """

    beyond: bool | None
    by: str
    low: float | None = None
    high: float | None = None
    p: float | None = None


def judge_runs(before: Sequence[float], after: Sequence[float]) -> Judgement:
    """Compares the means of several runs: an exact permutation test, or a random part of the permutations.

    Its only assumption is that runs are exchangeable if nothing has changed. So they should be run in turn.
    """
    fewest = min(len(before), len(after))
    if fewest < FEWEST_RUNS:
        return Judgement(None, f"{FEWEST_RUNS} runs of each are needed, there are {fewest}")
    runs = [*before, *after]
    size, whole = len(before), sum(runs)

    def difference(part: float) -> float:
        return abs(part / size - (whole - part) / len(after))

    # Sums of the same numbers in another order differ in their last digits.
    observed = difference(sum(before)) * (1 - 1e-9)
    if math.comb(len(runs), size) <= _MOST_ORDERS:
        found = [difference(sum(part)) for part in itertools.combinations(runs, size)]
        p = sum(one >= observed for one in found) / len(found)
    else:
        chance = random.Random(0)
        found = [difference(sum(chance.sample(runs, size))) for _ in range(_MOST_ORDERS)]
        p = (1 + sum(one >= observed for one in found)) / (1 + len(found))
    return Judgement(p < ALPHA, "runs", p=p)


def blocks_of(intervals: Sequence[T], values: Sequence[float]) -> list[Sequence[T]]:
    """Successive intervals as blocks that are about independent of each other.

    A block is as long as the values at its ends are correlated, and at least the third root of the number of intervals.

    Args:
        values: A figure of each interval, from which the correlation is estimated.
    """
    count = len(intervals)
    if not count:
        return []
    length = max(math.ceil(count ** (1 / 3)), _correlated(values), math.ceil(count / _MOST_BLOCKS))
    return [intervals[start : start + length] for start in range(0, count - length + 1, length)]


def _correlated(values: Sequence[float]) -> int:
    """The smallest distance at which values are not correlated, as far as so many can show it."""
    count, mean = len(values), statistics.fmean(values)
    deviations = [value - mean for value in values]
    if not (variance := sum(one * one for one in deviations)):
        return 1
    for lag in range(1, count):
        covariance = sum(a * b for a, b in zip(deviations, deviations[lag:], strict=False))
        if covariance / variance < 2 / math.sqrt(count):
            return lag
    return count


def judge_blocks(
    before: Sequence[T], after: Sequence[T], figure: Callable[[Sequence[T]], float], by: str = "intervals"
) -> Judgement:
    """Compares a figure of two runs by a block bootstrap within each: blocks are drawn again, with their order lost.

    Args:
        figure: Of some blocks, their figure; not below 0.
    """
    fewest = min(len(before), len(after))
    if fewest < FEWEST_BLOCKS:
        return Judgement(None, f"too short: {fewest} independent blocks of intervals, {FEWEST_BLOCKS} are needed")
    chance = random.Random(0)  # the same reports give the same answer
    changes = sorted(
        _change(figure(chance.choices(before, k=len(before))), figure(chance.choices(after, k=len(after))))
        for _ in range(_RESAMPLES)
    )
    low, high = changes[int(_RESAMPLES * ALPHA / 2)], changes[int(_RESAMPLES * (1 - ALPHA / 2)) - 1]
    return Judgement(not low <= 0 <= high, by, low, high)


def _change(before: float, after: float) -> float:
    if not before:
        return 0.0 if not after else math.inf
    return after / before - 1


def quantile_ranks(count: int, quantile: float) -> tuple[int, int] | None:
    """The ranks, from 1, of the order statistics between which a quantile lies with probability 1 - ``ALPHA``.

    The number of independent values below a quantile is binomial, whatever their distribution. None if there are too
    few values for the upper rank.
    """
    below, above = _binomial(count, quantile, ALPHA / 2), _binomial(count, quantile, 1 - ALPHA / 2) + 1
    return None if above > count or below < 1 else (below, above)


def _binomial(count: int, share: float, probability: float) -> int:
    """The quantile of a binomial distribution."""
    mean, variance = count * share, count * share * (1 - share)
    if variance > _EXACT_BELOW:
        return math.floor(statistics.NormalDist(mean, math.sqrt(variance)).inv_cdf(probability))
    total = 0.0
    for value in range(count + 1):
        logarithm = (
            math.lgamma(count + 1)
            - math.lgamma(value + 1)
            - math.lgamma(count - value + 1)
            + value * math.log(share)
            + (count - value) * math.log1p(-share)
        )
        total += math.exp(logarithm)
        if total >= probability:
            return value
    return count

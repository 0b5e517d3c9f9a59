"""Distributions, against the statistics that they must have. Seeds are fixed, so the results are always the same."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.sources.generated import distribution as d
from loader.sources.generated.distribution import Distribution
from loader.sources.generated.draws import WORD, Draws

COUNT = 20_000
NORMAL = NormalDist()
WORDS = st.lists(st.integers(0, WORD - 1) | st.sampled_from([0, WORD - 1]), min_size=1, max_size=20)

Shares = Callable[[float], float]
"""The share of values up to a number."""


def truncated(cdf: Shares, least: float, most: float) -> Shares:
    low, high = cdf(least), cdf(most)
    return lambda x: (min(max(cdf(x), low), high) - low) / (high - low)


def exponential(x: float) -> float:
    return 1 - math.exp(-x / 5)


def lognormal(x: float) -> float:
    return NORMAL.cdf(math.log(x / 80) / 0.6) if x > 0 else 0.0


CASES: list[tuple[Distribution, Shares]] = [
    (d.uniform(3, 7), lambda x: min(max((x - 3) / 4, 0), 1)),
    (d.normal(40, 12), NormalDist(40, 12).cdf),
    (d.normal(40, 12, 18, 50), truncated(NormalDist(40, 12).cdf, 18, 50)),
    (d.lognormal(80, 0.6), lognormal),
    (d.lognormal(80, 0.6, 50, 100), truncated(lognormal, 50, 100)),
    (d.exponential(5), exponential),
    (d.exponential(5, 2, 9), truncated(exponential, 2, 9)),
    (d.quantiles([0, 10, 1000]), lambda x: x / 20 if x < 10 else 0.5 + (x - 10) / 1980),
]


@pytest.mark.parametrize(("one", "shares"), CASES)
def test_values_are_distributed_as_they_must(one: Distribution, shares: Shares) -> None:
    values = sorted(one.numbers(Draws(7, 0).words("place", COUNT)))
    # Kolmogorov's and Smirnov's distance: above 1.95 in one of a thousand samples.
    distance = max(
        max(abs(shares(value) - at / COUNT), abs(shares(value) - (at + 1) / COUNT)) for at, value in enumerate(values)
    )
    assert distance * math.sqrt(COUNT) < 1.95


@pytest.mark.parametrize("one", [case[0] for case in CASES] + [d.zipf(50, 1.1), d.uniform_whole(-3, 12), d.fixed(4)])
@given(words=WORDS)
def test_values_are_within_their_limits_and_rise_with_the_word(one: Distribution, words: list[int]) -> None:
    values = one.numbers(sorted(words))
    assert all(one.least <= value <= one.most for value in values)
    assert all(before <= after for before, after in pairwise(values))
    assert all(isinstance(value, int) for value in one.whole(words))


def chi_square(counts: dict[int, int], expected: dict[int, float]) -> float:
    return sum((counts.get(value, 0) - wanted) ** 2 / wanted for value, wanted in expected.items())


def test_whole_numbers_and_ranks_are_as_frequent_as_they_must() -> None:
    words = Draws(3, 9).words("place", COUNT)
    dice = Counter(d.uniform_whole(1, 6).whole(words))
    assert chi_square(dice, dict.fromkeys(range(1, 7), COUNT / 6)) < 20.5  # five degrees of freedom, one of a thousand
    total = sum(rank**-1.1 for rank in range(1, 11))
    ranks = Counter(d.zipf(10, 1.1).whole(words))
    assert chi_square(ranks, {rank: COUNT * rank**-1.1 / total for rank in range(1, 11)}) < 27.9


def test_draws_of_neighbouring_blocks_and_places_are_independent() -> None:
    first = Draws(1, 0).words("a", COUNT)
    for other in (Draws(1, 1).words("a", COUNT), Draws(1, 0).words("b", COUNT), Draws(2, 0).words("a", COUNT)):
        pairs = Counter((left >> 62, right >> 62) for left, right in zip(first, other, strict=True))
        square = sum((count - COUNT / 16) ** 2 / (COUNT / 16) for count in pairs.values())
        assert square < 37.7  # 15 degrees of freedom, one of a thousand

"""Bins and percentiles of latencies."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.reports.histogram import bins, percentiles

COUNTS = st.dictionaries(st.integers(1, 10**9), st.integers(1, 10_000), min_size=1, max_size=50).map(Counter)


@given(COUNTS)
def test_every_value_is_in_a_bin(counts: Counter[int]) -> None:
    edges, found = bins(counts)

    assert sum(found) == counts.total()
    assert len(edges) == len(found) + 1 <= 43
    assert all(low < high for low, high in itertools.pairwise(edges))
    assert edges[0] <= min(counts) / 1000 and max(counts) / 1000 <= edges[-1] * 1.01


@given(COUNTS)
def test_percentiles_are_those_of_the_sorted_values(counts: Counter[int]) -> None:
    shares, values = percentiles(counts)

    assert shares == sorted(shares) and values == sorted(values)
    assert values[0] == min(counts) / 1000
    half = round(values[shares.index(50.0)] * 1000)
    below = sum(count for value, count in counts.items() if value < half)
    up_to = sum(count for value, count in counts.items() if value <= half)
    assert below <= counts.total() / 2 <= up_to


def test_no_percentile_is_beyond_what_the_values_can_show() -> None:
    shares, _ = percentiles(Counter({1000: 999, 2000: 1}))

    assert shares[-1] == pytest.approx(99.9)

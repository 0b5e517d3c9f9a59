"""Latencies of intervals, which stay exact when neighbours are joined."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.jobs.latencies import of_histogram, together
from loader.jobs.measurements import Latencies
from loader.pace.latency import new_histogram

MICROSECONDS = st.lists(st.integers(1, 10_000_000), min_size=1, max_size=200)


def latencies(values: list[int]) -> Latencies:
    histogram = new_histogram()
    for value in values:
        histogram.record_value(value)
    found = of_histogram(histogram)
    assert found is not None
    return found


@given(MICROSECONDS, MICROSECONDS)
def test_two_intervals_together_have_the_latencies_of_all_their_tasks(first: list[int], second: list[int]) -> None:
    both, whole = together(latencies(first), latencies(second)), latencies(first + second)

    assert (both.count, both.p50, both.p99, both.max) == (whole.count, whole.p50, whole.p99, whole.max)


def test_they_are_milliseconds() -> None:
    found = latencies([1000] * 99 + [50_000] * 101)

    assert found.count == 200
    assert found.p50 == pytest.approx(50.0, rel=1e-2)
    assert found.max == pytest.approx(50.0, rel=1e-2)


def test_an_interval_without_tasks_has_none() -> None:
    assert of_histogram(new_histogram()) is None

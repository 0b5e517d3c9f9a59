"""The append-only file: the closed form beside a simulation that adds one task after the other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.planning.files import REWRITE_LEAST, rewrites


def _one_by_one(tasks: int, aof_bytes: int, file_bytes: int, least: int) -> tuple[int, float, float]:
    """Count, final size and peak, by Redis's rule applied after each task."""
    count, size, base, peak = 0, 0, 0, 0
    for number in range(1, tasks + 1):
        size += aof_bytes
        if size >= least and size >= 2 * base:
            count += 1
            base = number * file_bytes
            peak = max(peak, size + base)
            size = base
    return count, size, max(peak, size)


@given(
    tasks=st.integers(0, 6000),
    aof=st.integers(REWRITE_LEAST // 2000, REWRITE_LEAST // 1000),
    ratio=st.floats(0.3, 1.0),
)
def test_rewrites_are_those_of_redis_rule(tasks: int, aof: int, ratio: float) -> None:
    file = round(ratio * aof)
    count, final, peak = _one_by_one(tasks, aof, file, REWRITE_LEAST)
    found = rewrites(tasks, aof, file)
    # A rewrite begins after a whole task: up to one later than in the formula, and so at each of them.
    assert abs(found.count - count) <= 1
    if found.count == count:
        assert found.final == pytest.approx(final, rel=0.03, abs=3 * aof)
        assert found.peak == pytest.approx(peak, rel=0.03, abs=3 * aof)


def test_a_short_file_is_never_written_anew() -> None:
    found = rewrites(1000, 300, 200)
    assert (found.count, found.final, found.peak) == (0, 300_000, 300_000)


def test_a_billion_tasks_double_it_a_few_times() -> None:
    found = rewrites(10**9, 500, 300)
    assert 5 <= found.count <= 30
    assert found.final <= 10**9 * 500
    assert found.peak >= found.final

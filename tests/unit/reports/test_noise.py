"""What is beyond noise: judged by data that is known to have changed, or not."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence

import pytest

from loader.reports.noise import blocks_of, judge_blocks, judge_runs, quantile_ranks


def mean(blocks: Sequence[float]) -> float:
    return sum(blocks) / len(blocks)


def means(values: Sequence[float]) -> list[float]:
    """Of each block of successive values, its mean."""
    return [statistics.fmean(block) for block in blocks_of(values, values)]


def correlated(level: float, count: int, seed: int, memory: float = 0.8) -> list[float]:
    """Values of which each remembers the one before."""
    chance, value, found = random.Random(seed), 0.0, []
    for _ in range(count):
        value = memory * value + chance.gauss(0, 1)
        found.append(level + value)
    return found


def judged(before: Sequence[float], after: Sequence[float]) -> bool | None:
    return judge_blocks(means(before), means(after), mean).beyond


def test_a_change_far_above_the_scatter_is_beyond_noise() -> None:
    chance = random.Random(1)
    before, after = ([chance.gauss(level, 5) for _ in range(60)] for level in (100, 120))

    found = judge_blocks(means(before), means(after), mean)

    assert found.beyond is True
    assert found.low is not None and found.high is not None
    assert found.low < statistics.fmean(after) / statistics.fmean(before) - 1 < found.high


def test_of_runs_that_have_not_changed_few_are_said_to_have() -> None:
    pairs = [(correlated(50, 300, 2 * seed), correlated(50, 300, 2 * seed + 1)) for seed in range(40)]

    # At the level of 1%, 0.4 of 40 are to be expected; values that remember others make it some more.
    assert sum(judged(*pair) is True for pair in pairs) <= 3


def test_blocks_are_longer_where_intervals_depend_on_each_other() -> None:
    chance = random.Random(1)
    independent, dependent = [chance.random() for _ in range(1000)], correlated(0, 1000, 1, memory=0.98)

    assert len(blocks_of(independent, independent)[0]) == 17  # at most 60 blocks
    assert len(blocks_of(dependent, dependent)[0]) > 40


def test_a_short_run_is_not_judged() -> None:
    found = judge_blocks([1.0] * 9, [9.0] * 9, mean)

    assert found.beyond is None
    assert "too short" in found.by


def test_the_same_reports_give_the_same_answer() -> None:
    before, after = correlated(10, 200, 1), correlated(10.5, 200, 2)
    blocks = means(before), means(after)

    assert judge_blocks(*blocks, mean) == judge_blocks(*blocks, mean)


def test_runs_that_do_not_overlap_are_beyond_noise_from_five_of_each_on() -> None:
    assert judge_runs([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]).beyond is True
    assert judge_runs([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]).p == 2 / math.comb(10, 5)
    assert judge_runs([1, 2, 3, 4], [6, 7, 8, 9]).beyond is None
    assert judge_runs([1, 2, 3, 4, 6], [5, 7, 8, 9, 10]).beyond is False


def test_equal_runs_are_no_change() -> None:
    assert judge_runs([0.1] * 5, [0.1] * 5).p == 1


def test_of_many_runs_a_part_of_the_permutations_is_enough() -> None:
    chance = random.Random(1)
    before, same, after = ([chance.gauss(level, 1) for _ in range(12)] for level in (10, 10, 13))

    assert judge_runs(before, after).beyond is True
    assert judge_runs(before, same).beyond is False


@pytest.mark.parametrize(("count", "quantile"), [(2000, 0.5), (5000, 0.99), (200, 0.5), (1500, 0.99)])
def test_between_the_ranks_is_the_quantile_nearly_always(count: int, quantile: float) -> None:
    chance, found = random.Random(1), 0
    ranks = quantile_ranks(count, quantile)
    assert ranks is not None
    low, high = ranks
    for _ in range(300):
        values = sorted(chance.random() for _ in range(count))
        found += values[low - 1] <= quantile <= values[high - 1]

    assert found >= 290  # 297 are to be expected


def test_the_quantile_of_too_few_values_is_not_known() -> None:
    assert quantile_ranks(100, 0.999) is None
    assert quantile_ranks(3, 0.5) is None

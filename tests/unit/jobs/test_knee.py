"""The knee: the oracle is a queue that is simulated task by task."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.jobs.knee import FEWEST_INTERVALS, find_knee, kept_up


def _points(arrivals: list[float], consumers: int, service: float, interval: float = 1.0) -> list[dict[str, Any]]:
    """What a load notes of tasks that arrive at these times and that so many consumers take in their order."""
    free = [0.0] * consumers
    begins = []
    for arrival in arrivals:
        begin = max(arrival, heapq.heappop(free))
        begins.append(begin)
        heapq.heappush(free, begin + service)
    points = []
    for number in range(1, int(arrivals[-1] / interval) + 1):
        at = number * interval
        come = bisect_right(arrivals, at)
        loaded = come - bisect_right(arrivals, at - interval)
        pending = come - bisect_right(begins, at)
        points.append({"at": at, "seconds": interval, "loaded": loaded, "pending": pending})
    return points


def _ramp(rate: float, seconds: float) -> list[float]:
    """Arrival times of a rate that rises from 0: the n-th task comes when the area under the line is n."""
    return [(2 * number * seconds / rate) ** 0.5 for number in range(1, int(rate * seconds / 2))]


@settings(deadline=None)
@given(
    consumers=st.integers(1, 20),
    service=st.floats(0.01, 0.2),
    most=st.floats(2, 4),
    seconds=st.integers(20, 60),
)
def test_a_rising_rate_shows_the_capacity_of_consumers(
    consumers: int, service: float, most: float, seconds: int
) -> None:
    capacity = consumers / service
    rate = most * capacity
    if rate > 800:  # fewer tasks, so that the simulation is quick
        service *= rate / 800
        capacity, rate = consumers / service, 800.0
    knee = find_knee(_points(_ramp(rate, seconds), consumers, service))
    assert knee is not None
    # A count of whole tasks, and of those that consumers have in hand, is what the measurement cannot tell.
    unsure = (consumers + 2) / (capacity * knee.seconds)
    assert knee.capacity == pytest.approx(capacity, rel=0.01 + unsure)
    assert seconds * capacity / rate == pytest.approx(knee.at, abs=2 + 2 * seconds / rate + unsure * seconds)


def test_a_rate_below_the_capacity_has_no_knee() -> None:
    assert find_knee(_points([number / 50 for number in range(1000)], 10, 0.1)) is None


def test_a_queue_that_is_long_from_the_beginning_has_no_knee() -> None:
    points = [{"at": float(at), "seconds": 1.0, "loaded": 100, "pending": 50 * at} for at in range(1, 20)]
    assert find_knee(points) is None


def test_a_queue_that_nobody_takes_from_has_no_knee() -> None:
    points = [{"at": float(at), "seconds": 1.0, "loaded": 10 * at, "pending": 5 * at * (at + 1)} for at in range(1, 20)]
    assert find_knee(points) is None
    idle = [{"at": float(at), "seconds": 1.0, "loaded": 0, "pending": 0} for at in range(-10, 1)]
    skewed = [{"at": float(at), "seconds": 1.0, "loaded": 1000, "pending": 1000 * at - 195} for at in range(1, 20)]
    assert find_knee([*idle, *skewed]) is None  # a queue is looked at a little before the counts are


def test_what_others_put_into_the_queue_is_no_knee() -> None:
    before = [{"at": float(at), "seconds": 1.0, "loaded": 10, "pending": 0} for at in range(-5, 1)]
    after = [{"at": float(at), "seconds": 1.0, "loaded": 10, "pending": 400 * at} for at in range(1, 20)]
    assert find_knee([*before, *after]) is None


def test_the_highest_rate_without_a_backlog_is_one_that_consumers_kept_up_with() -> None:
    points = [
        {"at": float(at), "seconds": 1.0, "loaded": 10 * at, "pending": 0 if at < 15 else 99} for at in range(1, 20)
    ]
    assert kept_up(points) == pytest.approx(10 * (10 + 11 + 12 + 13 + 14) / 5)
    assert kept_up(points[:4]) is None


def test_a_short_backlog_is_none() -> None:
    points = [
        {"at": float(at), "seconds": 1.0, "loaded": 100, "pending": 500 if 5 < at <= 5 + FEWEST_INTERVALS else 0}
        for at in range(1, 20)
    ]
    assert find_knee(points) is None


def test_intervals_without_a_state_of_the_queue_count_what_was_loaded() -> None:
    points: list[dict[str, Any]] = [
        {"at": float(at), "seconds": 1.0, "loaded": 10, "pending": 0} for at in range(-1, 2)
    ]
    for at in range(2, 20):
        pending = None if at % 3 == 0 else 60 * (at - 1)
        points.append({"at": float(at), "seconds": 1.0, "loaded": 100, "pending": pending})
    knee = find_knee(points)
    assert knee is not None
    assert knee.capacity == pytest.approx(40)
    assert knee.offered == 100


def test_no_intervals_have_no_knee() -> None:
    assert find_knee([]) is None

"""Rates between two looks, from the counts that workers keep."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loader.watch.queue_state import QueueState
from loader.watch.rates import Rates, entered, rates

EMPTY = QueueState("q", 0, 0, 0, 0, 0, 0, None)


def state(pending: int = 0, active: int = 0, processed: int | None = None, failed: int | None = None) -> QueueState:
    return replace(EMPTY, pending=pending, active=active, processed=processed, failed=failed)


def test_the_first_look_has_no_rates() -> None:
    assert rates(None, state(pending=5, processed=3), 1.0) == Rates(None, None, None, None)
    assert rates(state(), state(pending=5), 0.0) == Rates(None, None, None, None)


def test_what_came_in_is_what_is_there_and_what_has_left() -> None:
    before, now = state(100, 10, processed=1000, failed=5), state(70, 20, processed=1100, failed=9)

    assert entered(before, now) == 80  # of 30 fewer pending, 10 more are active; 100 attempts have ended
    assert rates(before, now, 2.0) == Rates(pending_change=-15.0, enqueued=40.0, processed=50.0, failed=2.0)


def test_a_queue_that_no_worker_has_served_yet_only_fills() -> None:
    assert rates(state(10), state(30), 2.0) == Rates(10.0, 10.0, None, None)


def test_counters_begin_with_the_first_attempt() -> None:
    assert rates(state(10), state(8, 1, processed=1), 1.0) == Rates(-2.0, 0.0, 1.0, 0.0)
    assert rates(state(processed=7), state(processed=9, failed=1), 1.0) == Rates(0.0, 2.0, 2.0, 1.0)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (state(10), state(4)),  # taken, and nobody has counted it
        (state(10, active=1), state(12)),
        (replace(EMPTY, completed=3), replace(EMPTY, completed=4)),
    ],
)
def test_workers_that_keep_no_counts_leave_the_rates_unknown(before: QueueState, now: QueueState) -> None:
    found = rates(before, now, 1.0)
    assert (found.enqueued, found.processed, found.failed) == (None, None, None)
    assert found.pending_change == now.pending - before.pending


def test_a_counter_that_begins_anew_counts_from_zero() -> None:
    assert rates(state(processed=5000, failed=50), state(processed=3, failed=1), 1.0) == Rates(0.0, 3.0, 3.0, 1.0)


def test_a_count_is_never_below_zero_where_the_counts_are_of_different_moments() -> None:
    assert entered(state(10, 0, processed=5), state(8, 1, processed=5)) == 0


def test_the_documented_layout_has_only_the_change() -> None:
    before, now = (replace(state(n), layout="documented") for n in (10, 4))
    assert rates(before, now, 2.0) == Rates(-3.0, None, None, None)

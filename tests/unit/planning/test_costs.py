"""What a task costs for payloads that were not measured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.planning.costs import at, costs
from loader.planning.figures import Point
from tests.unit.planning.points import POINT, point

TWO = [point(payload_bytes=1000.0, memory_bytes=1400.0, aof_bytes=None), POINT]


def _memory(one: Point) -> float:
    return one.memory_bytes


def test_a_measured_length_has_its_own_figure() -> None:
    found = at(TWO, 100.2, _memory, "t")
    assert found is not None
    assert (found.value, found.how, found.basis, found.source) == (400.0, "measured", "at 100 bytes", "t")


def test_between_two_lengths_it_is_on_their_line() -> None:
    found = at(TWO, 550.0, _memory, "t")
    assert found is not None
    assert found.value == pytest.approx(900.0)
    assert (found.how, found.basis) == ("interpolated", "on the line from 100 and 1,000 bytes")


def test_beyond_the_longest_the_line_goes_on_and_says_so() -> None:
    found = at(TWO, 10_000.0, _memory, "t")
    assert found is not None
    assert found.value == pytest.approx(400 + 1000 * 9900 / 900)
    assert (found.how, found.basis) == ("extrapolated", "beyond 100 and 1,000 bytes, on their line")


def test_a_shorter_payload_than_the_shortest_costs_no_less_in_the_plan() -> None:
    found = at(TWO, 3.0, _memory, "t")
    assert found is not None
    assert (found.value, found.how) == (400.0, "extrapolated")


def test_noise_between_the_longest_does_not_make_longer_ones_free() -> None:
    noisy = [POINT, point(payload_bytes=1000.0, server_us=4.0)]
    found = at(noisy, 10**9, lambda one: one.server_us, "t")
    assert found is not None
    assert found.value == 4.0


def test_one_point_is_said_to_hold_for_all_lengths_by_extrapolation() -> None:
    found = at([POINT], 900.0, _memory, "t")
    assert found is not None
    assert (found.value, found.how) == (400.0, "extrapolated")


def test_what_was_not_measured_is_not_made_up() -> None:
    bare = [point(replicated_bytes=None, aof_bytes=None, file_bytes=None)]
    found = costs(bare, bare, 100.0, "t")
    assert (found.replicated_bytes, found.aof_bytes, found.file_bytes) == (None, None, None)
    with pytest.raises(ValueError, match="measured"):
        costs([], [], 100.0, "t")


@given(st.floats(100.0, 1000.0))
def test_costs_between_two_lengths_lie_between_their_costs(payload: float) -> None:
    found = at(TWO, payload, _memory, "t")
    assert found is not None
    assert 400.0 <= found.value <= 1400.0 + 1e-9

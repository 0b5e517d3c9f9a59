"""Numbers in few characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.cli.short_numbers import short_count, short_limit, short_rate, short_time, sparkline


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (99_999, "99,999"),
        (100_000, "100k"),
        (999_499, "999k"),
        (999_500, "1.00M"),
        (1_234_567, "1.23M"),
        (12_345_678, "12.3M"),
        (123_456_789, "123M"),
        (5_000_000_000, "5.00G"),
        (-250_000, "-250k"),
    ],
)
def test_counts(count: int, text: str) -> None:
    assert short_count(count) == text
    assert short_count(count, full=True) == f"{count:,}"


@pytest.mark.parametrize(
    ("rate", "signed", "text"),
    [
        (None, False, "-"),
        (0.0, True, "0"),
        (0.04, True, "0"),
        (3.44, False, "3.4"),
        (3.44, True, "+3.4"),
        (-3.44, True, "-3.4"),
        (9.97, False, "10"),
        (1234.4, True, "+1,234"),
        (250_000.0, False, "250k"),
    ],
)
def test_rates(rate: float | None, signed: bool, text: str) -> None:
    assert short_rate(rate, signed=signed) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.0, "0ms"),
        (0.0854, "85ms"),
        (0.9996, "1.0s"),
        (9.96, "10s"),
        (59.4, "59s"),
        (59.6, "1m00s"),
        (245.0, "4m05s"),
        (45_000.0, "12h30m"),
        (273_600.0, "3d04h"),
        (100 * 86_400.0, "100d"),
    ],
)
def test_times(seconds: float | None, text: str) -> None:
    assert short_time(seconds) == text


def test_a_time_within_the_resolution_may_be_anything_below() -> None:
    assert short_limit(1.002, 1.0) == "<1.0s"
    assert short_limit(2.5, 1.0) == "2.5s"


@given(st.integers(-(10**14), 10**14))
def test_a_count_has_at_most_seven_characters(count: int) -> None:
    assert len(short_count(count)) <= 7


@given(st.floats(0, 10**8))
def test_a_time_has_at_most_six_characters(seconds: float) -> None:
    assert len(short_time(seconds)) <= 6


def test_bars_go_from_nothing_to_the_largest_value() -> None:
    assert sparkline([0, 1, 7, 14]) == "▁▁▄█"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([]) == ""

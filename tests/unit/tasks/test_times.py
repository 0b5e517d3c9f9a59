"""Durations and points in time as people write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.tasks.times import MAX_SECONDS, fractional_seconds, instant, seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [(0, 0), (90, 90), ("90", 90), ("90s", 90), ("5m", 300), ("1h30m", 5400), ("7d", 604_800), ("2w", 1_209_600)],
)
def test_durations_are_seconds(text: int | str, expected: int) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "s", "1.5h", "-1", "5 m", "1y", "h1", "٣s", "1h-3m", "1e3"])
def test_what_is_no_duration_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        seconds(text)


@pytest.mark.parametrize("value", [-1, MAX_SECONDS, "9" * 30, "9" * 30 + "w"])
def test_durations_out_of_range_are_told(value: int | str) -> None:
    with pytest.raises(ValueError, match="out of range"):
        seconds(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[("0", 0), ("90", 90), ("0.5", 0.5), ("0.5s", 0.5), ("500ms", 0.5), ("20us", 2e-5), ("1.5h", 5400)],
        *[("1m30s", 90), ("1s500ms", 1.5), (" 7d ", 604_800)],
    ],
)
def test_durations_need_not_be_whole_seconds_where_that_is_said(text: str, expected: float) -> None:
    assert fractional_seconds(text) == pytest.approx(expected, rel=1e-12)


@given(st.integers(0, MAX_SECONDS - 1))
def test_whole_seconds_are_the_same_either_way(number: int) -> None:
    assert fractional_seconds(f"{number}s") == seconds(f"{number}s") == fractional_seconds(str(number))


@pytest.mark.parametrize("text", ["", "s", "-1", "-1s", "5 m", "1y", "h1", "٣s", "1h-3m", "1e3", "inf", "nan", ".5s"])
def test_what_is_no_duration_with_a_fraction_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        fractional_seconds(text)


@pytest.mark.parametrize("text", [str(MAX_SECONDS), "9" * 30, "9" * 30 + "w", "9" * 500])
def test_durations_with_a_fraction_out_of_range_are_told(text: str) -> None:
    with pytest.raises(ValueError, match="out of range"):
        fractional_seconds(text)


@given(st.integers(0, 4_000_000_000))
def test_a_time_may_be_unix_seconds_or_rfc_3339(moment: int) -> None:
    written = datetime.fromtimestamp(moment, UTC).isoformat()
    assert instant(moment) == instant(str(moment)) == instant(f"{moment}.75") == instant(written) == moment
    assert instant(written.replace("+00:00", "Z")) == moment


def test_an_offset_counts() -> None:
    assert instant("2026-12-24T18:00:00+01:00") == instant("2026-12-24T17:00:00Z")


@pytest.mark.parametrize("text", ["tomorrow", "", "2026-13-01T00:00:00Z", "12:00"])
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        instant(text)


@pytest.mark.parametrize("text", ["2026-12-24T18:00:00", "2026-12-24"])
def test_a_time_without_its_offset_is_ambiguous(text: str) -> None:
    with pytest.raises(ValueError, match="no offset"):
        instant(text)

"""``--max-errors``: counts, shares and none, and when each is exceeded."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.settings.error_limit import ErrorLimit, error_limit, problem

COUNTS = st.integers(0, 10**6)


@pytest.mark.parametrize(
    ("value", "limit"),
    [
        (None, ErrorLimit()),
        ("none", ErrorLimit(text="none")),
        (0, ErrorLimit(count=0, text="0")),
        (100, ErrorLimit(count=100, text="100")),
        ("100", ErrorLimit(count=100, text="100")),
        ("5%", ErrorLimit(percent=5.0, text="5%")),
        ("2.5%", ErrorLimit(percent=2.5, text="2.5%")),
        ("0%", ErrorLimit(percent=0.0, text="0%")),
        ("100%", ErrorLimit(percent=100.0, text="100%")),
    ],
)
def test_the_forms_of_a_limit(value: int | str | None, limit: ErrorLimit) -> None:
    assert error_limit(value) == limit


@pytest.mark.parametrize(
    "value",
    ["5%%", "5 %", " 5%", "%", "0.5", ".5%", "1e2", "1e2%", "101%", "-1", "-5%", "None", "all", "٣", "٣%", "1_000"],
)
def test_anything_else_is_no_limit(value: str) -> None:
    with pytest.raises(ValueError, match="must"):
        error_limit(value)
    assert problem(value)


@given(COUNTS, COUNTS, COUNTS, st.booleans())
def test_a_count_is_exceeded_by_more_rejects_than_that(limit: int, rejected: int, read: int, all_read: bool) -> None:
    assert error_limit(limit).is_exceeded(rejected, read, all_read=all_read) == (rejected > limit)


@given(st.integers(0, 100), COUNTS, st.integers(1, 10**6), st.booleans())
def test_a_share_is_judged_from_1000_records_on_and_at_the_end(
    percent: int, rejected: int, read: int, end: bool
) -> None:
    over = Fraction(rejected, read) > Fraction(percent, 100)
    assert error_limit(f"{percent}%").is_exceeded(rejected, read, all_read=end) == (over and (end or read >= 1000))


@given(COUNTS, COUNTS, st.booleans(), st.sampled_from([None, "none"]))
def test_without_a_limit_nothing_is_exceeded(rejected: int, read: int, end: bool, value: str | None) -> None:
    assert not error_limit(value).is_exceeded(rejected, read, all_read=end)

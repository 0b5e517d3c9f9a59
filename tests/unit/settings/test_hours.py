"""``--only-between``: which moments are within the hours, also where the clock is put forward or back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.errors import UsageError
from loader.settings import LoadOptions
from loader.settings.hours import Hours

NIGHT = "22:00-06:00"
BERLIN = f"{NIGHT} Europe/Berlin"


def utc(text: str) -> float:
    """The Unix time of a text without an offset, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.fixture
def in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine's clock is that of New York."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("hours", "moment", "is_open"),
    [
        ("09:00-17:00 UTC", "2026-01-05T08:59:59", False),
        ("09:00-17:00 UTC", "2026-01-05T09:00:00", True),
        ("09:00-17:00 UTC", "2026-01-05T16:59:59", True),
        ("09:00-17:00 UTC", "2026-01-05T17:00:00", False),
        ("22:00-06:00 UTC", "2026-01-05T23:59:59", True),
        ("22:00-06:00 UTC", "2026-01-06T00:00:00", True),
        ("22:00-06:00 UTC", "2026-01-06T06:00:00", False),
        ("00:00-24:00 UTC", "2026-01-06T23:59:59", True),
        ("12:00-13:00,22:00-06:00 UTC", "2026-01-06T12:30:00", True),
        ("12:00-13:00, 22:00-06:00 UTC", "2026-01-06T13:00:00", False),
        (BERLIN, "2026-01-05T21:00:00", True),  # 22:00 in winter
        (BERLIN, "2026-07-05T20:00:00", True),  # 22:00 in summer
        (BERLIN, "2026-07-05T19:59:59", False),
    ],
)
def test_a_window_has_its_first_minute_and_not_its_last(hours: str, moment: str, is_open: bool) -> None:
    assert Hours.parse(hours).is_open(utc(moment)) is is_open


@pytest.mark.parametrize(
    ("hours", "moment", "opens"),
    [
        (BERLIN, "2026-01-05T12:00:00", "2026-01-05T21:00:00"),
        (BERLIN, "2026-07-05T12:00:00", "2026-07-05T20:00:00"),
        ("12:00-13:00,22:00-06:00 UTC", "2026-01-05T07:00:00", "2026-01-05T12:00:00"),
        ("12:00-13:00,22:00-06:00 UTC", "2026-01-05T13:00:00", "2026-01-05T22:00:00"),
        ("09:00-10:00 UTC", "2026-12-31T10:00:00", "2027-01-01T09:00:00"),
        # Berlin puts its clocks forward on 2026-03-29: at 01:00 UTC, 02:00 becomes 03:00.
        ("02:30-04:00 Europe/Berlin", "2026-03-29T00:00:00", "2026-03-29T01:00:00"),  # the window begins at 03:00
        ("02:15-02:45 Europe/Berlin", "2026-03-29T00:00:00", "2026-03-30T00:15:00"),  # it is left out for a day
        # Berlin puts them back on 2026-10-25: at 01:00 UTC, 03:00 becomes 02:00.
        ("02:15-02:45 Europe/Berlin", "2026-10-25T00:00:00", "2026-10-25T00:15:00"),
        ("02:15-02:45 Europe/Berlin", "2026-10-25T00:45:00", "2026-10-25T01:15:00"),  # the hour comes twice
        ("02:15-02:45 Europe/Berlin", "2026-10-25T01:45:00", "2026-10-26T01:15:00"),
        # Lord Howe Island changes its clocks by half an hour; Apia had no 2011-12-30.
        ("02:15-02:45 Australia/Lord_Howe", "2026-10-03T14:00:00", "2026-10-03T15:30:00"),
        ("10:00-11:00 Pacific/Apia", "2011-12-29T22:00:00", "2011-12-30T20:00:00"),
    ],
)
def test_the_next_window_is_found_also_where_the_clock_changes(hours: str, moment: str, opens: str) -> None:
    assert Hours.parse(hours).opens_at(utc(moment)) == utc(opens)


def test_a_window_that_the_clock_leaves_ends_then() -> None:
    hours = Hours.parse("01:00-02:30 Europe/Berlin")

    assert hours.is_open(utc("2026-03-29T00:59:59"))
    assert not hours.is_open(utc("2026-03-29T01:00:00")), "it is 03:00"


@pytest.mark.usefixtures("in_new_york")
def test_without_a_time_zone_the_clock_of_the_machine_counts() -> None:
    hours = Hours.parse(NIGHT)

    assert hours.opens_at(utc("2026-01-05T15:00:00")) == utc("2026-01-06T03:00:00")
    assert hours.shown(utc("2026-01-06T03:00:00")) == "2026-01-05 22:00 EST"
    # New York puts its clocks forward on 2026-03-08 at 07:00 UTC.
    assert Hours.parse("02:30-04:00").opens_at(utc("2026-03-08T06:00:00")) == utc("2026-03-08T07:00:00")


@given(
    windows=st.lists(st.tuples(st.integers(0, 1439), st.integers(1, 1439)), min_size=1, max_size=3),
    moment=st.integers(int(utc("2026-01-01T00:00:00")), int(utc("2026-12-31T00:00:00"))),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe"]),
)
def test_no_moment_before_the_next_window_is_open(windows: list[tuple[int, int]], moment: int, zone: str) -> None:
    texts = []
    for first, length in windows:
        end = (first + length) % 1440
        texts.append(f"{first // 60:02}:{first % 60:02}-{end // 60:02}:{end % 60:02}")
    hours = Hours.parse(f"{','.join(texts)} {zone}")

    opens = hours.opens_at(moment)

    assert hours.is_open(opens)
    assert opens >= moment
    if opens > moment:
        assert not any(hours.is_open(at) for at in range(moment, int(opens), 60))
        assert not hours.is_open(opens - 1)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("22:00", "such as 22:00-06:00"),
        ("22:00-06:00,", "such as 22:00-06:00"),
        ("22:00-22:00", "is empty"),
        ("22:00-24:01", "there is no 24:01"),
        ("22:60-23:00", "there is no 22:60"),
        ("24:00-06:00", "after the last minute"),
        ("at night", "such as 22:00-06:00"),
        ("22:00-06:00 Europe/Atlantis", "does not know (Europe/Atlantis)"),
        ("22:00-06:00 Europe", "does not know (Europe)"),
        ("22:00-06:00 Europe/../../etc", "does not know"),
    ],
)
def test_another_text_is_refused(text: str, word: str) -> None:
    with pytest.raises(UsageError, match="--only-between") as refusal:
        LoadOptions(queue="q", only_between=text).check()

    assert word in str(refusal.value)

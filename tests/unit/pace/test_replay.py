"""The gaps between recorded times are kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loader.errors import UsageError
from loader.pace.replay import Replay, recorded_time, speed


def records(*times: Any) -> list[bytes]:
    return [json.dumps({"at": time}).encode() for time in times]


def started(*, fast: float = 1.0, field: str = "at") -> Replay:
    replay = Replay(field, fast)
    replay.start(1000.0)
    return replay


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-02T03:04:05Z",
        "2026-01-02T04:04:05+01:00",
        "2026-01-02T03:04:05",
        "2026-01-02 03:04:05.000Z",
        1767323045,
        1767323045.0,
        1767323045_000,
        1767323045_000_000,
        1767323045_000_000_000,
    ],
)
def test_a_time_is_rfc_3339_or_a_number_in_any_unit(value: Any) -> None:
    assert recorded_time(records(value)[0], "at") == pytest.approx(1767323045)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1767323045", 1767323045),
        (" 1767323045.5 ", 1767323045.5),
        ("1767323045000", 1767323045),
        ("1767323045000000", 1767323045),
        ("1767323045000000000", 1767323045),
        ("20260102", 20260102),
        ("2026-01-02t03:04:05z", 1767323045),
        ("2026-01-02", 1767312000),
    ],
)
def test_digits_are_a_number_and_letters_may_be_small(text: str, seconds: float) -> None:
    assert recorded_time(records(text)[0], "at") == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["20260102T030405Z", "2026-01-02x03:04:05", "2026-W01-5", "2026-01-02T25:00:00", "-5"])
def test_another_form_of_a_date_is_no_time(text: str) -> None:
    assert recorded_time(records(text)[0], "at") is None


@pytest.mark.parametrize("value", [None, "soon", True, -1, 1e30, [], {"at": 1}, "", "1767323045x"])
def test_anything_else_is_no_time(value: Any) -> None:
    assert recorded_time(records(value)[0], "at") is None


@pytest.mark.parametrize("record", [b"{}", b"[1]", b"7", b'"at"', b'{"a":{"b":1}}'])
def test_a_record_without_the_field_has_no_time(record: bytes) -> None:
    assert recorded_time(record, "at") is None


def test_a_nested_field_is_named_with_dots_and_a_name_with_dots_comes_first() -> None:
    assert recorded_time(b'{"a":{"b":1767323045}}', "a.b") == 1767323045
    assert recorded_time(b'{"a":{"b":1},"a.b":1767323045}', "a.b") == 1767323045


def test_gaps_are_kept_or_divided_by_the_speed() -> None:
    assert started().take(records(100, 101, 105)) == [1000.0, 1001.0, 1005.0]
    assert started(fast=2).take(records(100, 101, 105)) == [1000.0, 1000.5, 1002.5]


def test_a_batch_is_due_with_its_last_task_and_the_next_goes_on_from_there() -> None:
    replay = started()
    for given, last in ((records(100, 101), 1001.0), (records(103), 1003.0)):
        assert replay.due(given) == last
        assert replay.take(given)[-1] == last


def test_a_time_before_that_of_an_earlier_record_is_due_at_once() -> None:
    replay = started()
    assert replay.take(records(100, 90, 102)) == [1000.0, 1000.0, 1002.0]
    assert replay.take(records(101, 103)) == [1002.0, 1003.0]


def test_a_record_without_a_time_is_due_at_once_and_counted() -> None:
    replay = started()
    assert replay.take(records(100, None, "soon", 104)) == [1000.0, 1000.0, 1000.0, 1004.0]
    assert replay.without_time == 2


def test_the_first_record_must_have_one() -> None:
    with pytest.raises(UsageError, match="--replay at: the first record to send has no time in this field"):
        started().due(records("soon", 100))


def test_after_another_rate_the_next_record_is_due_at_once() -> None:
    replay = started()
    replay.take(records(100, 101))
    replay.go_on(5000.0)
    assert replay.take(records(300, 301)) == [5000.0, 5001.0]


def test_after_another_rate_records_without_a_time_are_due_at_once_until_one_has_one() -> None:
    replay = started()
    replay.take(records(100, 101))
    replay.go_on(5000.0)
    assert replay.take(records(None, "soon")) == [5000.0, 5000.0]
    assert replay.take(records(None, 300, 301)) == [5000.0, 5000.0, 5001.0]
    assert replay.take(records(299, None, 303)) == [5001.0, 5001.0, 5003.0]
    assert replay.without_time == 4


@pytest.mark.parametrize(("text", "factor"), [("2x", 2), ("0.5x", 0.5), ("10", 10)])
def test_a_speed_is_a_factor(text: str, factor: float) -> None:
    assert speed(text) == factor


@pytest.mark.parametrize("text", ["0", "0x", "fast", "-1x", "2xx", ""])
def test_anything_else_is_no_speed(text: str) -> None:
    with pytest.raises(ValueError, match="is no speed"):
        speed(text)

"""Rejects by kind: what differs from record to record makes no kind of its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.jobs.reject_kinds import MOST_KINDS, RejectKinds, printable_text
from loader.tasks.reasons import Reason, ReasonCode


def invalid(text: str) -> Reason:
    return Reason(ReasonCode.INVALID_JSON, f"not valid JSON: {text}")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a comma (column 5)", "a comma (column 712)"),
        ("a comma (line 2, column 5)", "a comma (column 7)"),
        ("byte 0xE9 is not UTF-8 (column 5, byte 6)", "byte 0xFC is not UTF-8 (column 9, byte 12)"),
        ("queue 'a' does not exist", "queue 'b.c' does not exist"),
        ("the record is 1,000 bytes long", "the record is 20 bytes long"),
    ],
)
def test_reasons_that_differ_in_figures_and_quoted_parts_are_of_one_kind(one: str, other: str) -> None:
    kinds = RejectKinds()
    kinds.add(invalid(one), "in:1", b"first")
    kinds.add(invalid(other), "in:2", b"second")

    ((count, example),) = kinds.most_frequent(3)
    assert (count, example.place, example.record, example.why) == (2, "in:1", "first", invalid(one))


@pytest.mark.parametrize(("one", "other"), [("it looks like UTF-16", "it looks like UTF-32"), ("a comma", "a colon")])
def test_other_reasons_are_other_kinds(one: str, other: str) -> None:
    kinds = RejectKinds()
    kinds.add(invalid(one), "in:1", b"")
    kinds.add(invalid(other), "in:2", b"")
    kinds.add(invalid(other), "in:3", b"")
    assert [count for count, _ in kinds.most_frequent(3)] == [2, 1]


def test_there_are_only_so_many_kinds_and_each_reject_is_counted() -> None:
    kinds = RejectKinds()
    for number in range(3 * MOST_KINDS):
        kinds.add(invalid("x" * number), f"in:{number}", b"")
    assert len(kinds.examples) <= MOST_KINDS + len(ReasonCode)
    assert kinds.counts.total() == 3 * MOST_KINDS


@given(st.binary(max_size=300))
def test_the_record_is_shown_as_one_short_printable_line(record: bytes) -> None:
    shown = printable_text(record)
    assert shown.isprintable()
    assert shown.endswith("…") == (len(record) > 200) or "…" in record.decode(errors="replace")


def test_what_a_terminal_would_obey_is_escaped() -> None:
    assert printable_text(b"\x1b[31mred\x07\xff\xc3\xa9") == r"\x1b[31mred\x07\xffé"

"""Validation: one verdict a record, always that of orjson.loads on this record alone."""

from __future__ import annotations

import base64
import os
import zlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.sources.base import Place
from loader.sources.batch import RawBatch
from loader.sources.json_text import JSON_SPACE
from loader.sources.validate import Batch, Reject, validate
from loader.tasks.reasons import Reason, ReasonCode
from tests.unit.strategies import LINES, json_texts

BAD = Reason(ReasonCode.INVALID_JSON, "r")


def verdict(line: bytes) -> tuple[str, Any]:
    """What is to become of a line, and its value."""
    if not line.strip(JSON_SPACE):
        return "blank", None
    try:
        return "kept", orjson.loads(line)
    except orjson.JSONDecodeError:
        return "rejected", None


def check(lines: list[bytes], *, parsed: bool) -> Batch:
    return validate(RawBatch(0, 0, list(lines)), 7, 3, parsed=parsed)


def kept_indexes(batch: Batch) -> list[int]:
    return list(range(len(batch.raw.records))) if batch.kept is None else batch.kept


@given(st.lists(LINES, max_size=12), st.booleans())
def test_every_line_gets_the_verdict_of_orjson_on_it_alone(lines: list[bytes], parsed: bool) -> None:
    verdicts = [verdict(line) for line in lines]

    batch = check(lines, parsed=parsed)

    assert kept_indexes(batch) == [i for i, (what, _) in enumerate(verdicts) if what == "kept"]
    assert [i for i, _ in batch.rejected] == [i for i, (what, _) in enumerate(verdicts) if what == "rejected"]
    assert batch.blank == sum(what == "blank" for what, _ in verdicts)
    assert batch.values == ([value for what, value in verdicts if what == "kept"] if parsed else None)


@given(st.lists(LINES | json_texts(), max_size=12), st.booleans())
def test_payloads_stand_byte_for_byte_but_for_json_white_space(lines: list[bytes], parsed: bool) -> None:
    batch = check(lines, parsed=parsed)

    assert batch.payloads == [lines[i].strip(b" \t\r\n") for i in kept_indexes(batch)]


@given(st.lists(LINES, max_size=8))
def test_the_checksum_does_not_depend_on_whether_values_are_kept(lines: list[bytes]) -> None:
    assert check(lines, parsed=True).checksum == check(lines, parsed=False).checksum


@given(st.lists(LINES, min_size=1, max_size=8), st.integers(0, 7), LINES)
def test_the_checksum_tells_other_records_apart(lines: list[bytes], at: int, other: bytes) -> None:
    changed = [*lines]
    changed[at % len(lines)] = other
    alike = [a.strip(JSON_SPACE) for a in lines] == [b.strip(JSON_SPACE) for b in changed]

    assert (check(lines, parsed=False).checksum == check(changed, parsed=False).checksum) == alike


def test_the_checksum_is_a_crc_32_of_the_records_so_that_later_versions_can_resume() -> None:
    assert check([b' {"a":1}\r', b"bad", b"2"], parsed=False).checksum == zlib.crc32(b'{"a":1}\nbad\n2')


def test_halves_of_a_value_on_two_lines_are_both_rejected() -> None:
    batch = check([b"[1", b"2]", b"3"], parsed=False)
    assert [i for i, _ in batch.rejected] == [0, 1]
    assert batch.payloads == [b"3"]


def test_a_form_feed_is_no_json_white_space() -> None:
    batch = check([b"\x0c1", b"1\x0c", b"\x0c"], parsed=False)
    assert [i for i, _ in batch.rejected] == [0, 1, 2]
    assert batch.blank == 0


def test_the_reason_names_the_column() -> None:
    batch = check([b'{"a":}'], parsed=False)
    ((_, why),) = batch.rejected
    assert why.code == "invalid_json"
    assert why.text.startswith("not valid JSON: ")
    assert "column 6" in why.text


def test_an_empty_line_is_blank_but_an_empty_file_is_a_bad_document() -> None:
    batch = validate(RawBatch(0, 0, [b"1", b"", b" \n"], names=["a.json", "b.json", "c.json"]), 0, 0, parsed=False)
    assert batch.rejected == [
        (1, Reason(ReasonCode.EMPTY_FILE, "the file is empty")),
        (2, Reason(ReasonCode.EMPTY_FILE, "the file holds nothing but white space")),
    ]
    assert (batch.payloads, batch.blank) == ([b"1"], 0)


def test_an_oversized_record_is_rejected_even_if_its_beginning_is_valid_json() -> None:
    raw = RawBatch(0, 0, [b"1", b"1111", b"2"], oversized={1: 9999})

    batch = validate(raw, 0, 0, parsed=False)

    assert batch.payloads == [b"1", b"2"]
    assert batch.kept == [0, 2]
    ((index, why),) = batch.rejected
    assert (index, why.code) == (1, "too_large")
    assert "9999 bytes" in why.text and "first 4 bytes" in why.text


def test_a_batch_keeps_its_number_and_source() -> None:
    batch = check([b"1"], parsed=False)
    assert (batch.number, batch.source_index) == (7, 3)


REASONS = st.builds(Reason, st.sampled_from(ReasonCode), st.text())


@given(st.text(), st.integers(1), st.integers(0), REASONS, st.binary() | st.text().map(str.encode))
def test_a_reject_is_one_json_line_from_which_the_record_can_be_had_back(
    source: str, line: int, offset: int, why: Reason, record: bytes
) -> None:
    line, offset = line % 2**53, offset % 2**53

    written = Reject(Place(source, line, offset), why, record).to_json()

    assert written.endswith(b"\n") and written.count(b"\n") == 1
    read = orjson.loads(written)
    back = base64.b64decode(read["record"]) if read.get("encoding") == "base64" else read["record"].encode()
    assert (read["source"], read["line"], read["byte_offset"], read["reason"]) == (source, line, offset, why.text)
    assert read["code"] == why.code.value
    assert back == record


@pytest.mark.parametrize(("record", "encoded"), [("{雪".encode(), False), (b"\xff\xfe", True)])
def test_only_a_record_that_is_not_utf_8_is_encoded(record: bytes, encoded: bool) -> None:
    assert ("encoding" in orjson.loads(Reject(Place("a", 1, 0), BAD, record).to_json())) is encoded


def test_a_reject_of_a_file_whose_name_is_not_utf_8_can_be_written() -> None:
    read = orjson.loads(Reject(Place(os.fsdecode(b"caf\xe9.jsonl"), 1, 0), BAD, b"x").to_json())
    assert "caf" in read["source"]


@given(records=st.lists(st.integers(0, 5000).map(lambda size: b'"' + b"x" * size + b'"'), min_size=1, max_size=6))
def test_the_checksum_of_long_records_is_the_same_crc_32(records: list[bytes]) -> None:
    assert check(records, parsed=False).checksum == zlib.crc32(b"\n".join(records))

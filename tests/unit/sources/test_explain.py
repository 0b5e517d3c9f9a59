"""Reasons say what is wrong with a record, and where, in the columns that editors count."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from loader.sources.batch import RawBatch
from loader.sources.explain import explain
from loader.sources.unusual import unusual_value
from loader.sources.validate import validate
from loader.tasks.reasons import Reason
from tests.unit.strategies import LINES, json_texts


def why(record: bytes, *, document: bool = False) -> Reason:
    try:
        orjson.loads(record)
    except orjson.JSONDecodeError as error:
        return explain(record, error, document=document)
    raise AssertionError("orjson accepts it")


WORDS: list[tuple[bytes, str, str]] = [
    (b'{"a":NaN}', "NaN is no value of JSON", "column 6"),
    (b"[-Infinity]", "-Infinity is no value", "column 2"),
    (b"nan", "nan is no value", "column 1"),
    (b"undefined", "undefined is no value", "column 1"),
    (b'{"a": None}', "Python: null is meant", "column 7"),
    (b"[True]", "Python: true is meant", "column 2"),
    (b"NULL", "null has small letters", "column 1"),
    (b"{'a': None}", "double quotes, not single ones", "column 2"),
    ("{“a”:1}".encode(), "straight double quotes", "column 2"),
    (b"[1,]", "a comma before ']'", "column 4"),
    (b'{"a":1,}', "a comma before '}'", "column 8"),
    (b'{"a":1} // x', "no comments", "column 9"),
    (b"/* x */ 1", "no comments", "column 1"),
    (b"# x", "no comments", "column 1"),
    (b"\xef\xbb\xbf{}", "byte order mark", "column 1"),
    (b'[1,\xef\xbb\xbf"a"]', "byte order mark", "column 4"),
    (b'"a\tb"', "control character U+0009", "column 3"),
    (b'"a\x00b"', "control character U+0000", "column 3"),
    (b"{a:1}", "a key has no double quotes", "column 2"),
    (b"{1:2}", "a key has no double quotes", "column 2"),
    (b'{"a" 1}', "where a colon should be", "column 6"),
    (b'{"a"}', "where a colon should be", "column 5"),
    (b"[1 2]", "where a comma or ']' should be", "column 4"),
    (b'{"a":1 "b":2}', "where a comma or '}' should be", "column 8"),
    (b'"\\x"', "'\\x' in a string is no escape", "column 2"),
    (b'"\\u12"', "four hexadecimal digits", "column 2"),
    (b"01", "begins with 0", "column 1"),
    (b"+1", "begins with '+'", "column 1"),
    (b"[.5]", "begins with '.'", "column 2"),
    (b"0xFF", "not decimal", "column 2"),
    (b"1.e5", "not written as JSON has it", "column 1"),
    (b"{}{}", "another value after the end", "column 3"),
    (b"\x0c1", "U+000C is no white space", "column 1"),
    ("{\u00a0}".encode(), "U+00A0 is no white space", "column 2"),
    (b'{"a":1', "an object does not: is it cut off", "column 7"),
    (b"[1,", "an array does not: is it cut off", "column 4"),
    (b'{"a":"b', "ends within a string", "column 8"),
    (b'"a\\', "ends within a string", "column 3"),
    (b'"a\\u00', "ends within a string", "column 3"),
    (b"-", "ends within a number", "column 1"),
    (b"[1e", "ends within a number", "column 2"),
    (b"tru", "ends within a word", "column 1"),
    (b"<html>", "'<' where a value should begin", "column 1"),
    (b"a,b,c", "'a' where a value should begin", "column 1"),
    ('{"é雪": x}'.encode(), "'x' where a value should begin", "column 8"),
    (b'  {"a": x}', "'x' where a value should begin", "column 9"),
]


@pytest.mark.parametrize(("record", "words", "place"), WORDS, ids=[str(one[0]) for one in WORDS])
def test_the_reason_says_what_is_not_json_and_where(record: bytes, words: str, place: str) -> None:
    found = why(record)
    assert found.code == "invalid_json"
    assert found.text.startswith("not valid JSON: ")
    assert words in found.text
    assert found.text.endswith(f"({place})")


@pytest.mark.parametrize(
    "line", [b"{", b'  "a": 1,', b'  "b": [', b"  ],", b"}", b'  "x",', b'  "x"\n'.strip(b"\n") + b","]
)
def test_lines_of_a_pretty_printed_document_are_told_as_parts_of_a_larger_value(line: bytes) -> None:
    found = why(line)
    assert "larger value" in found.text or "spread over several lines" in found.text
    assert "jq -c" in found.hint


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (rb'{"s":"\ud800"}', r"a lone surrogate \ud800 (column 7)"),
        (rb'{"n":-1e999}', "a number beyond the range of a double (column 6)"),
        (b"1" * 400, "a number beyond the range of a double (column 1)"),
        (b"[" * 1025 + b"]" * 1025, "nested more than 1,024 levels deep (column 1025)"),
    ],
)
def test_valid_json_that_consumers_do_not_read_alike_is_told_as_that(record: bytes, words: str) -> None:
    found = why(record)
    assert found.code == "not_portable"
    assert found.text.startswith("valid JSON, but ") and words in found.text
    assert "--accept-any-json" in found.hint


@pytest.mark.parametrize("text", [r'{"s":"\ud800"', r"[1e400,]", "[" * 2000 + "]" * 1999])
def test_what_is_not_json_is_not_told_as_valid_whatever_else_is_in_it(text: str) -> None:
    assert why(text.encode()).code == "invalid_json"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_utf_16_and_32_are_recognized_also_in_parts_cut_at_line_feeds(encoding: str) -> None:
    data = '{"name":"x","n":1}\n{"name":"é","n":2}\n'.encode(encoding)
    for part in data.split(b"\n")[:-1]:
        assert f"looks like {encoding[:6].upper()}" in why(part).text


@pytest.mark.parametrize(
    ("text", "encoding", "name"),
    [('{"n":"café"}', "latin-1", "Latin-1"), ('{"n":"“café” 5 €"}', "windows-1252", "Windows-1252")],
)
def test_latin_1_and_windows_1252_are_recognized(text: str, encoding: str, name: str) -> None:
    found = why(text.encode(encoding))
    assert f"looks like {name}" in found.text
    assert "iconv -f" in found.hint


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\'), max_size=20),
    st.sampled_from([b"\xe9", b"\xff", b"\x80"]),
)
def test_the_column_and_the_byte_of_what_is_not_utf_8_are_told(before: str, bad: bytes) -> None:
    record = b'["' + before.encode() + bad + b'"]'
    assert f"byte 0x{bad[0]:02X} is not UTF-8" in why(record).text
    assert why(record).text.endswith(f"(column {len(before) + 3}, byte {len(before.encode()) + 3})")


def test_a_character_that_is_cut_off_is_told() -> None:
    assert "ends in the middle of a character" in why('"caf\u00e9'.encode()[:-1]).text


def test_a_surrogate_in_utf_8_is_told() -> None:
    assert "are a surrogate" in why(b'"\xed\xa0\x80"').text


@pytest.mark.parametrize("document", [b'{"a": 1,\n "\xc3\xa9": x}', b'\n\n{"a":\n  "\xc3\xa9", x}'])
def test_of_a_document_line_and_column_are_told(document: bytes) -> None:
    batch = validate(RawBatch(0, 0, [document], names=["a.json"]), 0, 0, parsed=False)
    ((_, found),) = batch.rejected
    line = document.decode().split("\n").index(document.decode().split("\n")[-1]) + 1
    column = document.decode().split("\n")[-1].index("x") + 1
    assert found.text.endswith(f"(line {line}, column {column})")


def test_of_a_document_the_line_of_what_is_not_utf_8_is_told() -> None:
    assert why(b'{"\xc3\xa9":\n"\xc3\xa9\xc3\xa9\xe9"}', document=True).text.endswith("(line 2, column 4, byte 13)")
    assert why(b"x", document=True).text.endswith("(line 1, column 1)")


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (b"\0" * 4096, "nothing but 4,096 NUL bytes"),
        (b"\0" * 100 + b'{"a":1}', "100 NUL bytes before the text"),
        (b'{"a":1}' + b"\0" * 3, "3 NUL bytes after the text"),
    ],
)
def test_nul_bytes_are_told(record: bytes, words: str) -> None:
    assert words in why(record).text


def test_a_long_record_is_explained_with_the_place() -> None:
    record = b'["\xc3\xa9", "' + b"x" * 2_000_000 + b'", oops]'
    assert "(column 2000011)" in why(record).text


@given(LINES)
def test_every_reason_is_one_printable_line(line: bytes) -> None:
    try:
        orjson.loads(line)
        assume(False)
    except orjson.JSONDecodeError as error:
        found = explain(line, error)
    assert found.code in ("invalid_json", "not_portable")
    assert found.text.isprintable()


# --- accepted all the same -----------------------------------------------------------------------------------------

UNUSUAL = [
    rb'{"id":"a","s":"\ud800"}',
    rb'{"id":"a","n":[1e400]}',
    b'{"id":"a","n":' + b"[" * 2000 + b"]" * 2000 + b"}",
]


@pytest.mark.parametrize("record", UNUSUAL, ids=["surrogate", "number", "depth"])
@pytest.mark.parametrize("parsed", [False, True])
def test_with_any_json_these_are_kept_byte_for_byte(record: bytes, parsed: bool) -> None:
    batch = validate(RawBatch(0, 0, [b"1", b" " + record, b"NaN"]), 0, 0, parsed=parsed, any_json=True)

    assert batch.payloads == [b"1", record]
    assert [(index, reason.code) for index, reason in batch.rejected] == [(2, "invalid_json")]
    if parsed:
        assert batch.values is not None
        assert batch.values[1]["id"] == "a"


@given(
    st.dictionaries(
        st.sampled_from(["id", "to", "é"]),
        st.integers(-(2**70), 2**70)
        | st.text(max_size=5)
        | st.none()
        | st.floats(allow_nan=False, allow_infinity=False),
        max_size=3,
    )
)
def test_fields_of_such_a_record_are_those_that_orjson_reads(fields: dict[str, Any]) -> None:
    text = orjson.dumps({}) if not fields else json.dumps(fields).encode()

    assert unusual_value(text[:-1] + (b"," if fields else b"") + rb'"s":"\ud800"}') == {
        **orjson.loads(text),
        "s": "\ud800",
    }


@given(json_texts())
def test_what_is_not_an_object_has_no_fields(text: bytes) -> None:
    value = unusual_value(b"[" + text + rb',"\ud800"]')
    assert value == []

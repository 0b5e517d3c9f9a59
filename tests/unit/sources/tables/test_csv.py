"""CSV: rows as a reader sees them that goes character by character, whatever the chunks; what is no row is refused."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.errors import SourceError, SourceFormatError
from loader.settings.tables import TableOptions
from loader.sources import batch as batch_module
from loader.sources.batch import RawBatch
from loader.sources.lines import BOM
from loader.sources.tables import csv_batcher
from loader.sources.tables.csv_batcher import CsvBatcher
from tests.unit.drain import check_json
from tests.unit.sources.tables.csv_oracle import rows_of
from tests.unit.strategies import chunkings


def batches_of(chunks: Iterable[bytes], batch_size: int = 1000, limit: int = 1 << 24, **options: Any) -> list[RawBatch]:
    batcher = CsvBatcher("in.csv", batch_size, limit, TableOptions(**options))
    batches = [batch for chunk in chunks for batch in batcher.feed(chunk)] + list(batcher.finish())
    for batch in batches:
        check_json(batch)
    return batches


@pytest.mark.parametrize(
    ("content", "options", "is_json"),
    [
        (b'a,b\n1,"2"\n', {}, True),
        ("a\n\u00e9\t\u2028\n".encode(), {}, True),
        (b"a\n\xff\n", {}, False),
        (b"a,b\n1\n", {}, True),
        (b"a\n1\n", {"csv_types": (("a", "int"),)}, False),
    ],
)
def test_what_is_made_here_need_not_be_checked_if_it_is_text(
    content: bytes, options: dict[str, Any], is_json: bool
) -> None:
    assert [batch.is_json for batch in batches_of([content], **options)] == [is_json]


def read(content: bytes | str, **options: Any) -> list[bytes]:
    """The records, none of which may be refused."""
    data = content.encode() if isinstance(content, str) else content
    batches = batches_of([data], **options)
    assert not any(batch.refused for batch in batches)
    return [record for batch in batches for record in batch.records]


def refused(content: bytes | str, **options: Any) -> list[tuple[str, bytes, tuple[int, int]]]:
    """Code and text of the reason, the record, and its place."""
    data = content.encode() if isinstance(content, str) else content
    return [
        (f"{why.code}: {why.text}", batch.records[index], batch.locate(index))
        for batch in batches_of([data], **options)
        for index, why in sorted(batch.refused.items())
    ]


# --- rows ----------------------------------------------------------------------------------------------------------

FIELDS = st.text(st.sampled_from('ab,;"\n\r\\ é\t\x00{'), max_size=6)
WIDE_FIELDS = FIELDS | st.text(max_size=6)


DELIMITERS = st.sampled_from([",", "\t"])


@st.composite
def written(draw: st.DrawFn, delimiter: str) -> bytes:
    """What Python's writer makes of rows, in one of the usual dialects."""
    width = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(WIDE_FIELDS, min_size=width, max_size=width), max_size=6))
    text = io.StringIO(newline="")
    ends = draw(st.sampled_from(["\n", "\r\n"]))
    writer = csv.writer(
        text,
        delimiter=delimiter,
        lineterminator=ends,
        quoting=csv.QUOTE_ALL if draw(st.booleans()) else csv.QUOTE_MINIMAL,
    )
    writer.writerows([[f"c{number}" for number in range(width)], *rows])
    return text.getvalue().encode(errors="replace")


def broken(delimiter: str) -> st.SearchStrategy[bytes]:
    parts = [b"a", delimiter.encode(), b'"', b'""', b"\n", b"\n", b"\r\n", b"\r", b"\xff", b"\\"]
    header = f"c0{delimiter}c1\n".encode()
    return st.lists(st.sampled_from(parts)).map(lambda found: header + b"".join(found))


Chunked = tuple[str, tuple[bytes, list[bytes]]]
"""A delimiter, and a content in chunks."""

WRITTEN = DELIMITERS.flatmap(lambda one: st.tuples(st.just(one), chunkings(written(one))))
BROKEN = DELIMITERS.flatmap(lambda one: st.tuples(st.just(one), chunkings(broken(one))))


@given(WRITTEN | BROKEN, st.integers(1, 4), st.sampled_from(['"', ""]))
def test_rows_are_those_that_an_independent_reader_finds(chunked: Chunked, batch_size: int, quote: str) -> None:
    delimiter, (content, chunks) = chunked
    header, *expected = rows_of(content, delimiter.encode(), quote.encode())
    if header.fields is None or len(set(header.fields)) < len(header.fields):
        return  # only without quotes
    names = [name.decode(errors="surrogateescape") for name in header.fields]

    batches = batches_of(chunks, batch_size, delimiter=delimiter, quote=quote)

    found = [(batch, index) for batch in batches for index in range(len(batch.records))]
    assert len(found) == len(expected)
    for (batch, index), row in zip(found, expected, strict=True):
        record = batch.records[index]
        assert batch.locate(index) == (content.count(b"\n", 0, row.offset) + 1, row.offset)
        if row.fields is None or len(row.fields) != len(names):
            assert record == row.text
            assert batch.refused[index].code == "bad_row"
            continue
        assert index not in batch.refused
        texts = [field.decode(errors="surrogateescape") for field in row.fields]
        assert record == json.dumps(
            dict(zip(names, texts, strict=True)), ensure_ascii=False, separators=(",", ":")
        ).encode(errors="surrogateescape")
    assert [len(batch.records) for batch in batches[:-1]] == [batch_size] * len(batches[:-1])
    assert [batch.unended for batch in batches[:-1]] == [False] * len(batches[:-1])


@given(WRITTEN)
def test_the_two_ways_to_read_rows_give_the_same(chunked: Chunked) -> None:
    delimiter, (content, chunks) = chunked
    found = batches_of(chunks, 3, delimiter=delimiter)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CsvBatcher, "_split", lambda self, data: 0)
        slow = batches_of([content], 3, delimiter=delimiter)
    assert [(batch.records, batch.refused) for batch in found] == [(batch.records, batch.refused) for batch in slow]


QUOTED = st.lists(st.sampled_from(['"a"', '"', '""', ",", '","', "\n", '"\n"', "b"]), max_size=12).map(
    lambda parts: ('"c0","c1"\n' + "".join(parts)).encode()
)


@given(chunkings(QUOTED))
def test_quotes_around_all_fields_are_no_other_rows(content_in_chunks: tuple[bytes, list[bytes]]) -> None:
    test_the_two_ways_to_read_rows_give_the_same.hypothesis.inner_test((",", content_in_chunks))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "rows", [b'""3"\n"\n', b'"\n"\n', b'"a""\n"b"\n', b'"a","b"\n', b'"",""\n', b'"a"\n"",\n', b'"\n"\n""\n']
)
def test_quotes_that_only_look_as_if_they_were_around_fields(rows: bytes) -> None:
    for header in (b'"c"\n', b'"c","d"\n'):
        test_the_two_ways_to_read_rows_give_the_same.hypothesis.inner_test((",", (header + rows, [header, rows])))  # type: ignore[attr-defined]


def test_rows_that_need_no_parser_take_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CsvBatcher, "_parse", lambda *_, **__: pytest.fail("the long way"))
    expected = [b'{"a":"1","b":"2,3"}', b'{"a":"","b":"4"}']
    assert read('"a","b"\r\n"1","2,3"\r\n"","4"\r\n') == expected
    assert read("a;b\n1;2,3\n;4\n") == expected
    assert read("a\tb\r\n1\t2,3\r\n\t4\r\n") == expected
    assert read('"a"\t"b"\n"1"\t"2,3"\n""\t"4"\n') == expected


@given(st.lists(WIDE_FIELDS, min_size=1, max_size=4))
def test_an_object_is_what_orjson_writes(row: list[str]) -> None:
    row = [field.encode(errors="replace").decode() for field in row]
    text = io.StringIO(newline="")
    names = [f'n "{number}" %' for number in range(len(row))]
    csv.writer(text).writerows([names, row])
    (record,) = read(text.getvalue(), delimiter=",")
    assert record == orjson.dumps(dict(zip(names, row, strict=True)))


def test_every_character_is_kept() -> None:
    text = "".join(map(chr, [*range(0x20), *range(0x7F, 0x100), 0x2028, 0x2029, 0xFEFF, 0xFFFF, 0x10FFFF])) + '\\/"'
    quoted = text.replace('"', '""')
    (record,) = read(f'a,b\n"{quoted}",x\n')
    assert orjson.loads(record) == {"a": text, "b": "x"}
    assert record == orjson.dumps({"a": text, "b": "x"})


def test_all_fields_are_text_as_it_is() -> None:
    assert read("a,b,c,d,e,f\n00012,0x1F,yes,+49 30 1234,1.10, x \n") == [
        b'{"a":"00012","b":"0x1F","c":"yes","d":"+49 30 1234","e":"1.10","f":" x "}'
    ]


def test_a_row_may_have_many_lines_and_blank_lines_are_none() -> None:
    batches = batches_of([b'a,b\r\n\r\n1,"x\r\n\r\ny"\r\n\n2,z'])
    (batch,) = batches
    assert batch.records == [b'{"a":"1","b":"x\\r\\n\\r\\ny"}', b'{"a":"2","b":"z"}']
    assert [batch.locate(index) for index in (0, 1)] == [(3, 7), (7, 20)]
    assert batch.unended


def test_a_row_of_one_empty_field_is_a_row_if_it_is_quoted() -> None:
    assert read('a\n""\n\nb\n') == [b'{"a":""}', b'{"a":"b"}']


def test_a_byte_that_is_not_utf_8_is_left_for_the_validation() -> None:
    assert read(b'a,b\n\xe9,1\n"\xe9",2\n"\xe9\n",3\n') == [
        b'{"a":"\xe9","b":"1"}',
        b'{"a":"\xe9","b":"2"}',
        b'{"a":"\xe9\\n","b":"3"}',
    ]


def test_what_is_no_row_is_refused_as_it_is_with_its_place() -> None:
    content = 'a,b\n1\n2,3,4\n"x"y,5\n6,"7\n8"9\n10,11\n12\r13,1\n14,"15\n16,17\n'
    assert refused(content) == [
        ("bad_row: the row has 1 field, and the header has 2", b"1", (2, 4)),
        ("bad_row: the row has 3 fields, and the header has 2", b"2,3,4", (3, 6)),
        ("bad_row: something follows the closing quote of a field", b'"x"y,5', (4, 12)),
        ("bad_row: something follows the closing quote of a field", b'6,"7\n8"9', (5, 19)),
        ("bad_row: a carriage return stands outside of quotes", b"12\r13,1", (8, 34)),
        ("bad_row: a quote is opened and never closed", b'14,"15\n16,17', (9, 42)),
    ]


def test_the_batches_of_refused_rows_can_be_split() -> None:
    (batch,) = batches_of([b"a,b\n1\n2,3\n4\n"])
    first, rest = batch.split(1)
    assert (list(first.refused), list(rest.refused)) == ([0], [1])
    assert (rest.locate(0), rest.locate(1)) == ((3, 6), (4, 10))


def test_a_batch_ends_by_the_bytes_of_its_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_module, "BATCH_BYTES", 20)
    batches = batches_of([b"a\n1\n2\n3\n4\n5\n"])
    assert [len(batch.records) for batch in batches] == [3, 2]


def test_a_row_over_the_limit_is_oversized() -> None:
    (batch,) = batches_of([b'a,b\n1,2\n"%b",3\n4,%b\n' % (b"x" * 100, b"y" * 100)], limit=50)
    assert batch.oversized == {1: 116, 2: 116}
    assert list(map(len, batch.records)) == [17, 50, 50]


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("closed", [False, True])
def test_a_quote_that_nothing_closes_ends_the_load_after_the_rows_before(
    monkeypatch: pytest.MonkeyPatch, size: int, closed: bool
) -> None:
    monkeypatch.setattr(csv_batcher, "_LONGEST_ROW", 30)
    content = b'a,b\n1,2\n3,"4\n' + b"5,6\n" * 20 + (b'"\n7,8\n' if closed else b"")
    batcher = CsvBatcher("in.csv", 10, 30, TableOptions())
    found: list[bytes] = []

    def read_all() -> None:
        for at in range(0, len(content), size):
            for batch in batcher.feed(content[at : at + size]):
                found.extend(batch.records)
        batcher.finish()

    with pytest.raises(SourceError, match=r"in\.csv:3 \(byte 8\): this row is longer than 30 bytes\. .* --quote none"):
        read_all()
    assert found == [b'{"a":"1","b":"2"}']


def test_long_fields_are_read_and_the_limit_of_the_process_stays() -> None:
    before = csv.field_size_limit()
    (record,) = read(b'a\n"%b"\n' % (b"x" * 300_000))
    assert len(record) == 300_000 + len('{"a":""}')
    assert csv.field_size_limit() == before


# --- the header and the dialect ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (b"a,b\n1,2\n", {}),
        (BOM + b"a,b\n1,2\n", {}),
        (b"\r\n\na,b\n1,2\n", {}),
        (b"a;b\n1;2\n", {}),
        (b"a\tb\n1\t2\n", {}),
        (b"a|b\n1|2\n", {}),
        (b'"a";"b"\n1;2\n', {}),
        (b"sep=;\r\na;b\r\n1;2\r\n", {}),
        (BOM + b"SEP=^\na^b\n1^2\n", {}),
        (b"sep=;\na,b\n1,2\n", {"delimiter": ","}),
        (b"a:b\n1:2\n", {"delimiter": ":"}),
        ("a§b\n1§2\n".encode(), {"delimiter": "§"}),
        (b"a,b\n'1','2'\n", {"quote": "'"}),
        (b"1,2\n", {"columns": ("a", "b"), "no_header": True}),
        (b"\n\n1,2\n", {"columns": ("a", "b"), "no_header": True}),
        (b"x,y\n1,2\n", {"columns": ("a", "b")}),
    ],
    ids=repr,
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_dialect_is_told_by_the_first_lines_or_given(content: bytes, options: dict[str, Any], size: int) -> None:
    chunks = [content[at : at + size] for at in range(0, len(content), size)]
    (batch,) = batches_of(chunks, **options)
    assert batch.records == [b'{"a":"1","b":"2"}']


@pytest.mark.parametrize("line", ['sep="\n', "sep=\r\n"])
def test_a_first_line_that_names_no_usable_delimiter_is_the_header(line: str) -> None:
    (record,) = read(line + "x\n")
    assert json.loads(record) == {line.strip(): "x"}


def test_a_delimiter_within_quotes_is_not_counted() -> None:
    assert read(b'"a,b,c";d\n1;2\n') == [b'{"a,b,c":"1","d":"2"}']


def test_a_header_may_have_many_lines() -> None:
    assert batches_of([b'"a\n', b'b",c\n1,', b"2\n"])[0].records == [b'{"a\\nb":"1","c":"2"}']


def test_an_escape_character_is_taken_away() -> None:
    assert read(rb"a,b" + b"\n" + rb'"x\"y",\\' + b"\n" + rb"1\,2,3" + b"\n", escape="\\") == [
        rb'{"a":"x\"y","b":"\\"}',
        b'{"a":"1,2","b":"3"}',
    ]


def test_quotes_may_mean_nothing() -> None:
    assert read('a,b\n6" pipe,"x\n', quote="") == [b'{"a":"6\\" pipe","b":"\\"x"}']


def test_quotes_within_an_unquoted_field_are_text() -> None:
    assert read('a,b\n6" pipe,x\n') == [b'{"a":"6\\" pipe","b":"x"}']


@pytest.mark.parametrize(
    ("content", "options", "told"),
    [
        (b"a,b,a\n1,2,3\n", {}, "two columns are called 'a'. Give --columns"),
        (b"a,b\n1,2\n", {"columns": ("x",)}, "its header has 2 columns, and --columns 1. Correct"),
        (
            b"a,b\n1,2\n",
            {"csv_types": (("c", "int"),)},
            "it has no column 'c', which --csv-types names. Its columns are",
        ),
        (b"caf\xe9,b\n1,2\n", {}, "its header is not UTF-8. Convert it: iconv"),
        (b'"a"b,c\n1,2\n', {}, "its header is no row: something follows the closing quote of a field. Give --quote"),
        (
            b"a,b\r1,2\r",
            {},
            "its header is no row: a carriage return stands outside of quotes. If its lines end with CR",
        ),
        (b"sep=\xe9\na,b\n1,2\n", {}, "its header is not UTF-8. Convert it: iconv"),
        (b'"a\n1,2\n', {}, "its header is no row: a quote is opened and never closed. Give --quote none"),
    ],
)
def test_a_header_that_cannot_be_used_is_told(content: bytes, options: dict[str, Any], told: str) -> None:
    with pytest.raises(SourceError) as caught:
        batches_of([content], **options)
    assert str(caught.value).startswith(f"in.csv: {told}")


def test_json_lines_are_no_header() -> None:
    with pytest.raises(SourceFormatError, match=r"begins like JSON.*Give --format jsonl"):
        batches_of([b'{"a":1,"b":2}\n{"a":3,"b":4}\n'])


@pytest.mark.parametrize("content", [b"", b"\n\n", BOM, b"a,b", b"a,b\n\n"])
def test_a_header_alone_is_no_record(content: bytes) -> None:
    assert batches_of([content]) == []


POSTGRESQL = rb"""id,text,j,ts,n
1,"a""b,c","{""a"": ""x\""y""}",2026-11-28 11:00:00+00,1.10
2,,,,
3,"line
feed \ back",[],infinity,NaN
"""
"""What COPY … TO STDOUT CSV HEADER of PostgreSQL 15.18 writes."""

EXCEL = BOM + 'Größe;Preis\r\n"6"" Rohr";1,50\r\n;\r\n'.encode()
"""As Excel writes "CSV UTF-8" where commas are decimal."""


def test_what_postgresql_writes_is_read() -> None:
    assert read(POSTGRESQL, csv_null="", csv_types=(("id", "int"), ("j", "json"))) == [
        rb'{"id":1,"text":"a\"b,c","j":{"a": "x\"y"},"ts":"2026-11-28 11:00:00+00","n":"1.10"}',
        b'{"id":2,"text":null,"j":null,"ts":null,"n":null}',
        rb'{"id":3,"text":"line\nfeed \\ back","j":[],"ts":"infinity","n":"NaN"}',
    ]


def test_what_excel_writes_is_read() -> None:
    assert [orjson.loads(record) for record in read(EXCEL)] == [
        {"Größe": '6" Rohr', "Preis": "1,50"},
        {"Größe": "", "Preis": ""},
    ]


# --- values that are no text ---------------------------------------------------------------------------------------


def test_a_text_may_stand_for_null() -> None:
    assert read('a,b\n,""\n\\N,x\n', csv_null="") == [b'{"a":null,"b":null}', b'{"a":"\\\\N","b":"x"}']
    assert read("a,b\n,x\n\\N,y\n", csv_null="\\N") == [b'{"a":"","b":"x"}', b'{"a":null,"b":"y"}']
    assert read("a,b\n,x\n,\n", csv_null="", nulls="omit") == [b'{"b":"x"}', b"{}"]


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("text", "1", '"1"'),
        ("int", "-12", "-12"),
        ("int", "9007199254740993", "9007199254740993"),
        ("int", "123456789012345678901234567890", "123456789012345678901234567890"),
        ("int", "00012", None),
        ("int", "1.0", None),
        ("int", "", None),
        ("int", "\u0661", None),
        ("int", "1\n", None),
        ("number", "1.10", "1.10"),
        ("number", "-0.0e+1", "-0.0e+1"),
        ("number", "0x1F", None),
        ("number", ".5", None),
        ("number", "1,5", None),
        ("number", "NaN", None),
        ("bool", "true", "true"),
        ("bool", "FALSE", "false"),
        ("bool", "yes", None),
        ("json", ' {"x": [1.10]} ', '{"x": [1.10]}'),
        ("json", '1,"c":2', None),
        ("json", "{", None),
    ],
)
def test_a_column_may_have_a_type(kind: str, field: str, value: str | None) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["a", "b"], [field, "x"]])
    types = (("a", kind),)
    if value is not None:
        assert read(text.getvalue(), csv_types=types) == [f'{{"a":{value},"b":"x"}}'.encode()]
        return
    ((why, record, place),) = refused(text.getvalue(), csv_types=types)
    assert why == f"bad_value: column 'a': {field!r} is no {'JSON' if kind == 'json' else kind}"
    assert record == text.getvalue().partition("\n")[2].rstrip("\r\n").encode()
    assert place == (2, 5)

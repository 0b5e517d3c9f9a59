"""ValueBatcher: the values that a JSON decoder finds, byte for byte, in batches that depend on the content alone."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterable
from json import JSONDecoder
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.errors import SourceError
from loader.sources import batch as batch_module
from loader.sources import value_batcher
from loader.sources.batch import SHOWN_OF_OVERSIZED, RawBatch
from loader.sources.lines import BOM
from loader.sources.value_batcher import ValueBatcher
from loader.sources.values import ELEMENTS, SUCCESSION, Grammar
from tests.unit.strategies import JSON_VALUES, chunkings

SPACE = st.sampled_from(["", "", " ", "\n", "\r\n\t", "  \n\n"])
TEXTS = st.builds(
    lambda value, indent, ascii_only: json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode(
        errors="replace"
    ),
    JSON_VALUES | st.sampled_from(['"]}', "\\", '\\"[', "[{", [[[[[[[[[[1]]]]]]]]]], [[], {}]]),
    st.sampled_from([None, None, 1]),
    st.booleans(),
)


@st.composite
def arrays(draw: st.DrawFn) -> bytes:
    def space() -> bytes:
        return draw(SPACE).encode()

    elements = [space() + text + space() for text in draw(st.lists(TEXTS, max_size=6))]
    return draw(st.sampled_from([b"", BOM])) + space() + b"[" + (b",".join(elements) or space()) + b"]" + space()


@st.composite
def successions(draw: st.DrawFn) -> bytes:
    content = draw(st.sampled_from([b"", BOM, b"\x1e"]))
    for text in draw(st.lists(TEXTS, max_size=6)):
        space = draw(SPACE).encode()
        content += text + (space or (b" " if text[-1:] not in b'"]}' else b""))
    return content


PIECES = st.sampled_from([*b'[]{}",\\ \n1ax\x1e', 0xEF]).map(lambda byte: bytes((byte,)))
NOT_JSON = st.lists(PIECES, max_size=40).map(b"".join) | arrays() | successions()


class Cut(NamedTuple):
    batches: list[RawBatch]
    error: str

    @property
    def records(self) -> list[bytes]:
        return [record for batch in self.batches for record in batch.records]

    @property
    def places(self) -> list[tuple[int, int]]:
        return [batch.locate(index) for batch in self.batches for index in range(len(batch.records))]

    def shown(self) -> object:
        """All that must not depend on the chunks."""
        return [(b.first_record, b.byte_offset, b.records, b.oversized) for b in self.batches], self.places, self.error


def cut(grammar: Grammar, chunks: Iterable[bytes], batch_size: int = 1000, max_record_bytes: int = 1 << 24) -> Cut:
    batcher = ValueBatcher(grammar, "in", batch_size, max_record_bytes)
    batches: list[RawBatch] = []
    try:
        for chunk in chunks:
            batches.extend(batcher.feed(chunk))
        batches.extend(batcher.finish())
    except SourceError as error:
        return Cut(batches, str(error))
    return Cut(batches, "")


def spans(text: str, *, is_array: bool) -> list[tuple[int, int]]:
    """Where the values of a text begin and end, in characters, found by Python's decoder."""
    decoder = JSONDecoder(strict=False)
    found: list[tuple[int, int]] = []
    blank = " \t\n\r\x1e\ufeff" + (",[" if is_array else "")
    pos = 1 + text.index("[") if is_array else 0
    blank = blank.replace("[", "")
    while True:
        while pos < len(text) and text[pos] in blank:
            pos += 1
        if pos == len(text) or (is_array and text[pos] == "]"):
            return found
        end = decoder.raw_decode(text, pos)[1]
        found.append((pos, end))
        pos = end


def decoded(text: str, *, is_array: bool) -> list[bytes]:
    """The values of a text, found by Python's decoder."""
    return [text[begin:end].encode() for begin, end in spans(text, is_array=is_array)]


@given(arrays())
def test_the_elements_of_an_array_are_those_that_a_json_decoder_finds(content: bytes) -> None:
    got = cut(ELEMENTS, [content])
    assert (got.records, got.error) == (decoded(content.decode(), is_array=True), "")


@given(successions())
def test_values_one_after_the_other_are_those_that_a_json_decoder_finds(content: bytes) -> None:
    got = cut(SUCCESSION, [content])
    assert (got.records, got.error) == (decoded(content.decode(), is_array=False), "")


@given(
    st.sampled_from([ELEMENTS, SUCCESSION]),
    chunkings(NOT_JSON),
    st.integers(1, 8),
    st.integers(1, 60),
    st.integers(1, 50),
)
def test_neither_chunks_nor_the_way_to_find_values_show_in_the_batches(
    grammar: Grammar, case: tuple[bytes, list[bytes]], batch_size: int, max_record_bytes: int, stretch: int
) -> None:
    content, chunks = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch_module, "BATCH_BYTES", 40)
        whole = cut(grammar, [content], batch_size, max_record_bytes)
        patch.setattr(value_batcher, "_STRETCH", stretch)
        assert cut(grammar, chunks, batch_size, max_record_bytes).shown() == whole.shown()
        patch.setattr(value_batcher, "_STRETCH", 0)  # each value piece by piece
        assert cut(grammar, chunks, batch_size, max_record_bytes).shown() == whole.shown()


@given(st.sampled_from([ELEMENTS, SUCCESSION]), chunkings(NOT_JSON), st.integers(1, 8))
def test_locate_points_at_the_record_in_the_source(
    grammar: Grammar, case: tuple[bytes, list[bytes]], batch_size: int
) -> None:
    content, chunks = case
    got = cut(grammar, chunks, batch_size)
    for record, (line, offset) in zip(got.records, got.places, strict=True):
        assert content[offset:].startswith(record)
        assert line == content.count(b"\n", 0, offset) + 1
    assert got.places == sorted(got.places)


@given(
    st.sampled_from([ELEMENTS, SUCCESSION]).flatmap(
        lambda grammar: st.tuples(st.just(grammar), chunkings(arrays() if grammar.is_array else successions()))
    ),
    st.integers(1, 8),
    st.integers(1, 50),
    st.randoms(use_true_random=False),
)
def test_all_places_of_a_batch_are_those_of_a_naive_count(
    case: tuple[Grammar, tuple[bytes, list[bytes]]], batch_size: int, stretch: int, order: Random
) -> None:
    grammar, (content, chunks) = case
    text = content.decode()
    before = [text[:begin] for begin, _ in spans(text, is_array=grammar.is_array)]
    naive = [(part.count("\n") + 1, len(part.encode())) for part in before]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(value_batcher, "_STRETCH", stretch)
        got = cut(grammar, chunks, batch_size)

    questions = [(batch, index) for batch in got.batches for index in range(len(batch.records))]
    order.shuffle(questions)
    answers = {batch.first_record + index: batch.locate(index) for batch, index in questions}

    assert [answers[number] for number in sorted(answers)] == naive


@given(arrays(), st.data())
def test_of_a_truncated_array_the_complete_elements_come_before_the_error(content: bytes, data: st.DataObject) -> None:
    end = content.rindex(b"]")
    begin = content.index(b"[") + 1
    at = data.draw(st.integers(begin, end))
    whole, part = cut(ELEMENTS, [content]), cut(ELEMENTS, [content[:at]])
    assert "ends " in part.error
    assert part.records == whole.records[: len(part.records)]
    assert len(part.records) >= len(whole.records) - 1 - content[at:].count(b",") or not part.records


@pytest.mark.parametrize(
    ("content", "records", "words"),
    [
        (b"", [], ""),
        (b" \n", [], ""),
        (b"[]", [], ""),
        (b"[ \n ]\n", [], ""),
        (b"[", [], "ends before the end of its array"),
        (b"[1", [], "ends within the value that begins in line 1 (byte 1)"),
        (b"[1,", [b"1"], "ends before the end"),
        (b'[1,\n{"a', [b"1"], "ends within the value that begins in line 2 (byte 4)"),
        (b"[1]\n[2]", [b"1"], "in:2 (byte 4): there is more after the end of the array"),
        (b"[1]x", [b"1"], "there is more"),
        (b"{}", [], "in:1 (byte 0): this is not the beginning of an array"),
        (b"\xef", [], "not the beginning of an array"),
        (b"[1,,2]", [b"1", b"", b"2"], ""),
        (b"[1,]", [b"1", b""], ""),
        (b"[,]", [b"", b""], ""),
        (b"[1 2, {a}, }, [x], nul]", [b"1 2", b"{a}", b"}", b"[x]", b"nul"], ""),
        (b'[{"a":1 "b"}, "x" y, \'a\']', [b'{"a":1 "b"}', b'"x" y', b"'a'"], ""),
    ],
)
def test_what_is_wrong_with_an_array_is_told_and_bad_elements_are_records(
    content: bytes, records: list[bytes], words: str
) -> None:
    got = cut(ELEMENTS, [content])
    assert got.records == records
    assert words in got.error
    assert bool(words) == bool(got.error)


@pytest.mark.parametrize(
    ("content", "records"),
    [
        (b"{}{}[]1", [b"{}", b"{}", b"[]", b"1"]),
        (b'1 2\n"a""b"true', [b"1", b"2", b'"a"', b'"b"', b"true"]),
        (b"\x1e{}\n\x1e[1]\n", [b"{}", b"[1]"]),
        (b"{} , {} ]", [b"{}", b",", b"{}", b"]"]),
    ],
)
def test_values_without_line_feeds(content: bytes, records: list[bytes]) -> None:
    assert cut(SUCCESSION, [content]).records == records


@pytest.mark.parametrize("chunk", [1 << 20, 64 * 1024, 1000])
def test_an_element_over_the_limit_keeps_its_beginning_and_tells_its_length(chunk: int) -> None:
    long = b'{"a": "' + b"x" * 300_000 + b'", "b": [' + b"\n1,2," * 10_000 + b"3]}"
    content = b"[1,\n" + long + b"  \n , 2]"
    chunks = [content[start : start + chunk] for start in range(0, len(content), chunk)]

    got = cut(ELEMENTS, chunks, max_record_bytes=100_000)

    (batch,) = got.batches
    assert batch.records == [b"1", long[:SHOWN_OF_OVERSIZED], b"2"]
    assert batch.oversized == {1: len(long)}
    assert got.places == [(1, 1), (2, 4), (10_003, len(content) - 2)]


def test_white_space_at_the_end_of_an_element_is_no_part_of_its_length() -> None:
    content = b"[" + b" " * 200 + b"12345" + b" \n" * 200 + b",6]"
    for chunk in (1, 7, 1000):
        chunks = [content[start : start + chunk] for start in range(0, len(content), chunk)]
        (batch,) = cut(ELEMENTS, chunks, max_record_bytes=5).batches
        assert (batch.records, batch.oversized) == ([b"12345", b"6"], {})


def endless(begin: bytes, piece: bytes, end: bytes) -> Iterable[bytes]:
    yield begin
    for _ in range(24):
        yield piece
    yield end


@pytest.mark.parametrize(
    ("begin", "piece", "end", "records"),
    [
        (b'["', b"x" * (1 << 20), b'",1]', 2),
        (b"[[", b"1," * (1 << 19), b"2],1]", 2),
        (b"[1,", b" \n" * (1 << 19), b"2]", 2),
        (b"[1", b" \n" * (1 << 19), b",2]", 2),
        (b"[", b"[1,2]," * 100_000, b"2]", 2_400_001),
    ],
    ids=["string", "array", "space before", "space after", "many elements"],
)
def test_memory_is_bounded_by_the_limit_and_a_chunk(begin: bytes, piece: bytes, end: bytes, records: int) -> None:
    batcher = ValueBatcher(ELEMENTS, "in", 1000, 2 << 20)
    found = 0
    tracemalloc.start()
    try:
        for chunk in endless(begin, piece, end):
            for batch in batcher.feed(chunk):
                found += len(batch.records)
        found += sum(len(batch.records) for batch in batcher.finish())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == records
    assert peak < 24 << 20

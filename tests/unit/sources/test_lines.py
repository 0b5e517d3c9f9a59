"""LineBatcher: which records are in which batch depends on the content alone, and each can be found again."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.sources import batch as batch_module
from loader.sources import lines
from loader.sources.batch import SHOWN_OF_OVERSIZED, RawBatch
from loader.sources.lines import BOM, LineBatcher
from tests.unit.strategies import chunkings

SMALL_BATCH_BYTES = 40
"""Instead of 1 MiB, so that small contents fill batches."""

PIECES = st.sampled_from(
    [b"\n", b"\n\n", b"\r\n", b"\r", b"a", b"{}", b"\0", BOM, BOM[:2], b"w" * 20, b"x" * 9, b"y" * 45, b"z" * 40]
)
CONTENTS = st.lists(PIECES | st.binary(max_size=5), max_size=60).map(b"".join) | st.lists(PIECES, max_size=30).map(
    b"\n".join
)
LIMITS = st.integers(1, 60)


def batches_of(chunks: Iterable[bytes], batch_size: int = 1000, max_record_bytes: int = 1 << 24) -> list[RawBatch]:
    batcher = LineBatcher(batch_size, max_record_bytes)
    return [*(batch for chunk in chunks for batch in batcher.feed(chunk)), *batcher.finish()]


def naive(content: bytes, batch_size: int, max_record_bytes: int, batch_bytes: int) -> list[RawBatch]:
    """The specification of LineBatcher, one line at a time."""
    records = content.split(b"\n")
    if not records[-1]:
        records.pop()
    batches: list[RawBatch] = []
    offset = total = 0
    complete = True
    for number, record in enumerate(records):
        if complete:
            batches.append(RawBatch(number, offset, []))
            total = 0
        batch = batches[-1]
        if len(record) > max_record_bytes:
            batch.oversized[len(batch.records)] = len(record)
            batch.records.append(record[: min(SHOWN_OF_OVERSIZED, max_record_bytes)])
        else:
            batch.records.append(record)
        offset += len(record) + 1
        total += len(record)
        complete = len(batch.records) == batch_size or total >= batch_bytes
    if content and not content.endswith(b"\n"):
        batches[-1].unended = True
    return batches


@given(
    chunkings(CONTENTS.filter(lambda content: not content.startswith(BOM))),
    st.integers(1, 8),
    LIMITS,
    st.sampled_from([0, 5, 400]),
)
def test_batches_are_those_of_the_naive_cut_however_the_content_is_chunked(
    case: tuple[bytes, list[bytes]], batch_size: int, max_record_bytes: int, long_line: int
) -> None:
    content, chunks = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_LONG_LINE", long_line)  # which of two ways to split is taken must not show
        patch.setattr(batch_module, "BATCH_BYTES", SMALL_BATCH_BYTES)
        assert batches_of(chunks, batch_size, max_record_bytes) == naive(
            content, batch_size, max_record_bytes, SMALL_BATCH_BYTES
        )


@given(chunkings(CONTENTS.map(lambda content: BOM + content)), st.integers(1, 8), LIMITS)
def test_chunks_do_not_show_in_the_batches_of_content_with_a_byte_order_mark(
    case: tuple[bytes, list[bytes]], batch_size: int, max_record_bytes: int
) -> None:
    content, chunks = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch_module, "BATCH_BYTES", SMALL_BATCH_BYTES)
        assert batches_of(chunks, batch_size, max_record_bytes) == batches_of([content], batch_size, max_record_bytes)


@given(CONTENTS.filter(lambda content: content and not content.startswith(BOM)), st.integers(1, 8), LIMITS)
def test_a_byte_order_mark_counts_as_no_part_of_the_first_record(
    content: bytes, batch_size: int, max_record_bytes: int
) -> None:
    without = batches_of([content], batch_size, max_record_bytes)

    marked = batches_of([BOM + content], batch_size, max_record_bytes)

    assert marked == [replace(batch, byte_offset=batch.byte_offset + len(BOM)) for batch in without]


@given(chunkings(st.just(b"") | st.just(BOM)).flatmap(lambda mark: chunkings(CONTENTS.map(lambda c: mark[0] + c))))
def test_locate_points_at_the_record_in_the_source(case: tuple[bytes, list[bytes]]) -> None:
    content, chunks = case
    for batch in batches_of(chunks, batch_size=3, max_record_bytes=20):
        for index, record in enumerate(batch.records):
            line, offset = batch.locate(index)
            length = batch.oversized.get(index, len(record))
            before, following = content[:offset], content[offset + length :]
            assert content[offset:].startswith(record)
            assert before in (b"", BOM) or before.endswith(b"\n")
            assert following == b"" or following.startswith(b"\n")
            assert line == before.count(b"\n") + 1


def test_a_first_record_of_exactly_the_limit_is_kept_whole_after_a_byte_order_mark() -> None:
    (batch,) = batches_of([BOM + b"12345\n"], max_record_bytes=5)
    assert (batch.records, batch.oversized) == ([b"12345"], {})


def test_a_stream_from_the_middle_of_a_source_counts_bytes_from_there_and_knows_no_byte_order_mark() -> None:
    batcher = LineBatcher(2, 100, start=1000)
    content = BOM + b"1\n22\n333\n"
    batches = [*batcher.feed(content), *batcher.finish()]
    assert batches == [
        RawBatch(0, 1000, [BOM + b"1", b"22"], start=1000),
        RawBatch(2, 1008, [b"333"], start=1000),
    ]


def test_the_last_newline_is_optional_and_the_batch_says_whether_it_is_there() -> None:
    assert batches_of([b"1\n2\n"]) == [RawBatch(0, 0, [b"1", b"2"])]
    assert batches_of([b"1\n2"]) == [RawBatch(0, 0, [b"1", b"2"], unended=True)]
    assert batches_of([b"1\n2"], batch_size=1) == [RawBatch(0, 0, [b"1"]), RawBatch(1, 2, [b"2"], unended=True)]


def test_blank_lines_are_records_so_that_line_numbers_stay_true() -> None:
    assert batches_of([b"\n1\n\n\n2"]) == [RawBatch(0, 0, [b"", b"1", b"", b"", b"2"], unended=True)]


def test_no_content_makes_no_batch() -> None:
    assert batches_of([]) == batches_of([b"", b""]) == []


def test_the_carriage_return_of_a_crlf_file_is_left_to_validation() -> None:
    assert batches_of([b"1\r", b"\n2\r\n"]) == [RawBatch(0, 0, [b"1\r", b"2\r"])]


def test_a_byte_order_mark_further_down_stays_in_its_record() -> None:
    (batch,) = batches_of([b"1\n", BOM + b"2\n"])
    assert batch.records == [b"1", BOM + b"2"]


@pytest.mark.parametrize("chunk", [1 << 20, 64 * 1024, 1000], ids=["in one chunk", "over some chunks", "over many"])
def test_a_line_over_the_limit_keeps_its_beginning_and_tells_its_length(chunk: int) -> None:
    long = bytes(range(11, 256)) * 1000
    content = b"1\n" + long + b"\n2\n"
    chunks = [content[start : start + chunk] for start in range(0, len(content), chunk)]

    (batch,) = batches_of(chunks, max_record_bytes=100_000)

    assert batch.records == [b"1", long[:SHOWN_OF_OVERSIZED], b"2"]
    assert batch.oversized == {1: len(long)}
    assert batch.locate(2) == (3, len(long) + 3)


def test_a_line_of_exactly_the_limit_is_kept_whole() -> None:
    (batch,) = batches_of([b"12345\n123456\n"], max_record_bytes=5)
    assert batch.records == [b"12345", b"12345"]
    assert batch.oversized == {1: 6}


def test_an_endless_line_takes_no_more_memory_than_its_limit_and_a_chunk() -> None:
    chunk = b"x" * (1 << 20)
    tracemalloc.start()
    try:
        (batch,) = batches_of((chunk for _ in range(64)), max_record_bytes=2 << 20)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert batch.oversized == {0: 64 << 20}
    assert peak < 8 << 20


def test_a_batch_ends_with_the_line_that_reaches_one_mebibyte() -> None:
    under, exact = b"x" * (300 * 1024) + b"\n", b"x" * (512 * 1024) + b"\n"
    assert [len(batch.records) for batch in batches_of([under * 10])] == [4, 4, 2]
    assert [len(batch.records) for batch in batches_of([exact * 5])] == [2, 2, 1]

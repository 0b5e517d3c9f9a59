"""Where batches end: the same for lines, documents and iterables, and the same as ever, as ledgers count batches."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.sources import batch as batch_module
from loader.sources.batch import BATCH_BYTES, BatchLimit, RawBatch
from loader.sources.discover import discover
from loader.sources.documents import Documents
from loader.sources.iterable import IterablePayloads
from loader.sources.lines import LineBatcher
from tests.unit.drain import drain
from tests.unit.strategies import chunkings

SMALL_BATCH_BYTES = 40
LENGTHS = st.lists(st.integers(0, 20) | st.sampled_from([39, 40, 41, 80]), max_size=60)
BATCH_SIZES = st.integers(1, 9)
RECORD_LIMITS = st.sampled_from([1, 10, 30, 1000])


def ends(lengths: Iterable[int], batch_size: int, batch_bytes: int) -> list[list[int]]:
    """The rule by which jobs were begun that may be resumed, one record at a time."""
    batches: list[list[int]] = [[]]
    for length in lengths:
        batches[-1].append(length)
        if len(batches[-1]) == batch_size or sum(batches[-1]) >= batch_bytes:
            batches.append([])
    return [batch for batch in batches if batch]


def lengths_of(batches: Iterable[RawBatch]) -> list[list[int]]:
    """The full length of each record, batch by batch."""
    return [
        [batch.oversized.get(index, len(record)) for index, record in enumerate(batch.records)] for batch in batches
    ]


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_module, "BATCH_BYTES", SMALL_BATCH_BYTES)


pytestmark = pytest.mark.usefixtures("small_batches")


@given(st.data(), LENGTHS, BATCH_SIZES, RECORD_LIMITS)
def test_batches_of_lines_end_where_they_always_did(
    data: st.DataObject, lengths: list[int], batch_size: int, limit: int
) -> None:
    _, chunks = data.draw(chunkings(st.just(b"".join(b"x" * length + b"\n" for length in lengths))))
    batcher = LineBatcher(batch_size, limit)

    batches = [*(batch for chunk in chunks for batch in batcher.feed(chunk)), *batcher.finish()]

    assert lengths_of(batches) == ends(lengths, batch_size, SMALL_BATCH_BYTES)


@given(LENGTHS, BATCH_SIZES, RECORD_LIMITS)
def test_batches_of_an_iterable_end_where_they_always_did(lengths: list[int], batch_size: int, limit: int) -> None:
    batches = drain(IterablePayloads([b"x" * length for length in lengths]), batch_size, limit)

    assert lengths_of(batches) == ends(lengths, batch_size, SMALL_BATCH_BYTES)


@settings(max_examples=25)
@given(LENGTHS.filter(bool), BATCH_SIZES, RECORD_LIMITS)
def test_batches_of_documents_end_where_they_always_did(lengths: list[int], batch_size: int, limit: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        for number, length in enumerate(lengths):
            (Path(directory) / f"{number:03}.json").write_bytes(b"x" * length)
        (found,) = discover([directory], None)
        batches = drain(Documents(found), batch_size, limit)

    assert lengths_of(batches) == ends(lengths, batch_size, SMALL_BATCH_BYTES)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.integers(1, 30))
def test_many_records_at_once_end_a_batch_where_one_by_one_they_do(lengths: list[int], batch_size: int) -> None:
    limit = BatchLimit(batch_size)
    here = lengths[:batch_size]

    one_by_one = [n for n in range(1, len(here) + 1) if limit.is_reached(n, sum(here[:n]))]

    assert limit.first_batch(here) == (one_by_one[0] if one_by_one else None)


def test_a_batch_is_one_mebibyte_of_input_as_every_manifest_says() -> None:
    assert BATCH_BYTES == 1024 * 1024

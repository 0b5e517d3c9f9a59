"""Shards: the input cut into parts, of which together nothing is missing and nothing is twice."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from loader.sources.base import Place, Source
from loader.sources.discover import discover
from loader.sources.documents import Documents
from loader.sources.iterable import IterablePayloads
from loader.sources.lines import BOM
from loader.sources.lines_source import LinesFile
from loader.sources.shards import MOST_SHARDS, SHARD_BYTES, Piece, Shard, longest_first, plan, shard_bytes
from tests.unit.drain import drain, records

LINE = st.sampled_from([b"", b"1", b"22\r", b"x" * 30, b"y" * 200]) | st.binary(max_size=9)
CONTENTS = st.builds(
    lambda mark, lines, end: mark + b"\n".join(lines) + end,
    st.sampled_from([b"", BOM]),
    st.lists(LINE, max_size=30),
    st.sampled_from([b"", b"\n"]),
).filter(lambda content: not content.startswith(b"\x1f\x8b"))


@contextmanager
def sources_of(contents: list[bytes]) -> Iterator[list[Source]]:
    """Files with these contents, in turn one of lines and one with a document."""
    with tempfile.TemporaryDirectory() as directory:
        paths = [Path(directory) / f"{n}.{'json' if n % 2 else 'jsonl'}" for n in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
        found = discover([str(path) for path in paths], None) if paths else []
        yield [LinesFile(s.files[0]) if s.format == "jsonl" else Documents(s) for s in found]


@given(st.lists(CONTENTS, min_size=1, max_size=5), st.integers(1, 300))
def test_the_pieces_of_all_shards_are_the_sources_end_to_end(contents: list[bytes], size: int) -> None:
    with sources_of(contents) as sources:
        shards = plan(sources, size, empty_apart=False)

    assert [shard.number for shard in shards] == list(range(len(shards)))
    assert all(shard.pieces for shard in shards)
    pieces = [piece for shard in shards for piece in shard.pieces]
    assert [piece.source for piece in pieces if piece.start == 0] == list(range(len(sources)))
    for piece, following in zip(pieces, [*pieces[1:], Piece(len(sources), 0, None)], strict=True):
        if piece.end is None:
            assert (following.source, following.start) == (piece.source + 1, 0)
        else:
            assert (following.source, following.start) == (piece.source, piece.end)
            assert piece.start < piece.end


@settings(max_examples=50)
@given(CONTENTS, st.integers(1, 300), st.integers(1, 5))
def test_pieces_give_the_records_of_the_whole_file_and_their_places_in_it(
    content: bytes, size: int, batch_size: int
) -> None:
    async def read(source: Source) -> tuple[list[bytes], list[Place]]:
        found: list[bytes] = []
        places: list[Place] = []
        cuts = source.cuts(size)
        for start, end in zip([0, *cuts], [*cuts, None], strict=True):
            async for batch in source.batches(batch_size, 1000, start, end):
                found += batch.records
                places += [await source.place(batch, index) for index in range(len(batch.records))]
        return found, places

    with sources_of([content]) as (source,):
        found, places = asyncio.run(read(source))
        assert all(0 < cut < len(content) for cut in source.cuts(size))
        assert found == records(drain(source, max_record_bytes=1000))

    for record, (_, line, offset, _) in zip(found, places, strict=True):
        assert offset is not None
        assert content[offset:].startswith(record)
        assert line == content[:offset].count(b"\n") + 1
        assert content[:offset] in (b"", BOM) or content[:offset].endswith(b"\n")


def test_a_file_is_cut_at_the_lines_that_begin_at_or_after_each_multiple_of_the_size() -> None:
    with sources_of([b"123456789\n" * 10]) as (source,):
        assert source.cuts(20) == [20, 40, 60, 80]
        assert source.cuts(25) == [30, 50, 80]
        assert source.cuts(95) == source.cuts(100) == []


def test_documents_are_cut_between_files(tmp_path: Path) -> None:
    for n in range(5):
        (tmp_path / f"{n}.json").write_bytes(b"%d" % n * 10)
    (found,) = discover([str(tmp_path)], None)
    source = Documents(found)

    async def read(start: int, end: int | None) -> list[bytes]:
        return [record async for batch in source.batches(10, 100, start, end) for record in batch.records]

    assert source.cuts(20) == [2, 4]
    assert asyncio.run(read(0, 2)) == [b"0" * 10, b"1" * 10]
    assert asyncio.run(read(2, 4)) == [b"2" * 10, b"3" * 10]
    assert asyncio.run(read(4, None)) == [b"4" * 10]


def test_small_sources_share_a_shard() -> None:
    with sources_of([b"1\n", b"2", b"3\n"]) as sources:
        assert plan(sources, 1000) == [Shard(0, tuple(Piece(source, 0, None) for source in range(3)))]


@given(st.lists(CONTENTS.filter(bool), min_size=1, max_size=4), st.data(), st.integers(1, 300))
def test_empty_files_change_no_other_shard(contents: list[bytes], data: st.DataObject, size: int) -> None:
    lines = [b"" for _ in range(data.draw(st.integers(0, 3)))]
    mixed = data.draw(st.permutations(range(len(contents) + len(lines))))

    with tempfile.TemporaryDirectory() as directory:
        everything = [*contents, *lines]
        order = sorted(mixed)
        paths = [Path(directory) / f"{n}.jsonl" for n in order]
        at = sorted(mixed[: len(contents)])
        for n, path in zip(order, paths, strict=True):
            path.write_bytes(everything[at.index(n)] if n in at else b"")
        sources = [LinesFile(s.files[0]) for s in discover([str(path) for path in paths], None)]
        without = [source for source in sources if not source.identity.is_empty]
        numbers = {index: without.index(source) for index, source in enumerate(sources) if source in without}

        shards, expected = plan(sources, size), plan(without, size)

    found = [[(numbers[p.source], p.start, p.end) for p in shard.pieces] for shard in shards[: len(expected)]]
    assert found == [[(p.source, p.start, p.end) for p in shard.pieces] for shard in expected]
    assert [p.source for shard in shards[len(expected) :] for p in shard.pieces] == [
        index for index in range(len(sources)) if index not in numbers
    ]


def test_what_cannot_be_cut_is_one_piece() -> None:
    assert plan([IterablePayloads([1, 2])], 1) == [Shard(0, (Piece(0, 0, None),))]


def test_shards_grow_with_the_input_so_that_there_are_never_too_many(tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    for size, expected in ((1, SHARD_BYTES), (MOST_SHARDS * SHARD_BYTES * 2 + 1, SHARD_BYTES * 2 + 1)):
        with path.open("wb") as file:
            file.truncate(size)  # sparse: takes no room
        (found,) = discover([str(path)], None)
        assert shard_bytes([LinesFile(found.files[0])]) == expected


@given(st.lists(CONTENTS, min_size=1, max_size=6), st.integers(1, 300))
def test_the_longest_shards_come_first_and_none_is_lost(contents: list[bytes], size: int) -> None:
    with sources_of(contents) as sources:
        shards = plan(sources, size)
        found = longest_first(shards, sources)
        whole = {piece.source for shard in shards for piece in shard.pieces if (piece.start, piece.end) == (0, None)}

    assert sorted(shard.number for shard in found) == [shard.number for shard in shards]
    # Those of whole files are by their size; equal ones keep their order.
    lengths = [
        (-sum(len(contents[piece.source]) for piece in shard.pieces), shard.number)
        for shard in found
        if {piece.source for piece in shard.pieces} <= whole
    ]
    assert lengths == sorted(lengths)

"""Files of JSON lines: read in chunks, plain or gzipped, and only as long as they stay what they were."""

from __future__ import annotations

import asyncio
import gzip
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from loader.errors import SourceChangedError, SourceError
from loader.sources.base import Place
from loader.sources.batch import RawBatch
from loader.sources.discover import discover
from loader.sources.lines_source import LinesFile
from loader.sources.transports.transport import CHUNK
from tests.unit.drain import drain, records


def lines_file(path: Path, content: bytes) -> LinesFile:
    path.write_bytes(content)
    (source,) = discover([str(path)], None)
    return LinesFile(source.files[0])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "in.jsonl"


@pytest.mark.parametrize("length", [CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
def test_a_file_of_any_length_is_read_whole(path: Path, length: int) -> None:
    content = (b'{"n": 123456789}\n' * (length // 17 + 1))[:length]
    source = lines_file(path, content)
    assert records(drain(source)) == content.removesuffix(b"\n").split(b"\n")
    assert source.position == length


def test_an_empty_file_has_no_records(path: Path) -> None:
    assert drain(lines_file(path, b"")) == []


def test_batches_are_the_same_ones_each_time(path: Path) -> None:
    content = b"".join(b"%d\n" % n for n in range(100_000))
    first, again = drain(lines_file(path, content), 999), drain(lines_file(path, content), 999)
    assert first == again


def test_a_gzipped_file_is_inflated_and_its_position_counts_bytes_as_stored(tmp_path: Path) -> None:
    content = b"".join(b"%d\n" % n for n in range(300_000))
    source = lines_file(tmp_path / "in.jsonl.gz", gzip.compress(content, 1))
    assert records(drain(source)) == content.split()
    assert source.position == source.identity.size == (tmp_path / "in.jsonl.gz").stat().st_size


def test_a_gzipped_file_under_a_plain_name_is_known_by_its_magic(path: Path) -> None:
    assert records(drain(lines_file(path, gzip.compress(b"1\n2\n")))) == [b"1", b"2"]


def test_a_plain_file_under_a_gzip_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"in\.jsonl\.gz is not a gzip file"):
        drain(lines_file(tmp_path / "in.jsonl.gz", b"1\n2\n"))


def test_a_truncated_gzip_gives_its_complete_batches_and_then_an_error(tmp_path: Path) -> None:
    content = b"".join(b"%d\n" % (n * 7919) for n in range(200_000))
    source = lines_file(tmp_path / "in.jsonl.gz", gzip.compress(content, 1)[:-5])
    got: list[RawBatch] = []

    async def read() -> None:
        async for batch in source.batches(1000, 1 << 20):
            got.append(batch)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(SourceError, match=r"in\.jsonl\.gz ends in the middle of its gzip stream"):
        asyncio.run(read())
    assert len(got) >= 150
    assert records(got) == content.split()[: len(got) * 1000]


def test_a_file_that_changed_since_its_fingerprint_gives_nothing(path: Path) -> None:
    source = lines_file(path, b"1\n")
    path.write_bytes(b"1\n2\n")
    with pytest.raises(SourceChangedError, match=r"in\.jsonl"):
        drain(source)


@pytest.mark.parametrize("change", ["grows", "shrinks", "is rewritten"])
def test_a_file_that_changes_while_it_is_read_is_an_error(path: Path, change: str) -> None:
    source = lines_file(path, b"123456789\n" * (CHUNK // 2))
    given_after_the_change = 0

    async def read() -> None:
        nonlocal given_after_the_change
        batches = source.batches(1000, 1 << 20)
        await anext(batches)
        size = path.stat().st_size
        match change:
            case "grows":
                with path.open("ab") as file:
                    file.write(b"1\n")
            case "shrinks":
                os.truncate(path, size - 10)
            case _:
                with path.open("r+b") as file:
                    file.seek(size - 10)
                    file.write(b"987654321\n")
        async for batch in batches:
            given_after_the_change += len(batch.records)

    with pytest.raises(SourceChangedError, match=r"in\.jsonl was changed while it was being loaded"):
        asyncio.run(read())
    assert given_after_the_change <= CHUNK // 10, "more than the chunk that had been read before"


def test_a_file_that_went_since_its_fingerprint_is_told(path: Path) -> None:
    source = lines_file(path, b"1\n")
    path.unlink()
    with pytest.raises(SourceError, match="cannot be read: No such file"):
        drain(source)


@pytest.mark.parametrize("store", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_reading_may_be_given_up_at_any_time(path: Path, store: Callable[[bytes], bytes]) -> None:
    source = lines_file(path, store(b"1\n" * (2 * CHUNK)))

    async def read() -> None:
        batches = source.batches(10, 1 << 20)
        await anext(batches)
        await batches.aclose()

    asyncio.run(read())
    assert not [fd for fd in Path("/proc/self/fd").glob("*") if fd.is_symlink() and fd.readlink() == path]


def test_a_record_is_placed_by_file_line_and_byte(path: Path) -> None:
    source = lines_file(path, b"1\n\n22\n3\n")
    (batch,) = drain(source)
    assert asyncio.run(source.place(batch, 3)) == Place(str(path), 4, 6)


def test_a_gzipped_file_cannot_be_cut(tmp_path: Path) -> None:
    content = gzip.compress(random.Random(1).randbytes(10_000), 1)
    assert content.count(b"\n") > 10
    assert lines_file(tmp_path / "in.jsonl.gz", content).cuts(100) == []
    assert lines_file(tmp_path / "in.jsonl", content).cuts(100) == []


def test_a_file_is_not_cut_within_a_line_however_long(path: Path) -> None:
    source = lines_file(path, b"x" * 50 + b"\n" + b"y" * (2 * CHUNK) + b"\n" + b"z" * 50)
    assert source.cuts(40) == [51, 51 + 2 * CHUNK + 1]

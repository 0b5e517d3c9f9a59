"""Documents: each file is one record, in the order of the files."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest

from loader.errors import SourceChangedError, SourceError
from loader.sources.base import Place
from loader.sources.batch import BATCH_BYTES, SHOWN_OF_OVERSIZED
from loader.sources.discover import discover
from loader.sources.documents import Documents
from loader.sources.lines import BOM
from tests.unit.drain import drain, records


def documents(directory: Path, **contents: bytes) -> Documents:
    """A source of files NAME.json with these contents; ``_gz`` at the end of a name stands for ``.json.gz``."""
    for name, content in contents.items():
        file = f"{name.removesuffix('_gz')}.json.gz" if name.endswith("_gz") else f"{name}.json"
        (directory / file).write_bytes(content)
    (source,) = discover([str(directory)], None)
    return Documents(source)


def test_each_file_is_one_record_with_its_line_feeds(tmp_path: Path) -> None:
    source = documents(tmp_path, a=b'{\n "a": 1\n}\n', b=b"2", c=b"")
    (batch,) = drain(source)
    assert batch.records == [b'{\n "a": 1\n}\n', b"2", b""]


def test_many_files_come_in_order_and_in_batches(tmp_path: Path) -> None:
    source = documents(tmp_path, **{f"{n:04}": b"%d" % n for n in range(250)})
    batches = drain(source, batch_size=100)
    assert [(batch.first_record, len(batch.records)) for batch in batches] == [(0, 100), (100, 100), (200, 50)]
    assert records(batches) == [b"%d" % n for n in range(250)]


def test_a_batch_ends_with_the_document_that_reaches_the_byte_limit(tmp_path: Path) -> None:
    half = b"1" * (BATCH_BYTES // 2)
    batches = drain(documents(tmp_path, a=half, b=half, c=b"3", d=half))
    assert [len(batch.records) for batch in batches] == [2, 2]


def test_a_record_is_named_after_its_file_and_begins_at_its_first_byte(tmp_path: Path) -> None:
    source = documents(tmp_path, a=b"1", b=b"2", c=b"3")
    first, second = drain(source, batch_size=2)
    assert asyncio.run(source.place(first, 1)) == Place(str(tmp_path / "b.json"), 1, 0)
    assert asyncio.run(source.place(second, 0)) == Place(str(tmp_path / "c.json"), 1, 0)
    assert second.locate(0) == (1, 0)


def test_gzipped_documents_are_inflated_by_name_or_by_magic(tmp_path: Path) -> None:
    source = documents(tmp_path, a_gz=gzip.compress(b"1"), b=gzip.compress(b"2"), c=b"3")
    assert records(drain(source)) == [b"1", b"2", b"3"]


def test_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    assert records(drain(documents(tmp_path, a=BOM + b"1"))) == [b"1"]


def test_a_byte_order_mark_counts_as_no_part_of_the_document(tmp_path: Path) -> None:
    (batch,) = drain(documents(tmp_path, a=BOM + b"12345"), max_record_bytes=5)
    assert (batch.records, batch.oversized) == ([b"12345"], {})


def test_a_document_of_exactly_the_limit_is_kept_whole_though_its_byte_order_mark_reaches_over_it(
    tmp_path: Path,
) -> None:
    document = b"1" * ((1 << 20) - 1)  # read in two pieces, of which the first alone is over the limit
    (batch,) = drain(documents(tmp_path, a=BOM + document), max_record_bytes=len(document))
    assert (batch.records, batch.oversized) == ([document], {})


@pytest.mark.parametrize("name", ["a", "a_gz"])
def test_a_document_over_the_limit_keeps_its_beginning_and_tells_its_length(tmp_path: Path, name: str) -> None:
    long = bytes(range(256)) * 12_000
    content = gzip.compress(long) if name == "a_gz" else long
    first, second = drain(documents(tmp_path, **{name: content}, b=b"2"), max_record_bytes=2_000_000)
    assert (first.records, first.oversized) == ([long[:SHOWN_OF_OVERSIZED]], {0: len(long)})
    assert (second.records, second.oversized) == ([b"2"], {})


def test_a_truncated_gzip_is_told_by_name(tmp_path: Path) -> None:
    source = documents(tmp_path, a=b"1", b_gz=gzip.compress(b"2")[:-1], c=b"3")
    (batch,) = drain(source)
    ((name, damage),) = batch.damaged
    assert name == str(tmp_path / "b.json.gz")
    assert str(damage).startswith(f"{name} ends in the middle")
    assert (batch.records, [Path(name).name for name in batch.names or ()]) == ([b"1", b"3"], ["a.json", "c.json"])


def test_damaged_documents_alone_are_told_too(tmp_path: Path) -> None:
    damaged = gzip.compress(b"1")[:-1]
    (batch,) = drain(documents(tmp_path, a_gz=damaged, b_gz=damaged))
    assert (batch.records, len(batch.damaged)) == ([], 2)


def test_a_file_that_changed_since_the_job_began_is_told_by_name(tmp_path: Path) -> None:
    source = documents(tmp_path, a=b"1", b=b"2")
    (tmp_path / "b.json").write_bytes(b"22")
    with pytest.raises(SourceChangedError, match=r"b\.json"):
        drain(source)


def test_a_file_that_went_is_told_by_name(tmp_path: Path) -> None:
    source = documents(tmp_path, a=b"1", b=b"2")
    (tmp_path / "b.json").unlink()
    with pytest.raises(SourceError, match=r"b\.json cannot be read"):
        drain(source)


def test_the_identity_covers_every_file_and_where_it_ends(tmp_path: Path) -> None:
    found = set()
    for number, contents in enumerate(({"a": b"1", "b": b"2"}, {"a": b"12", "b": b""}, {"a": b"1", "b": b"3"})):
        directory = tmp_path / str(number)
        directory.mkdir()
        found.add(documents(directory, **contents).identity.digest)
    assert len(found) == 3


def test_the_position_counts_bytes_as_stored(tmp_path: Path) -> None:
    source = documents(tmp_path, a=b"12345", b_gz=gzip.compress(bytes(1000)))
    drain(source)
    assert source.position == source.identity.size == 5 + (tmp_path / "b.json.gz").stat().st_size

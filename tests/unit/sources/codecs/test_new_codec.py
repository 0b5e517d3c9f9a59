"""A compression that is registered works wherever input comes from."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loader.errors import SourceError, UsageError
from loader.sources.codecs.registry import CODECS
from loader.sources.discover import discover
from loader.sources.open_sources import open_sources
from tests.unit.sources.codecs.toy import TOY, compress


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CODECS, TOY.name, TOY)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, so that tests name files as a user does."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The end to write to of a pipe that is standard input."""
    read, write = os.pipe()
    with os.fdopen(read) as file:
        monkeypatch.setattr(sys, "stdin", file)
        yield write


def read(*given: str, forced: str | None = None) -> list[bytes]:
    """All records of what a user names."""

    async def collect() -> list[bytes]:
        return [
            record
            for source in await open_sources(list(given), forced)
            async for batch in source.batches(1000, 1 << 20)
            for record in batch.records
        ]

    return asyncio.run(collect())


@pytest.mark.parametrize("name", ["a.jsonl.toy", "a.ndjson.toys", "A.JSONL.TOY"])
def test_lines_are_decompressed_by_their_file_name(folder: Path, name: str) -> None:
    (folder / name).write_bytes(compress(b"1\n2\n"))
    assert read(name) == [b"1", b"2"]


def test_documents_are_decompressed_by_their_file_name(folder: Path) -> None:
    (folder / "a.json.toy").write_bytes(compress(b'{"a":\n2}'))
    assert read("a.json.toy") == [b'{"a":\n2}']


@pytest.mark.parametrize("argument", ["d", "d/*", "d/**/*.toy"])
def test_directories_and_globs_find_the_files(folder: Path, argument: str) -> None:
    (folder / "d/sub").mkdir(parents=True)
    (folder / "d/a.jsonl.toy").write_bytes(compress(b"1\n"))
    (folder / "d/b.json.toy").write_bytes(compress(b"2"))
    assert read(argument) == [b"1", b"2"]


@pytest.mark.parametrize("forced", [None, "jsonl.toy"])
def test_standard_input_is_decompressed_by_its_first_bytes_or_by_what_is_said(stdin: int, forced: str | None) -> None:
    os.write(stdin, compress(b"1\n2\n"))
    os.close(stdin)
    assert read("-", forced=forced) == [b"1", b"2"]


def test_the_first_bytes_tell_it_under_any_name(folder: Path) -> None:
    (folder / "a.jsonl").write_bytes(compress(b"1\n" * 100))
    (folder / "b.json").write_bytes(compress(b"2"))
    assert read("a.jsonl", "b.json") == [b"1"] * 100 + [b"2"]
    (source,) = asyncio.run(open_sources(["a.jsonl"], None))
    assert source.cuts(10) == []


def test_what_is_said_outranks_the_name(folder: Path) -> None:
    (folder / "a.txt").write_bytes(compress(b"1\n"))
    assert read("a.txt", forced="jsonl.toy") == [b"1"]


@pytest.mark.parametrize("name", ["a.jsonl.toy", "a.json.toy"])
def test_a_stream_that_ends_early_is_told_by_name(folder: Path, name: str) -> None:
    (folder / name).write_bytes(compress(b"1\n")[:-1])
    with pytest.raises(SourceError, match=rf"{name}: ends in the middle of its toy stream"):
        read(name)


def test_messages_list_it(folder: Path) -> None:
    (folder / "d").mkdir()
    (folder / "a.txt").touch()
    with pytest.raises(
        SourceError,
        match=r"\.jsonl, \.ndjson, .* \(each also with \.gz, .*\.toy, \.toys after it\)",
    ):
        discover(["d"], None)
    with pytest.raises(
        UsageError,
        match=r"Give --format jsonl if .*; else json, .* \(with \.gz, .* or \.toy added if it is compressed\)",
    ):
        discover(["a.txt"], None)
    with pytest.raises(UsageError, match=r"one of 'jsonl', 'json', .* with \.gz, .* or \.toy added, not 'xml'"):
        discover(["a.txt"], "xml")

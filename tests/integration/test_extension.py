"""How to add a format and a compression, step by step, as loader/sources/open_sources.py says it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

import loader
from loader.sources import shards
from loader.sources.base import Place, SourceIdentity
from loader.sources.batch import BatchLimit, RawBatch
from loader.sources.codecs.content import Content
from loader.sources.codecs.registry import CODECS
from loader.sources.format import FileSource, Format, InputFile
from loader.sources.formats import FORMATS
from loader.sources.open_sources import open_sources
from loader.sources.transports.file import StoredFile
from loader.sources.transports.transport import Transport
from tests.integration.tool import Redis, Tool, payloads
from tests.unit.sources.codecs.toy import TOY, compress

# Step 1: a module with a source and a Format.


class _Strings:
    """Records between semicolons, each of which becomes a JSON string."""

    def __init__(self, file: InputFile, transport: Transport) -> None:
        self._file = file
        self._transport = transport
        self._position = 0

    @property
    def identity(self) -> SourceIdentity:
        return self._transport.identity(self._file.format)

    @property
    def position(self) -> int:
        return self._position

    @property
    def expansion(self) -> int | None:
        return self._file.expansion

    def cuts(self, size: int) -> list[int]:
        return []

    async def place(self, raw: RawBatch, index: int) -> Place:
        return Place(self._file.name, *raw.locate(index))

    async def batches(
        self, batch_size: int, max_record_bytes: int, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[RawBatch, None]:
        content, text = Content(self._file.name, self._file.codec), b""
        async with aclosing(self._transport.chunks(start, end)) as chunks:
            async for chunk in chunks:
                self._position += len(chunk)
                text += b"".join(content.feed(chunk))
        text += b"".join(content.finish())
        limit, batch, size = BatchLimit(batch_size), RawBatch(0, 0, []), 0
        for record in text.removesuffix(b";").split(b";"):
            batch.records.append(b'"%b"' % record)
            size += len(record)
            if limit.is_reached(len(batch.records), size):
                yield batch
                batch, size = RawBatch(batch.first_record + len(batch.records), 0, []), 0
        if batch.records:
            yield batch


def _of_files(source: FileSource) -> _Strings:
    (file,) = source.files
    assert file.path is not None
    return _Strings(file, StoredFile(file.name, file.path))


def _of_stdin(file: InputFile, stdin: Transport) -> _Strings:
    return _Strings(file, stdin)


STRINGS = Format("strings", "strings", (".str",), _of_files, _of_stdin)


@pytest.fixture(autouse=True)
def _step_2(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line in each registry."""
    monkeypatch.setitem(FORMATS, STRINGS.name, STRINGS)
    monkeypatch.setitem(CODECS, TOY.name, TOY)


@pytest.mark.parametrize(
    "given",
    ["in.str", "in.str.toy", "d", "d/*.str*"],
    ids=["file", "compressed file", "directory", "glob"],
)
def test_a_new_format_and_a_new_compression_are_loaded(tool: Tool, db: Redis, given: str) -> None:
    tool.write("in.str", b"one;two;three;")
    tool.write("in.str.toy", compress(b"one;two;three;"))
    tool.write("d/1.str", b"one;two;")
    tool.write("d/2.str.toy", compress(b"three"))

    report, again = (
        asyncio.run(loader.load(given, queue="q", redis=tool.url, workers=1, batch_size=2, job="j")) for _ in range(2)
    )

    assert (report.status, report.loaded, again.already_loaded) == ("completed", 3, 3)
    assert {source.format for source in report.sources} == {"strings"}
    assert payloads(db, "q.default") == [b'"one"', b'"two"', b'"three"']


def test_a_new_compression_is_loaded_by_several_processes(
    tool: Tool, db: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "SHARD_BYTES", 1)
    paths = [tool.write(f"{n}.jsonl.toy", compress(b"%d\n" % n)) for n in range(4)]

    report = asyncio.run(loader.load([*paths], queue="q", redis=tool.url, processes=2))

    assert (report.status, report.loaded, report.processes) == ("completed", 4, 2)
    assert sorted(payloads(db, "q.default")) == [b"0", b"1", b"2", b"3"]


@pytest.mark.parametrize("said", ["strings", "strings.toy"])
def test_a_new_format_is_read_from_standard_input_and_under_any_name_where_it_is_said(
    tool: Tool, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    stored = compress(b"1;2") if said.endswith(".toy") else b"1;2"
    path = tool.write("in.txt", stored)
    end, start = os.pipe()
    os.write(start, stored)
    os.close(start)

    async def collect() -> list[list[bytes]]:
        sources = await open_sources([str(path), "-"], said)
        return [[record async for raw in source.batches(9, 99) for record in raw.records] for source in sources]

    with os.fdopen(end) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert asyncio.run(collect()) == [[b'"1"', b'"2"']] * 2

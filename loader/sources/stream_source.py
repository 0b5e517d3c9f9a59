"""A source of records that follow each other in a stream of bytes: a file, or standard input."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from loader.sources.base import Place, SourceIdentity
from loader.sources.batch import RawBatch
from loader.sources.codecs.content import Content
from loader.sources.format import InputFile
from loader.sources.record_batcher import MakeBatcher
from loader.sources.transports.transport import Transport


class StreamSource:
    """Records from any transport, as one piece."""

    def __init__(self, file: InputFile, transport: Transport, make_batcher: MakeBatcher) -> None:
        self._file = file
        self._transport = transport
        self._make_batcher = make_batcher
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

    async def _lines_before(self, offset: int) -> int:
        return 0  # there is only one piece, from 0

    async def place(self, raw: RawBatch, index: int) -> Place:
        line, byte_offset = raw.locate(index)
        return Place(self._file.name, line + await self._lines_before(raw.start), byte_offset)

    async def batches(
        self, batch_size: int, max_record_bytes: int, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[RawBatch, None]:
        batcher = self._make_batcher(self._file.name, batch_size, max_record_bytes, start)
        content = Content(self._file.name, self._file.codec, whole=start == 0)
        async with aclosing(self._transport.chunks(start, end)) as chunks:
            async for chunk in chunks:
                self._position += len(chunk)
                for piece in content.feed(chunk):
                    for batch in batcher.feed(piece):
                        yield batch
        for piece in content.finish():
            for batch in batcher.feed(piece):
                yield batch
        for batch in batcher.finish():
            yield batch

"""Sources of JSON lines: a file, or standard input."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing

import aiofiles

from loader.errors import SourceError
from loader.sources.base import Place, SourceIdentity
from loader.sources.batch import RawBatch
from loader.sources.discover import InputFile
from loader.sources.fingerprint import FileState, fingerprint, unreadable
from loader.sources.gzip import GZIP_MAGIC, GzipInflater
from loader.sources.lines import LineBatcher

CHUNK = 1024 * 1024


class _Lines:
    """The way from chunks to batches, common to files and standard input."""

    def __init__(self, file: InputFile) -> None:
        self._file = file
        self._position = 0

    @property
    def position(self) -> int:
        return self._position

    def _chunks(self, start: int, end: int | None) -> AsyncGenerator[bytes, None]:
        raise NotImplementedError

    async def _lines_before(self, offset: int) -> int:
        raise NotImplementedError

    async def place(self, raw: RawBatch, index: int) -> Place:
        line, byte_offset = raw.locate(index)
        return Place(self._file.name, line + await self._lines_before(raw.start), byte_offset)

    async def batches(
        self, batch_size: int, max_record_bytes: int, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[RawBatch, None]:
        batcher = LineBatcher(batch_size, max_record_bytes, start)
        inflater = GzipInflater(self._file.name) if self._file.gzipped else None
        first, head = True, b""
        async with aclosing(self._chunks(start, end)) as chunks:
            async for chunk in chunks:
                if first:
                    head += chunk
                    if len(head) < len(GZIP_MAGIC):
                        continue  # a pipe may give single bytes
                    first, chunk = False, head
                    if inflater is None and start == 0 and head.startswith(GZIP_MAGIC):
                        inflater = GzipInflater(self._file.name)  # no JSON begins like this
                for piece in (chunk,) if inflater is None else inflater.feed(chunk):
                    for batch in batcher.feed(piece):
                        yield batch
        if first and head:
            for piece in (head,) if inflater is None else inflater.feed(head):
                for batch in batcher.feed(piece):
                    yield batch
        if inflater is not None and head:
            inflater.finish()
        for batch in batcher.finish():
            yield batch


def _without_waiting(path: str, flags: int) -> int:
    """Opens a file, and a FIFO that has taken its place as well, for the check that follows to refuse."""
    return os.open(path, flags | os.O_NONBLOCK)


class LinesFile(_Lines):
    """A file of JSON lines, plain or gzipped. Its fingerprint is taken when it is made, which may take a moment."""

    def __init__(self, file: InputFile) -> None:
        super().__init__(file)
        assert file.path is not None  # noqa: S101 - for the type checker
        self._path = file.path
        self._state: FileState = fingerprint(file.name, file.path)
        self._counted = (0, 0)  # a byte offset, and how many lines end before it

    @property
    def identity(self) -> SourceIdentity:
        return SourceIdentity(self._file.name, self._file.format, self._state.size, self._state.digest)

    def cuts(self, size: int) -> list[int]:
        """Offsets of the first line that begins at or after each multiple of ``size``; none within a gzip stream.

        Raises:
            SourceError: The file cannot be read.
        """
        found: list[int] = []
        if self._file.gzipped or self._state.size <= size:
            return found
        try:
            with self._path.open("rb") as file:
                if file.read(len(GZIP_MAGIC)) == GZIP_MAGIC:
                    return found
                for target in range(size, self._state.size, size):
                    if found and found[-1] >= target:
                        continue  # one line reaches over a whole stretch
                    file.seek(target - 1)
                    while (rest := file.readline(CHUNK)) and not rest.endswith(b"\n"):
                        pass
                    if file.tell() < self._state.size:
                        found.append(file.tell())
        except OSError as error:
            raise unreadable(self._file.name, error) from error
        return found

    async def _lines_before(self, offset: int) -> int:
        """Counted only where a record of a later piece must be named, which is rare: 1 GB takes a second or less."""
        if offset < self._counted[0]:
            self._counted = (0, 0)
        if offset > self._counted[0]:
            self._counted = (offset, await asyncio.to_thread(self._count, *self._counted, offset))
        return self._counted[1]

    def _count(self, start: int, lines: int, end: int) -> int:
        try:
            with self._path.open("rb") as file:
                file.seek(start)
                while start < end and (chunk := file.read(min(CHUNK, end - start))):
                    lines += chunk.count(b"\n")
                    start += len(chunk)
        except OSError as error:
            raise unreadable(self._file.name, error) from error
        return lines

    async def _chunks(self, start: int, end: int | None) -> AsyncGenerator[bytes, None]:
        stop = self._state.size if end is None else end
        try:
            async with aiofiles.open(self._path, "rb", buffering=0, opener=_without_waiting) as file:
                descriptor = file.fileno()
                self._state.check(self._file.name, os.fstat(descriptor))
                await file.seek(start)
                ahead = asyncio.ensure_future(file.read(min(CHUNK, stop - start)))
                try:
                    while chunk := await asyncio.shield(ahead):
                        # The next chunk is read in aiofiles' thread while this one is split and sent.
                        start += len(chunk)
                        ahead = asyncio.ensure_future(file.read(min(CHUNK, stop - start)))
                        self._position += len(chunk)
                        self._state.check(self._file.name, os.fstat(descriptor))
                        yield chunk
                    self._state.check(self._file.name, os.fstat(descriptor))
                finally:
                    # The thread that reads ahead must be done with the file before it is closed.
                    await asyncio.wait([ahead])
                    ahead.exception()
        except OSError as error:
            raise unreadable(self._file.name, error) from error


class StandardInput(_Lines):
    """Standard input. Use ``open``. Nothing is read ahead of a load, as that would keep a stop waiting."""

    def __init__(self, file: InputFile, reader: asyncio.StreamReader | None) -> None:
        super().__init__(file)
        self._reader = reader

    @classmethod
    async def open(cls, file: InputFile) -> StandardInput:
        """Raises SourceError if standard input is closed or cannot be read."""
        try:
            mode = os.fstat(sys.stdin.fileno()).st_mode
        except (OSError, ValueError, AttributeError) as error:
            raise SourceError("standard input is closed", "Pipe or redirect payloads into it") from error
        reader = None
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or sys.stdin.isatty():
            # Read without a thread, so that a stop need not wait for the writer. The loop takes no other kind of file
            # here (uvloop aborts the process on /dev/null).
            reader = asyncio.StreamReader(limit=CHUNK)
            await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
            )
        return cls(file, reader)

    @property
    def identity(self) -> SourceIdentity:
        # No digest: how much a pipe gives at once differs from run to run. The ledger's checksums tell other content.
        return SourceIdentity(self._file.name, self._file.format, None, "", repeatable=False)

    async def _read(self) -> bytes:
        if self._reader is not None:
            return await self._reader.read(CHUNK)
        try:
            return await asyncio.to_thread(os.read, sys.stdin.fileno(), CHUNK)
        except OSError as error:
            raise unreadable("standard input", error) from error

    def cuts(self, size: int) -> list[int]:
        return []

    async def _lines_before(self, offset: int) -> int:
        return 0  # it is one piece, from 0

    async def _chunks(self, start: int, end: int | None) -> AsyncGenerator[bytes, None]:
        while chunk := await self._read():
            self._position += len(chunk)
            yield chunk

"""Sources of JSON lines: a file, or standard input."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing

import aiofiles

from loader.errors import SourceError
from loader.sources.base import SourceIdentity
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

    def record_name(self, raw: RawBatch, index: int) -> str:
        return self._file.name

    def _chunks(self) -> AsyncGenerator[bytes, None]:
        raise NotImplementedError

    async def batches(self, batch_size: int, max_record_bytes: int) -> AsyncGenerator[RawBatch, None]:
        batcher = LineBatcher(batch_size, max_record_bytes)
        inflater = GzipInflater(self._file.name) if self._file.gzipped else None
        async with aclosing(self._chunks()) as chunks:
            async for chunk in chunks:
                if inflater is None and self._position == len(chunk) and chunk.startswith(GZIP_MAGIC):
                    inflater = GzipInflater(self._file.name)  # no JSON begins like this
                for piece in (chunk,) if inflater is None else inflater.feed(chunk):
                    for batch in batcher.feed(piece):
                        yield batch
        if inflater is not None and self._position:
            inflater.finish()
        for batch in batcher.finish():
            yield batch


class LinesFile(_Lines):
    """A file of JSON lines, plain or gzipped."""

    def __init__(self, file: InputFile) -> None:
        super().__init__(file)
        assert file.path is not None  # noqa: S101 - for the type checker
        self._path = file.path
        self._state: FileState = fingerprint(file.name, file.path)

    @property
    def identity(self) -> SourceIdentity:
        return SourceIdentity(self._file.name, self._file.format, self._state.size, self._state.digest)

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        try:
            async with aiofiles.open(self._path, "rb", buffering=0) as file:
                descriptor = file.fileno()
                self._state.check(self._file.name, os.fstat(descriptor))
                ahead = asyncio.ensure_future(file.read(CHUNK))
                try:
                    while chunk := await asyncio.shield(ahead):
                        # The next chunk is read in aiofiles' thread while this one is split and sent.
                        ahead = asyncio.ensure_future(file.read(CHUNK))
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
    """Standard input, peeked at for its fingerprint. Use ``open``."""

    def __init__(self, file: InputFile, reader: asyncio.StreamReader | None, head: bytes) -> None:
        super().__init__(file)
        self._reader = reader
        self._head = head

    @classmethod
    async def open(cls, file: InputFile) -> StandardInput:
        """Raises SourceError if standard input is closed or cannot be read."""
        try:
            mode = os.fstat(sys.stdin.fileno()).st_mode
        except (OSError, ValueError, AttributeError) as error:
            raise SourceError("standard input is closed", "Pipe or redirect payloads into it") from error
        reader = None
        if not stat.S_ISREG(mode):
            # A pipe is read without a thread, so that a stop need not wait for its writer.
            reader = asyncio.StreamReader(limit=CHUNK)
            await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
            )
        source = cls(file, reader, b"")
        source._head = await source._read()
        return source

    @property
    def identity(self) -> SourceIdentity:
        digest = hashlib.blake2b(self._head[:4096], digest_size=16).hexdigest()
        return SourceIdentity(self._file.name, self._file.format, None, digest, repeatable=False)

    async def _read(self) -> bytes:
        if self._reader is not None:
            return await self._reader.read(CHUNK)
        try:
            return await asyncio.to_thread(os.read, sys.stdin.fileno(), CHUNK)
        except OSError as error:
            raise unreadable("standard input", error) from error

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        chunk = self._head
        while chunk:
            self._position += len(chunk)
            yield chunk
            chunk = await self._read()

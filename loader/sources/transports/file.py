"""The bytes of a file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING, Self

import aiofiles

from loader.sources.base import SourceIdentity
from loader.sources.fingerprint import FileState, fingerprint, unreadable
from loader.sources.transports.transport import CHUNK

if TYPE_CHECKING:
    from loader.sources.format import InputFile


class StoredFile:
    """A file that must not change while it is read. Its fingerprint is read here, which may take a moment.

    Raises:
        SourceError: The file cannot be read, or is not a regular file.
    """

    def __init__(self, name: str, path: Path) -> None:
        self._name = name
        self._state: FileState = fingerprint(name, path)
        self.path = path

    @classmethod
    def of(cls, file: InputFile) -> Self:
        """The file of an input that is not standard input."""
        assert file.path is not None  # noqa: S101 - for the type checker
        return cls(file.name, file.path)

    @property
    def size(self) -> int:
        """The size in bytes, as stored."""
        return self._state.size

    def identity(self, form: str) -> SourceIdentity:
        return SourceIdentity(self._name, form, self._state.size, self._state.digest)

    def check(self, now: os.stat_result) -> None:
        """Raises SourceChangedError if the file has been written to since."""
        self._state.check(self._name, now)

    async def chunks(self, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        stop = self._state.size if end is None else end
        try:
            async with aiofiles.open(self.path, "rb", buffering=0, opener=_without_waiting) as file:
                descriptor = file.fileno()
                self.check(os.fstat(descriptor))
                await file.seek(start)
                ahead = asyncio.ensure_future(file.read(min(CHUNK, stop - start)))
                try:
                    while chunk := await asyncio.shield(ahead):
                        # aiofiles' thread reads the next chunk while this chunk is split and sent.
                        start += len(chunk)
                        ahead = asyncio.ensure_future(file.read(min(CHUNK, stop - start)))
                        self.check(os.fstat(descriptor))
                        yield chunk
                    self.check(os.fstat(descriptor))
                finally:
                    # The thread must have finished reading before the file is closed.
                    await asyncio.wait([ahead])
                    ahead.exception()
        except OSError as error:
            raise unreadable(self._name, error) from error


def _without_waiting(path: str, flags: int) -> int:
    """Opens a file without blocking, even if a FIFO has replaced it. The next check then refuses the FIFO."""
    return os.open(path, flags | os.O_NONBLOCK)

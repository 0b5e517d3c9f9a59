"""The bytes of standard input."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections import deque
from collections.abc import AsyncGenerator

from loader.errors import SourceError
from loader.sources.base import SourceIdentity
from loader.sources.fingerprint import unreadable
from loader.sources.transports.transport import CHUNK


class StandardInput:
    """Standard input. Use ``open``."""

    def __init__(self, name: str, reader: asyncio.StreamReader | None) -> None:
        self._name = name
        self._reader = reader
        self._ahead: deque[bytes] = deque()
        self._ended = False

    @classmethod
    async def open(cls, name: str) -> StandardInput:
        """Raises SourceError if standard input is closed or cannot be read."""
        try:
            mode = os.fstat(sys.stdin.fileno()).st_mode
        except (OSError, ValueError, AttributeError) as error:
            raise SourceError("standard input is closed", "Pipe or redirect payloads into it") from error
        reader = None
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or sys.stdin.isatty():
            # Read without a thread, so that a stop need not wait for the writer. The event loop does not support other
            # kinds of files here (uvloop aborts the process on /dev/null).
            reader = asyncio.StreamReader(limit=CHUNK)
            await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
            )
        return cls(name, reader)

    def identity(self, form: str) -> SourceIdentity:
        # No digest: the sizes of a pipe's chunks differ from run to run. The ledger's checksums detect other content.
        return SourceIdentity(self._name, form, None, "", repeatable=False)

    async def read_ahead(self, seconds: float | None = None) -> bytes | None:
        """Reads the next bytes, which ``chunks`` will return too; none at the end.

        Args:
            seconds: How long to wait for the writer. None is returned after that.

        Raises:
            SourceError: Standard input cannot be read.
        """
        if self._reader is None or seconds is None:
            chunk = await self._read()
        else:
            try:
                chunk = await asyncio.wait_for(self._read(), seconds)
            except TimeoutError:
                return None
        self._ahead.append(chunk)
        return chunk

    async def _read(self) -> bytes:
        if self._ended:  # a terminal would wait again
            return b""
        chunk = await self._reader.read(CHUNK) if self._reader is not None else await asyncio.to_thread(_read_file)
        self._ended = not chunk
        return chunk

    async def chunks(self, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        assert start == 0 and end is None  # noqa: S101, PT018 - this source has no cuts
        while chunk := self._ahead.popleft() if self._ahead else await self._read():
            yield chunk


def _read_file() -> bytes:
    try:
        return os.read(sys.stdin.fileno(), CHUNK)
    except OSError as error:
        raise unreadable("standard input", error) from error

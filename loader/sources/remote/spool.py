"""Private copies of remote input that has no ETag, or that is not read from its beginning to its end."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Self

from loader.errors import SourceError
from loader.sources.remote.remote_file import TRIES, RemoteFile, ahead, pause
from loader.sources.remote.site import LostError, not_reached

_TOLD_FROM = 64 * 1024 * 1024
"""Bytes of a copy that is told, because it takes a while and disk."""

log = logging.getLogger("runqy_loader")


class Spool:
    """A folder of copies, which only this user can read. It is deleted at the end, also after an error.

    Only a process that is killed leaves it: in the folder for temporary files, as ``runqy-loader-copies-…``.
    """

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._copies = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    async def copy(self, file: RemoteFile) -> Path:
        """A copy of an object, complete and of one content.

        Without an ETag, a copy that is cut off is made anew from the beginning.

        Raises:
            SourceError: The object cannot be read, or there is no room for it.
        """
        size = file.state.size
        try:
            path = self._next()
            self._require_room(file.name, size)
            if size is not None and size >= _TOLD_FROM:
                log.info("copying %s (%.1f MB) to %s", file.name, size / 1e6, path)
            if file.state.is_pinned:
                await _write(path, file.chunks)
            else:
                await self._again_and_again(file, path)
        except OSError as error:
            raise SourceError(
                f"{file.name} cannot be copied to {tempfile.gettempdir()}: {error.strerror or error}",
                "It needs as much room there as it has bytes; TMPDIR names another folder",
            ) from error
        return path

    def _next(self) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="runqy-loader-copies-")
        self._copies += 1
        return Path(self._folder.name) / str(self._copies)

    def _require_room(self, name: str, size: int | None) -> None:
        assert self._folder is not None  # noqa: S101 - _next() has made it
        free = shutil.disk_usage(self._folder.name).free
        if size is not None and size > free:
            raise SourceError(
                f"{name} has {size:,} bytes, and {tempfile.gettempdir()} has room for {free:,}",
                "It is copied before it is read; TMPDIR names another folder",
            )

    async def _again_and_again(self, file: RemoteFile, path: Path) -> None:
        for failures in range(1, TRIES + 1):
            try:
                found = await _write(path, lambda: ahead(file.site.read(file.key, 0, None, file.state)))
                _require_size(file.state.size, found)
            except LostError as lost:
                if failures == TRIES:
                    raise not_reached(file.name, f"{lost}, {TRIES} times") from lost
                await pause(failures)
            else:
                return


def _require_size(size: int | None, found: int) -> None:
    if size is not None and found != size:
        raise LostError(f"{found} bytes have come, not {size}")


async def _write(path: Path, pieces: Callable[[], AsyncGenerator[bytes, None]]) -> int:
    """Writes a file anew. Returns its size."""
    descriptor = await asyncio.to_thread(os.open, path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    size = 0
    try:
        async with aclosing(pieces()) as coming:
            async for piece in coming:
                await asyncio.to_thread(_write_all, descriptor, piece)
                size += len(piece)
    finally:
        os.close(descriptor)
    return size


def _write_all(descriptor: int, piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[os.write(descriptor, left) :]

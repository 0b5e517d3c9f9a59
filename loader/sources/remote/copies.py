"""Makes private copies of remote input that has no ETag, or that is not read from its beginning to its end."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any

from loader.errors import SourceError
from loader.outputs.temporary_folder import temporary_folder
from loader.sources.remote.remote_file import TRIES, RemoteFile, ahead, pause
from loader.sources.remote.site import LostError, not_reached
from loader.sources.remote.spool import Spool

_TOLD_FROM = 64 * 1024 * 1024
"""Bytes of a copy that is told, because it takes a while and disk."""

log = logging.getLogger("runqy_loader")


async def copy(file: RemoteFile, spool: Spool) -> Path:
    """A copy of an object, complete and of one content.

    Without an ETag, a copy that is cut off is made anew from the beginning.

    Raises:
        SourceError: The object cannot be read, or there is no room for it.
    """
    size, path, complete = file.state.size, None, False
    try:
        path = spool.next_path()
        _require_room(file.name, size, path.parent)
        if size is not None and size >= _TOLD_FROM:
            log.info("copying %s (%.1f MB) to %s", file.name, size / 1e6, path)
        if file.state.is_pinned:
            await _write(path, file.chunks)
        else:
            await _again_and_again(file, path)
        complete = True
    except OSError as error:
        raise SourceError(
            f"{file.name} cannot be copied to {temporary_folder()}: {error.strerror or error}",
            "It needs as much room there as it has bytes; TMPDIR names another folder",
        ) from error
    finally:
        if not complete and path is not None:
            path.unlink(missing_ok=True)  # its room is for the other copies
    return path


def _require_room(name: str, size: int | None, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if size is not None and size > free:
        raise SourceError(
            f"{name} has {size:,} bytes, and {temporary_folder()} has room for {free:,}",
            "It is copied before it is read; TMPDIR names another folder",
        )


async def _again_and_again(file: RemoteFile, path: Path) -> None:
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
                await _finished(asyncio.to_thread(_write_all, descriptor, piece))
                size += len(piece)
    finally:
        os.close(descriptor)
    return size


async def _finished(work: Coroutine[Any, Any, None]) -> None:
    """Runs work to its end, also if this is cancelled: the thread must not write after the file is closed."""
    running = asyncio.ensure_future(work)
    try:
        await asyncio.shield(running)
    finally:
        await asyncio.wait([running])


def _write_all(descriptor: int, piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[os.write(descriptor, left) :]

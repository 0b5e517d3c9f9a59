"""A folder for one file a shard: prepared by the driver of a load, written by its workers.

A worker may have another folder under the same path, such as one of its own disk, and what is written there would not
be found. So the driver puts a marker into the folder, and a worker writes only where it sees the marker.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from loader.errors import UsageError
from loader.outputs.names import WRITTEN
from loader.outputs.place import absolute_place, is_url

_PART = ".part"
_MODE = 0o600
"""Records are not for other users; the command has a umask for that, and a Dask worker has its own."""


@asynccontextmanager
async def folders_ready(places: Sequence[str], job: str, token: str) -> AsyncIterator[None]:
    """Has the folders among some places ready for workers, which may write there during the block.

    Raises:
        UsageError: The driver cannot make such a folder, or cannot write there.
    """
    folders = [Path(absolute_place(place)) for place in dict.fromkeys(places) if not is_url(place)]
    try:
        for folder in folders:
            await asyncio.to_thread(_prepare, folder, job, token)
        yield
    finally:
        for folder in folders:
            await asyncio.to_thread(_tidy, folder, job, token)


def _prepare(folder: Path, job: str, token: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _marker(folder, job).write_text(token)
    except OSError as error:
        raise UsageError(
            f"the folder {folder} cannot be written: {error.strerror}",
            "Name a folder that the driver of the load and every worker see under the same path, and may write",
        ) from error
    _remove_parts(folder, job)


def _tidy(folder: Path, job: str, token: str) -> None:
    """Removes the marker, and what killed workers have left, unless another run has taken the job over."""
    with suppress(OSError):
        if _marker(folder, job).read_text() == token:
            _marker(folder, job).unlink(missing_ok=True)
            _remove_parts(folder, job)


def _remove_parts(folder: Path, job: str) -> None:
    """Removes files of the job that have not got their names. Their runs, if they live, are taken over."""
    of_job = re.compile(rf"\.{re.escape(job)}-\d+({'|'.join(map(re.escape, WRITTEN))})\.[^.]+{re.escape(_PART)}")
    for path in folder.iterdir():
        if of_job.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _marker(folder: Path, job: str) -> Path:
    return folder / f".runqy-loader-{job}"


class Folder:
    """The folder, as a worker sees it.

    Args:
        process: A name that no other process of the load has.
    """

    def __init__(self, place: str, job: str, token: str, process: str) -> None:
        self._path = Path(place)
        self._job = job
        self._token = token
        self._process = process

    async def prove(self) -> None:
        """Raises OSError if the driver's folder is not here, or cannot be written."""
        await asyncio.to_thread(self._prove)

    def _prove(self) -> None:
        marker = _marker(self._path, self._job)
        if not marker.exists() or marker.read_text() != self._token:
            raise FileNotFoundError(errno.ENOENT, "this is not the folder that the driver of the load has there")
        probe = self._path / f".runqy-loader-{self._process}"
        probe.write_bytes(b"")
        probe.unlink(missing_ok=True)

    async def put(self, name: str, content: bytes, *, replace: bool) -> None:
        """Writes a file: all of it, or nothing under its name.

        Args:
            replace: Whether it takes the place of one that is there; otherwise that one stays.

        Raises:
            OSError: It cannot be written.
        """
        await asyncio.to_thread(self._put, name, content, replace)

    def _put(self, name: str, content: bytes, replace: bool) -> None:
        path, part = self._path / name, self._path / f".{name}.{self._process}{_PART}"
        try:
            part.touch(mode=_MODE)
            part.write_bytes(content)
            if replace:
                part.replace(path)
            elif not path.exists():
                _name_if_free(part, path)
        finally:
            part.unlink(missing_ok=True)


def _name_if_free(part: Path, path: Path) -> None:
    try:
        os.link(part, path)
    except FileExistsError:
        return
    except OSError:  # no links on this file system
        part.replace(path)

"""The ids file of a load (``--ids-out``): the id and the queue of every task that is in, one line each."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from loader.errors import LoaderError

HEADER = b"# runqy-loader ids:"
"""Begins the first line, which goes on with ``NAME=VALUE`` pairs: ``job`` and, where it is known, ``layout``."""

_WRITE_BYTES = 256 * 1024
_WRITE_SECONDS = 1.0
_MOST_UNWRITTEN = 8 * 1024 * 1024


def begin_ids_file(path: Path, job: str, layout: str | None) -> str:
    """Makes the file, or empties it, and writes its header; its absolute path.

    A run writes the file anew: the batches that are in already as it passes them over, the others as they are
    acknowledged. So after a completed run each task is in it once, however often the job was stopped or killed.

    Raises:
        LoaderError: The file cannot be written.
    """
    pairs = f"job={job}" + (f" layout={layout}" if layout else "")
    try:
        path.write_bytes(HEADER + f" {pairs}\n".encode())
    except OSError as error:
        raise _unwritable(path, error) from error
    return str(path.absolute())


def append_ids(path: Path, batches: Iterable[tuple[str, Sequence[str]]]) -> None:
    """Appends ids that are known otherwise: queue and ids of each batch.

    Raises:
        LoaderError: The file cannot be written.
    """
    try:
        with path.open("ab") as file:
            for queue, ids in batches:
                file.write("".join(f"{task_id}\t{queue}\n" for task_id in ids).encode())
    except OSError as error:
        raise _unwritable(path, error) from error


class IdsFile:
    """Appends ids; several processes may do so to one file, as each write holds whole lines.

    Args:
        path: A file that ``begin_ids_file`` has made.
        passed_over: Whether the ids of batches that were in already are to be added as they are passed over.
    """

    def __init__(self, path: Path, *, passed_over: bool = True) -> None:
        self.passed_over = passed_over
        self._path = path
        self._descriptor: int | None = None
        self._parts: list[bytes] = []
        self._unwritten = 0
        self._written_at = time.monotonic()
        self._writing: asyncio.Task[None] | None = None

    def add(self, queue: str, id_prefix: bytes, ids: Sequence[bytes], skipped: Collection[int]) -> None:
        """Notes tasks that are in.

        Hot path: one join a batch, 25 ns a task; a thread writes what has gathered. See ``settle``.

        Args:
            queue: Full name of their queue.
            id_prefix: Beginning of all ids; may be empty.
            ids: What follows the prefix, one a task.
            skipped: Positions of tasks that are not in.
        """
        if skipped:
            ids = [task_id for position, task_id in enumerate(ids) if position not in skipped]
        if not ids:
            return
        tail = b"\t%b\n" % queue.encode()
        part = b"".join((id_prefix, (tail + id_prefix).join(ids), tail))
        self._parts.append(part)
        self._unwritten += len(part)

    async def settle(self) -> None:
        """Has what has gathered written, and waits only where writing cannot keep up.

        Raises:
            LoaderError: The file cannot be written.
        """
        if self._writing is not None and (self._writing.done() or self._unwritten > _MOST_UNWRITTEN):
            await self._finish()
        due = self._unwritten >= _WRITE_BYTES or time.monotonic() - self._written_at > _WRITE_SECONDS
        if self._writing is None and self._parts and due:
            self._begin()

    async def close(self) -> None:
        """Writes the rest. Raises LoaderError if that cannot be done."""
        try:
            await self._finish()
            if self._parts:
                self._begin()
                await self._finish()
        finally:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _begin(self) -> None:
        data = b"".join(self._parts)
        self._parts.clear()
        self._unwritten = 0
        self._written_at = time.monotonic()
        self._writing = asyncio.create_task(asyncio.to_thread(self._write, data))

    async def _finish(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            await writing

    def _write(self, data: bytes) -> None:
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            raise _unwritable(self._path, error) from error


def _unwritable(path: Path, error: OSError) -> LoaderError:
    return LoaderError(
        f"the ids file {path} cannot be written: {error.strerror}",
        "What is loaded stays; the same command again writes the file anew",
    )

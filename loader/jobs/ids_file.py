"""The ids file of a load (``--ids-out``): the id and the queue of every task that is in, one line each."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from loader.errors import LoaderError
from loader.jobs.proof import Proof
from loader.outputs.gzip import as_stored

HEADER = b"# runqy-loader ids:"
"""The beginning of the first line. ``NAME=VALUE`` pairs follow: ``job`` and, if it is known, ``layout``."""

_WRITE_BYTES = 256 * 1024
_WRITE_SECONDS = 1.0
_MOST_UNWRITTEN = 8 * 1024 * 1024


def header(job: str, layout: str | None) -> bytes:
    """The first line."""
    pairs = f"job={job}" + (f" layout={layout}" if layout else "")
    return HEADER + f" {pairs}\n".encode()


def begin_ids_file(path: Path, job: str, layout: str | None) -> str:
    """Creates or empties the file, and writes its header. Returns its absolute path.

    Each run writes the file again: batches that are in already when it skips them, the others when they are
    acknowledged. So after a completed run, each task is in the file once, even if the job was stopped or killed before.
    A run that was suspended and taken over still has the old file open, and must not write into this one. So the file
    is created anew, where the folder allows that.

    Raises:
        LoaderError: The file cannot be written.
    """
    try:
        mode = _remove(path)
        path.write_bytes(as_stored(path, header(job, layout)))
        if mode is not None:
            path.chmod(mode)
    except OSError as error:
        raise _unwritable(path, error) from error
    return str(path.absolute())


def _remove(path: Path) -> int | None:
    """Removes a regular file, or the one that a link leads to. Returns its mode; None if it stays."""
    target = Path(os.path.realpath(path))
    if not target.is_file():
        return None
    mode = stat.S_IMODE(target.stat().st_mode)
    try:
        target.unlink()
    except OSError:
        return None
    return mode


def id_lines(queue: str, id_prefix: bytes, ids: Sequence[bytes], skipped: Collection[int]) -> bytes:
    """The lines of tasks that are in; see ``IdsFile.add``."""
    if skipped:
        ids = [task_id for position, task_id in enumerate(ids) if position not in skipped]
    if not ids:
        return b""
    tail = b"\t%b\n" % queue.encode()
    return b"".join((id_prefix, (tail + id_prefix).join(ids), tail))


def append_ids(path: Path, batches: Iterable[tuple[str, Sequence[str]]]) -> None:
    """Appends ids from another place, such as the journal: the queue and the ids of each batch.

    Raises:
        LoaderError: The file cannot be written.
    """
    try:
        with path.open("ab") as file:
            for queue, ids in batches:
                file.write(as_stored(path, "".join(f"{task_id}\t{queue}\n" for task_id in ids).encode()))
    except OSError as error:
        raise _unwritable(path, error) from error


class Ids(Protocol):
    """Where the ids of tasks that are in go."""

    @property
    def passed_over(self) -> bool:
        """Whether to add the ids of batches that were in already, when these batches are skipped."""
        ...

    async def open(self) -> None: ...

    def add(self, queue: str, id_prefix: bytes, ids: Sequence[bytes], skipped: Collection[int]) -> None:
        """Notes tasks that are in; see ``IdsFile.add``."""
        ...

    async def settle(self) -> None:
        """Waits if too many are noted and not written yet."""
        ...

    async def close(self) -> None: ...


class IdsFile:
    """Appends ids. Several processes may append to one file, because each write has only complete lines.

    Args:
        path: A file that ``begin_ids_file`` has made.
        proof: That this run may write.
        passed_over: Whether to add the ids of batches that were in already, when these batches are skipped.
    """

    def __init__(self, path: Path, proof: Proof | None = None, *, passed_over: bool = True) -> None:
        self.passed_over = passed_over
        self._path = path
        self._proof = proof or Proof()
        self._descriptor: int | None = None
        self._parts: list[bytes] = []
        self._unwritten = 0
        self._written_at = time.monotonic()
        self._writing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Opens the file, and then makes sure that it is this run's: a run that takes over later creates its own.

        Raises:
            LoaderError: The file cannot be written, or another run has taken over.
        """
        try:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        except OSError as error:
            raise _unwritable(self._path, error) from error
        try:
            await self._proof.renew()
        except BaseException:
            os.close(self._descriptor)
            self._descriptor = None
            raise

    def add(self, queue: str, id_prefix: bytes, ids: Sequence[bytes], skipped: Collection[int]) -> None:
        """Notes tasks that are in.

        Hot path: one join a batch, 25 ns a task. A thread writes the collected lines; see ``settle``.

        Args:
            queue: Full name of their queue.
            id_prefix: Beginning of all ids; may be empty.
            ids: The rest of each id, after the prefix; one a task.
            skipped: Positions of tasks that are not in.
        """
        self.add_lines(id_lines(queue, id_prefix, ids, skipped))

    def add_lines(self, lines: bytes) -> None:
        """Notes tasks that are in, as lines of the file."""
        if lines:
            self._parts.append(lines)
            self._unwritten += len(lines)

    async def settle(self) -> None:
        """Starts writing the collected lines. Waits only if writing cannot keep up.

        Raises:
            LoaderError: The file cannot be written.
        """
        if self._writing is not None and (self._writing.done() or self._unwritten > _MOST_UNWRITTEN):
            await self._finish()
        due = self._unwritten >= _WRITE_BYTES or time.monotonic() - self._written_at > _WRITE_SECONDS
        if self._writing is None and self._parts and due:
            self._begin()

    async def close(self) -> None:
        """Writes the rest. Raises LoaderError if the file cannot be written."""
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
        if (writing := self._writing) is None:
            return
        await asyncio.wait([writing])  # it goes on if whoever waits is cancelled: a worker that has lost a connection
        if self._writing is writing:
            self._writing = None
        writing.result()

    def _write(self, data: bytes) -> None:
        assert self._descriptor is not None  # noqa: S101 - open() has set it
        try:
            rest = memoryview(as_stored(self._path, data))
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            raise _unwritable(self._path, error) from error


def _unwritable(path: Path, error: OSError) -> LoaderError:
    return LoaderError(
        f"the ids file {path} cannot be written: {error.strerror}",
        "Loaded tasks stay loaded; run the same command again to write the file anew",
    )

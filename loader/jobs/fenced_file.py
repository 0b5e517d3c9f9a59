"""A file that the runs of a job append to, one after the other.

A run may be suspended at any point, and another run may take its job over meanwhile. When it wakes up, it must not
append any more. So it locks the file for each write (``flock``), and within the lock it looks whether it was suspended
since the server last told that the job is its own. That counts for a moment, in which another run can take over if this
one's connections are lost. So a run that resumes a job goes on with a copy of the file, and late writes to the old one
get lost. A run opens the file before it asks the server whether the job is its own: what it has open is no later copy.

Where no copy can be made, a run that takes over waits for the lock once, and goes on with the file.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from loader.jobs.proof import Proof
from loader.outputs.lines import repair_lines

_LOCK_SECONDS = 1.0
"""For how long a lock is waited for. A write takes less than a millisecond, unless its process is suspended."""

_POLL_SECONDS = 0.002

_RENEWALS = 3
"""After so many renewals, a write goes on without a fresh proof: the server is so far away that none stays fresh."""


class FencedFile:
    """Appends to a file, which is opened at first use.

    Several processes of a run may append to one file: each piece is one write, as long as the disk is not full.
    """

    def __init__(self, path: Path, proof: Proof) -> None:
        self._path = path
        self._proof = proof
        self._descriptor: int | None = None

    async def append(self, data: bytes) -> None:
        """Appends to the file.

        Raises:
            OSError: The file cannot be written.
            JobBusyError: Another run has taken the job over. Nothing is written.
            LoaderError: It cannot be known whether another run has taken over. Nothing is written.
        """
        if self._descriptor is None:
            await asyncio.to_thread(self._open)
            await self._proof.renew()
        for _ in range(_RENEWALS):
            if await asyncio.to_thread(self._append, data, self._proof.holds):
                return
            await self._proof.renew()
        await asyncio.to_thread(self._append, data, lambda: True)

    def _open(self) -> None:
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)

    def _append(self, data: bytes, holds: Callable[[], bool]) -> bool:
        assert self._descriptor is not None  # noqa: S101 - append() has opened it
        with _locked(self._descriptor):
            if not holds():
                return False
            rest = memoryview(data)
            while rest:  # a disk that fills up may accept only a part
                rest = rest[os.write(self._descriptor, rest) :]
        return True

    def close(self) -> None:
        """Closes the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def begin_file(path: Path | None, *, resumed: bool = False) -> None:
    """Prepares a file for a run that has the job's lease, before its first process appends to the file.

    Waits for another run's last write, and repairs the last line; see ``repair_lines``.

    Args:
        path: The file; it need not exist.
        resumed: Whether an earlier run of the job may still write to it.
    """
    if path is None or not path.is_file():
        return
    with suppress(OSError):  # the first line that is appended meets the same error, and it is told then
        descriptor = os.open(path, os.O_RDWR)
        try:
            with _locked(descriptor) as is_locked:
                if resumed or not is_locked:
                    _replace_by_copy(path)
                repair_lines(path)
        finally:
            os.close(descriptor)


def _replace_by_copy(path: Path) -> None:
    target = Path(os.path.realpath(path))
    copy = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        shutil.copy(target, copy)
        copy.replace(target)
    except OSError:  # no room, or no right to make a file here
        with suppress(OSError):
            copy.unlink()


@contextmanager
def _locked(descriptor: int) -> Iterator[bool]:
    """Locks a file during the block. Whether it is locked: some file systems have no locks, and one may be kept."""
    deadline = time.monotonic() + _LOCK_SECONDS
    is_locked = True
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                is_locked = False
                break
            time.sleep(_POLL_SECONDS)
        except OSError:  # no locks here: then none is kept either
            break
    try:
        yield is_locked
    finally:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)

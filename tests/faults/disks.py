"""A disk of our own that is full: a small tmpfs. Mounting it takes root's rights."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fault_counts import Fault, count

PAGE = 4096
"""Bytes; room is given in pages."""


class Disk:
    """A file system of 4 MiB and 40 files.

    Attributes:
        folder: Where it is mounted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self, *, but: int = 0) -> None:
        """Leaves so many bytes, in whole pages."""
        with self._ballast.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(PAGE))
            except OSError:
                pass
            file.truncate(max(0, file.tell() - but))
        count(Fault.FULL_DISK)

    def free(self) -> None:
        """Makes room."""
        self._ballast.unlink()


@contextmanager
def small_disk(folder: Path, size: str = "4m") -> Iterator[Disk]:
    """Mounts it in a new folder during the block. Skips the test where mounting is not allowed."""
    folder.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o", f"size={size},nr_inodes=40", "tmpfs", folder)
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no command `mount`")
    if done.returncode:
        pytest.skip(f"a file system of our own cannot be mounted, which takes root's rights: {done.stderr.strip()}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(("umount", "-l", folder), check=True)

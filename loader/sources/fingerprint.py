"""The state of a file when the job began: size, time and digest. It prevents a resume with other input."""

from __future__ import annotations

import hashlib
import os
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path

from loader.errors import SourceChangedError, SourceError
from loader.sources.base import printable

WHOLE_BELOW = 64 * 1024 * 1024
"""The digest of a file up to this size (bytes) covers all its bytes; that of a larger file covers samples.

The ledger's checksums cover the rest.
"""

_SAMPLES = 64
_SAMPLE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class FileState:
    """The size of a file in bytes, its modification time in nanoseconds, and the digest of its content (hex)."""

    size: int
    mtime_ns: int
    digest: str

    def check(self, name: str, now: os.stat_result) -> None:
        """Raises SourceChangedError if the file has been written to since."""
        if now.st_size != self.size or now.st_mtime_ns != self.mtime_ns:
            raise SourceChangedError(
                f"{name} was changed while it was being loaded (it had {self.size} bytes, now {now.st_size})",
                "Loaded batches stay loaded. Put the old content back to resume this job, or load a finished copy",
            )


def fingerprint(name: str, path: Path) -> FileState:
    """Reads the state of a file.

    Raises:
        SourceError: The file cannot be opened or read, or is not a regular file.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise not_regular(name, path)
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
            digest = hashlib.blake2b(str(state.st_size).encode(), digest_size=16)
            if state.st_size <= WHOLE_BELOW:
                while chunk := file.read(1024 * 1024):
                    digest.update(chunk)
            else:
                for index in range(_SAMPLES):
                    file.seek((state.st_size - _SAMPLE_BYTES) * index // (_SAMPLES - 1))
                    digest.update(file.read(_SAMPLE_BYTES))
    except OSError as error:
        raise unreadable(name, error) from error
    return FileState(state.st_size, state.st_mtime_ns, digest.hexdigest())


def not_regular(name: str, path: Path) -> SourceError:
    return SourceError(
        f"{name} is not a regular file", f"Pipe it in: runqy-loader load - < {shlex.quote(printable(str(path)))}"
    )


def unreadable(name: str, error: OSError) -> SourceError:
    return SourceError(f"{name} cannot be read: {error.strerror or error}", "Check that it exists and your permissions")

"""Gzip for files that a run writes. Files that are appended to hold one gzip member for each write.

RFC 1952 allows any number of members in a file, and every reader takes them as one stream. A member that a crash has
cut short can be removed without touching those before it.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, cast

from loader.errors import UsageError
from loader.outputs.names import is_gzip

_GZIP_WRAPPER = 16 + zlib.MAX_WBITS
_READ_BYTES = 1024 * 1024


def as_stored(path: Path, data: bytes) -> bytes:
    """The bytes to append to a file for this data: the data, or a gzip member, as the file's name says."""
    if not data or not is_gzip(path):
        return data
    from isal import igzip  # imported here: few loads need it

    return igzip.compress(data, mtime=0)


def open_stored(path: Path) -> IO[bytes]:
    """Opens a file to read the data in it, decompressed if its name says so.

    Raises:
        OSError: It cannot be opened. While reading: it is no gzip file (``gzip.BadGzipFile``), or is damaged.
        EOFError: While reading: it ends within a gzip member.
    """
    if not is_gzip(path):
        return path.open("rb")
    from isal import igzip

    return cast(IO[bytes], igzip.open(path, "rb"))  # type: ignore[no-untyped-call]


def open_stream(path: Path, file: BinaryIO) -> BinaryIO:
    """A stream that writes data into an open file, compressed if the file's name says so.

    To close it completes the gzip stream, and leaves the file open.
    """
    if not is_gzip(path):
        return file
    from isal import igzip

    return cast(BinaryIO, igzip.IGzipFile("", "wb", fileobj=file, mtime=0))  # type: ignore[no-untyped-call]


def cut_incomplete_member(path: Path) -> None:
    """Removes the last member of a gzip file if it is not complete, as after a crash.

    Raises:
        OSError: The file cannot be read or written, or holds something other than gzip members.
    """
    with path.open("rb+") as file:
        end = 0
        for end in _ends_of_members(file):  # noqa: B007 - only the last one counts
            pass
        if end < file.seek(0, os.SEEK_END):
            file.truncate(end)


def repair_gzip(path: Path | None, option: str) -> None:
    """Prepares a file for appending: removes an incomplete last member. To be called before a run's first process.

    Args:
        path: The file, of any name; it need not exist.
        option: The option that names it, for errors.

    Raises:
        UsageError: The file is not what its name says, or cannot be read.
    """
    if path is None or not is_gzip(path) or not path.is_file():
        return
    try:
        cut_incomplete_member(path)
    except OSError as error:
        raise UsageError(f"{option} {path}: {error.strerror}", "Name a new file, or one of an earlier run") from error


def _ends_of_members(file: IO[bytes]) -> Iterator[int]:
    """The position after each complete member."""
    member, read, fresh = zlib.decompressobj(_GZIP_WRAPPER), 0, True
    while chunk := file.read(_READ_BYTES):
        read += len(chunk)
        while chunk:
            try:
                member.decompress(chunk)
            except zlib.error as error:
                where = "is not gzip" if fresh and read <= _READ_BYTES else f"is damaged gzip ({error})"
                raise OSError(None, f"its content {where}") from error
            chunk, fresh = member.unused_data, False
            if member.eof:
                yield read - len(chunk)
                member = zlib.decompressobj(_GZIP_WRAPPER)

"""Sources of zip archives."""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator
from contextlib import aclosing, closing
from typing import TYPE_CHECKING

from loader.errors import SourceError
from loader.sources.archives.archive_source import ArchiveSource
from loader.sources.archives.member import Member
from loader.sources.base import one_line
from loader.sources.codecs.codec import DamagedError
from loader.sources.fingerprint import unreadable
from loader.sources.format import ARCHIVE, FileSource, Format
from loader.sources.read_ahead import read_ahead
from loader.sources.recognition.looks import ZIP

if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo

    from loader.sources.archives.members import MemberBatches

_PIECE = 1024 * 1024
_ENCRYPTED = 0x1
_UNIX = 3
_MANY = 256
"""Members and pieces to read in a thread at once, at most."""
_DAMAGED = (zlib.error, EOFError, IndexError, NotImplementedError, UnicodeDecodeError)
"""What zipfile raises for damaged bytes, beside ``BadZipFile``: a name that is no UTF-8, flags it does not know."""


class ZipSource(ArchiveSource):
    """The members of a zip archive, in the order of its central directory."""

    async def _contents(self, members: MemberBatches) -> AsyncGenerator[Iterable[Member | bytes], None]:
        async with aclosing(read_ahead(_together(self._parts(members)))) as contents:
            async for some in contents:
                yield some

    def _parts(self, members: MemberBatches) -> Generator[Member | bytes, None, None]:
        from zipfile import BadZipFile, ZipFile  # imported here: few loads need it

        name = self._file.name
        try:
            with self._stored.path.open("rb") as file:
                self._stored.check(os.fstat(file.fileno()))
                try:
                    archive = ZipFile(file)
                except (BadZipFile, *_DAMAGED) as error:
                    raise DamagedError(
                        f"{name} is not a whole zip archive ({error})", "It may be truncated: get a complete copy"
                    ) from error
                with archive:
                    for info in archive.infolist():
                        member = Member(info.filename, _what(info))
                        yield member
                        if members.is_input(member):
                            try:
                                yield from _content(archive, info, f"{name}:{one_line(info.filename)}")
                            except (BadZipFile, *_DAMAGED) as error:
                                raise DamagedError(
                                    f"{name}:{one_line(info.filename)} is damaged ({error})",
                                    "Get the archive again; all complete batches before the damage are loaded",
                                ) from error
                        self._position += info.compress_size
                        self._stored.check(os.fstat(file.fileno()))
                self._position = self._stored.size
        except OSError as error:
            raise unreadable(name, error) from error


def _together(parts: Generator[Member | bytes, None, None]) -> Generator[list[Member | bytes], None, None]:
    """The parts, several at a time: about a MiB. Those before an error come before it."""
    found: list[Member | bytes] = []
    size = 0
    with closing(parts):
        try:
            for part in parts:
                found.append(part)
                size += 0 if isinstance(part, Member) else len(part)
                if len(found) >= _MANY or size >= _PIECE:
                    yield found
                    found, size = [], 0
        except SourceError:
            if found:
                yield found
            raise
    if found:
        yield found


def _what(info: ZipInfo) -> str:
    if info.is_dir():
        return "folder"
    kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == _UNIX else 0
    if kind == stat.S_IFLNK:
        return "link"
    return "file" if kind in (0, stat.S_IFREG) else "special file"


def _content(archive: ZipFile, info: ZipInfo, name: str) -> Iterator[bytes]:
    """The pieces of a member, whose checksum is compared at its end."""
    from zipfile import ZIP_DEFLATED, ZIP_STORED

    if info.flag_bits & _ENCRYPTED:
        raise DamagedError(
            f"{name} is encrypted", "Take it out of the archive with its password, and load it by itself"
        )
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):  # zipfile reads others without a bound for memory
        raise DamagedError(
            f"{name} is compressed by method {info.compress_type}; only stored and deflated members are read",
            "Take it out of the archive, and load it by itself",
        )
    left = info.file_size
    with archive.open(info) as file:
        while piece := file.read(_PIECE):
            left -= len(piece)
            yield piece
    if left:
        raise EOFError(f"{left} bytes are missing")


def _of_files(source: FileSource) -> ZipSource:
    return ZipSource(source.files[0])


ZIP_ARCHIVE = Format(
    "zip",
    "a zip archive",
    (".zip",),
    _of_files,
    instead_of_stdin="Save it as a file: the list of its members is at its end",
    takes=frozenset({ZIP}),
    compressible=False,
    family=ARCHIVE,
)

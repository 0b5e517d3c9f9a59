"""Sources of tar archives, compressed or not."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING

from loader.sources.archives.archive_source import ArchiveSource
from loader.sources.archives.member import Member
from loader.sources.archives.tar_reader import TarReader
from loader.sources.codecs.content import Content
from loader.sources.format import ARCHIVE, FileSource, Format
from loader.sources.recognition.looks import TAR

if TYPE_CHECKING:
    from loader.sources.archives.members import MemberBatches


class TarSource(ArchiveSource):
    """The members of a tar archive, read in one go from its beginning to its end."""

    async def _contents(self, members: MemberBatches) -> AsyncGenerator[Iterable[Member | bytes], None]:
        content, reader = Content(self._file.name, self._file.codec), TarReader(self._file.name)
        async with aclosing(self._transport.chunks()) as chunks:
            async for chunk in chunks:
                self._position += len(chunk)
                yield _members(reader, content.feed(chunk))
        yield _members(reader, content.finish())
        reader.finish()


def _members(reader: TarReader, pieces: Iterable[bytes]) -> Iterator[Member | bytes]:
    for piece in pieces:
        yield from reader.feed(piece)


def _of_files(source: FileSource) -> TarSource:
    return TarSource(source.files[0])


TAR_ARCHIVE = Format(
    "tar",
    "a tar archive",
    (".tar", ".tgz", ".tbz2", ".txz", ".tzst"),
    _of_files,
    instead_of_stdin="Save it as a file, or take its members out: tar -xOf - | runqy-loader load - …",
    takes=frozenset({TAR}),
    family=ARCHIVE,
)

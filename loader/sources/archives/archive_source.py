"""A source of the records of all members of an archive."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING

from loader.sources.archives.member import Member
from loader.sources.base import Place, SourceIdentity
from loader.sources.batch import RawBatch
from loader.sources.format import InputFile
from loader.sources.transports.file import StoredFile

if TYPE_CHECKING:
    from loader.sources.archives.members import MemberBatches, MemberPlaces

log = logging.getLogger("runqy_loader")


class ArchiveSource:
    """Reads an archive in the order of its members, as one piece. Create it in a thread; see ``StoredFile``."""

    def __init__(self, file: InputFile) -> None:
        assert file.path is not None  # noqa: S101 - archives are not read from standard input
        self._file = file
        self._stored = StoredFile(file.name, file.path)
        self._position = 0
        self._told: list[bool] = []  # shared with copies, which read it for an estimate

    def _contents(self, members: MemberBatches) -> AsyncGenerator[Iterable[Member | bytes], None]:
        """The members, each followed by the pieces of its content, if it is input. Counts ``_position``."""
        raise NotImplementedError

    @property
    def identity(self) -> SourceIdentity:
        return self._stored.identity(self._file.format)

    @property
    def position(self) -> int:
        return self._position

    @property
    def expansion(self) -> int | None:
        return self._file.expansion

    def cuts(self, size: int) -> list[int]:
        return []

    async def place(self, raw: RawBatch, index: int) -> Place:
        places: MemberPlaces = raw.places  # type: ignore[assignment]  # all batches are from MemberBatches
        return Place(places.name(raw.first_record + index), *raw.locate(index))

    async def batches(
        self, batch_size: int, max_record_bytes: int, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[RawBatch, None]:
        # Imported here, because it knows all formats, and they know archives.
        from loader.sources.archives.members import MemberBatches

        members = MemberBatches(self._file.name, batch_size, max_record_bytes)
        async with aclosing(self._contents(members)) as contents:
            async for content in contents:
                for part in content:
                    for batch in members.begin(part) if isinstance(part, Member) else members.feed(part):
                        yield batch
        for batch in members.finish():
            yield batch
        if members.passed_over and not self._told:
            self._told.append(True)
            log.info("%s", members.passed_over.line)

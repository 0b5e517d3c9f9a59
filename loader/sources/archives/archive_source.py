"""A source of the records of all members of an archive."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING

from loader.sources.archives.member import Member
from loader.sources.base import Place
from loader.sources.batch import RawBatch
from loader.sources.stored_source import StoredSource

if TYPE_CHECKING:
    from loader.sources.archives.members import MemberBatches, MemberPlaces

log = logging.getLogger("runqy_loader")


class ArchiveSource(StoredSource):
    """Reads an archive in the order of its members, as one piece."""

    def _contents(self, members: MemberBatches) -> AsyncGenerator[Iterable[Member | bytes], None]:
        """The members, each followed by the pieces of its content, if it is input. Counts ``_position``."""
        raise NotImplementedError

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

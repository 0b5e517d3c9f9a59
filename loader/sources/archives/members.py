"""Makes batches of records from the members of an archive, one after the other."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from loader.errors import SourceFormatError
from loader.outputs.names import REJECTS_ENDING
from loader.sources.archives.member import Member
from loader.sources.base import one_line
from loader.sources.batch import BatchLimit, RawBatch
from loader.sources.codecs.codec import Codec, DamagedError
from loader.sources.codecs.content import Content
from loader.sources.endings import Endings, label
from loader.sources.format import ARCHIVE, Format, InputFile
from loader.sources.formats import FORMATS, Kind
from loader.sources.passed_over import PassedOver
from loader.sources.recognition.head import Head
from loader.sources.recognition.peek import judge

_ALONE = "Take it out of the archive, and load it by itself"


class UnfitMemberError(SourceFormatError, DamagedError):
    """A member does not look like its name says. The archive is skipped like a damaged one, if that is wanted."""


class MemberPlaces:
    """Finds records of a batch that may have several members; see ``Places``."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._parts: list[tuple[str, RawBatch]] = []

    def add(self, first: int, name: str, raw: RawBatch) -> None:
        """Says that a batch of one member begins at this number."""
        self._firsts.append(first)
        self._parts.append((name, raw))

    def _at(self, number: int) -> tuple[str, RawBatch, int]:
        at = bisect_right(self._firsts, number) - 1
        return *self._parts[at], number - self._firsts[at]

    def name(self, number: int) -> str:
        """The name of the member that has the record with this number."""
        return self._at(number)[0]

    def of(self, number: int) -> tuple[int, int]:
        _, raw, index = self._at(number)
        return raw.locate(index)

    def member(self, number: int) -> RawBatch:
        return self._at(number)[1]


class MemberBatches:
    """Cuts the members of an archive into records, and these into batches.

    Small members share a batch; see ``_together``. A member that is no input is passed over.

    Args:
        archive: The archive's name, for people.
    """

    def __init__(self, archive: str, batch_size: int, max_record_bytes: int) -> None:
        self._archive = archive
        self._batch_size = batch_size
        self._max_record_bytes = max_record_bytes
        self._limit = BatchLimit(batch_size)
        self._endings = Endings()
        self._passed_over = PassedOver(archive)
        self._member: _Member | None = None
        self._any = False
        self._record = 0  # the number of the next record
        self._waiting: list[tuple[str, RawBatch]] = []
        self._waiting_records = self._waiting_bytes = 0

    def begin(self, member: Member) -> Iterator[RawBatch]:
        """Ends the member before, and begins this one.

        Raises:
            SourceError: The member before is damaged, or does not look like its name says.
        """
        yield from self._end_member()
        kind = self._kind(member)
        if not isinstance(kind, str):
            self._any = True
            full = f"{self._archive}:{one_line(member.path)}"
            self._member = _Member(full, *kind, self._batch_size, self._max_record_bytes)
        elif member.what != "folder":
            self._passed_over.add(kind, member.path)

    def is_input(self, member: Member) -> bool:
        """Whether the content of this member is read."""
        return not isinstance(self._kind(member), str)

    def _kind(self, member: Member) -> Kind | str:
        """What a member's name says, or why it is passed over."""
        if member.what != "file":
            return member.what
        *folders, name = member.path.split("/")
        if name.startswith(".") or any(one.startswith(".") and one not in (".", "..") for one in folders):
            return "hidden"
        if name.endswith(REJECTS_ENDING):
            return "rejects"
        kind = self._endings.kind(name)
        if kind is None or kind[0].family == ARCHIVE:
            return label(name)
        if kind[0].batcher is None:
            full = f"{self._archive}:{one_line(member.path)}"
            raise UnfitMemberError(f"{full} is {kind[0].title}, which is not read in an archive", _ALONE)
        return kind

    def feed(self, piece: bytes) -> Iterator[RawBatch]:
        """Adds the next bytes of the member.

        Raises:
            SourceError: It is damaged, or does not look like its name says.
        """
        if self._member is not None:
            for raw in self._member.feed(piece):
                yield from self._together(self._member.name, raw)

    def _end_member(self) -> Iterator[RawBatch]:
        if self._member is not None:
            for raw in self._member.finish():
                yield from self._together(self._member.name, raw)
            self._member = None

    def finish(self) -> Iterator[RawBatch]:
        """Ends the archive.

        Raises:
            SourceError: See ``begin``.
            DamagedError: The archive has no input.
        """
        yield from self._end_member()
        yield from self._flush()
        if not self._any:
            has = f" (passed over: {self._passed_over.summary})" if self._passed_over else ""
            what = f"{self._archive}: no payload file in this archive{has}"
            raise DamagedError(what, f"Its members need one of these endings: {_readable()}")

    @property
    def passed_over(self) -> PassedOver:
        """The members that are no input."""
        return self._passed_over

    def _together(self, name: str, raw: RawBatch) -> Iterator[RawBatch]:
        """Joins batches that are not full. A batch that ends with a line without a line feed is joined to none after
        it, so that this can be checked."""
        records, size = len(raw.records), raw.size
        if self._waiting and self._limit.is_reached(self._waiting_records + records - 1, self._waiting_bytes + size):
            yield from self._flush()
        self._waiting.append((name, raw))
        self._waiting_records += records
        self._waiting_bytes += size
        if raw.unended or self._limit.is_reached(self._waiting_records, self._waiting_bytes):
            yield from self._flush()

    def _flush(self) -> Iterator[RawBatch]:
        if not self._waiting:
            return
        places, first = MemberPlaces(), self._record
        records: list[bytes] = []
        oversized: dict[int, int] = {}
        for name, raw in self._waiting:
            places.add(first + len(records), name, raw)
            oversized |= {index + len(records): length for index, length in raw.oversized.items()}
            records += raw.records
        last = self._waiting[-1][1]
        self._waiting = []
        self._waiting_records = self._waiting_bytes = 0
        self._record += len(records)
        yield RawBatch(first, 0, records, oversized, places=places, unended=last.unended)


def _readable() -> str:
    """The endings of members that are read."""
    forms = (form for form in FORMATS.values() if form.batcher is not None)
    return f"{', '.join(ending for form in forms for ending in form.endings)}, also compressed"


class _Member:
    """One member that is input. Its beginning is compared with what its name says."""

    def __init__(self, name: str, form: Format, codec: Codec | None, batch_size: int, max_record_bytes: int) -> None:
        assert form.batcher is not None  # noqa: S101 - it is input
        self.name = name
        self._file = InputFile(name, None, form.name, codec)
        self._content = Content(name, codec)
        self._batcher = form.batcher(name, batch_size, max_record_bytes, 0)
        self._head: Head | None = Head(name, codec)
        self._held: list[bytes] = []

    def feed(self, piece: bytes) -> Iterator[RawBatch]:
        if self._head is None:
            yield from self._read(piece)
            return
        self._held.append(piece)
        self._head.feed(piece)
        if self._head.is_enough:
            yield from self._look(self._head)

    def finish(self) -> Iterator[RawBatch]:
        if self._head is not None:
            self._head.feed(b"")
            yield from self._look(self._head)
        for content in self._content.finish():
            yield from self._batcher.feed(content)
        yield from self._batcher.finish()

    def _look(self, head: Head) -> Iterator[RawBatch]:
        if (problem := judge(self._file, head, given=False)) is not None:
            raise UnfitMemberError(f"{self.name} {problem.what}", _ALONE)
        self._head = None
        for piece in self._held:
            yield from self._read(piece)
        self._held = []

    def _read(self, piece: bytes) -> Iterator[RawBatch]:
        for content in self._content.feed(piece):
            yield from self._batcher.feed(content)

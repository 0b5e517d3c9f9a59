"""The interface between the pipeline and a source."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from loader.sources.batch import RawBatch

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Control characters and line separators."""


@dataclass(frozen=True, slots=True)
class SourceIdentity:
    """The identity of a source in the job's manifest.

    Attributes:
        name: For people; a moved file is still the same source.
        size: Bytes as stored (compressed bytes, if it is compressed); None if this is not known ahead.
        digest: Digest of the content, or of the part of it that is known ahead.
        repeatable: Whether a later run can read the same content again.
        may_grow: Whether a later run may find more records after the last one of this run.
        if_changed: What to do if a later run reads other records than were loaded, as a sentence without a full stop;
            '' for what holds for files.
        generated: If its records are generated: how many, from which one on, by which seed and library, as JSON types.
    """

    name: str
    format: str
    size: int | None
    digest: str
    repeatable: bool = True
    may_grow: bool = False
    if_changed: str = ""
    generated: Mapping[str, Any] | None = None

    @property
    def end_is_noted(self) -> bool:
        """Whether the job must note where the source has ended, because it may end later in a later run."""
        return self.may_grow or not self.repeatable

    @property
    def is_empty(self) -> bool:
        """Whether it certainly has no task."""
        return self.size == 0


def printable(name: str) -> str:
    """A file's name as text. A name may be any bytes; Python decodes bytes that are not UTF-8 as surrogates."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def one_line(name: str) -> str:
    """A file's name as text for a message: control characters, such as a line feed, are written as escapes."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), printable(name))


class Place(NamedTuple):
    """The place of a record.

    Attributes:
        line: The line, from 1. Of a file that has no lines, the row, from 1.
        byte_offset: The offset in the decompressed source; None if the file has no lines.
        part: Where it is, for people, if the file has no lines: ``row group 3, row 17``.
    """

    name: str
    line: int
    byte_offset: int | None
    part: str = ""

    @property
    def text(self) -> str:
        """The place for people."""
        return f"{self.name}: {self.part}" if self.part else f"{self.name}:{self.line}"

    @property
    def exact(self) -> str:
        """The same with the byte offset, if there is one."""
        return self.text if self.byte_offset is None else f"{self.text} (byte {self.byte_offset})"


class Source(Protocol):
    """A readable source."""

    @property
    def identity(self) -> SourceIdentity: ...

    @property
    def position(self) -> int:
        """Bytes read so far, as stored."""
        ...

    @property
    def expansion(self) -> int | None:
        """Bytes of content that a stored byte may stand for at most; None if this is not known."""
        ...

    def cuts(self, size: int) -> list[int]:
        """Where the source may be cut: record boundaries about ``size`` bytes apart. Empty if it cannot be cut."""
        ...

    async def place(self, raw: RawBatch, index: int) -> Place:
        """The place of a record of a batch."""
        ...

    def batches(
        self, batch_size: int, max_record_bytes: int, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[RawBatch, None]:
        """The batches of a piece. The same content always gives the same batches.

        Args:
            start: One of ``cuts``, or 0.
            end: One of ``cuts``, or None for the source's end.

        Raises:
            SourceError: The source cannot be read to its end.
        """
        ...

"""Batches of raw records, as sources yield them. They are the same in every run."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Protocol

from loader.sources.codecs.codec import DamagedError
from loader.tasks.reasons import Reason, ReasonCode

BATCH_BYTES = 1024 * 1024
"""A batch ends when its records reach this many bytes (or ``batch_size`` records), so memory stays flat. Part of each
job's manifest."""

SHOWN_OF_OVERSIZED = 1024
"""The number of bytes of an oversized record that are kept for the rejects file."""


class BatchLimit:
    """Decides where a batch ends, for all sources. Batches must be the same in every run: a job's ledger counts them.

    A batch ends with the record with which it has ``batch_size`` records, or ``BATCH_BYTES`` bytes or more. The length
    of a record is its length in the source, even if it is oversized, without its newline.
    """

    __slots__ = ("_batch_size",)

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size

    def is_reached(self, records: int, size: int) -> bool:
        """Whether a batch with this many records and bytes is complete."""
        return records >= self._batch_size or size >= BATCH_BYTES

    def first_batch(self, lengths: Sequence[int]) -> int | None:
        """The number of these records that are in the first batch; None if the batch goes on after them.

        Args:
            lengths: The lengths in bytes of at most ``batch_size`` records.
        """
        # Hot path: one sum a batch. Only a batch that ends because of its bytes needs running totals, 20 ns a record.
        size = sum(lengths)
        if size < BATCH_BYTES:
            return len(lengths) if self.is_reached(len(lengths), size) else None
        return bisect_left(list(accumulate(lengths)), BATCH_BYTES) + 1


class Places(Protocol):
    """Finds records that are not lines. It is only asked for rejects, so it may take a while."""

    def of(self, number: int) -> tuple[int, int]:
        """Line (1-based) and byte offset of the record with this number in its piece of the source."""
        ...

    def member(self, number: int) -> RawBatch | None:
        """The batch of the file within the source that has this record; None if the source is no archive."""
        ...


@dataclass(slots=True)
class RawBatch:
    """Consecutive records of one source, not yet validated.

    Attributes:
        first_record: Number of the first record within its piece of the source, 0-based; blank lines count.
        byte_offset: Offset of the first record in the (decompressed) source; 0 if there are ``places``.
        records: The records as they are in the source, without their newline.
        oversized: The full length in bytes of each record over the limit, by index. ``records`` has only its beginning.
        refused: Why the source makes no JSON of a record, by index. ``records`` has what the rejects file shows: of a
            table, the row as it is; of a payload of a program (``UNWRITABLE``), its ``repr``, which may differ from run
            to run.
        names: One name for each record, if each record is a file of its own.
        start: Start of its piece in the source: a byte offset, or the number of a document.
        damaged: The errors of files among those of ``names`` that are damaged, and so have no record.
        places: Where the records are, if they are not lines. It takes record numbers: parts of a batch share it.
        unended: Whether the last record is a last line without a line feed.
        is_json: Whether the source has made JSON of all records that are not ``refused``, so nothing is left to check.
    """

    first_record: int
    byte_offset: int
    records: list[bytes]
    oversized: dict[int, int] = field(default_factory=dict)
    refused: dict[int, Reason] = field(default_factory=dict)
    names: Sequence[str] | None = None
    start: int = 0
    damaged: list[tuple[str, DamagedError]] = field(default_factory=list)
    places: Places | None = None
    unended: bool = False
    is_json: bool = False
    _offsets: list[int] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def size(self) -> int:
        """The length in bytes of all records."""
        if not self.oversized and not self.refused:  # hot path of archives
            return sum(map(len, self.records))
        return sum(map(self._length, range(len(self.records))))

    def is_unwritable(self, index: int) -> bool:
        """Whether this is a payload of a program that cannot be written as JSON."""
        return index in self.refused and self.refused[index].code is ReasonCode.UNWRITABLE

    def split(self, at: int) -> tuple[RawBatch, RawBatch]:
        """The records before an index, and those from it on."""
        oversized, refused, names = self.oversized, self.refused, self.names
        first = replace(
            self,
            records=self.records[:at],
            oversized={index: length for index, length in oversized.items() if index < at},
            refused={index: why for index, why in refused.items() if index < at},
            names=None if names is None else names[:at],
            unended=False,
        )
        rest = replace(
            self,
            first_record=self.first_record + at,
            byte_offset=0 if self.places is not None else self.locate(at)[1],
            records=self.records[at:],
            oversized={index - at: length for index, length in oversized.items() if index >= at},
            refused={index - at: why for index, why in refused.items() if index >= at},
            names=None if names is None else names[at:],
        )
        return first, rest

    def of_member(self, index: int) -> RawBatch:
        """The batch of the file that has this record: of an archive, another one."""
        member = None if self.places is None else self.places.member(self.first_record + index)
        return self if member is None else member

    def locate(self, index: int) -> tuple[int, int]:
        """Line (1-based, counted from the piece's start) and byte offset of the record at ``index``."""
        if self.names is not None:
            return 1, 0
        if self.places is not None:
            return self.places.of(self.first_record + index)
        if self._offsets is None:  # computed once: a batch may have many bad records
            lengths = (self._length(i) + 1 for i in range(len(self.records)))
            self._offsets = list(accumulate(lengths, initial=self.byte_offset))
        return self.first_record + index + 1, self._offsets[index]

    def _length(self, index: int) -> int:
        if self.is_unwritable(index):
            return 0  # it has no bytes in the source
        return self.oversized.get(index, len(self.records[index]))

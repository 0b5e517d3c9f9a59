"""What a source yields: numbered batches of raw records, the same ones in every run."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

BATCH_BYTES = 1024 * 1024
"""A batch ends when its records reach this many bytes (or ``batch_size`` records), so memory stays flat. Part of each
job's manifest."""

SHOWN_OF_OVERSIZED = 1024
"""How many bytes of an oversized record are kept, for the rejects file."""


class BatchLimit:
    """Where batches end. All sources ask here, as a job's ledger counts batches: they must be the same in every run.

    A batch ends with the record that makes it ``batch_size`` records, or ``BATCH_BYTES`` bytes or more. A record's
    length is that of what stands in the source, oversized or not, without its newline.
    """

    __slots__ = ("_batch_size",)

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size

    def is_reached(self, records: int, size: int) -> bool:
        """Whether a batch of so many records and bytes has ended with the last of them."""
        return records >= self._batch_size or size >= BATCH_BYTES

    def first_batch(self, lengths: Sequence[int]) -> int | None:
        """How many of these records are the first batch; None if it goes on after them.

        Args:
            lengths: In bytes, of ``batch_size`` records at most.
        """
        # Hot path: one sum a batch. Only a batch that ends at its bytes takes running totals, 20 ns a record.
        size = sum(lengths)
        if size < BATCH_BYTES:
            return len(lengths) if self.is_reached(len(lengths), size) else None
        return bisect_left(list(accumulate(lengths)), BATCH_BYTES) + 1


@dataclass(slots=True)
class RawBatch:
    """Consecutive records of one source, not yet validated.

    Attributes:
        first_record: Number of the first record within its piece of the source, 0-based; blank lines count.
        byte_offset: Where the first record begins, in the (decompressed) source.
        records: The records as they stand in the source, without their newline.
        oversized: Index to full length in bytes, of records over the limit; ``records`` holds their beginning only.
        unwritable: Index to why, of a program's payloads that cannot be written as JSON; ``records`` holds what they
            look like, for the rejects file. That may differ from run to run.
        names: One name a record, where each record is a file of its own.
        start: Where in the source its piece begins: a byte offset, or the number of a document.
    """

    first_record: int
    byte_offset: int
    records: list[bytes]
    oversized: dict[int, int] = field(default_factory=dict)
    unwritable: dict[int, str] = field(default_factory=dict)
    names: Sequence[str] | None = None
    start: int = 0

    def locate(self, index: int) -> tuple[int, int]:
        """Line (1-based, counted from the piece's start) and byte offset of the record at ``index``."""
        if self.names is not None:
            return 1, 0
        lengths = (self._length(i) + 1 for i in range(index))
        return self.first_record + index + 1, self.byte_offset + sum(lengths)

    def _length(self, index: int) -> int:
        if index in self.unwritable:
            return 0  # it has no bytes in the source
        return self.oversized.get(index, len(self.records[index]))

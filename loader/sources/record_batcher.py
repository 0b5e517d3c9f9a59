"""Cuts consecutive records of a stream into batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from loader.sources.batch import SHOWN_OF_OVERSIZED, BatchLimit, RawBatch


class StreamBatcher(Protocol):
    """Makes batches from the chunks of a stream. They depend only on the content, not on the sizes of the chunks."""

    def feed(self, chunk: bytes) -> Iterator[RawBatch]:
        """Adds the next bytes of the source. Yields the batches that they complete.

        Raises:
            SourceError: The content cannot be cut into records. The records before are yielded first.
        """
        ...

    def finish(self) -> Iterator[RawBatch]:
        """Ends the source. Yields the remaining batches.

        Raises:
            SourceError: The content ends too early. The records before are yielded first.
        """
        ...


MakeBatcher = Callable[[str, int, int, int], StreamBatcher]
"""Makes the batcher of a piece from the source's name, the batch size, the largest size of a record, and the start."""


class RecordBatcher:
    """Holds records until they make a batch. The ends of batches (see ``BatchLimit``) depend only on the content.

    Args:
        batch_size: Records a batch.
        max_record_bytes: Of a longer record, only the beginning is kept, and it is marked as oversized.
    """

    def __init__(self, batch_size: int, max_record_bytes: int) -> None:
        self._batch_size = batch_size
        self._limit = BatchLimit(batch_size)
        self._max_record_bytes = max_record_bytes
        self._shown = min(SHOWN_OF_OVERSIZED, max_record_bytes)
        self._records: list[bytes] = []  # not in a batch yet
        self._long: dict[int, int] = {}  # index in _records -> full length of a record that is cut already
        self._record = 0  # the number of the first of _records

    def _complete(self, *, final: bool) -> Iterator[RawBatch]:
        start = 0
        records, size = self._records, self._batch_size
        while start < len(records):
            candidate = records[start : start + size]
            lengths = list(map(len, candidate))
            for index, length in self._long.items():
                if start <= index < start + len(candidate):
                    lengths[index - start] = length
            count = self._limit.first_batch(lengths)
            if count is None and not final:
                break
            yield self._batch(candidate[:count], lengths[:count])
            start += count or len(candidate)
        del records[:start]
        if self._long:
            self._long = {index - start: length for index, length in self._long.items() if index >= start}

    def _batch(self, records: list[bytes], lengths: list[int]) -> RawBatch:
        oversized: dict[int, int] = {}
        if max(lengths) > self._max_record_bytes:
            for index, length in enumerate(lengths):
                if length > self._max_record_bytes:
                    oversized[index] = length
                    records[index] = records[index][: self._shown]
        batch = self._raw_batch(records, lengths, oversized)
        self._record += len(records)
        return batch

    def _raw_batch(self, records: list[bytes], lengths: list[int], oversized: dict[int, int]) -> RawBatch:
        """The batch of these records, of which ``_record`` is the number of the first."""
        raise NotImplementedError

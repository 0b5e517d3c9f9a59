"""Batches of rows that are in record batches, not in a stream of bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from loader.sources.batch import RawBatch
from loader.sources.runs import RunBatcher
from loader.sources.tables.rows import Rows


@dataclass(frozen=True, slots=True)
class _Run:
    """Consecutive rows. The line of a row is its number in its file, from 1; it has no byte offset."""

    first: int
    count: int
    row: int

    def place(self, number: int) -> tuple[int, int]:
        return self.row + number - self.first + 1, 0


class RowBatcher(RunBatcher[_Run]):
    """Makes batches of rows. They depend on the rows alone, not on how many are added at a time.

    Args:
        makes_json: Whether rows are JSON if they are UTF-8.
    """

    def __init__(self, batch_size: int, max_record_bytes: int, start: int = 0, *, makes_json: bool = False) -> None:
        super().__init__(batch_size, max_record_bytes, start)
        self._makes_json = makes_json

    def add(self, rows: Rows) -> Iterator[RawBatch]:
        """Adds the next rows. Yields the batches that they complete."""
        first = self._next
        self._runs.append(_Run(first, len(rows.records), rows.row))
        self._refused.update((first + index, why) for index, why in rows.refused.items())
        self._records += rows.records
        return self._complete(final=False)

    def finish(self) -> Iterator[RawBatch]:
        """Yields the last batch."""
        return self._complete(final=True)

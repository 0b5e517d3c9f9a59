"""Places of records that are not lines: consecutive ones share what is needed to find them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from loader.sources.batch import RawBatch
from loader.sources.recognition.text import is_utf_8
from loader.sources.record_batcher import RecordBatcher
from loader.tasks.reasons import Reason


class Run(Protocol):
    """Consecutive records."""

    @property
    def first(self) -> int:
        """The number of its first record."""
        ...

    @property
    def count(self) -> int:
        """The number of its records."""
        ...

    def place(self, number: int) -> tuple[int, int]:
        """Line (from 1) and byte offset of the record with this number. It is only asked for rejects."""
        ...


AnyRun = TypeVar("AnyRun", bound=Run)


@dataclass(slots=True)
class _Runs:
    """The ``Places`` of a batch: the runs that have its records, in their order."""

    runs: Sequence[Run]

    def of(self, number: int) -> tuple[int, int]:
        index = bisect_right(self.runs, number, key=lambda run: run.first) - 1
        return self.runs[index].place(number)

    def member(self, number: int) -> None:
        return None  # the source is one file


class RunBatcher(RecordBatcher, Generic[AnyRun]):
    """A ``RecordBatcher`` whose records have the places of their runs.

    Args:
        start: The start of the piece of the source.
    """

    def __init__(self, batch_size: int, max_record_bytes: int, start: int = 0) -> None:
        super().__init__(batch_size, max_record_bytes)
        self._start = start
        self._makes_json = False  # whether its records are JSON if they are UTF-8
        self._runs: list[AnyRun] = []
        self._refused: dict[int, Reason] = {}  # by number of the record

    @property
    def _next(self) -> int:
        """The number of the next record."""
        return self._record + len(self._records)

    def _raw_batch(self, records: list[bytes], lengths: list[int], oversized: dict[int, int]) -> RawBatch:
        first, end = self._record, self._record + len(records)
        runs = [run for run in self._runs if run.first < end]
        self._runs = [run for run in self._runs if run.first + run.count > end]
        batch = RawBatch(first, 0, records, oversized, start=self._start, places=_Runs(runs))
        batch.is_json = self._makes_json and is_utf_8(b"\n".join(records))
        if self._refused:
            batch.refused = {number - first: why for number, why in self._refused.items() if number < end}
            self._refused = {number: why for number, why in self._refused.items() if number >= end}
        return batch

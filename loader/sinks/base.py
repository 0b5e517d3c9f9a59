"""The interface between the pipeline and the sinks."""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from isal.isal_zlib import crc32

from loader.jobs.records import entry_of
from loader.jobs.report import InDoubt
from loader.layouts.base import QueueEncoder
from loader.sources.validate import Batch
from loader.tasks.options import TaskOptions
from loader.tasks.reasons import Reason


@dataclass(slots=True, eq=False)
class Delivery:
    """The tasks of one batch that go to one queue.

    Attributes:
        id_prefix: Beginning of all ids; empty if ids come from the records.
        ids: The rest of each id, after the prefix; one a task.
        payloads: One a task.
        records: Index of each task's record within the batch.
        options: One a task, if records have options; None if the load's own options apply to all tasks.
        skipped: Positions of tasks that cannot be loaded, and why.
        compact: The number of tasks that were written as dumps.
        due: When each task was due (``time.monotonic``); empty without a schedule.
    """

    batch: Batch
    queue: str
    id_prefix: bytes
    ids: Sequence[bytes]
    payloads: Sequence[bytes]
    records: Sequence[int]
    options: Sequence[TaskOptions] | None = None
    skipped: dict[int, Reason] = field(default_factory=dict)
    compact: int = 0
    due: Sequence[float] = ()

    @property
    def source_records(self) -> Sequence[bytes]:
        """The record of each task, as it is in the source."""
        records = self.batch.raw.records
        return records if len(self.records) == len(records) else [records[index] for index in self.records]

    @property
    def checksum(self) -> int:
        """CRC-32 of the batch's content and of which of its records are these tasks.

        So a resume finds out that its options accept other records of a batch that is in.
        """
        if len(self.records) == len(self.batch.raw.records):  # hot path: nearly always, all are
            return self.batch.checksum
        return crc32(array("I", self.records).tobytes(), self.batch.checksum)

    @property
    def entry(self) -> bytes:
        """What the ledger notes of its records."""
        batch = self.batch
        return entry_of(batch.id_prefix, batch.raw.first_record, len(batch.raw.records), len(self.payloads))

    @property
    def size(self) -> int:
        """Approximate size of its payloads in bytes: its share of the batch."""
        return self.batch.size * len(self.payloads) // len(self.batch.payloads)

    @property
    def whole_ids(self) -> Sequence[bytes]:
        """The ids with their prefix."""
        return [self.id_prefix + suffix for suffix in self.ids] if self.id_prefix else self.ids


class Observer(Protocol):
    """Receives what a sink reports while it works."""

    @property
    def is_stopping(self) -> bool:
        """Whether the load is to end: its feed returns nothing more."""
        ...

    async def skipped(self, delivery: Delivery, positions: Mapping[int, Reason]) -> None:
        """These tasks cannot be loaded. Called once for each task, before the delivery is acknowledged."""
        ...

    async def in_doubt(self, delivery: Delivery, why: str) -> InDoubt:
        """It is unknown whether the delivery, or a part of it, is in. It is sent again, unless that is prevented.

        Returns:
            What the report says of it.
        """
        ...

    async def place(self, delivery: Delivery, position: int) -> str:
        """The source and the line of a task's record."""
        ...

    def loaded(self, delivery: Delivery) -> None:
        """The delivery is in, except for its skipped tasks."""
        ...


def is_pipelined(delivery: Delivery, encoder: QueueEncoder) -> bool:
    """Whether plain commands can write the hashes, so that the script only pushes the ids.

    Otherwise one script does everything: an id from the user may be taken already, and a unique or scheduled task needs
    more than a push.
    """
    return bool(delivery.id_prefix) and delivery.options is None and not encoder.needs_script


Feed = Callable[[], Awaitable[Delivery | None]]
"""Returns the next delivery; None at the end."""

Worker = Callable[[Feed, Observer], Awaitable[None]]
"""Delivers everything that its feed returns, until the feed ends."""

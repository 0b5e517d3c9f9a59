"""What the pipeline hands to a sink."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from loader.layouts.base import QueueEncoder
from loader.sources.validate import Batch
from loader.tasks.options import TaskOptions
from loader.tasks.reasons import Reason


@dataclass(slots=True, eq=False)
class Delivery:
    """The tasks of one batch that go to one queue.

    Attributes:
        id_prefix: Beginning of all ids; empty where ids come from the records.
        ids: What follows the prefix, one a task.
        payloads: One a task.
        records: Index of each task's record within the batch.
        options: One a task, where its record brings some; else the load's own hold for all.
        skipped: Positions of tasks that cannot be loaded, and why.
    """

    batch: Batch
    queue: str
    id_prefix: bytes
    ids: Sequence[bytes]
    payloads: Sequence[bytes]
    records: Sequence[int]
    options: Sequence[TaskOptions] | None = None
    skipped: dict[int, Reason] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of its payloads, about: its share of the batch."""
        return self.batch.size * len(self.payloads) // len(self.batch.payloads)

    @property
    def whole_ids(self) -> Sequence[bytes]:
        """The whole ids."""
        return [self.id_prefix + suffix for suffix in self.ids] if self.id_prefix else self.ids


class Observer(Protocol):
    """What a sink tells while it works."""

    async def skipped(self, delivery: Delivery, positions: Mapping[int, Reason]) -> None:
        """These tasks cannot be loaded. Called once a task, before the delivery is acknowledged."""
        ...

    async def in_doubt(self, delivery: Delivery, why: str) -> None:
        """Whether the delivery is in, or a part of it, is unknown: it is sent again, where nothing prevents that."""
        ...

    def loaded(self, delivery: Delivery) -> None:
        """The delivery is in, but for what it skipped."""
        ...


def is_pipelined(delivery: Delivery, encoder: QueueEncoder) -> bool:
    """Whether its hashes can be written by plain commands, and pushed by a script of ids.

    Else one script does it all: ids from the user may be taken, and a unique or scheduled task is more than pushed.
    """
    return bool(delivery.id_prefix) and delivery.options is None and not encoder.needs_script


Feed = Callable[[], Awaitable[Delivery | None]]
"""Gives the next delivery; None at the end."""

Worker = Callable[[Feed, Observer], Awaitable[None]]
"""Delivers what its feed gives, until that ends."""

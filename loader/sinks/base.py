"""What the pipeline hands to a sink."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from loader.validate import Batch


@dataclass(slots=True, eq=False)
class Delivery:
    """The tasks of one batch that go to one queue.

    Attributes:
        id_prefix: Beginning of all ids; empty where ids come from the records.
        ids: What follows the prefix, one a task.
        payloads: One a task.
        records: Index of each task's record within the batch.
        skipped: Positions of tasks that cannot be loaded since their id or key is taken.
    """

    batch: Batch
    queue: str
    id_prefix: bytes
    ids: Sequence[bytes]
    payloads: Sequence[bytes]
    records: Sequence[int]
    skipped: list[int] = field(default_factory=list)


class Observer(Protocol):
    """What a sink tells while it works."""

    async def skipped(self, delivery: Delivery, positions: Sequence[int]) -> None:
        """These tasks cannot be loaded. Called once a task, before the delivery is acknowledged."""
        ...

    def loaded(self, delivery: Delivery) -> None:
        """The delivery is in, but for what it skipped."""
        ...


Feed = Callable[[], Awaitable[Delivery | None]]
"""Gives the next delivery; None at the end."""

Worker = Callable[[Feed, Observer], Awaitable[None]]
"""Delivers what its feed gives, until that ends."""

"""Deliveries for tests of limits, and a clock that the test moves."""

from __future__ import annotations

from loader.sinks.base import Delivery
from loader.sources.batch import RawBatch
from loader.sources.validate import validate


class Clock:
    """Seconds that only the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def delivery(tasks: int = 100, queue: str = "q.default") -> Delivery:
    """A delivery of so many tasks."""
    records = [b"{}"] * tasks
    batch = validate(RawBatch(0, 0, records), 0, 0, parsed=False)
    return Delivery(batch, queue, b"prefix-", [b"%d" % number for number in range(tasks)], records, range(tasks))

"""What a loader process and its parent say to each other, over the child's standard input and output.

Each message is a pickle behind its length in four bytes. Pickle, as both ends are this program and its own pipe.
"""

from __future__ import annotations

import asyncio
import pickle
from collections import Counter
from dataclasses import dataclass
from typing import Any

from loader.engine.part import Part
from loader.errors import LoaderError
from loader.jobs.counts import SourceCounts
from loader.jobs.report import LoadReport
from loader.sources.shards import Shard
from loader.tasks.reasons import ReasonCode

_LENGTH_BYTES = 4


@dataclass(frozen=True, slots=True)
class Begin:
    """Parent: your part of the load, and how the log is set."""

    part: Part
    log_level: int


@dataclass(frozen=True, slots=True)
class NextShard:
    """Child: give me a shard. Parent: here; None for no more."""

    shard: Shard | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """Parent: finish what is in flight, then end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Child: where I am. All figures count from the child's start; only sources that have changed are named."""

    sources: dict[int, SourceCounts]
    queues: dict[str, int]
    rejected_by_code: Counter[ReasonCode]
    batches: int
    valid: int
    waiting: int
    rejects_file: str | None
    last_reject: str
    peak_rss_bytes: int


@dataclass(frozen=True, slots=True)
class Log:
    """Child: for the user."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """Child: the last message. ``complete`` if all of my shards were dealt with."""

    complete: bool
    error: LoaderError | None = None


class Tally:
    """Adds one child's counts to the report of the whole load."""

    def __init__(self, report: LoadReport) -> None:
        self._report = report
        self._sources: dict[int, SourceCounts] = {}
        self._queues: dict[str, int] = {}
        self._codes = Counter[ReasonCode]()
        self._batches = self._valid = 0
        self.waiting = 0

    def add(self, counts: Counts) -> None:
        report = self._report
        for index, now in counts.sources.items():
            report.sources[index] += now - self._sources.get(index, SourceCounts())
            self._sources[index] = now
        for queue, count in counts.queues.items():
            report.queues[queue] = report.queues.get(queue, 0) + count - self._queues.get(queue, 0)
        self._queues = counts.queues
        report.rejected_by_code.update(counts.rejected_by_code - self._codes)
        self._codes = counts.rejected_by_code
        report.batches += counts.batches - self._batches
        report.valid += counts.valid - self._valid
        self._batches, self._valid = counts.batches, counts.valid
        self.waiting = counts.waiting
        report.rejects_file = counts.rejects_file or report.rejects_file
        report.last_reject = counts.last_reject or report.last_reject
        report.peak_child_rss_bytes = max(report.peak_child_rss_bytes, counts.peak_rss_bytes)


def pack(message: Any) -> bytes:
    """A message as it goes through the pipe."""
    body = pickle.dumps(message)
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


async def receive(stream: asyncio.StreamReader) -> Any:
    """The next message; None at the end of the pipe."""
    try:
        length = int.from_bytes(await stream.readexactly(_LENGTH_BYTES), "big")
        return pickle.loads(await stream.readexactly(length))  # noqa: S301 - from our own child or parent
    except (asyncio.IncompleteReadError, ConnectionError):
        return None

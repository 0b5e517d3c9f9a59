"""The messages between a loader process and its parent, over the child's standard input and output.

Each message is a pickle after its length in four bytes. Pickle is safe here: both ends of the pipe are this program.
"""

from __future__ import annotations

import asyncio
import pickle
from collections import Counter
from dataclasses import dataclass
from typing import Any, Self

from loader.engine.part import Part
from loader.errors import LoaderError
from loader.jobs.counts import SourceCounts
from loader.jobs.orders import Orders
from loader.jobs.reject_kinds import RejectKinds
from loader.jobs.report import LoadReport, SkippedFile, peak_rss_bytes
from loader.servers.outage import Waiting
from loader.sources.shards import Shard
from loader.tasks.reasons import ReasonCode

_LENGTH_BYTES = 4


@dataclass(frozen=True, slots=True)
class Begin:
    """From the parent: the child's part of the load, the log level, and whether an earlier run had begun the job."""

    part: Part
    log_level: int
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class NextShard:
    """From the child: a request for a shard. From the parent: the shard, or None if there are no more."""

    shard: Shard | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """From the first child: the first records of the load are good enough, so other children may load as well."""


@dataclass(frozen=True, slots=True)
class Stop:
    """From the parent: finish the batches in flight, then end."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """From the parent: pause, go on, or change the rate. A rate is that of this child alone."""

    orders: Orders


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """From the child: its counts since its start. ``sources`` has only sources whose counts have changed."""

    sources: dict[int, SourceCounts]
    queues: dict[str, int]
    rejected_by_code: Counter[ReasonCode]
    kinds: RejectKinds
    batches: int
    compact: int
    valid: int
    waiting: int
    rejects_file: str | None
    skipped_files: list[SkippedFile]
    last_reject: str
    peak_rss_bytes: int

    @classmethod
    def of(cls, report: LoadReport, sources: dict[int, SourceCounts], waiting: int) -> Self:
        """The counts of a report.

        Args:
            sources: Those of its sources.
            waiting: Batches in the bounded queue.
        """
        return cls(
            sources=sources,
            queues=dict(report.queues),
            rejected_by_code=Counter(report.rejected_by_code),
            kinds=report.kinds,
            batches=report.batches,
            compact=report.compact,
            valid=report.valid,
            waiting=waiting,
            rejects_file=report.rejects_file,
            skipped_files=list(report.skipped_files),
            last_reject=report.last_reject,
            peak_rss_bytes=peak_rss_bytes(),
        )


@dataclass(frozen=True, slots=True)
class Log:
    """From the child: a log message for the user.

    Attributes:
        once: What it tells, if the parent tells it only for the first of its children that says so; else empty.
    """

    level: int
    text: str
    once: str = ""


@dataclass(frozen=True, slots=True)
class Waits:
    """From the child: what it waits for; None once the server answers again."""

    waiting: Waiting | None


@dataclass(frozen=True, slots=True)
class Ended:
    """From the child: the last message. ``complete`` if every record of its shards was processed."""

    complete: bool
    error: LoaderError | None = None


class Tally:
    """Adds one child's counts to the report of the whole load."""

    def __init__(self, report: LoadReport) -> None:
        self._report = report
        self._sources: dict[int, SourceCounts] = {}
        self._queues: dict[str, int] = {}
        self._codes = Counter[ReasonCode]()
        self._kinds = RejectKinds()
        self._batches = self._compact = self._valid = self._skipped = 0
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
        report.kinds.add_all(counts.kinds.counts - self._kinds.counts, counts.kinds.examples)
        self._kinds = counts.kinds
        report.batches += counts.batches - self._batches
        report.compact += counts.compact - self._compact
        report.valid += counts.valid - self._valid
        self._batches, self._compact, self._valid = counts.batches, counts.compact, counts.valid
        self.waiting = counts.waiting
        report.skipped_files += counts.skipped_files[self._skipped :]
        self._skipped = len(counts.skipped_files)
        report.rejects_file = counts.rejects_file or report.rejects_file
        report.last_reject = counts.last_reject or report.last_reject
        report.peak_child_rss_bytes = max(report.peak_child_rss_bytes, counts.peak_rss_bytes)


def pack(message: Any) -> bytes:
    """The bytes of a message in the pipe."""
    body = pickle.dumps(message)
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


async def receive(stream: asyncio.StreamReader) -> Any:
    """The next message; None at the end of the pipe."""
    try:
        length = int.from_bytes(await stream.readexactly(_LENGTH_BYTES), "big")
        return pickle.loads(await stream.readexactly(length))  # noqa: S301 - from our own child or parent
    except (asyncio.IncompleteReadError, ConnectionError):
        return None

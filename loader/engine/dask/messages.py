"""What the driver of a load and the workers of a Dask cluster tell each other.

Everything is pickled, as all that Dask carries. No record of the input is among it: workers read their own parts.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from loader.engine.first_records import Earlier
from loader.engine.messages import Counts
from loader.engine.part import Part
from loader.errors import LoaderError
from loader.jobs.counts import SourceCounts
from loader.jobs.orders import Orders
from loader.servers.outage import Waiting
from loader.sources.base import Source
from loader.sources.shards import Shard


@dataclass(frozen=True, slots=True)
class Setup:
    """What all shards of one run of a load have in common.

    Attributes:
        part: The part of every worker, without its sources.
        resumed: Whether the job was begun before this run.
        log_level: Of the driver.
        keeps_rejects, keeps_ids: Whether rejects and ids are wanted. Without a place for them, the driver has them.
        rejects_place, ids_place: Where the worker writes those of a shard as one file; None if the driver has them.
    """

    part: Part
    resumed: bool
    log_level: int
    keeps_rejects: bool
    keeps_ids: bool
    rejects_place: str | None = None
    ids_place: str | None = None

    @property
    def token(self) -> str:
        """The run of the loader."""
        return self.part.run.token


@dataclass(frozen=True, slots=True)
class Ordered:
    """What is ordered for each shard that runs.

    A task may wait in the cluster for longer than an order holds, and orders go to workers beside their tasks. So they
    are numbered, and a worker follows the newest that it knows.

    Attributes:
        number: Rises with each order of one run of the loader.
    """

    number: int
    orders: Orders


@dataclass(frozen=True, slots=True)
class ShardTask:
    """The argument of one Dask task.

    It has only the sources of its shard: an input may have a hundred thousand. ``setup`` is the same bytes in each
    task, one or two kilobytes. So a worker needs nothing but its task, whenever it joined, and nothing of a load that
    was killed stays in the scheduler.

    Attributes:
        setup: A pickled ``Setup``; a worker unpickles it once a run.
        version: Of the loader that drives the load. Another one may not be able to read ``setup``.
        token: See ``Setup.token``.
        shard: Its pieces have indexes of ``sources``.
        sources, origins: Those of the shard.
        indexes: For each of these, its index in the load.
        process, earlier: See ``Pipeline``.
        ordered: What is ordered when the task is submitted.
    """

    setup: bytes = field(repr=False)
    version: str
    token: str
    shard: Shard
    sources: Sequence[Source] = field(repr=False)
    origins: Sequence[tuple[int, str]] = field(repr=False)
    indexes: Sequence[int] = field(repr=False)
    process: int
    ordered: Ordered
    earlier: Earlier


@dataclass(frozen=True, slots=True)
class ShardResult:
    """The result of one Dask task: of one run of a shard.

    Attributes:
        worker: Who ran it, for messages.
        complete: Whether every record of the shard was processed.
        counts: Of this run and, for what is in, of earlier runs of the shard within the same load. The keys of
            ``sources`` are indexes of the load.
        acknowledged: The numbers of its batches that are in, by queue.
        rejects, ids: Lines for the files.
        error: What ended it.
        taken_over: Whether another run of the shard has taken it over.
        not_judged: See ``Pipeline``.
    """

    worker: str
    complete: bool
    counts: Counts
    acknowledged: dict[str, list[int]] = field(default_factory=dict)
    rejects: Sequence[bytes] = ()
    ids: bytes = b""
    error: LoaderError | None = None
    taken_over: bool = False
    not_judged: Earlier | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """From a worker now and then: what it has counted of a shard so far. The keys are indexes of the load."""

    shard: int
    sources: dict[int, SourceCounts]
    waiting: int


@dataclass(frozen=True, slots=True)
class JudgedFirst:
    """From the worker of the first shard: the first records are good enough, so others may load as well."""


@dataclass(frozen=True, slots=True)
class Said:
    """From a worker: a log message, or what it waits for."""

    level: int = 0
    text: str = ""
    once: str = ""
    waiting: Waiting | None = None
    is_wait: bool = False


def packed(message: object) -> bytes:
    """The bytes of a message."""
    return pickle.dumps(message)


def unpacked(data: bytes) -> Any:
    """A message from its bytes: both ends are this program, on machines of one user."""
    return pickle.loads(data)  # noqa: S301 - see the docstring


def topic_of(token: str) -> str:
    """The Dask topic of what workers tell the driver of a run."""
    return f"runqy-loader-{token}"

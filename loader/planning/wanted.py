"""What is to be planned."""

from __future__ import annotations

from dataclasses import dataclass

from loader.planning.costs import Costs
from loader.planning.figures import Persistence, Scheduler, Snapshot
from loader.tasks.profiles import LayoutName

TASKS, SNAPSHOTS, DASK, RATES = "t", "s", "d", "r"
"""Keys of measurements in a plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A load, and what it may use.

    Attributes:
        tasks: How many.
        payload: Mean bytes of a payload.
        input_bytes: Mean bytes of the input a task, as stored: compressed input has fewer.
        servers: How many there are; None if the plan shall say it.
        hours: In how many the load shall end; None if that is open.
        memory: Bytes of memory of each server's machine; None if that is open.
        replicas: Of each server.
        network: Bytes a second that each machine can receive, and as many that it can send; None for no limit.
        cores: For the loader, on all machines together; None if the plan shall say it.
        workers_rate: Tasks a second that all consumers together end; None if that is not known.
    """

    tasks: int
    payload: float
    input_bytes: float
    layout: LayoutName
    servers: int | None = None
    hours: float | None = None
    memory: int | None = None
    replicas: int = 0
    persistence: Persistence = "none"
    network: float | None = None
    cores: int | None = None
    workers_rate: float | None = None

    @property
    def has_aof(self) -> bool:
        return self.persistence.startswith("aof")

    @property
    def forks(self) -> bool:
        """Whether the servers fork: for snapshots, rewritten files, or full copies to replicas."""
        return self.persistence != "none" or self.replicas > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What was measured.

    Attributes:
        costs: Of a task.
        snapshot: Of a large data set, on a server of the same make.
        sync_factor: The rate with the planned persistence as a share of the one that was measured for ``costs``.
        scheduler: Of Dask; None if it was not measured.
        shard_bytes: The size of a shard of this input.
    """

    costs: Costs
    snapshot: Snapshot
    sync_factor: float
    scheduler: Scheduler | None
    shard_bytes: int

    @property
    def file_bytes(self) -> float:
        """Bytes of a task in a snapshot; if that was not measured, as many as in memory."""
        size = self.costs.file_bytes
        return size.value if size else self.costs.memory_bytes.value

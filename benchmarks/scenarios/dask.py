"""What a shard costs on a Dask cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from cyclopts import Parameter

from benchmarks import payloads
from benchmarks.contestants.dask_shards import DaskProgram
from benchmarks.results import CaseResult, Result
from benchmarks.runner import Case, Runner
from benchmarks.scenarios.base import SMALL, Scenario, Shown, View
from benchmarks.server import Server

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _ms(value: float) -> str:
    return f"{value:.2f}"


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _tenth(value: float) -> str:
    return f"{value:.1f}"


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Dask(Scenario):
    """What a shard costs on a Dask cluster, beside an empty Dask task."""

    name: ClassVar[str] = "dask"
    title: ClassVar[str] = "What a shard costs on a Dask cluster"
    view: ClassVar[View] = "figures"
    variant_heading: ClassVar[str] = "Dask workers"
    figures: ClassVar[tuple[Shown, ...]] = (
        Shown("shards", "shards", _count),
        Shown("an empty task, ms", "ms an empty task", _ms),
        Shown("a shard, ms: min · **median** · max", "ms a shard", _ms, "spread"),
        Shown("of an empty task", "of an empty task", _tenth),
        Shown("CPU of the scheduler, ms", "scheduler ms", _ms),
        Shown("of the driver, ms", "driver ms", _ms),
        Shown("of all workers, ms", "worker ms", _ms),
        Shown("commands of Redis", "commands", _tenth),
        Shown("bytes to Redis", "bytes in", _count),
    )

    tasks: int = 10_000
    """Payloads to load, and shards: about one each."""

    runs: int = 3
    """Rounds."""

    cluster: tuple[int, ...] = (1, 2)
    """Numbers of Dask workers (repeat the option)."""

    @classmethod
    def quick(cls) -> Self:
        return cls(tasks=200, runs=1, cluster=(1,))

    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        dataset = payloads.dataset(SMALL, self.tasks)
        size = dataset.path.stat().st_size // self.tasks // 2  # a shard ends with the line in which it is full
        cases = [
            Case(f"dask/{workers}", DaskProgram("dask_shards", (workers, size)), dataset, variant=str(workers))
            for workers in self.cluster
        ]
        return runner.rounds(cases, self.runs)

    @classmethod
    def remark(cls, result: Result) -> str:
        return (
            "Each shard holds one record or two, so nearly all is what a shard costs beside its records: the Dask "
            "task, its claim, its ledger, its one batch, and its share of the check at the end. The empty tasks run on "
            "the same cluster, right after the load. Scheduler and driver are one process each: a thousand "
            "milliseconds divided by the larger one of their figures is about the most shards a second, whatever the "
            "number of workers. The commands include those that a load sends once."
        )

    @classmethod
    def draw(cls, result: Result) -> dict[str, Figure]:
        return {}

"""One huge file among small ones on a Dask cluster."""

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

_EVEN = "dask-skew/0"


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class DaskSkewed(Scenario):
    """One huge gzip among small ones on a Dask cluster, beside the same records in even files."""

    name: ClassVar[str] = "dask-skew"
    title: ClassVar[str] = "One huge gzip among small ones on a Dask cluster"
    view: ClassVar[View] = "figures"
    variant_heading: ClassVar[str] = "records in one of the files"
    base_heading: ClassVar[str] = "of even files"
    figures: ClassVar[tuple[Shown, ...]] = (
        Shown("files", "files", lambda value: f"{value:.0f}"),
        Shown("seconds: min · **median** · max", "seconds", lambda value: f"{value:.2f}", "spread"),
        Shown("of even files", "seconds", lambda value: f"{value:.2f}", "of base"),
        Shown("workers at work", "busy", lambda value: f"{100 * value:.0f} %"),
    )

    tasks: int = 600_000
    """Payloads."""

    runs: int = 3
    """Rounds."""

    cluster: int = 2
    """Dask workers."""

    files: int = 20
    """Files of each load."""

    share: tuple[float, ...] = (0.5, 0.8)
    """Shares of the records that one file has (repeat the option)."""

    @classmethod
    def quick(cls) -> Self:
        return cls(tasks=2_000, runs=1, files=4, share=(0.5,))

    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        dataset = payloads.dataset(SMALL, self.tasks)
        cases = [
            Case(
                f"dask-skew/{share:g}",
                DaskProgram("dask_skew", (self.cluster, self.files, share), "runqy-loader-dask-skew"),
                dataset,
                base=_EVEN,
                variant=f"{100 * share:.0f} %" if share else "even",
            )
            for share in (0.0, *self.share)
        ]
        return runner.rounds(cases, self.runs)

    @classmethod
    def remark(cls, result: Result) -> str:
        return (
            "A gzip file is one shard, which one worker reads from beginning to end. The huge one is the last by name. "
            "*Workers at work* is the CPU of all workers, as a share of what their threads could have used: the rest "
            "of the time they wait, for the scheduler, for Redis, or because nothing is left but the huge file. "
            "With W workers on machines of their own, a file that has more than 1/W of the records decides how long "
            "the load takes. On one machine it need not: where Redis, scheduler, driver and workers share the cores, "
            "one worker may keep them busy, and the others wait in any case."
        )

    @classmethod
    def draw(cls, result: Result) -> dict[str, Figure]:
        return {}

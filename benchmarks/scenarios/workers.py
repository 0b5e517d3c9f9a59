"""The loader with different numbers of workers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from cyclopts import Parameter

from benchmarks import payloads
from benchmarks.contestants.registry import LIMIT, LOADER
from benchmarks.results import CaseResult, Result
from benchmarks.runner import Case, Runner
from benchmarks.scenarios.base import SMALL, Scenario, Varied
from benchmarks.server import Server

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Workers(Scenario):
    """Throughput against the number of workers."""

    name: ClassVar[str] = "workers"
    title: ClassVar[str] = "Throughput against the number of workers"
    varied: ClassVar[Varied | None] = Varied("workers", lambda value: f"{value:.0f}" if value else "")

    tasks: int = 500_000
    """Payloads to load."""

    runs: int = 5
    """Rounds."""

    values: tuple[int, ...] = (1, 2, 4, 8)
    """Numbers of workers (repeat the option)."""

    @classmethod
    def quick(cls) -> Self:
        return cls(tasks=5_000, runs=1, values=(1, 2))

    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        dataset = payloads.dataset(SMALL, self.tasks)
        cases = [
            Case(f"{LOADER.name}/{value}", LOADER, dataset, workers=value, parameter=value, limit=LIMIT.name)
            for value in self.values
        ]
        # redis-cli always has one connection, so one case is the limit for all numbers of workers.
        return runner.rounds([*cases, Case(LIMIT.name, LIMIT, dataset, limit=LIMIT.name)], self.runs)

    @classmethod
    def draw(cls, result: Result) -> dict[str, Figure]:
        from benchmarks.plots.lines import against

        return {"workers": against(result, "workers (connections)", "How throughput depends on the number of workers")}

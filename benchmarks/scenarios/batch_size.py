"""The loader and the limit at different batch sizes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from cyclopts import Parameter

from benchmarks import payloads
from benchmarks.results import CaseResult, Result
from benchmarks.runner import Runner
from benchmarks.scenarios.base import SMALL, Scenario, Varied, beside_the_limit
from benchmarks.server import Server

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSize(Scenario):
    """Throughput against batch size."""

    name: ClassVar[str] = "batch-size"
    title: ClassVar[str] = "Throughput against batch size"
    varied: ClassVar[Varied | None] = Varied("batch size", lambda value: f"{value:,.0f}")

    tasks: int = 500_000
    """Payloads to load."""

    runs: int = 5
    """Rounds."""

    values: tuple[int, ...] = (100, 300, 1000, 2000, 5000)
    """Batch sizes (repeat the option)."""

    @classmethod
    def quick(cls) -> Self:
        return cls(tasks=5_000, runs=1, values=(100, 1000))

    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        dataset = payloads.dataset(SMALL, self.tasks)
        return runner.rounds(beside_the_limit((value, dataset, value, None) for value in self.values), self.runs)

    @classmethod
    def draw(cls, result: Result) -> dict[str, Figure]:
        from benchmarks.plots.lines import against

        return {
            "batch-size": against(result, "records per batch (logarithmic)", "How throughput depends on batch size")
        }

"""CSV and Parquet beside JSON lines with the same payloads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from cyclopts import Parameter

from benchmarks import payloads
from benchmarks.contestants.registry import LOADER
from benchmarks.contestants.tables import CSV, PARQUET, POLARS_CSV, POLARS_PARQUET, QUOTED
from benchmarks.results import CaseResult, Result
from benchmarks.runner import Case, Runner
from benchmarks.scenarios.base import SMALL, Scenario
from benchmarks.server import Server

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Tables(Scenario):
    """Loading the rows of CSV and Parquet, beside JSON lines and beside a plain script."""

    name: ClassVar[str] = "tables"
    title: ClassVar[str] = "Rows of CSV and Parquet beside JSON lines"
    variant_heading: ClassVar[str] = "input"
    base_heading: ClassVar[str] = "of JSON lines"

    tasks: int = 500_000
    """Payloads to load."""

    runs: int = 5
    """Rounds."""

    size: int = SMALL
    """Bytes a payload, about."""

    @classmethod
    def quick(cls) -> Self:
        return cls(tasks=2_000, runs=1)

    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        dataset = payloads.dataset(self.size, self.tasks, payloads.TEXTS)
        cases = [
            Case(contestant.name, contestant, dataset, base=LOADER.name, variant=variant)
            for contestant, variant in (
                (LOADER, "lines"),
                (CSV, "csv"),
                (QUOTED, "csv, all quoted"),
                (PARQUET, "parquet"),
                (POLARS_CSV, "csv"),
                (POLARS_PARQUET, "parquet"),
            )
        ]
        return runner.rounds(cases, self.runs)

    @classmethod
    def draw(cls, result: Result) -> dict[str, Figure]:
        from benchmarks.plots.bars import bars

        return {"tables": bars(result)}

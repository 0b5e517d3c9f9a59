"""CSV and Parquet beside JSON lines with the same payloads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import orjson
from cyclopts import Parameter

from benchmarks import payloads
from benchmarks.contestants.registry import LOADER
from benchmarks.contestants.tables import (
    CSV,
    DUCKDB_CSV,
    DUCKDB_PARQUET,
    PARQUET,
    POLARS_CSV,
    POLARS_PARQUET,
    QUOTED,
)
from benchmarks.results import CaseResult
from benchmarks.runner import Case, Runner
from benchmarks.scenarios.base import OfInputs
from benchmarks.server import Server


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Tables(OfInputs):
    """Loading the rows of CSV and Parquet, beside JSON lines and beside a plain script."""

    name: ClassVar[str] = "tables"
    title: ClassVar[str] = "Rows of CSV and Parquet beside JSON lines"
    base_heading: ClassVar[str] = "of JSON lines"

    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        dataset = payloads.dataset(self.size, self.tasks, payloads.TEXTS)
        cases = [
            Case(contestant.name, contestant, dataset, base=LOADER.name, variant=variant)
            for contestant, variant in (
                (LOADER, "lines"),
                (CSV, "csv"),
                (QUOTED, "csv, all quoted"),
                (PARQUET, "parquet"),
                (DUCKDB_CSV, "csv"),
                (DUCKDB_PARQUET, "parquet"),
                (POLARS_CSV, "csv"),
                (POLARS_PARQUET, "parquet"),
            )
        ]
        with dataset.path.open("rb") as lines:
            names = list(orjson.loads(next(lines)))
        select = f"--select={{{', '.join(f'{name}: {name}' for name in names)}}}"
        cases += [
            Case(
                f"{one.name}/select", one, dataset, base=LOADER.name, variant=f"{variant}, --select", options=(select,)
            )
            for one, variant in ((LOADER, "lines"), (PARQUET, "parquet"))
        ]
        return runner.rounds(cases, self.runs)

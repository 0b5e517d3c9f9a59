"""Records from a template: into a file, and straight into a load."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from cyclopts import Parameter

from benchmarks.contestants.base import Contestant
from benchmarks.contestants.generated import (
    FAKER,
    GENERATE,
    GENERATE_NAMES,
    GENERATED,
    GENERATED_DISCARDING,
    READING,
    template_in,
)
from benchmarks.contestants.registry import DISCARDING, LOADER
from benchmarks.payloads import Dataset
from benchmarks.recorder import PROGRAM
from benchmarks.results import CaseResult, Result
from benchmarks.runner import Case, Runner
from benchmarks.scenarios.base import SMALL, Scenario
from benchmarks.server import Server

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Generate(Scenario):
    """Rate of generated records, beside the same records from a file."""

    name: ClassVar[str] = "generate"
    title: ClassVar[str] = "Generated records beside the same records from a file"
    variant_heading: ClassVar[str] = "records"
    base_heading: ClassVar[str] = "of from a file"

    tasks: int = 1_000_000
    """Records to make."""

    runs: int = 5
    """Rounds."""

    processes: int = 2
    """Processes of each load."""

    @classmethod
    def quick(cls) -> Self:
        return cls(tasks=2_000, runs=1)

    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        path = scratch / "generated.jsonl"
        command = [*PROGRAM, "generate", str(template_in(scratch)), "--count", str(self.tasks), "-o", str(path)]
        subprocess.run([*command, "--quiet"], check=True)
        dataset = Dataset(path, SMALL, self.tasks)
        options = (f"--processes={self.processes}",)
        cases: list[Case] = []
        loads: tuple[tuple[Contestant, Contestant], ...] = ((LOADER, GENERATED), (DISCARDING, GENERATED_DISCARDING))
        for file, made in loads:
            base = file.name
            cases.append(Case(base, file, dataset, base=base, variant="from a file", options=options))
            cases.append(Case(made.name, made, dataset, base=base, variant="generated", options=options))
        cases.append(Case(READING.name, READING, dataset, base=READING.name, variant="read, not loaded"))
        writing = (GENERATE, GENERATE_NAMES, FAKER)
        cases += [Case(one.name, one, dataset, base=READING.name, variant="into a file") for one in writing]
        return runner.rounds(cases, self.runs)

    @classmethod
    def remark(cls, result: Result) -> str:
        return (
            "Loads use two processes. A record depends on the template, the seed and its number alone, so processes "
            "make their own parts. Files are made by one process."
        )

    @classmethod
    def draw(cls, result: Result) -> dict[str, Figure]:
        from benchmarks.plots.bars import bars

        return {"generate": bars(result)}

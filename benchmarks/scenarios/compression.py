"""Compressed files beside a plain one with the same payloads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from cyclopts import Parameter

from benchmarks import payloads
from benchmarks.contestants.compressed import COMPRESSED
from benchmarks.contestants.registry import LOADER
from benchmarks.results import CaseResult, Result
from benchmarks.runner import Case, Runner
from benchmarks.scenarios.base import SMALL, Scenario
from benchmarks.server import Server

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Compression(Scenario):
    """Loading compressed files, each beside the same lines in a plain file."""

    name: ClassVar[str] = "compression"
    title: ClassVar[str] = "Compressed files beside a plain one"
    variant_heading: ClassVar[str] = "input"
    base_heading: ClassVar[str] = "of the plain file"

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
        dataset = payloads.dataset(self.size, self.tasks)
        cases = [
            Case(LOADER.name, LOADER, dataset, variant="plain"),
            *(Case(one.name, one, dataset, base=LOADER.name, variant=one.compression) for one in COMPRESSED),
        ]
        return runner.rounds(cases, self.runs)

    @classmethod
    def draw(cls, result: Result) -> dict[str, Figure]:
        from benchmarks.plots.bars import bars

        return {"compression": bars(result)}

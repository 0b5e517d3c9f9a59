"""A JSON array beside JSON lines with the same payloads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cyclopts import Parameter

from benchmarks import payloads
from benchmarks.contestants.arrays import ARRAY, JQ
from benchmarks.contestants.registry import LOADER
from benchmarks.results import CaseResult
from benchmarks.runner import Case, Runner
from benchmarks.scenarios.base import OfInputs
from benchmarks.server import Server


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Arrays(OfInputs):
    """Loading the elements of an array: the loader alone, and after jq, beside JSON lines."""

    name: ClassVar[str] = "arrays"
    title: ClassVar[str] = "The elements of a JSON array beside JSON lines"
    base_heading: ClassVar[str] = "of JSON lines"

    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        dataset = payloads.dataset(self.size, self.tasks)
        cases = [
            Case(contestant.name, contestant, dataset, base=LOADER.name, variant=variant)
            for contestant, variant in ((LOADER, "lines"), (ARRAY, "array"), (JQ, "array"))
        ]
        return runner.rounds(cases, self.runs)

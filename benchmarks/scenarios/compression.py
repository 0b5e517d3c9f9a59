"""Compressed files beside a plain one with the same payloads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cyclopts import Parameter

from benchmarks import payloads
from benchmarks.contestants.compressed import COMPRESSED
from benchmarks.contestants.registry import LOADER
from benchmarks.results import CaseResult
from benchmarks.runner import Case, Runner
from benchmarks.scenarios.base import OfInputs
from benchmarks.server import Server


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Compression(OfInputs):
    """Loading compressed files, each beside the same lines in a plain file."""

    name: ClassVar[str] = "compression"
    title: ClassVar[str] = "Compressed files beside a plain one"
    base_heading: ClassVar[str] = "of the plain file"

    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        dataset = payloads.dataset(self.size, self.tasks)
        cases = [
            Case(LOADER.name, LOADER, dataset, variant="plain"),
            *(Case(one.name, one, dataset, base=LOADER.name, variant=one.compression) for one in COMPRESSED),
        ]
        return runner.rounds(cases, self.runs)

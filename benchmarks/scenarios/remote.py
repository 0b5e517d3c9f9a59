"""An object of S3 beside a file with the same payloads."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from cyclopts import Parameter

from benchmarks import payloads
from benchmarks.contestants.registry import LOADER
from benchmarks.contestants.remote import FromObject
from benchmarks.errors import UnavailableError
from benchmarks.objects import object_server
from benchmarks.results import CaseResult, Result
from benchmarks.runner import Case, Runner
from benchmarks.scenarios.base import SMALL, Scenario
from benchmarks.server import Server

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Remote(Scenario):
    """Loading an object of a server of S3 on this machine, beside the same lines in a file."""

    name: ClassVar[str] = "remote"
    title: ClassVar[str] = "An object of S3 beside a file"
    variant_heading: ClassVar[str] = "input"
    base_heading: ClassVar[str] = "of the file"

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
        folder = scratch / "objects"
        folder.mkdir()
        with ExitStack() as stack:
            try:
                remote = FromObject(stack.enter_context(object_server(folder)))
            except UnavailableError as error:
                remote = FromObject(error)  # which is told in the table
            cases = [
                Case(LOADER.name, LOADER, dataset, variant="file"),
                Case(remote.name, remote, dataset, base=LOADER.name, variant="S3"),
            ]
            return runner.rounds(cases, self.runs)

    @classmethod
    def draw(cls, result: Result) -> dict[str, Figure]:
        from benchmarks.plots.bars import bars

        return {"remote": bars(result)}

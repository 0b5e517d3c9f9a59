"""The enqueueing guide's table of roads into a queue, measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from cyclopts import Parameter

from benchmarks import payloads
from benchmarks.contestants.http_gateway import BATCH_100, BATCH_1000, SINGLE
from benchmarks.contestants.registry import LOADER
from benchmarks.results import CaseResult, Result
from benchmarks.runner import Case, Runner
from benchmarks.scenarios.base import SMALL, Scenario
from benchmarks.server import Server

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SINGLE, _BATCH, _DIRECT = (800, 1_000), (35_000, 50_000), (40_000, 80_000)
GUIDE = {SINGLE.name: _SINGLE, BATCH_100.name: _BATCH, BATCH_1000.name: _BATCH, LOADER.name: _DIRECT}
"""Tasks a second that the guide gives for each road ("Quick Comparison")."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Roads(Scenario):
    """HTTP one by one, HTTP in batches, and direct: the guide's comparison."""

    name: ClassVar[str] = "roads"
    title: ClassVar[str] = "Roads into a queue: HTTP one by one, HTTP in batches, direct"
    variant_heading: ClassVar[str] = "the guide says"
    base_heading: ClassVar[str] = "of direct"

    tasks: int = 500_000
    """Payloads to load; HTTP one by one gets a tenth of that at most, in batches of 100 two fifths."""

    runs: int = 5
    """Rounds."""

    @classmethod
    def quick(cls) -> Self:
        return cls(tasks=3_000, runs=1)

    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        cases = [
            Case(
                contestant.name,
                contestant,
                payloads.dataset(SMALL, min(self.tasks, contestant.most_tasks or self.tasks)),
                base=LOADER.name,
                variant=f"{GUIDE[contestant.name][0]:,}\u2013{GUIDE[contestant.name][1]:,}",
            )
            for contestant in (SINGLE, BATCH_100, BATCH_1000, LOADER)
        ]
        return runner.rounds(cases, self.runs)

    @classmethod
    def remark(cls, result: Result) -> str:
        cores = result.machine["cores"]
        return (
            f"The {cores} cores are shared by client, gateway and server; what is answered is in. The guide does not "
            "tell on what machine its figures were taken."
        )

    @classmethod
    def draw(cls, result: Result) -> dict[str, Figure]:
        from benchmarks.plots.roads import roads

        return {"roads": roads(result, GUIDE)}

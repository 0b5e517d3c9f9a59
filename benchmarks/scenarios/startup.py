"""How long the tool takes if there is almost nothing to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from cyclopts import Parameter

from benchmarks import payloads
from benchmarks.contestants.bare import HELP, PYTHON
from benchmarks.contestants.registry import LOADER
from benchmarks.results import CaseResult, Result
from benchmarks.runner import Case, Runner
from benchmarks.scenarios.base import SMALL, Scenario, View
from benchmarks.server import Server

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RECORDS = 10


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class StartUp(Scenario):
    """Wall time of --help and of a load of ten records."""

    name: ClassVar[str] = "startup"
    title: ClassVar[str] = "Start-up: --help, and a load of ten records"
    view: ClassVar[View] = "start-up"
    variant_heading: ClassVar[str] = "does"

    runs: int = 20
    """Rounds."""

    @classmethod
    def quick(cls) -> Self:
        return cls(runs=2)

    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        dataset = payloads.dataset(SMALL, _RECORDS)
        cases = [
            Case(contestant.name, contestant, dataset, base=PYTHON.name, variant=variant)
            for contestant, variant in (
                (PYTHON, "nothing"),
                (HELP, "shows the commands"),
                (LOADER, f"loads {_RECORDS} records"),
            )
        ]
        return runner.rounds(cases, self.runs)

    @classmethod
    def remark(cls, result: Result) -> str:
        return "`runqy-loader` stands for `python -m runqy_loader`."

    @classmethod
    def draw(cls, result: Result) -> dict[str, Figure]:
        from benchmarks.plots.times import times

        return {"startup": times(result)}

"""The loader with several processes: into one server, and with the commands discarded, without the server's cost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from cyclopts import Parameter

from benchmarks import payloads
from benchmarks.contestants.registry import DISCARDING, LIMIT, LOADER
from benchmarks.results import CaseResult, Result
from benchmarks.runner import Case, Runner
from benchmarks.scenarios.base import SMALL, Scenario, Varied
from benchmarks.server import Server

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Processes(Scenario):
    """Throughput against the number of processes."""

    name: ClassVar[str] = "processes"
    title: ClassVar[str] = "Throughput against the number of processes"
    varied: ClassVar[Varied | None] = Varied("processes", lambda value: f"{value:.0f}" if value else "")

    tasks: int = 1_000_000
    """Payloads to load; the loader divides them into pieces of 16 MiB."""

    discarded_tasks: int = 5_000_000
    """Payloads if commands are discarded: more of them, since discarding is faster."""

    runs: int = 5
    """Rounds."""

    values: tuple[int, ...] = (1, 2)
    """Numbers of processes (repeat the option)."""

    @classmethod
    def quick(cls) -> Self:
        return cls(tasks=10_000, discarded_tasks=20_000, runs=1)

    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        dataset = payloads.dataset(SMALL, self.tasks)
        many = payloads.write(scratch / "many.jsonl", SMALL, tasks=self.discarded_tasks)
        cases = [
            Case(
                f"{contestant.name}/{value}",
                contestant,
                payload_set,
                options=(f"--processes={value}",),
                parameter=value,
                limit=LIMIT.name,
            )
            for contestant, payload_set in ((LOADER, dataset), (DISCARDING, many))
            for value in self.values
        ]
        return runner.rounds([*cases, Case(LIMIT.name, LIMIT, dataset, limit=LIMIT.name)], self.runs)

    @classmethod
    def draw(cls, result: Result) -> dict[str, Figure]:
        from benchmarks.plots.groups import by_processes

        return {"processes": by_processes(result)}

"""All contestants side by side on the usual payload."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from cyclopts import Parameter

from benchmarks import payloads
from benchmarks.contestants.go_clients import GO_REDIS
from benchmarks.contestants.registry import LIMIT, chosen
from benchmarks.results import CaseResult, Result
from benchmarks.runner import Case, Runner
from benchmarks.scenarios.base import SMALL, Scenario
from benchmarks.server import Server

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput(Scenario):
    """All contestants side by side."""

    name: ClassVar[str] = "throughput"
    title: ClassVar[str] = "Throughput: contestants side by side"
    several_servers: ClassVar[bool] = True
    shows_memory: ClassVar[bool] = True

    tasks: int = 500_000
    """Payloads to load; the one-by-one examples get fewer."""

    runs: int = 5
    """Rounds."""

    size: int = SMALL
    """Bytes a payload, about."""

    batch_size: int = 1000
    """Tasks in a batch or pipeline, for every contestant that has batches or pipelines."""

    contestants: tuple[str, ...] = ()
    """Only these (repeat the option); the limit always takes part."""

    @classmethod
    def quick(cls) -> Self:
        return cls(tasks=2_000, runs=1)

    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        cases = [
            Case(
                contestant.name,
                contestant,
                payloads.dataset(self.size, min(self.tasks, contestant.most_tasks or self.tasks)),
                self.batch_size,
                limit=LIMIT.name,
                base=GO_REDIS.name,  # for the server's memory: it writes HSETs
            )
            for contestant in chosen(self.contestants)
        ]
        return runner.rounds(cases, self.runs)

    @classmethod
    def remark(cls, result: Result) -> str:
        if not any(case.server_memory for case in result.measured):
            return ""
        return (
            "Server bytes are the growth of `used_memory`, the list of ids included. HSET's are those of "
            f"{GO_REDIS.label}; they are compared only with those of as many tasks."
        )

    @classmethod
    def draw(cls, result: Result) -> dict[str, Figure]:
        from benchmarks.plots.bars import bars
        from benchmarks.plots.server_memory import server_memory

        figures: dict[str, Figure] = {}
        for server in result.servers:
            suffix = f"-{server}" if len(result.servers) > 1 else ""
            part = result.on(server)
            figures[f"throughput{suffix}"] = bars(part)
            if any(case.server_memory for case in part.measured):
                figures[f"throughput-memory{suffix}"] = server_memory(part)
        return figures

"""The loader and the limit with payloads of different sizes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from cyclopts import Parameter

from benchmarks import payloads
from benchmarks.results import CaseResult, Result
from benchmarks.runner import Runner
from benchmarks.scenarios.base import Scenario, Varied, beside_the_limit
from benchmarks.server import Server
from benchmarks.units import size_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadSize(Scenario):
    """Throughput against payload size."""

    name: ClassVar[str] = "payload-size"
    title: ClassVar[str] = "Throughput against payload size"
    varied: ClassVar[Varied | None] = Varied("payload", size_text)

    tasks: int = 500_000
    """Payloads to load, at most."""

    runs: int = 5
    """Rounds."""

    values: tuple[int, ...] = (110, 1_000, 10_000)
    """Payload sizes in bytes (repeat the option)."""

    most_bytes: int = 300_000_000
    """The most bytes of payloads together; fewer payloads are loaded if they would exceed it."""

    @classmethod
    def quick(cls) -> Self:
        return cls(tasks=5_000, runs=1, most_bytes=5_000_000)

    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        points = (
            (value, payloads.dataset(value, min(self.tasks, self.most_bytes // value)), 1000, None)
            for value in self.values
        )
        return runner.rounds(beside_the_limit(points), self.runs)

    @classmethod
    def draw(cls, result: Result) -> dict[str, Figure]:
        from benchmarks.plots.groups import by_payload_size

        return {"payload-size": by_payload_size(result)}

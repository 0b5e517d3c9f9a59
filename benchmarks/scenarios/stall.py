"""What tools for load tests say of a server that stalls for a second."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from cyclopts import Parameter

from benchmarks import payloads
from benchmarks.contestants.base import Contestant
from benchmarks.contestants.load_testers import K6, LEFT_OUT, ClosedLoop
from benchmarks.contestants.paced import LONGEST, P50, P99, PACED, SENT
from benchmarks.results import CaseResult, Result
from benchmarks.runner import Case, Runner
from benchmarks.scenarios.base import SMALL, Scenario, Shown, View
from benchmarks.server import Server

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _ms(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _count(value: float) -> str:
    return f"{value:,.0f}"


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Stall(Scenario):
    """What tools for load tests say of a server that stalls for a second."""

    name: ClassVar[str] = "stall"
    title: ClassVar[str] = "A server that stalls for a second, as tools for load tests see it"
    view: ClassVar[View] = "figures"
    figures: ClassVar[tuple[Shown, ...]] = (
        Shown("p50, ms", P50, _ms),
        Shown("p99, ms: min · **median** · max", P99, _ms, "spread"),
        Shown("longest, ms", LONGEST, _ms),
        Shown("sent", SENT, _count),
        Shown("left out", LEFT_OUT, _count),
    )

    rate: int = 500
    """Tasks a second, of tools that have a rate."""

    seconds: int = 10
    """Seconds of a run. The server stalls for one of them, or for a tenth of it if that is less."""

    runs: int = 3
    """Rounds."""

    without_k6: bool = False
    """Leave out k6, whose build takes minutes."""

    @classmethod
    def quick(cls) -> Self:
        return cls(rate=200, seconds=2, runs=1, without_k6=True)

    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        dataset = payloads.dataset(SMALL, self.rate * self.seconds)
        contestants: list[Contestant] = [PACED, ClosedLoop(self.seconds)]
        if not self.without_k6:
            few, many = max(2, self.rate // 20), 2 * self.rate
            contestants[1:1] = [K6(self.rate, self.seconds, many), K6(self.rate, self.seconds, few)]
        rate = (f"--rate={self.rate}/s",)
        cases = [
            Case(contestant.name, contestant, dataset, options=rate if contestant is PACED else ())
            for contestant in contestants
        ]
        stall = min(1.0, self.seconds / 10)

        return runner.rounds(cases, self.runs, during=lambda: server.stalled(0.4 * self.seconds, stall))

    @classmethod
    def remark(cls, result: Result) -> str:
        return (
            "The server's process is stopped (SIGSTOP) for a tenth of the run, one second at most. At a constant rate "
            "a tenth of all tasks is due in that time, so that the latency which 99 % stay below must be nine tenths "
            "of it. *Left out* are tasks that were due and never sent."
        )

    @classmethod
    def draw(cls, result: Result) -> dict[str, Figure]:
        return {}

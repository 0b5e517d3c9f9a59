"""How exactly a rate is held, from one task a second to a hundred thousand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from cyclopts import Parameter

from benchmarks import payloads
from benchmarks.arrivals import Arrivals
from benchmarks.contestants.base import Plan, Work
from benchmarks.contestants.paced import PACED, report_of
from benchmarks.errors import WrongResultError
from benchmarks.outcome import QUEUE
from benchmarks.results import CaseResult, Result, Run
from benchmarks.runner import Case, Runner, say
from benchmarks.scenarios.base import SMALL, Scenario, Varied, View
from benchmarks.server import Server

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Pace(Scenario):
    """The error of a rate over each second, the jitter, and the latencies."""

    name: ClassVar[str] = "pace"
    title: ClassVar[str] = "How exactly a rate is held"
    varied: ClassVar[Varied | None] = Varied("--rate, tasks/s", lambda value: f"{value:,.0f}")
    view: ClassVar[View] = "pace"

    seconds: int = 10
    """Seconds of each load."""

    runs: int = 3
    """Rounds."""

    rates: tuple[int, ...] = (1, 10, 100, 1_000, 10_000, 20_000, 50_000, 100_000)
    """Tasks a second (repeat the option)."""

    @classmethod
    def quick(cls) -> Self:
        return cls(seconds=2, runs=1, rates=(10, 1_000))

    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        prepared: list[tuple[Case, CaseResult, Plan, Work]] = []
        for rate in self.rates:
            dataset = payloads.dataset(SMALL, rate * self.seconds + 1)  # the last one begins another second
            case = Case(f"pace/{rate}", PACED, dataset, parameter=rate, options=(f"--rate={rate}/s",))
            prepared.append((case, case.result(), *runner.prepare(case)))
        for number in range(1, self.runs + 1):
            for case, result, plan, work in prepared:
                try:
                    run = self._once(runner, case, plan, work, number)
                except WrongResultError as error:
                    result.failures.append(f"round {number}: {error}")
                    say(f"  round {number}/{self.runs}  {case.key}: FAILED: {error}")
                    continue
                result.runs.append(run)
                told = ", ".join(f"{name} {value:.4g}" for name, value in run.figures.items())
                say(f"  round {number}/{self.runs}  {case.key:<16} {told}")
        return [result for _, result, _, _ in prepared]

    def _once(self, runner: Runner, case: Case, plan: Plan, work: Work, number: int) -> Run:
        rate = case.parameter or 1
        key = case.outcome.layout.pending_key(QUEUE)
        with Arrivals(work.target.url, key, 1 / rate) as arrivals:
            run = runner.once(case, plan, work, number)
        report = report_of(work.scratch)
        pace, latency = report["pace"], report["latency"]
        figures = {
            "batch": case.dataset.tasks / report["batches"],
            "error": pace["worst_second_error"],
            "error at the server": arrivals.worst_error(rate),
            **{f"jitter {name}": pace["jitter"][name] for name in ("p50", "p99", "max")},
            **{f"latency {name}": latency[name] for name in ("p50", "p99", "max")},
        }
        return replace(run, figures={name: value for name, value in figures.items() if value is not None})

    @classmethod
    def remark(cls, result: Result) -> str:
        return (
            "*Error*: the tasks sent over each whole second against those due in it, in the worst second, as the "
            "loader reports it. *At the server*: the growth of the queue over each second, asked for by another "
            "process once a second; this has the jitter of the question as well, and whole batches. *Jitter*: how "
            "late batches are sent. *Latency*: of a task, from due to acknowledged; a batch is sent when its last "
            "task is due."
        )

    @classmethod
    def draw(cls, result: Result) -> dict[str, Figure]:
        return {}

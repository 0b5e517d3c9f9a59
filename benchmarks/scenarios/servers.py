"""The loader into a Redis Cluster of several servers, beside its own ceiling."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, ClassVar, Self

from cyclopts import Parameter

from benchmarks import payloads
from benchmarks.cluster import Cluster
from benchmarks.contestants.registry import DISCARDING, LIMIT, LOADER
from benchmarks.errors import BenchmarkError
from benchmarks.outcome import ASYNQ, Outcome
from benchmarks.payloads import QUEUES, WITH_QUEUE
from benchmarks.results import CaseResult, Result
from benchmarks.runner import Case, Runner
from benchmarks.scenarios.base import SMALL, Scenario, Varied
from benchmarks.server import Server

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OPTIONS = ("--layout=asynq", "--profile=asynq", "--type=task", "--queue-field=queue")
_CORES_FOR_FOUR = 6


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Servers(Scenario):
    """Throughput against the number of servers of a cluster."""

    name: ClassVar[str] = "servers"
    title: ClassVar[str] = "Throughput against the number of servers"
    varied: ClassVar[Varied | None] = Varied("servers", lambda value: f"{value:.0f}" if value else "")
    variant_heading: ClassVar[str] = "processes"
    base_heading: ClassVar[str] = "of one server, one process"

    tasks: int = 500_000
    """Payloads to load; the loader divides them into pieces of 16 MiB."""

    discarded_tasks: int = 4_000_000
    """Payloads if commands are discarded: more of them, since discarding is faster."""

    runs: int = 5
    """Rounds."""

    batch_size: int = 8_000
    """Records a batch; each is split among the queues, so 500 tasks of a queue go together."""

    values: tuple[int, ...] = ()
    """Numbers of servers (repeat the option); by default 1 and 2, and 4 on a machine of six cores or more."""

    processes: tuple[int, ...] = (1, 2)
    """Numbers of processes (repeat the option)."""

    @classmethod
    def quick(cls) -> Self:
        return cls(tasks=5_000, discarded_tasks=20_000, runs=1, values=(1, 2))

    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        if server.target.socket is not None:
            raise BenchmarkError("nodes of a cluster are reached by TCP: leave out --transport unix")
        sizes = self.values or ((1, 2, 4) if (os.cpu_count() or 1) >= _CORES_FOR_FOUR else (1, 2))
        dataset = payloads.dataset(SMALL, self.tasks, WITH_QUEUE)
        many = payloads.write(scratch / "many.jsonl", SMALL, tasks=self.discarded_tasks, form=WITH_QUEUE)
        outcome = Outcome(ASYNQ, queues=QUEUES[: self.tasks], queue_field="queue")

        def case(contestant_dataset: payloads.Dataset, size: int, processes: int, cluster: Cluster | None) -> Case:
            contestant = LOADER if cluster is not None else DISCARDING
            return Case(
                f"{contestant.name}/{f'{size}-servers/' if size else ''}{processes}-processes",
                contestant,
                contestant_dataset,
                self.batch_size,
                options=(*_OPTIONS, f"--processes={processes}"),
                parameter=size,
                limit=LIMIT.name,
                base=f"{LOADER.name}/1-servers/1-processes",
                variant=str(processes),
                outcome=outcome,
                store=cluster,
            )

        with ExitStack() as stack:
            clusters = {size: stack.enter_context(Cluster(server.binary, size)) for size in sizes}
            cases = [case(dataset, size, count, clusters[size]) for size in sizes for count in self.processes]
            cases += [case(many, 0, count, None) for count in self.processes]
            # redis-cli has one connection and does not support clusters: it shows how much one server can take.
            limit = Case(
                LIMIT.name,
                LIMIT,
                dataset,
                self.batch_size,
                options=_OPTIONS,
                parameter=1,
                limit=LIMIT.name,
                outcome=outcome,
            )
            return runner.rounds([*cases, limit], self.runs)

    @classmethod
    def remark(cls, result: Result) -> str:
        loads = (case for case in result.measured if case.contestant == LOADER.name)
        busy = [
            f"{case.parameter:.0f}/{case.variant}: {median(run.server_seconds / run.seconds for run in case.runs):.1f}"
            for case in loads
        ]
        cores = result.machine["cores"]
        shared = (
            f"**This machine has {cores} cores, which the loader's processes and all servers share**: where that is "
            "fewer than all of them together, more servers cannot show what they could do elsewhere."
        )
        return (
            f"{shared} A Redis Cluster of primaries without replicas; records name one of {len(QUEUES)} queues in "
            f"turn, which lie evenly on its nodes; batches of {result.cases[0].batch_size:,}, each split among "
            f"the queues; `{' '.join(_OPTIONS)}`. Cores' worth of CPU that all servers "
            f"together used (servers/processes): {', '.join(busy)}; where servers are the limit, it is about one for "
            "each. redis-cli loads into one server outside of a cluster."
        )

    @classmethod
    def draw(cls, result: Result) -> dict[str, Figure]:
        from benchmarks.plots.groups import by_servers

        return {"servers": by_servers(result)}

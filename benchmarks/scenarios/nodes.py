"""One load into a Redis Cluster of three nodes, beside three loads at the same time into three servers."""

from __future__ import annotations

import json
import os
import shlex
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, ClassVar, Self

import redis
from cyclopts import Parameter

from benchmarks import payloads
from benchmarks.cluster import Cluster
from benchmarks.contestants.registry import LOADER
from benchmarks.errors import BenchmarkError, WrongResultError
from benchmarks.measure import Usage, run_process
from benchmarks.recorder import PROGRAM
from benchmarks.results import CaseResult, Result, Run
from benchmarks.runner import Case, Runner, say
from benchmarks.scenarios.base import SMALL, Scenario
from benchmarks.server import Counters, Server

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NODES = 3
_ASIDE = "three loads, three servers"
_ALONE = "three loads, three clusters of one node"
_LAYOUTS = {
    "documented": ("--layout=documented",),
    "asynq": ("--layout=asynq", "--profile=asynq", "--type=task"),
    "asynq, runqy's look-ups": ("--layout=asynq",),
}
_SPREAD = (f"--spread={_NODES}",)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class NodesOfACluster(Scenario):
    """One load into a cluster of three nodes, beside three loads into three servers of their own."""

    name: ClassVar[str] = "nodes"
    title: ClassVar[str] = "A cluster of three nodes, beside three servers with a load each"
    variant_heading: ClassVar[str] = "layout, load"
    base_heading: ClassVar[str] = "of three loads"

    tasks: int = 450_000
    """Payloads of all loads together: three pieces of 16 MiB, so that three processes have the same to do."""

    runs: int = 5
    """Rounds."""

    @classmethod
    def quick(cls) -> Self:
        return cls(tasks=3_000, runs=1)

    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        if server.target.socket is not None:
            raise BenchmarkError("nodes of a cluster are reached by TCP: leave out --transport unix")
        whole = payloads.dataset(SMALL, self.tasks)
        thirds = [payloads.dataset(SMALL, self.tasks // _NODES)] * _NODES
        results = [
            _case(f"{layout}/{load}", layout, load, whole).result()
            for layout in _LAYOUTS
            for load in (_ASIDE, _ALONE, "one load, three processes", "one load, one process")
        ]
        with ExitStack() as stack:
            cluster = stack.enter_context(Cluster(server.binary, _NODES))
            alone = [stack.enter_context(Cluster(server.binary, 1)).servers[0] for _ in range(_NODES)]
            servers = [stack.enter_context(Server(server.binary)) for _ in range(_NODES)]
            for number in range(1, self.runs + 1):
                for result in results:
                    layout, load = result.key.split("/")
                    if load in (_ASIDE, _ALONE):
                        stores, tasks = servers if load == _ASIDE else alone, self.tasks // _NODES * _NODES
                        commands = [
                            _command(third.path, layout, one.target.url, f"{at}.json")
                            for at, (third, one) in enumerate(zip(thirds, stores, strict=True))
                        ]
                    else:
                        stores, tasks = cluster.servers, self.tasks
                        more: tuple[str, ...] = () if layout == "documented" else _SPREAD
                        more += (f"--processes={_NODES if 'three' in load else 1}",)
                        commands = [_command(whole.path, layout, cluster.target.url, "0.json", *more)]
                    run = _once(commands, stores, scratch, number)
                    _check(stores, tasks)
                    result.runs.append(run)
                    say(f"  round {number}/{self.runs}  {result.key:<44} {self.tasks / run.seconds:>11,.0f} tasks/s")
        return results

    @classmethod
    def remark(cls, result: Result) -> str:
        cores = result.machine["cores"]
        cpu = "; ".join(
            f"{case.variant}: {_work(result, case):.2f}" for case in result.measured if case.base != case.key
        )
        return (
            f"**This machine has {cores} cores, which all loads and all servers share**: the figures compare the work "
            "of both ways, not what six or more machines could do. Where it is busy with other work, three loads get "
            "more of its time than one, as they are more processes, and the processes of one load start while its "
            "clock runs. So compare the CPU as well: that of three loads, with their servers, as a multiple of that of "
            f"one load with its cluster, medians of the rounds: {cpu}. "
            "Three loads: each has a third of the tasks, one process, and a server of its own that is in no cluster; "
            "they begin together, and their seconds are those of the one that takes longest. One load has all tasks, "
            "and the three servers are a cluster of primaries; in layout asynq it is spread over three sub-queues "
            "(`--spread 3`). Three clusters of one node: the same three loads, into servers in cluster mode that have "
            "all slots each. What these need beyond three plain servers is what the server's cluster mode costs, and "
            "no load can win it back. Batches of 1,000."
        )

    @classmethod
    def draw(cls, result: Result) -> dict[str, Figure]:
        return {}


def _case(key: str, layout: str, load: str, dataset: payloads.Dataset) -> Case:
    return Case(key, LOADER, dataset, base=f"{layout}/{_ASIDE}", variant=f"{layout}: {load}")


def _command(path: Path, layout: str, url: str, report: str, *more: str) -> str:
    options = ("--queue=bench", f"--redis={url}", "--again", "--quiet", f"--report={report}", *_LAYOUTS[layout])
    return shlex.join([*PROGRAM, "load", str(path), *options, *more])


def _work(result: Result, case: CaseResult) -> float:
    """The CPU of three loads and their servers, as a multiple of that of a case, in the median round."""
    (base,) = (one for one in result.cases if one.key == case.base)
    by_round = {run.round: run.client_seconds + run.server_seconds for run in base.runs}
    return median(by_round[run.round] / (run.client_seconds + run.server_seconds) for run in case.runs)


def _once(commands: list[str], stores: list[Server], scratch: Path, number: int) -> Run:
    for one in stores:
        one.clear()
    load_average = os.getloadavg()[0]
    before = [one.counters() for one in stores]
    usage = _together(commands, scratch)
    used = [_since(start, one.counters()) for start, one in zip(before, stores, strict=True)]
    reports = [json.loads((scratch / f"{at}.json").read_text()) for at in range(len(commands))]
    return Run(
        round=number,
        seconds=max(float(report["seconds"]) for report in reports),
        process_seconds=usage.seconds,
        client_user_seconds=usage.user_seconds,
        client_system_seconds=usage.system_seconds,
        server_seconds=sum(one.user_seconds + one.system_seconds for one in used),
        server_bytes_in=sum(one.bytes_in for one in used),
        peak_rss_bytes=usage.peak_rss_bytes,
        load_average=load_average,
    )


def _together(commands: list[str], scratch: Path) -> Usage:
    """Runs commands at the same time, until all have ended well."""
    started = " ".join(f'{command} & jobs_of="$jobs_of $!";' for command in commands)
    return run_process(["sh", "-c", f"{started} for one in $jobs_of; do wait $one || exit 1; done"], scratch)


def _since(before: Counters, after: Counters) -> Counters:
    return replace(
        after,
        user_seconds=after.user_seconds - before.user_seconds,
        system_seconds=after.system_seconds - before.system_seconds,
        bytes_in=after.bytes_in - before.bytes_in,
    )


def _check(stores: list[Server], tasks: int) -> None:
    """All tasks are pending, and no server has less than a fifth of them."""
    pending, hashes = 0, []
    for store in stores:
        with redis.Redis(port=store.target.port) as client:
            pending += sum(client.llen(key) for key in client.scan_iter("asynq:*:pending", count=10_000))
            hashes.append(client.dbsize())
    if pending != tasks or min(hashes) < tasks // 5:
        raise WrongResultError(f"{pending:,} of {tasks:,} tasks are pending, with {hashes} keys on the servers")

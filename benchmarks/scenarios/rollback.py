"""Taking back a job out of a queue that holds tasks of others."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import redis
from cyclopts import Parameter

from benchmarks import payloads
from benchmarks.contestants.registry import LOADER
from benchmarks.errors import WrongResultError
from benchmarks.measure import run_process
from benchmarks.recorder import JOB, PROGRAM
from benchmarks.results import CaseResult, Result, Run
from benchmarks.runner import Case, Runner, say
from benchmarks.scenarios.base import SMALL, Scenario
from benchmarks.server import Server

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BLOCK = 10_000
_BY_LREM = 1_000
"""Ids that are removed one by one: all of them would take hours."""

_SHAPES = {
    "alone": "no tasks of others",
    "one by one": "each between tasks of others",
    "in blocks": f"blocks of {_BLOCK:,} between blocks of others",
    "in the middle": "as one block",
}


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback(Scenario):
    """Taking a job out of a queue that others use as well, beside the load of it, and beside LREM for each id."""

    name: ClassVar[str] = "rollback"
    title: ClassVar[str] = "Taking back a job out of a queue with tasks of others"
    variant_heading: ClassVar[str] = "its tasks in the queue"
    base_heading: ClassVar[str] = "of the load"

    tasks: int = 500_000
    """Tasks of the job."""

    others: int = 1_000_000
    """Tasks of others in the same queue."""

    runs: int = 3
    """Rounds."""

    size: int = SMALL
    """Bytes a payload, about."""

    @classmethod
    def quick(cls) -> Self:
        return cls(tasks=2_000, others=4_000, runs=1)

    def measure(self, runner: Runner, server: Server, scratch: Path) -> list[CaseResult]:
        dataset = payloads.dataset(self.size, self.tasks)
        load = Case("load", LOADER, dataset, base="load", variant="the load itself")
        results = [load.result()]
        for shape in _SHAPES:
            case = replace(load, key=f"rollback/{shape.replace(' ', '-')}", variant=shape)
            results.append(replace(case.result(), label="rollback", note=""))
        by_id = replace(load, key="lrem", variant=f"one by one, LREM for each of {_BY_LREM:,}")
        results.append(replace(by_id.result(), label="LREM", note="", tasks=min(_BY_LREM, self.tasks), same_work=False))
        plan, work = runner.prepare(load)
        with redis.Redis.from_url(server.target.url) as client:
            for number in range(1, self.runs + 1):
                for result in results:
                    run = runner.once(load, plan, work, number)
                    if result.key != "load":
                        self._mix(client, "one by one" if result.key == "lrem" else result.variant)
                        run = self._by_id(client, run) if result.key == "lrem" else self._rollback(server, run, scratch)
                        self._check(client, whole=result.key != "lrem")
                    result.runs.append(run)
                    say(f"  round {number}/{self.runs}  {result.key:<28} {result.tasks / run.seconds:>11,.0f} tasks/s")
        return results

    def _mix(self, client: Any, shape: str) -> None:
        """Puts the job's ids between those of others."""
        key = self._key(client)
        mine = client.lrange(key, 0, -1)
        client.delete(key)
        ids = self._mixed(mine, shape)
        pipe = client.pipeline(transaction=False)
        for at in range(0, len(ids), 5000):
            pipe.rpush(key, *ids[at : at + 5000])
        pipe.execute()

    def _mixed(self, mine: Sequence[bytes], shape: str) -> Sequence[bytes]:
        others = list(self._others())
        if shape == "alone":
            return mine
        if shape == "in the middle":
            return [*others[: len(others) // 2], *mine, *others[len(others) // 2 :]]
        width, theirs = (1, max(1, len(others) // len(mine))) if shape == "one by one" else (_BLOCK, _BLOCK)
        ids: list[bytes] = []
        for number in range(max(len(mine) // width, len(others) // theirs) + 1):
            ids += mine[number * width : (number + 1) * width]
            ids += others[number * theirs : (number + 1) * theirs]
        return ids

    def _others(self) -> Iterator[bytes]:
        return (b"%08x-0000-4000-8000-%012x" % (number, number) for number in range(self.others))

    def _rollback(self, server: Server, run: Run, scratch: Path) -> Run:
        before = server.counters()
        usage = run_process([*PROGRAM, "rollback", JOB, "--redis", server.target.url, "--quiet"], scratch, None)
        after = server.counters()
        return replace(
            run,
            seconds=usage.seconds,
            process_seconds=usage.seconds,
            client_user_seconds=usage.user_seconds,
            client_system_seconds=usage.system_seconds,
            server_seconds=after.user_seconds + after.system_seconds - before.user_seconds - before.system_seconds,
            server_bytes_in=after.bytes_in - before.bytes_in,
            peak_rss_bytes=usage.peak_rss_bytes,
            load_average=os.getloadavg()[0],
            server_memory_bytes=0,
        )

    def _by_id(self, client: Any, run: Run) -> Run:
        """Removes some ids by one LREM each, and their hashes, in pipelines of 100."""
        key = self._key(client)
        theirs = set(self._others())
        mine = [one for one in client.lrange(key, 0, -1) if one not in theirs]
        chosen = mine[:: max(1, len(mine) // _BY_LREM)][:_BY_LREM]
        began = time.monotonic()
        for at in range(0, len(chosen), 100):
            pipe = client.pipeline(transaction=False)
            for one in chosen[at : at + 100]:
                pipe.lrem(key, 1, one)
                pipe.delete(b"asynq:t:" + one)
            pipe.execute()
        seconds = time.monotonic() - began
        return replace(run, seconds=seconds, process_seconds=seconds, client_user_seconds=0, client_system_seconds=0)

    def _check(self, client: Any, *, whole: bool) -> None:
        """The tasks of others are all there, in their order, and nothing of the job."""
        if not whole:
            return
        left = client.lrange(self._key(client), 0, -1)
        if left and left != list(self._others()):
            raise WrongResultError(f"{len(left):,} ids are left, and should be those of others in their order")
        if any(True for _ in client.scan_iter(match="asynq:t:*", count=10_000)):
            raise WrongResultError("hashes of the job are left")

    def _key(self, client: Any) -> bytes:
        (key,) = list(client.scan_iter(match="asynq:*:pending", count=10_000)) or [b"asynq:gone:pending"]
        return bytes(key)

    @classmethod
    def remark(cls, result: Result) -> str:
        shapes = "; ".join(f"*{name}*: {text}" for name, text in _SHAPES.items() if name != "alone")
        return (
            f"{shapes}. The seconds of a rollback are those of its whole process. LREM for each id is measured with "
            f"{_BY_LREM:,} ids spread over the queue; the time grows with the length of the queue."
        )

    @classmethod
    def draw(cls, result: Result) -> dict[str, Figure]:
        return {}

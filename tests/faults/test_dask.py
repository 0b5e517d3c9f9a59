"""Dask workers that are killed, stopped, cut off or retired while they load: each record is in once all the same."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from tests.dask_cluster import DaskCluster, SmallShards
from tests.fault_counts import Fault, count
from tests.faults.helpers import Load, payload, until, write_lines
from tests.faults.proxy import COMMIT, Link, Verdict
from tests.faults.scene import QUEUE, Scene
from tests.faults.test_seeded import Round
from tests.integration.stored import Consumer

_TASK = b":t:"
"""A word of what workers send with tasks, in either layout."""

WORKERS = 4
KILLS = 4
"""Of workers, in a round."""

RECORDS, WIDTH = 2400, 60
SHARD_BYTES = 12_000
"""So there are about 17 shards."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    folder = tmp_path_factory.mktemp("dask")
    with DaskCluster(folder, WORKERS, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0") as cluster:
        yield cluster


@dataclass(slots=True)
class DaskRound(Round):
    """A round with more and smaller shards."""

    processes: int = field(default=1)

    def prepare(self, scene: Scene) -> None:
        every = self.chance.randint(2, 40) if self.rejects else RECORDS + 1
        lines = [payload(n, WIDTH) if n % every else b'{"n": %d,' % n for n in range(1, RECORDS + 1)]
        write_lines(scene.folder / "in.jsonl", lines)
        self.bad = [("in.jsonl", n) for n in range(every, RECORDS + 1, every)]
        self.good = [line for line in lines if line.endswith(b"}")]

    def load(self, scene: Scene, cluster: DaskCluster) -> Load:
        return dask_load(
            scene, cluster, "--layout", self.layout, "--compact", self.compact, "--max-errors", "none",
            *(("--id-field", "n") if self.own_ids else ()),
        )  # fmt: skip


def dask_load(scene: Scene, cluster: DaskCluster, *more: str) -> Load:
    return SmallShards(
        SHARD_BYTES, "in.jsonl", "-b", "10", "-q", "q", "--job", "j", "--rejects", "rejects.jsonl", "--report", "-",
        "--redis", scene.proxy.url, "--engine", "dask", "--scheduler", cluster.address, *more, cwd=scene.folder,
    )  # fmt: skip


def worker_of(link: Link) -> int | None:
    """The pid of the Dask worker that a connection is of; None for another connection."""
    if link.process is None or b"-" not in link.process:
        return None
    return int(link.process.partition(b"-")[0], 16)


class Killer:
    """Kills the worker that sends the n-th commit, or the n-th hashes, from here on; n is drawn.

    Attributes:
        happened: Whether it was killed.
    """

    def __init__(self, scene: Scene, cluster: DaskCluster, chance: random.Random) -> None:
        self.happened = threading.Event()
        self._cluster = cluster
        self._left = chance.randint(1, 30)
        self._word = chance.choice((COMMIT, _TASK))
        self._verdict = chance.choice((Verdict.PASS, Verdict.CUT, Verdict.EXECUTE_AND_CUT))
        self._scene = scene
        scene.proxy.rule = self._rule

    def _rule(self, link: Link, chunk: bytes) -> Verdict | None:
        pid = worker_of(link)
        if pid is None or self._word not in chunk or self.happened.is_set():
            return None
        self._left -= 1
        if self._left:
            return None
        self._cluster.kill(pid)
        count(Fault.DASK_KILL)
        self.happened.set()
        return self._verdict


@pytest.mark.parametrize("seed", range(25))
def test_workers_killed_again_and_again_load_each_record_once(scene: Scene, cluster: DaskCluster, seed: int) -> None:
    round_ = DaskRound(random.Random(f"dask {seed}"))
    round_.prepare(scene)
    scene.proxy.latency = 0.003

    with ExitStack() as stack:
        consumer = stack.enter_context(Consumer(scene.server, round_.layout, QUEUE)) if round_.consumed else None
        running = stack.enter_context(round_.load(scene, cluster))
        for _ in range(KILLS):
            killer = Killer(scene, cluster, round_.chance)
            until(lambda killer=killer: killer.happened.is_set() or not running.running, "a worker is killed")  # type: ignore[misc]
            cluster.heal()
        scene.proxy.rule = None
        done = running.wait()
        if consumer is not None:
            consumer.finish()

    assert killer.happened.is_set(), f"the load ended before the last kill: {done.stderr}"
    round_.check(scene, done, consumer)
    assert done.report["already_loaded"] == 0, "what a killed worker has loaded is of this load"

"""``runqy-loader jobs pause``, ``resume`` and ``rate`` for loads on a Dask cluster, where shards wait in queues."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli import run
from tests.conftest import RedisServer, Server
from tests.dask_cluster import DaskCluster, SmallShards
from tests.dask_cluster import client as client
from tests.faults.helpers import HANG, assert_adds_up, assert_each_once, numbered

PENDING = "asynq:q.default:pending"
WORKERS = 2
ARGUMENTS = ("in.jsonl", "-q", "q", "--layout", "documented", "-b", "10", "--max-errors", "none", "--job", "j")
"""No records are judged first, so many shards are handed to the cluster at once."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with DaskCluster(tmp_path_factory.mktemp("dask"), WORKERS) as cluster:
        yield cluster


class Orders:
    """A job that was begun on this machine, orders for it, and its load on the cluster."""

    def __init__(
        self, cluster: DaskCluster, server: Server, client: Any, folder: Path, records: int, size: int
    ) -> None:
        self._cluster = cluster
        self._server = server
        self._folder = folder
        self._size = size
        self.lines = numbered(folder / "in.jsonl", records)
        with SmallShards(size, *ARGUMENTS, "--redis", server.url, "--rate", "200/s", cwd=folder) as begun:
            begun.until(lambda: client.llen(PENDING) >= 10, "the job has begun")
            begun.signal(signal.SIGINT)
            assert begun.wait().status == 130

    def give(self, *words: str) -> None:
        done = run("jobs", *words, "--redis", self._server.url, cwd=self._folder)
        assert done.status == 0, done.stderr

    def load(self) -> SmallShards:
        return SmallShards(
            self._size, *ARGUMENTS, "--redis", self._server.url, "--report", "-", "--engine", "dask",
            "--scheduler", self._cluster.address, cwd=self._folder,
        )  # fmt: skip


def test_shards_that_waited_in_the_cluster_since_a_pause_go_on_as_well(
    cluster: DaskCluster, valkey: Server, client: Any, tmp_path: Path
) -> None:
    job = Orders(cluster, valkey, client, tmp_path, 1200, 3000)
    job.give("pause", "j")

    with job.load() as running:
        pids = [worker.pid for worker in cluster.workers]
        running.until(lambda: all(cluster.shards_on(pid) for pid in pids), "each worker has a shard that is paused")
        assert running.running, running.wait().stderr
        assert cluster.tasks > 2 * WORKERS, "others wait for them"
        assert client.llen(PENDING) < 1200
        job.give("resume", "j")
        done = running.wait(HANG)

    assert done.status == 0, done.stderr
    assert_adds_up(done, loaded_in_all=1200)
    assert_each_once(client, job.lines)


def test_a_worker_that_joins_a_paused_load_pauses_and_goes_on(
    cluster: DaskCluster, valkey: Server, client: Any, tmp_path: Path
) -> None:
    job = Orders(cluster, valkey, client, tmp_path, 1200, 3000)
    job.give("pause", "j")

    with job.load() as running:
        running.until(lambda: cluster.tasks > 2 * WORKERS, "shards are with the cluster")
        before = client.llen(PENDING)
        late = cluster.add_worker()
        try:
            running.until(lambda: cluster.shards_on(late.pid), "it takes one of the shards that wait")
            assert client.llen(PENDING) == before
            job.give("resume", "j")
            done = running.wait(HANG)
        finally:
            cluster.retire(late.pid)
            late.wait(HANG)
            cluster.workers.remove(late)

    assert done.status == 0, done.stderr
    assert_each_once(client, job.lines)


def test_a_load_hears_nothing_of_another_one_in_the_same_worker(
    valkey: Server, client: Any, redis_server: Callable[..., RedisServer], tmp_path: Path
) -> None:
    redis = redis_server("--appendonly", "yes", "--appendfsync", "always")
    away = redis.start()
    numbered(tmp_path / "in.jsonl", 3000)
    usual = ("in.jsonl", "-q", "q", "-b", "10", "--max-errors", "none", "--engine", "dask")
    (tmp_path / "dask").mkdir()
    with DaskCluster(tmp_path / "dask", 1) as own:
        scheduler = ("--scheduler", own.address)
        with (
            away.client() as there,
            SmallShards(3000, *usual, *scheduler, "--redis", away.url, "--job", "a", cwd=tmp_path) as one,
            SmallShards(3000, *usual, *scheduler, "--redis", valkey.url, "--job", "b", cwd=tmp_path) as other,
        ):
            one.until(lambda: there.llen(PENDING), "one loads")
            other.until(lambda: client.llen(PENDING), "and so does the other")
            redis.kill()
            one.until_it_says("trying again")
            redis.start()
            both = one.wait(HANG), other.wait(HANG)
    assert [done.status for done in both] == [0, 0], both
    assert f"127.0.0.1:{away.port}" in both[0].stderr
    assert f"127.0.0.1:{away.port}" not in both[1].stderr


def test_an_ordered_rate_is_that_of_all_shards_together(
    cluster: DaskCluster, valkey: Server, client: Any, tmp_path: Path
) -> None:
    job = Orders(cluster, valkey, client, tmp_path, 1000, 8000)  # so few that all are handed to the cluster at once
    job.give("rate", "j", "200/s")

    with job.load() as running:
        done = running.wait(HANG)

    assert done.status == 0, done.stderr
    assert_each_once(client, job.lines)
    # Not a measurement: the order sets a limit, and no machine may pass it.
    first = 20 * WORKERS  # what each may have saved up
    assert done.report["seconds"] >= (done.report["loaded"] - first) / 200

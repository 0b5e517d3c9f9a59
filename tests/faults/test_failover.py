"""Refusals that end by themselves: a load that has begun waits for them, and one that has not is refused at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli import Outcome
from tests.conftest import RedisServer, Server, free_port
from tests.fault_counts import Fault, count
from tests.faults.helpers import (
    ID_KINDS,
    Load,
    assert_each_once,
    assert_only_error,
    assert_tidy,
    numbered,
    until,
)
from tests.faults.scene import PENDING, OwnScene, Scene
from tests.integration.cluster import Cluster
from tests.integration.cluster import cluster as cluster

IN_STEP_AT_ONCE = ("--repl-diskless-sync-delay", "0")


# --- a failover -------------------------------------------------------------------------------------------------------


def _in_step(replica: Any) -> bool:
    return bool(replica.info("replication").get("master_link_status") == "up")


@pytest.fixture
def pair(own_scene: OwnScene, redis_server: Callable[..., RedisServer]) -> tuple[Scene, Any]:
    """A scene on a primary, and a client of its replica."""
    scene, _ = own_scene(*IN_STEP_AT_ONCE)
    own = redis_server("--replicaof", "127.0.0.1", str(scene.server.port), *IN_STEP_AT_ONCE)
    replica = own.start().client()
    until(lambda: _in_step(replica), "the replica is in step")
    return scene, replica


def _promote(scene: Scene, replica: Any) -> None:
    """The replica becomes the primary of the old primary, as Sentinel does it."""
    until(lambda: scene.client.wait(1, 1000) == 1, "the replica has everything")
    replica.replicaof("NO", "ONE")
    scene.client.replicaof("127.0.0.1", replica.connection_pool.connection_kwargs["port"])
    count(Fault.PROXY_FAILOVER)


@pytest.mark.parametrize("processes", ["1", "2"])
@ID_KINDS
def test_a_failover_behind_one_address_is_waited_for_over_new_connections(
    pair: tuple[Scene, Any], extra: tuple[str, ...], processes: str
) -> None:
    scene, replica = pair
    scene.input(
        60_000 if processes == "2" else 3000, "-b", "500" if processes == "2" else "12", *extra, "-p", processes
    )

    with replica, scene.halted(25) as running:
        _promote(scene, replica)  # what was connected stays connected to the old primary, which refuses now
        scene.proxy.go_on()
        running.until_it_says("read-only replica")
        scene.proxy.target_port = replica.connection_pool.connection_kwargs["port"]
        done = running.wait()

        assert done.status == 0, done.stderr
        assert_tidy(done)
        assert done.report["loaded"] == len(scene.lines)
        assert_each_once(replica, scene.lines)
    assert "the server answers again, after " in done.stderr
    assert done.stderr.count("read-only replica") <= 5, "one line now and then, for all connections and processes"


@ID_KINDS
def test_a_job_that_had_begun_waits_for_the_end_of_a_failover_also_when_it_is_resumed(
    pair: tuple[Scene, Any], extra: tuple[str, ...]
) -> None:
    scene, replica = pair
    scene.input(3000, "-b", "12", *extra)

    with replica, scene.halted(25) as running:
        running.kill()
        _promote(scene, replica)
        scene.proxy.go_on()
        with scene.beside() as resumed:
            resumed.until_it_says("this is a read-only replica; its primary is 127.0.0.1:")
            scene.proxy.target_port = replica.connection_pool.connection_kwargs["port"]
            done = resumed.wait()

        assert done.status == 0, done.stderr
        assert done.report["already_loaded"] > 0
        assert_each_once(replica, scene.lines)


def test_the_address_of_a_replica_is_told_at_once_with_its_primary(pair: tuple[Scene, Any]) -> None:
    scene, replica = pair
    scene.input(10)

    with replica, scene.halted(0, "--quiet") as running:
        running.kill()
    port = replica.connection_pool.connection_kwargs["port"]
    failed = _load_into(scene, port)

    primary = f"127.0.0.1:{scene.server.port}"
    assert_only_error(failed, f"this is a read-only replica; its primary is {primary}", "Give --redis the primary's")


def _load_into(scene: Scene, port: int) -> Outcome:
    numbered(scene.folder / "other.jsonl", 10)
    arguments = ("other.jsonl", "-q", "other", "--redis", f"redis://127.0.0.1:{port}/0", "--quiet")
    with Load(*arguments, cwd=scene.folder) as running:
        return running.wait()


def test_a_replica_without_its_primary_is_told_at_once(own_scene: OwnScene) -> None:
    scene, _ = own_scene("--replica-serve-stale-data", "no")
    scene.input(10)
    scene.client.replicaof("127.0.0.1", free_port())

    failed = scene.load("--quiet")

    assert_only_error(failed, "a replica that has lost its primary", "Give --redis the primary's address")


# --- other refusals ---------------------------------------------------------------------------------------------------


@contextmanager
def _read_only(scene: Scene) -> Iterator[None]:
    scene.client.replicaof("127.0.0.1", free_port())
    yield
    scene.client.replicaof("NO", "ONE")


@contextmanager
def _without_replicas(scene: Scene) -> Iterator[None]:
    scene.client.config_set("min-replicas-to-write", 1)
    yield
    scene.client.config_set("min-replicas-to-write", 0)


@contextmanager
def _unable_to_save(scene: Scene) -> Iterator[None]:
    client, blocked = scene.client, scene.folder / "redis-0" / "blocked.rdb"
    blocked.mkdir()  # a directory where the snapshot should go
    client.bgsave()
    until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "the snapshot failed")
    yield
    blocked.rmdir()
    client.bgsave()
    until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "ok", "the snapshot succeeded")


@contextmanager
def _full(scene: Scene) -> Iterator[None]:
    scene.client.config_set("maxmemory", "1mb")
    yield
    scene.client.config_set("maxmemory", 0)


SAVES = ("--save", "3600 1000000", "--dbfilename", "blocked.rdb")
"""Options of a server that refuses writes once a snapshot has failed."""

REFUSALS = pytest.mark.parametrize(
    ("refusing", "words", "options"),
    [
        (_read_only, "the server is a read-only replica", ()),
        (_without_replicas, "too few replicas to accept writes", ()),
        (_unable_to_save, "cannot save to disk and refuses writes", ()),
        (_full, "the server is at its memory limit", ("--retry-for", "90")),
    ],
    ids=["READONLY", "NOREPLICAS", "MISCONF", "OOM"],
)


@REFUSALS
@ID_KINDS
def test_a_refusal_during_the_load_is_waited_for(
    own_scene: OwnScene, refusing: Any, words: str, options: tuple[str, ...], extra: tuple[str, ...]
) -> None:
    scene, _ = own_scene(*SAVES)
    scene.input(3000, "-b", "12", *extra, *options)

    with scene.halted(25) as running:
        with refusing(scene):
            scene.proxy.go_on(halt_after=75)
            running.until_it_says(words)
        scene.until_halted(running)
        scene.proxy.go_on()
        done = running.wait()

    scene.assert_all_in(done)
    lines = [line for line in done.stderr.splitlines() if words in line]
    assert len(lines) <= 4, "what is waited for is a line now and then, not one for each attempt"
    assert all("waiting" in line or "reconnecting" in line for line in lines), done.stderr


@REFUSALS
def test_a_refusal_that_lasts_ends_the_load_and_a_resume_completes_it(
    own_scene: OwnScene, refusing: Any, words: str, options: tuple[str, ...]
) -> None:
    scene, _ = own_scene(*SAVES)
    scene.input(3000, "-b", "12")

    with scene.halted(25, "--retry-for", "1", "--quiet") as running, refusing(scene):
        scene.proxy.go_on()
        failed = running.wait()
    pushed = scene.pending
    resumed = scene.load()

    assert_only_error(failed, words, "gave up after 1 s")
    assert failed.report["loaded"] == resumed.report["already_loaded"] == pushed > 0
    scene.assert_all_in(resumed)


@REFUSALS
def test_a_refusal_before_the_first_write_is_told_at_once(
    own_scene: OwnScene, refusing: Any, words: str, options: tuple[str, ...]
) -> None:
    scene, _ = own_scene(*SAVES)
    scene.input(1000, *options)

    with refusing(scene):
        failed = scene.load("--quiet")
        keys = scene.client.keys()
    done = scene.load()

    assert_only_error(failed, words if refusing is not _read_only else "this is a read-only replica")
    assert "gave up" not in failed.stderr
    assert keys == []
    scene.assert_all_in(done)


def test_a_full_server_is_not_waited_for_unless_it_is_asked_for(own_scene: OwnScene) -> None:
    scene, _ = own_scene(*SAVES)
    scene.input(3000, "-b", "12")

    with scene.halted(25, "--quiet") as running, _full(scene):
        scene.proxy.go_on()
        failed = running.wait()
    resumed = scene.load()

    assert_only_error(failed, "the server is at its memory limit", "Raise maxmemory or let workers drain the queue")
    assert "gave up" not in failed.stderr
    scene.assert_all_in(resumed)


# --- a cluster --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_cluster_that_is_down_while_a_node_is_away_is_waited_for(cluster: Cluster, tmp_path: Path) -> None:
    numbered(tmp_path / "in.jsonl", 40_000)
    stopped = _others_of(cluster, f"{{{PENDING}}}")[0]
    with stopped.client() as client:
        pid = client.info("server")["process_id"]
    arguments = ("in.jsonl", "-q", "q", "--redis", cluster.url, "-b", "50", "--timeout", "2", "--report", "-")

    with Load(*arguments, cwd=tmp_path) as running:
        running.until(lambda: _pending(cluster) > 200, "some tasks are in")
        os.kill(pid, signal.SIGSTOP)
        try:
            running.until_it_says("trying again")
        finally:
            os.kill(pid, signal.SIGCONT)
        done = running.wait()

    assert done.status == 0, done.stderr
    assert_tidy(done)
    assert done.report["loaded"] == 40_000
    assert _pending(cluster) == 40_000


def _others_of(cluster: Cluster, key: str) -> list[Server]:
    """The nodes that do not serve a key, except the one that the load is given."""
    return [node for node in cluster.nodes[1:] if node.port != cluster.owner(key).port]


def _pending(cluster: Cluster) -> int:
    with cluster.owner(PENDING).client() as client:
        return int(client.llen(PENDING))

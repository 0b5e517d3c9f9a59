"""Loads into a cluster whose nodes change their roles, are away, or announce themselves oddly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from loader import Loader
from loader.tasks.profiles import LayoutName
from loader.wire.slots import key_slot
from tests.conftest import RedisServer
from tests.fault_counts import Fault, count
from tests.faults.helpers import Load, assert_one_error, numbered, until
from tests.integration.cluster import Cluster, Move, promote, replica_of
from tests.integration.cluster import cluster as cluster

QUEUE = "queue0.default"
LAYOUTS = pytest.mark.parametrize("layout", ["documented", "asynq"])
KINDS = pytest.mark.parametrize("cluster", ["redis", "valkey"], indirect=True)


def pending_key(layout: str) -> str:
    return f"asynq:{QUEUE}:pending" if layout == "documented" else f"asynq:{{{QUEUE}}}:pending"


@pytest.fixture
def replica(cluster: Cluster, tmp_path: Path, layout: str) -> Iterator[RedisServer]:
    """A replica of the node that serves the queue."""
    folder = tmp_path / "replica"
    folder.mkdir()
    with replica_of(cluster, cluster.owner(pending_key(layout)), folder) as replica:
        yield replica


def loaded_through(cluster: Cluster, layout: LayoutName, disturb: Callable[[], Any], count: int = 20_000) -> int:
    """Loads numbers, and disturbs the cluster after a part of them."""

    async def records() -> AsyncIterator[dict[str, int]]:
        for n in range(count):
            if n == count // 4:
                await asyncio.to_thread(disturb)
            yield {"n": n}

    async def load_all() -> int:
        async with Loader(
            queue=QUEUE, redis=cluster.url, layout=layout, batch_size=100, workers=4, job="disturbed"
        ) as loader:
            return (await loader.load(records())).loaded

    return asyncio.run(load_all())


def _numbers(cluster: Cluster, layout: str) -> list[int]:
    with cluster.client() as client:
        base = "asynq:t:" if layout == "documented" else f"asynq:{{{QUEUE}}}:t:"
        ids = client.lrange(pending_key(layout), 0, -1)
        assert len(set(ids)) == len(ids)
        if layout == "documented":
            return sorted(json.loads(client.hget(base + task.decode(), "payload"))["n"] for task in ids)
        assert all(client.exists(base + task.decode()) for task in ids)
        return list(range(len(ids)))


@KINDS
@LAYOUTS
def test_a_replica_that_is_promoted_during_a_load_takes_over(
    cluster: Cluster, replica: RedisServer, layout: LayoutName
) -> None:
    assert loaded_through(cluster, layout, lambda: promote(replica)) == 20_000
    assert _numbers(cluster, layout) == list(range(20_000))


@LAYOUTS
def test_a_primary_that_dies_during_a_load_is_replaced_by_its_replica(
    cluster: Cluster, replica: RedisServer, layout: LayoutName
) -> None:
    """What the dead primary had not handed on is told, and a further run loads it."""
    owner = cluster.owner(pending_key(layout))
    dead = next(server for server in cluster.servers if server.port == owner.port)

    def kill() -> None:
        with owner.client() as client, replica.client() as follower:
            until(lambda: client.wait(1, 1000) == 1, "the replica has everything")
            dead.kill()
            until(lambda: follower.info("replication")["role"] == "master", "the replica is promoted")
        count(Fault.CLUSTER_FAILOVER)

    survivors = [node for node in cluster.nodes if node.port != owner.port]
    left = Cluster([*survivors], cluster.servers, cluster.buses)

    assert loaded_through(left, layout, kill) == 20_000
    assert _numbers(left, layout) == list(range(20_000))


def test_a_node_that_is_down_at_the_start_is_waited_for(cluster: Cluster, tmp_path: Path) -> None:
    numbered(tmp_path / "in.jsonl", 100)
    away = cluster.servers[2]
    away.kill()

    with Load("in.jsonl", "-q", "q", "--redis", cluster.url, "--report", "-", cwd=tmp_path) as running:
        running.until_it_says("connection refused (a cluster node, at the address that ")
        running.until_it_says("trying again")
        away.start()
        done = running.wait()

    assert done.status == 0, done.stderr
    assert done.report["loaded"] == 100


def test_a_node_that_stays_down_ends_the_load_after_the_time_given(cluster: Cluster, tmp_path: Path) -> None:
    numbered(tmp_path / "in.jsonl", 100)
    cluster.servers[2].kill()

    with Load("in.jsonl", "-q", "q", "--redis", cluster.url, "--retry-for", "0.5", cwd=tmp_path) as running:
        failed = running.wait()

    assert_one_error(failed, "gave up after 0.5 s", "cluster-announce-ip")


def _announces(client: Any, host: str) -> bool:
    return str(client.execute_command("CLUSTER", "SLOTS")).count(host) >= 3


# --- what nodes announce ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"cluster-preferred-endpoint-type": "hostname"},
        {"cluster-preferred-endpoint-type": "hostname", "cluster-announce-hostname": "no-such-host.invalid"},
        {"cluster-preferred-endpoint-type": "unknown-endpoint"},
    ],
    ids=["no host name", "a host name that does not resolve", "no host at all"],
)
def test_the_ip_address_is_used_where_a_node_has_no_usable_name(
    cluster: Cluster, tmp_path: Path, settings: dict[str, str]
) -> None:
    for node in cluster.nodes:
        with node.client() as client:
            for name, value in settings.items():
                client.config_set(name, value)
    without_name = "None" if "unknown-endpoint" in settings.values() else "?"
    expected = settings.get("cluster-announce-hostname", without_name)
    for node in cluster.nodes:
        with node.client() as client:
            until(partial(_announces, client, expected), "all know the name")
    numbered(tmp_path / "in.jsonl", 100)

    with Load("in.jsonl", "-q", "q", "--redis", cluster.url, "--report", "-", cwd=tmp_path) as running:
        done = running.wait()

    assert done.status == 0, done.stderr
    assert done.report["loaded"] == 100


# --- slots that nobody serves, and slots that move --------------------------------------------------------------------


@pytest.fixture
def incomplete(cluster: Cluster) -> Cluster:
    """The last node's slots are served by nobody, and the others serve theirs nevertheless."""
    cluster.give_up_last_slots()
    return cluster


def test_slots_that_nobody_serves_are_named_at_once(incomplete: Cluster, tmp_path: Path) -> None:
    numbered(tmp_path / "in.jsonl", 100)

    with Load("in.jsonl", "-q", "q", "--redis", incomplete.url, "--retry-for", "0.5", cwd=tmp_path) as running:
        failed = running.wait()

    assert_one_error(failed, "the cluster does not serve slots 10924-16383")
    for node in incomplete.nodes[:2]:
        with node.client() as client:
            assert client.keys("asynq:*") == [], "nothing of it was written"


def test_a_queue_whose_slots_are_served_is_loaded_although_others_are_missing(
    incomplete: Cluster, tmp_path: Path
) -> None:
    numbered(tmp_path / "in.jsonl", 100)
    names = (f"q{n}" for n in range(1000))
    queue = next(name for name in names if key_slot(f"{{{name}.default}}".encode()) < 10_924)
    arguments = ("-q", queue, "--layout", "asynq", "--job", "j0", "--redis", incomplete.url, "--report", "-")

    with Load("in.jsonl", *arguments, "--profile", "asynq", "--type", "t", cwd=tmp_path) as running:
        done = running.wait()

    assert done.status == 0, done.stderr
    assert done.report["loaded"] == 100
    assert "the cluster does not serve slots 10924-16383" in done.stderr


@pytest.mark.parametrize("words", ["new keys in it wait for the end of the move"])
def test_a_slot_that_is_being_moved_is_told_while_its_end_is_waited_for(
    cluster: Cluster, tmp_path: Path, words: str
) -> None:
    numbered(tmp_path / "in.jsonl", 100)
    key = "asynq:{q.default}:pending"
    to = next(node for node in cluster.nodes if node.port != cluster.owner(key).port)
    move = Move(cluster, key, to)
    move.begin()
    arguments = ("-q", "q", "--layout", "asynq", "--id-field", "n", "--redis", cluster.url, "--report", "-")

    with Load("in.jsonl", *arguments, cwd=tmp_path) as running:
        running.until_it_says(words)
        move.end()
        done = running.wait()

    assert done.status == 0, done.stderr
    assert done.report["loaded"] == 100

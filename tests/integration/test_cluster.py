"""Loads into a Redis Cluster: queues on several nodes, slots that move meanwhile."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from loader import Loader
from loader.tasks.profiles import LayoutName
from tests.cli import run
from tests.conftest import Server
from tests.integration.cluster import Cluster
from tests.integration.cluster import cluster as cluster
from tests.unit.task_message_oracle import decode

QUEUES = [f"queue{number}" for number in range(8)]


def write(folder: Path, count: int) -> Path:
    """Records that name one of eight queues in turn."""
    path = folder / "in.jsonl"
    path.write_text("".join(f'{{"n": {n}, "to": "{QUEUES[n % len(QUEUES)]}"}}\n' for n in range(count)))
    return path


def load(cluster: Cluster, folder: Path, *arguments: str) -> Any:
    done = run("load", "in.jsonl", "--redis", cluster.url, "--report", "-", *arguments, cwd=folder)
    assert done.status == 0, done.stderr
    return done.report


def numbers(cluster: Cluster, layout: str) -> dict[str, list[int]]:
    """The pending records of each queue, in the order in which a worker takes them."""
    found: dict[str, list[int]] = {}
    with cluster.client() as client:
        for queue in QUEUES:
            name = f"{queue}.default"
            if layout == "documented":
                ids = client.lrange(f"asynq:{name}:pending", 0, -1)[::-1]
                payloads = [client.hget(f"asynq:t:{task.decode()}", "payload") for task in ids]
            else:
                ids = client.lrange(f"asynq:{{{name}}}:pending", 0, -1)[::-1]
                messages = [client.hget(f"asynq:{{{name}}}:t:{task.decode()}", "msg") for task in ids]
                payloads = [decode(message)["payload"] for message in messages]
                assert {client.hget(f"asynq:t:{task.decode()}", "queue") for task in ids} <= {name.encode()}
            found[queue] = [json.loads(payload)["n"] for payload in payloads]
    return found


@pytest.mark.parametrize("layout", ["documented", "asynq"])
def test_queues_of_all_nodes_are_loaded_once_and_in_order(cluster: Cluster, tmp_path: Path, layout: str) -> None:
    write(tmp_path, 4000)
    options = ("--queue-field", "to", "--layout", layout, "--batch-size", "100", "--workers", "1")

    report = load(cluster, tmp_path, *options)
    again = load(cluster, tmp_path, *options)

    assert (report["loaded"], report["rejected"]) == (4000, 0)
    assert (again["loaded"], again["already_loaded"]) == (0, 4000)
    assert numbers(cluster, layout) == {queue: list(range(at, 4000, 8)) for at, queue in enumerate(QUEUES)}
    owners = {cluster.owner(f"{{asynq:{queue}.default:pending}}").port for queue in QUEUES}
    assert len(owners) == 3, "the queues of this test are spread over all nodes"


def test_processes_share_a_load_into_a_cluster(cluster: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    line = '{{"n": {}, "to": "{}", "pad": "' + "x" * 1000 + '"}}\n'
    path.write_text("".join(line.format(n, QUEUES[n % len(QUEUES)]) for n in range(40_000)))

    report = load(cluster, tmp_path, "--queue-field", "to", "--layout", "asynq", "--processes", "2")

    assert (report["loaded"], report["processes"]) == (40_000, 2)
    found = numbers(cluster, "asynq")
    assert {queue: sorted(ns) for queue, ns in found.items()} == {
        queue: list(range(at, 40_000, 8)) for at, queue in enumerate(QUEUES)
    }


def test_ids_of_the_records_are_kept_apart_on_a_cluster_too(cluster: Cluster, tmp_path: Path) -> None:
    write(tmp_path, 100)
    options = ("--queue-field", "to", "--layout", "asynq", "--id-field", "n")
    load(cluster, tmp_path, *options)

    done = run("load", "in.jsonl", "--redis", cluster.url, "--job", "other", "--again", *options, cwd=tmp_path)

    assert done.status == 3
    rejects = (tmp_path / "other.rejects.jsonl").read_text().splitlines()
    assert {json.loads(line)["reason"] for line in rejects} == {"its task id is a task already"}
    assert len(rejects) == 100
    assert numbers(cluster, "asynq") == {queue: list(range(at, 100, 8)) for at, queue in enumerate(QUEUES)}


def test_scattered_hashes_cannot_be_looked_at_and_written_in_one_step(cluster: Cluster, tmp_path: Path) -> None:
    write(tmp_path, 10)
    done = run("load", "in.jsonl", "--redis", cluster.url, "--queue", "q", "--id-field", "n", cwd=tmp_path)
    assert done.status == 2
    assert done.stderr.strip().endswith("Use --layout asynq, whose workers are today's, or generated ids")


@pytest.mark.parametrize("layout", ["documented", "asynq"])
def test_a_slot_that_moves_during_a_load_is_followed(cluster: Cluster, layout: LayoutName) -> None:
    queue = "queue0.default"
    key = f"asynq:{queue}:pending" if layout == "documented" else f"asynq:{{{queue}}}:pending"

    async def records() -> AsyncIterator[dict[str, int]]:
        for n in range(20_000):
            if n in (5000, 12_000):
                await asyncio.to_thread(move_on)
            yield {"n": n}

    def move_on() -> None:
        at: Server = cluster.owner(key)
        cluster.move(key, cluster.nodes[(cluster.nodes.index(at) + 1) % 3])

    async def load_all() -> int:
        async with Loader(
            queue=queue, redis=cluster.url, layout=layout, batch_size=100, workers=2, job="moving"
        ) as loader:
            return (await loader.load(records())).loaded

    assert asyncio.run(load_all()) == 20_000
    assert sorted(numbers(cluster, layout)["queue0"]) == list(range(20_000))


def test_hashes_that_another_node_loses_before_their_ids_are_pushed_are_written_again(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    owner = cluster.owner("asynq:queue0.default:pending")
    others = [node for node in cluster.nodes if node != owner]
    job = next(f"lossy{n}" for n in range(100) if cluster.owner(f"{{lossy{n}}}") != owner)
    losing: list[asyncio.Task[None]] = []

    def hashes(node: Server) -> int:
        with node.client() as client:
            return sum(1 for _ in client.scan_iter(match="asynq:t:*", count=1000))

    async def lose() -> None:
        # The node that has the list takes no writes for a while, so the batch waits for it.
        while not all(hashes(node) > 100 for node in others):
            await asyncio.sleep(0.01)
        for node in others:
            with node.client() as client:
                client.flushall()
        with owner.client() as client:
            client.execute_command("CLIENT", "UNPAUSE")

    async def records() -> AsyncIterator[dict[str, int]]:
        for n in range(500):
            if n == 499:
                with owner.client() as client:
                    client.execute_command("CLIENT", "PAUSE", "60000", "WRITE")
                losing.append(asyncio.create_task(lose()))
            yield {"n": n}

    async def load_all() -> int:
        with cluster.client() as client:
            client.flushall()
        async with Loader(
            queue="queue0", redis=cluster.url, layout="documented", batch_size=500, workers=1, job=job
        ) as loader:
            return (await loader.load(records())).loaded

    assert asyncio.run(load_all()) == 500
    assert any("the server has lost what it had just acknowledged" in record.getMessage() for record in caplog.records)
    assert sorted(numbers(cluster, "documented")["queue0"]) == list(range(500))

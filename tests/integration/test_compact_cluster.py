"""Compact tasks on a Redis Cluster: they move with their slots, and a load goes on while its slots move."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot

from loader import Loader
from loader.tasks.profiles import LayoutName
from tests.conftest import Server
from tests.integration.cluster import Cluster, Move
from tests.integration.cluster import cluster as cluster
from tests.integration.compact import EACH_LOAD, QUEUE, RECORDS, encodings, hashes, load, task_keys
from tests.integration.stored import payload_of

EACH_SERVER = pytest.mark.parametrize("cluster", ["valkey", "redis"], indirect=True)
PENDING = {"documented": f"asynq:{QUEUE}:pending", "asynq": f"asynq:{{{QUEUE}}}:pending"}


@pytest.fixture
def nodes(cluster: Cluster) -> Iterator[list[Any]]:
    """A client of each node itself."""
    clients = [node.client() for node in cluster.nodes]
    yield clients
    for client in clients:
        client.close()


def all_hashes(nodes: list[Any]) -> dict[bytes, dict[bytes, bytes]]:
    """The hashes of all nodes. None is on two of them."""
    found: dict[bytes, dict[bytes, bytes]] = {}
    for node in nodes:
        here = hashes(node)
        assert not found.keys() & here.keys()
        found |= here
    return found


def next_to(cluster: Cluster, node: Server) -> Server:
    return cluster.nodes[(cluster.nodes.index(node) + 1) % len(cluster.nodes)]


@EACH_LOAD
@EACH_SERVER
def test_compact_tasks_move_with_their_slots(cluster: Cluster, nodes: list[Any], tmp_path: Path, kind: str) -> None:
    load(cluster.url, tmp_path, kind)
    before = all_hashes(nodes)
    long = [key for key, fields in before.items() if any(len(value) > 4000 for value in fields.values())]
    moved = {key_slot(key): key.decode() for key in long[:20]}  # tasks of the asynq layout are all in one slot

    for key in moved.values():
        cluster.move(key, next_to(cluster, cluster.owner(key)))

    assert all_hashes(nodes) == before
    with cluster.client() as client:
        for task in long:
            assert client.hgetall(task) == before[task], "read as workers do"
            assert client.object("encoding", task) == b"listpack"
    for node in nodes:
        assert encodings(node) <= {b"listpack"}
    assert sum(len(task_keys(node)) for node in nodes) == len(RECORDS)
    assert len(moved) == (20 if kind == "documented" else 1)


@pytest.mark.parametrize("layout", ["documented", "asynq"])
@EACH_SERVER
def test_a_load_of_compact_tasks_goes_on_while_slots_move(
    cluster: Cluster, nodes: list[Any], layout: LayoutName
) -> None:
    """Slots are half moved while records come in: the old node answers ASK for what it has no more, or not yet."""
    moves: list[Move] = []

    def begin() -> None:
        keys = [PENDING[layout]]
        if layout == "documented":  # tasks are spread over all slots
            keys += [key.decode() for key in list(all_hashes(nodes))[:30]]
        for key in {key_slot(key.encode()): key for key in keys}.values():
            moves.append(Move(cluster, key, next_to(cluster, cluster.owner(key))))
            moves[-1].begin()

    def end() -> None:
        while moves:
            moves.pop().end()

    async def records() -> AsyncIterator[bytes]:
        for number in range(12_000):
            if number in (3000, 8000):
                await asyncio.gather(*end_later)
                await asyncio.to_thread(begin)
                # Not at a later record: none is read any more if all batches on their way wait for the slots.
                end_later.append(asyncio.create_task(ended()))
            yield b'{"n": %d, "text": "%s"}' % (number, b"x" * 80)

    end_later: list[asyncio.Task[None]] = []

    async def ended() -> None:
        await asyncio.sleep(0.5)  # the load has met the slots by then, or waits for them
        await asyncio.to_thread(end)

    async def load_all() -> Any:
        async with Loader(
            queue=QUEUE, redis=cluster.url, layout=layout, compact="always", batch_size=100, workers=2, job="moving"
        ) as loader:
            report = await loader.load(records())
        await asyncio.gather(*end_later)
        return report

    report = asyncio.run(load_all())

    assert report.loaded == 12_000
    found = all_hashes(nodes)
    tasks = {key: fields for key, fields in found.items() if b"payload" in fields or b"msg" in fields}
    expected = {b'{"n": %d, "text": "%s"}' % (number, b"x" * 80) for number in range(12_000)}
    assert len(tasks) == 12_000
    assert {payload_of(fields) for fields in tasks.values()} == expected
    with cluster.client() as client:
        pending = client.lrange(PENDING[layout], 0, -1)
    assert len(pending) == len(set(pending)) == 12_000
    for node in nodes:
        assert encodings(node) <= {b"listpack"}
    assert report.compact == 12_000

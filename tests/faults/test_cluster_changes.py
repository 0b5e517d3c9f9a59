"""Loads into a cluster that changes meanwhile: slots that move at once (Valkey 9), nodes that come and nodes that go.

Each load is followed by a look at every node: each task is in the list once, its hash is there, and nothing else is.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
import redis

from loader import Loader
from loader.queues.spread import spread_names
from loader.wire.slots import key_slot
from tests.conftest import RedisServer, Server
from tests.integration.cluster import (
    Cluster,
    _id,
    _until,
    added_node,
    forget_node,
    move_slots,
    running_cluster,
    slots_of,
)
from tests.unit.task_message_oracle import decode

QUEUE = "queue0.default"
COUNT = 12_000
WAYS: dict[str, dict[str, Any]] = {
    "documented": {"layout": "documented"},
    "asynq": {"layout": "asynq"},
    "own-ids": {"layout": "asynq", "profile": "asynq", "type": "t", "queue": QUEUE, "id_field": "id"},
    "spread": {"layout": "asynq", "spread": 3},
}
EVERY_WAY = pytest.mark.parametrize("way", WAYS)


def queues(way: str) -> list[str]:
    return spread_names(QUEUE, 3) if way == "spread" else [QUEUE]


def pending_key(way: str) -> str:
    """The list of the first queue."""
    return f"asynq:{QUEUE}:pending" if way == "documented" else f"asynq:{{{queues(way)[0]}}}:pending"


def loaded_through(url: str, way: str, steps: Mapping[int, Callable[[], None]], **more: Any) -> int:
    """Loads numbers, and takes each step before the record of that number."""
    options = {"queue": QUEUE, "batch_size": 100, "workers": 3, "job": "disturbed", **WAYS[way], **more}

    async def records() -> AsyncIterator[dict[str, Any]]:
        for n in range(COUNT):
            if n in steps:
                await asyncio.to_thread(steps[n])
            yield {"n": n, "id": f"id-{n}"}

    async def load_all() -> int:
        async with Loader(redis=url, **options) as loader:
            return (await loader.load(records())).loaded

    return asyncio.run(load_all())


def assert_each_once(nodes: list[Server], way: str) -> None:
    """Each number is in one of the queues, once, with its hash; and there are no other hashes."""
    lists: list[bytes] = []
    hashes: dict[bytes, bytes] = {}
    field = "payload" if way == "documented" else "msg"
    for node in nodes:
        with node.client() as client:
            for key in client.keys("asynq:*:pending"):
                lists += client.lrange(key, 0, -1)
            found = [key for key in client.keys("asynq:*t:*") if client.type(key) == b"hash"]
            values = [client.hget(key, field) for key in found]
            hashes |= {key: value for key, value in zip(found, values, strict=True) if value is not None}
    assert len(lists) == len(set(lists)) == COUNT
    assert {key.rpartition(b":t:")[2] for key in hashes} == set(lists) and len(hashes) == COUNT
    payloads: list[Any] = list(hashes.values())
    if way != "documented":
        payloads = [decode(message)["payload"] for message in payloads]
    assert sorted(json.loads(payload)["n"] for payload in payloads) == list(range(COUNT))


@pytest.fixture(scope="module", params=["redis", "valkey"])
def _changing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(lambda: tmp_path_factory.mktemp("node"), request.param) as cluster:
        yield cluster


@pytest.fixture
def changing(_changing: Cluster) -> Cluster:
    """A cluster of each kind, empty. Tests give each node back slots, but not always the same ones."""
    _changing.empty()
    return _changing


@pytest.fixture
def fourth(changing: Cluster, tmp_path: Path) -> Iterator[tuple[RedisServer, Server]]:
    """A node without slots."""
    folder = tmp_path / "fourth"
    folder.mkdir()
    with added_node(changing, folder, changing.nodes[0].kind) as node:
        yield node


@EVERY_WAY
def test_a_node_that_is_added_gets_slots_during_a_load_and_is_drained_forgotten_and_shut_down(
    changing: Cluster, fourth: tuple[RedisServer, Server], way: str
) -> None:
    key = pending_key(way)
    home, (process, new) = changing.owner(key), fourth
    slot = key_slot(key.encode())
    own = slots_of(home)
    at = own.index(slot)
    first = max(0, min(at - 8, len(own) - 16))
    moved = [one for one in own[first : first + 16] if abs(one - slot) < 16]
    with new.client() as client:
        name = _id(client)

    def give() -> None:
        move_slots(home, new, moved, changing)

    def take_back() -> None:
        move_slots(new, home, moved, changing)
        forget_node(changing, new, name)
        process.stop()

    assert loaded_through(changing.url, way, {2000: give, 7000: take_back}) == COUNT

    assert_each_once(changing.nodes, way)


@EVERY_WAY
def test_all_slots_of_the_node_that_the_user_named_move_at_once(
    tmp_path_factory: pytest.TempPathFactory, way: str
) -> None:
    """Valkey 9 moves slots atomically (CLUSTER MIGRATESLOTS): writes stop for a moment, then get MOVED; no ASK."""
    with (
        running_cluster(lambda: tmp_path_factory.mktemp("node"), "valkey") as cluster,
        added_node(cluster, tmp_path_factory.mktemp("new"), "valkey") as (_, new),
    ):
        home = cluster.owner(pending_key(way))
        others = [node for node in cluster.nodes if node != home]
        rest = Cluster([*others, new], cluster.servers, cluster.buses)
        with home.client() as client:
            name = _id(client)

        def replace() -> None:
            move_slots(home, new, slots_of(home), cluster)

        def leave() -> None:
            forget_node(rest, home, name)
            cluster.servers[cluster.nodes.index(home)].stop()

        assert loaded_through(home.url, way, {2000: replace, 6000: leave}) == COUNT

        assert_each_once(rest.nodes, way)


@EVERY_WAY
def test_slots_move_there_and_back_while_a_load_runs(changing: Cluster, way: str) -> None:
    key = pending_key(way)
    home = changing.owner(key)
    slot = [key_slot(key.encode())]
    away = changing.next_to(home)

    def there() -> None:
        move_slots(home, away, slot, changing)

    def back() -> None:
        move_slots(away, home, slot, changing)

    steps = {number: back if at % 2 else there for at, number in enumerate(range(1000, 11_000, 1700))}
    assert loaded_through(changing.url, way, steps) == COUNT

    assert_each_once(changing.nodes, way)
    if len(steps) % 2:
        back()


@EVERY_WAY
def test_a_node_that_is_away_for_a_while_is_waited_for(changing: Cluster, way: str) -> None:
    """It stands still for longer than the others wait (cluster-node-timeout): they take it for failed, until it answers
    again."""
    home = changing.owner(pending_key(way))
    process = changing.servers[changing.nodes.index(home)].process
    assert process is not None
    other = changing.next_to(home)

    def away() -> None:
        process.send_signal(signal.SIGSTOP)
        try:
            with other.client() as client:
                _until(lambda: b"master,fail " in client.execute_command("CLUSTER", "NODES"), "it counts as failed")
        finally:
            process.send_signal(signal.SIGCONT)

    assert loaded_through(changing.url, way, {4000: away}, timeout=5) == COUNT

    assert_each_once(changing.nodes, way)


@pytest.mark.parametrize("way", ["documented", "own-ids", "spread"])
def test_slots_nodes_and_pauses_change_beside_a_consumer_and_each_task_is_taken_once(
    changing: Cluster, fourth: tuple[RedisServer, Server], way: str
) -> None:
    """What a consumer has taken is never written again: it deletes each hash, and none of them is there at the end."""
    _, new = fourth
    home = changing.owner(pending_key(way))
    away = changing.next_to(home)
    slot = [key_slot(pending_key(way).encode())]
    process = changing.servers[changing.nodes.index(away)].process
    assert process is not None
    drawn = random.Random(crc32(f"{way} {changing.nodes[0].kind}".encode()))

    def pause() -> None:
        with drawn.choice(changing.nodes).client() as client:
            client.execute_command("CLIENT", "PAUSE", "300", drawn.choice(["WRITE", "ALL"]))

    def cut() -> None:
        for node in changing.nodes:
            with node.client() as client:
                client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def stand_still() -> None:
        process.send_signal(signal.SIGSTOP)
        try:
            with home.client() as client:
                _until(lambda: b"master,fail " in client.execute_command("CLUSTER", "NODES"), "it counts as failed")
        finally:
            process.send_signal(signal.SIGCONT)
        for node in [*changing.nodes, new]:
            with node.client() as client:
                _until(partial(_is_whole, client), "all nodes count as well again")

    faults: list[Callable[[], None]] = [
        lambda: move_slots(home, new, slot, changing),
        pause,
        cut,
        stand_still,
        lambda: move_slots(new, away, slot, changing),
        cut,
        pause,
        lambda: move_slots(away, home, slot, changing),
        stand_still,
        cut,
    ]
    steps = {1000 * (at + 1): fault for at, fault in enumerate(faults)}
    with Taker([*changing.nodes, new], way) as taker:
        assert loaded_through(changing.url, way, steps, timeout=5) == COUNT
        _until(lambda: taker.is_idle or taker.error, "all are taken")

    assert taker.error is None
    done: list[bytes] = []
    hashes: set[bytes] = set()
    for node in changing.nodes:
        with node.client() as client:
            for key in client.keys("*:done"):
                done += client.lrange(key, 0, -1)
            hashes |= set(client.keys("asynq:*t:*"))
    assert len(done) == len(set(done)) == COUNT
    assert len(taker.deleted) > COUNT - 100  # the replies to a few pops are lost with their connections
    assert not hashes & set(taker.deleted)


def _is_whole(client: Any) -> bool:
    return b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO") and b"fail" not in client.execute_command(
        "CLUSTER", "NODES"
    )


class Taker:
    """Takes tasks as a worker does, and deletes their hashes. It asks one node after the other for each key."""

    def __init__(self, nodes: list[Server], way: str) -> None:
        self._nodes: list[Any] = [redis.Redis(port=node.port, socket_timeout=5) for node in nodes]
        documented = way == "documented"
        self._lists: list[tuple[str, str, str]] = []
        for name in queues(way):
            pending = f"asynq:{name}:pending" if documented else f"asynq:{{{name}}}:pending"
            # In the slot of the list, so that one command moves a task.
            done = f"{{{pending}}}:done" if documented else f"{pending}:done"
            self._lists.append((pending, done, "asynq:t:" if documented else f"asynq:{{{name}}}:t:"))
        self.deleted: list[bytes] = []
        self.error: BaseException | None = None
        self._empty = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Taker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for node in self._nodes:
            node.close()

    @property
    def is_idle(self) -> bool:
        """Whether there was nothing to take for several rounds."""
        return self._empty > 20

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                before = len(self.deleted)
                for pending, done, hashes in self._lists:
                    task = self._of_one("RPOPLPUSH", pending, done)
                    if task is not None:
                        key = hashes.encode() + task
                        self._of_one("DEL", key)
                        self.deleted.append(key)
                self._empty = 0 if len(self.deleted) > before else self._empty + 1
                if self._empty:
                    time.sleep(0.02)
        except BaseException as error:
            self.error = error

    def _of_one(self, *command: str | bytes) -> Any:
        """The reply of the node that has the key, once there is one."""
        while not self._stop.is_set():
            for node in list(self._nodes):
                try:
                    reply = node.execute_command(*command)
                except redis.RedisError:
                    continue  # it has not the key, or does not answer now
                self._nodes.remove(node)
                self._nodes.insert(0, node)
                return reply
            time.sleep(0.02)
        return None

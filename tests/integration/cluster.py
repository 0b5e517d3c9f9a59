"""A Redis Cluster of real servers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.crc import key_slot

from tests.conftest import RedisServer, Server, free_port
from tests.fault_counts import Fault, count

SLOTS = 16_384


@dataclass(frozen=True, slots=True)
class Cluster:
    """Primaries, each with an equal share of the slots.

    Attributes:
        servers: Their processes.
        buses: The ports at which they speak to each other.
    """

    nodes: list[Server]
    servers: Sequence[RedisServer] = ()
    buses: Sequence[int] = ()

    @property
    def url(self) -> str:
        return self.nodes[0].url

    def empty(self) -> None:
        """Deletes all keys."""
        for node in self.nodes:
            with node.client() as client:
                client.flushall()

    def dumps(self) -> dict[bytes, bytes]:
        """The keys of all nodes, and what they hold. None is on two of them."""
        found: dict[bytes, bytes] = {}
        for node in self.nodes:
            with node.client() as client:
                keys = client.keys("*")
                assert not found.keys() & set(keys)
                found |= {key: client.dump(key) for key in keys}
        return found

    def give_up_last_slots(self) -> None:
        """Has nobody serve the slots of the last node, 10924 to 16383. The others serve theirs nevertheless."""
        for node in self.nodes:
            with node.client() as client:
                client.config_set("cluster-require-full-coverage", "no")
        for node in self.nodes:
            with node.client() as client:
                client.execute_command("CLUSTER", "DELSLOTSRANGE", 10_924, SLOTS - 1)
        for node in self.nodes:
            with node.client() as client:
                _until(partial(_has_ranges, client, 2), "all know that they are missing")

    def next_to(self, node: Server) -> Server:
        """Another node."""
        return self.nodes[(self.nodes.index(node) + 1) % len(self.nodes)]

    def client(self) -> Any:
        return redis.RedisCluster(host="127.0.0.1", port=self.nodes[0].port)

    def owner(self, key: str) -> Server:
        """The node that says that it serves a key."""
        slot = key_slot(key.encode())
        for node in self.nodes:
            with node.client() as client:
                ranges = client.execute_command("CLUSTER", "SLOTS")
                owner = next(primary for first, last, primary, *_ in ranges if first <= slot <= last)
                if _text(owner[2]) == _id(client):
                    return node
        raise AssertionError(f"nobody serves slot {slot}")

    def move(self, key: str, to: Server) -> None:
        """Moves a key's slot, with all keys in it, to another node, as a resharding does."""
        move = Move(self, key, to)
        move.begin()
        move.end()


class Move:
    """The move of a key's slot to another node, in two steps. Between them, both nodes have a part in the slot.

    Args:
        key: A key of the slot.
        to: The new node.
    """

    def __init__(self, cluster: Cluster, key: str, to: Server) -> None:
        self._cluster, self._slot = cluster, key_slot(key.encode())
        self._source, self._to = cluster.owner(key), to

    def begin(self) -> None:
        """From now on, the old node answers ASK for keys that it does not have."""
        with self._source.client() as old, self._to.client() as new:
            new.execute_command("CLUSTER", "SETSLOT", self._slot, "IMPORTING", _id(old))
            old.execute_command("CLUSTER", "SETSLOT", self._slot, "MIGRATING", _id(new))

    def move_keys(self) -> None:
        """Moves the keys. The slot is still that of the old node."""
        with self._source.client() as old:
            while keys := old.execute_command("CLUSTER", "GETKEYSINSLOT", self._slot, 100):
                old.execute_command("MIGRATE", "127.0.0.1", self._to.port, "", 0, 5000, "KEYS", *keys)

    def end(self) -> None:
        """Moves the keys and gives the slot to the new node."""
        self.move_keys()
        with self._to.client() as new:
            target = _id(new)
        for node in (self._to, self._source, *self._cluster.nodes):
            with node.client() as client:
                client.execute_command("CLUSTER", "SETSLOT", self._slot, "NODE", target)


def _id(client: Any) -> str:
    return _text(client.execute_command("CLUSTER", "MYID"))


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


@contextmanager
def running_cluster(make_folder: Callable[[], Path], kind: str, *options: str) -> Iterator[Cluster]:
    """A cluster of three primaries.

    Args:
        options: Further options of each node.
    """
    with ExitStack() as stack:
        nodes: list[Server] = []
        servers: list[RedisServer] = []
        buses = [free_port() for _ in range(3)]  # by itself a bus takes the port 10,000 further up, if there is one
        for bus in buses:
            server = RedisServer(make_folder(), *_node_options(bus), *options, kind=kind)
            stack.callback(server.stop)
            servers.append(server)
            nodes.append(server.start())
        share = SLOTS // len(nodes) + 1
        for number, node in enumerate(nodes):
            with node.client() as client:
                last = min(SLOTS, (number + 1) * share) - 1
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", number * share, last)
                for other, cport in zip(nodes, buses, strict=True):
                    client.execute_command("CLUSTER", "MEET", "127.0.0.1", other.port, cport)
        deadline = time.monotonic() + 60
        while not all(_is_whole(node, len(nodes)) for node in nodes):
            assert time.monotonic() < deadline, "the cluster does not come up"
            time.sleep(0.05)
        yield Cluster(nodes, tuple(servers), buses)


def _node_options(bus: int) -> tuple[str, ...]:
    return ("--cluster-enabled", "yes", "--cluster-port", str(bus), "--cluster-node-timeout", "2000")


@pytest.fixture
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of three primaries; of Valkey, with the parameter ``valkey``."""
    with running_cluster(lambda: tmp_path_factory.mktemp("node"), getattr(request, "param", "redis")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def _shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(lambda: tmp_path_factory.mktemp("node"), "redis") as cluster:
        yield cluster


@pytest.fixture
def shared_cluster(_shared_cluster: Cluster) -> Cluster:
    """A cluster of three primaries, empty, for the tests of a module that do not change its nodes and slots."""
    _shared_cluster.empty()
    return _shared_cluster


@contextmanager
def replica_of(cluster: Cluster, primary: Server, folder: Path, *options: str) -> Iterator[RedisServer]:
    """A replica of one of the primaries, in step with it."""
    bus = free_port()
    own = RedisServer(folder, *_node_options(bus), "--repl-diskless-sync-delay", "0", *options, kind=primary.kind)
    try:
        with own.start().client() as replica, primary.client() as client:
            replica.execute_command(
                "CLUSTER", "MEET", "127.0.0.1", primary.port, cluster.buses[cluster.nodes.index(primary)]
            )
            of = _id(client)
            _until(lambda: of in str(replica.execute_command("CLUSTER", "NODES")), "it knows its primary")
            replica.execute_command("CLUSTER", "REPLICATE", of)
            _until(lambda: replica.info("replication").get("master_link_status") == "up", "the replica is in step")
            of_replica = _id(replica)
        for node in cluster.nodes:
            with node.client() as client:
                while of_replica not in str(client.execute_command("CLUSTER", "NODES")):
                    time.sleep(0.02)
        yield own
    finally:
        own.stop()


def promote(replica: RedisServer) -> None:
    """Has a replica take the place of its primary, as an operator does."""
    with replica.client() as client:
        client.execute_command("CLUSTER", "FAILOVER")
        _until(lambda: client.info("replication")["role"] == "master", "the replica is promoted")
    count(Fault.CLUSTER_FAILOVER)


def _has_ranges(client: Any, count: int) -> bool:
    return len(client.execute_command("CLUSTER", "SLOTS")) == count


def _until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, f"not within a minute: {what}"
        time.sleep(0.02)


def _is_whole(node: Server, count: int) -> bool:
    with node.client() as client:
        info = client.execute_command("CLUSTER", "INFO")
        ranges = client.execute_command("CLUSTER", "SLOTS")
    text = info if isinstance(info, dict) else dict(line.split(":") for line in _text(info).splitlines() if ":" in line)
    return text.get("cluster_state") == "ok" and len(ranges) == count


@contextmanager
def added_node(cluster: Cluster, folder: Path, kind: str) -> Iterator[tuple[RedisServer, Server]]:
    """A further primary, without slots, that all nodes know: its process and its address."""
    # Otherwise it would become a replica of the node that takes its last slot.
    stays = ("--cluster-allow-replica-migration", "no")
    own = RedisServer(folder, *_node_options(free_port()), *stays, kind=kind)
    name = ""
    try:
        node = own.start()
        with node.client() as client, cluster.nodes[0].client() as first:
            client.execute_command("CLUSTER", "MEET", "127.0.0.1", cluster.nodes[0].port, cluster.buses[0])
            nodes = [client, first, *(other.client() for other in cluster.nodes[1:])]
            name = _id(client)
            _until(lambda: all(name in str(each.execute_command("CLUSTER", "NODES")) for each in nodes), "all know it")
            _until(lambda: _state(client) == "ok", "it knows all slots")
            for other in nodes[2:]:
                other.close()
        yield own, node
    finally:
        own.stop()
        for other in cluster.nodes:  # else the next test finds a node that fails
            with other.client() as client, suppress(redis.RedisError):  # it was forgotten already, or is away
                client.execute_command("CLUSTER", "FORGET", name)


def move_slots(source: Server, to: Server, slots: Sequence[int], cluster: Cluster) -> None:
    """Moves slots with all their keys: one after the other by MIGRATE, or with Valkey at once (MIGRATESLOTS).

    Args:
        slots: Without gaps.
        cluster: The nodes that must know.
    """
    with source.client() as old, to.client() as new:
        target = _id(new)
        if source.kind == "valkey":
            old.execute_command("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slots[0], slots[-1], "NODE", target)
            _until(lambda: _migration(old) in ("success", "failed", "cancelled"), "the slots have moved")
            assert _migration(old) == "success"
        else:
            for slot in slots:
                new.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", _id(old))
                old.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", target)
                while keys := old.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 200):
                    old.execute_command("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *keys)
                new.execute_command("CLUSTER", "SETSLOT", slot, "NODE", target)
                # A node that has lost its last slot becomes a replica by itself, and needs not be told.
                with suppress(redis.ResponseError):
                    old.execute_command("CLUSTER", "SETSLOT", slot, "NODE", target)
    for node in cluster.nodes:
        with node.client() as client:
            _until(partial(_serves, client, slots, target), "all know the new owner")


def forget_node(cluster: Cluster, gone: Server, name: str) -> None:
    """Has all other nodes forget a node that has no slots.

    Args:
        name: Its node id.
    """
    for node in cluster.nodes:
        if node.port != gone.port:
            with node.client() as client:
                client.execute_command("CLUSTER", "FORGET", name)


def slots_of(node: Server) -> list[int]:
    """The slots that a node says it serves."""
    with node.client() as client:
        own = _id(client)
        ranges = client.execute_command("CLUSTER", "SLOTS")
    return [slot for first, last, primary, *_ in ranges if _text(primary[2]) == own for slot in range(first, last + 1)]


def _migration(client: Any) -> str:
    """The state of the last move that a node of Valkey took part in."""
    (last, *_) = client.execute_command("CLUSTER", "GETSLOTMIGRATIONS")
    fields = last if isinstance(last, dict) else dict(zip(last[::2], last[1::2], strict=True))
    return _text(fields[b"state"])


def _serves(client: Any, slots: Sequence[int], name: str) -> bool:
    ranges = client.execute_command("CLUSTER", "SLOTS")
    return any(_text(node[2]) == name and first <= slots[0] and slots[-1] <= last for first, last, node, *_ in ranges)


def _state(client: Any) -> str:
    info = client.execute_command("CLUSTER", "INFO")
    text = info if isinstance(info, dict) else dict(line.split(":") for line in _text(info).splitlines() if ":" in line)
    return str(text.get("cluster_state"))

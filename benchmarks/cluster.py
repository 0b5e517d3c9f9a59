"""A Redis Cluster of the harness's own: primaries only, each with an equal share of the slots."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from itertools import pairwise
from typing import Self

from benchmarks.errors import BenchmarkError
from benchmarks.nodes import Nodes
from benchmarks.server import Counters, Server, Target

SLOTS = 16_384
_READY_SECONDS = 60


class Cluster:
    """Use it with ``with``. See ``Store`` for its methods.

    Args:
        binary: See ``Server``.
        size: Number of servers.
    """

    def __init__(self, binary: str, size: int) -> None:
        self._binary = binary
        self._bounds = [SLOTS * number // size for number in range(size + 1)]
        self._servers: list[Server] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            buses = _free_ports(
                len(self._bounds) - 1
            )  # by default, a bus takes the port number plus 10,000, which may not exist
            for bus in buses:
                options = ("--cluster-enabled", "yes", "--cluster-port", str(bus))
                self._servers.append(stack.enter_context(Server(self._binary, options=options)))
            with self.nodes() as nodes:
                for node, (first, end) in zip(nodes.all, pairwise(self._bounds), strict=True):
                    node.call("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
                    for server, bus in zip(self._servers, buses, strict=True):
                        node.call("CLUSTER", "MEET", "127.0.0.1", server.target.port, bus)
                deadline = time.monotonic() + _READY_SECONDS
                while not _is_ready(nodes):
                    if time.monotonic() > deadline:
                        raise BenchmarkError(f"a cluster of {len(buses)} servers does not come up")
                    time.sleep(0.05)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def servers(self) -> list[Server]:
        """Its nodes."""
        return self._servers

    @property
    def target(self) -> Target:
        return self._servers[0].target

    def nodes(self) -> Nodes:
        return Nodes([server.connect() for server in self._servers], self._bounds[:-1])

    def clear(self) -> None:
        for server in self._servers:
            server.clear()

    def counters(self) -> Counters:
        parts = [server.counters() for server in self._servers]
        return Counters(
            sum(each.user_seconds for each in parts),
            sum(each.system_seconds for each in parts),
            sum(each.bytes_in for each in parts),
            sum(each.memory_bytes for each in parts),
        )


def _is_ready(nodes: Nodes) -> bool:
    return all(
        b"cluster_state:ok" in node.call("CLUSTER", "INFO") and len(node.call("CLUSTER", "SLOTS")) == len(nodes.all)
        for node in nodes.all
    )


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]

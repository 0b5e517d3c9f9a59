"""The harness's own connections to a server, or to all nodes of a cluster."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Self

from benchmarks.raw import Raw


class Nodes:
    """Use it with ``with``.

    Args:
        clients: One connection for each node.
        first_slots: The first slot of each node's range, ascending; empty if there is no cluster.
    """

    def __init__(self, clients: Sequence[Raw], first_slots: Sequence[int] = ()) -> None:
        self.all = clients
        self._first_slots = first_slots

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self.all:
            client.__exit__()

    def of(self, key: bytes) -> Raw:
        """The connection to the node that serves a key."""
        if not self._first_slots:
            return self.all[0]
        slot = self.all[0].call("CLUSTER", "KEYSLOT", key)
        return self.all[bisect_right(self._first_slots, slot) - 1]

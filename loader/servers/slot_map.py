"""Which node of a Redis Cluster serves which slots, from the reply to CLUSTER SLOTS."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from loader.errors import TransientError, UsageError
from loader.wire.address import Address
from loader.wire.slots import CHECKSUMS, SLOTS, key_slot

_SHOWN = 5
"""How many ranges of missing slots a message names."""


@dataclass(frozen=True, slots=True)
class SlotMap:
    """The ranges of slots that are served, ascending, and the primary of each.

    Attributes:
        asked: The node that announced them.
    """

    asked: Address
    ranges: Sequence[tuple[int, int]]
    primaries: Sequence[Address]

    def node_of(self, key: bytes) -> Address:
        """The primary that serves a key.

        Raises:
            TransientError: No node serves it now.
        """
        slot = key_slot(key)
        at = bisect_right(self.ranges, (slot, SLOTS)) - 1
        if at < 0 or slot > self.ranges[at][1]:
            raise self.not_served(f"key {key.decode(errors='replace')}, slot {slot}: ")
        return self.primaries[at]

    def by_checksum(self) -> tuple[list[Address], list[int]]:
        """The primaries, and for each CRC-16 of a key the number of the one that serves it; -1 if none does.

        With this table, the node of a key is found without a calculation.
        """
        nodes = list(dict.fromkeys(self.primaries))
        numbers = {address: number for number, address in enumerate(nodes)}
        by_slot = [-1 if address is None else numbers[address] for address in self.owners()]
        return nodes, by_slot * (CHECKSUMS // SLOTS)

    def owners(self) -> list[Address | None]:
        """The primary of each slot; None for a slot that no node serves."""
        found: list[Address | None] = [None] * SLOTS
        for (first, last), address in zip(self.ranges, self.primaries, strict=True):
            found[first : last + 1] = [address] * (last + 1 - first)
        return found

    @property
    def missing(self) -> list[tuple[int, int]]:
        """The ranges of slots that no node serves."""
        firsts = [first for first, _ in self.ranges]
        lasts = [last for _, last in self.ranges]
        gaps = zip([0, *(last + 1 for last in lasts)], [*(first - 1 for first in firsts), SLOTS - 1], strict=True)
        return [(first, last) for first, last in gaps if first <= last]

    @property
    def is_one_node(self) -> bool:
        """Whether one node serves all slots."""
        return len(set(self.primaries)) == 1 and not self.missing

    def not_served(self, what: str = "") -> TransientError:
        """The error for work that needs slots that no node serves.

        Args:
            what: What needs them, with a colon and a space at its end.
        """
        missing = self.missing
        shown = ", ".join(f"{first}-{last}" if last > first else f"{first}" for first, last in missing[:_SHOWN])
        more = f" and {len(missing) - _SHOWN} more ranges" if len(missing) > _SHOWN else ""
        return TransientError(
            f"{self.asked}: {what}the cluster does not serve slots {shown}{more}",
            "Give these slots to a node (redis-cli --cluster fix), or name a queue whose slot is served, with "
            "--layout asynq",
        )


async def slot_map(reply: Any, named: Address, asked: Address) -> SlotMap:
    """Reads a reply to CLUSTER SLOTS (Redis documentation, "CLUSTER SLOTS"; ranges with nodes as host, port, id and,
    since 7.0, metadata).

    Args:
        named: The address that the user gave, whose login all nodes have.
        asked: The node that replied.

    Raises:
        UsageError: A node announces no address.
    """
    served = sorted((int(first), int(last), node) for first, last, node, *_ in reply)
    hosts: dict[tuple[str, int, str], Address] = {}
    primaries = []
    for _, _, node in served:
        announced, port, ip = _text(node[0]), int(node[1]), _metadata(node).get("ip", "")
        if (announced, port, ip) not in hosts:
            hosts[announced, port, ip] = await _address(named, asked, announced, port, ip)
        primaries.append(hosts[announced, port, ip])
    return SlotMap(asked, [(first, last) for first, last, _ in served], primaries)


async def _address(named: Address, asked: Address, announced: str, port: int, ip: str) -> Address:
    if announced in ("", "?"):
        # No host: the endpoint of the node that was asked (cluster-preferred-endpoint-type unknown-endpoint), or a node
        # that does not know its own address yet. "?": its endpoint should be a host name, and it has none.
        if ip:
            return _node_address(named, ip, port)
        if announced == "?":
            raise UsageError(
                f"{asked} is in a cluster with a node that announces no address (CLUSTER SLOTS: '?', port {port})",
                "Set cluster-announce-hostname on that node, or cluster-preferred-endpoint-type ip on all nodes",
            )
        return asked if asked.path is not None else _node_address(named, asked.host, port)
    if ip and not await _resolves(announced):
        return _node_address(named, ip, port)
    return _node_address(named, announced, port)


async def _resolves(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return True
    try:
        await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # UnicodeError: a label is empty, or too long
        return False
    return True


def _metadata(node: Sequence[Any]) -> dict[str, str]:
    """The metadata of a node: pairs in a flat list, such as ``["ip", "10.0.0.1"]``."""
    if len(node) < 4 or not isinstance(node[3], list):
        return {}
    words = [_text(word) for word in node[3]]
    return dict(zip(words[::2], words[1::2], strict=False))


def _text(value: bytes | str | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""


def _node_address(address: Address, host: str, port: int) -> Address:
    """The address of another node, with the same login."""
    parts = urlsplit(address.url)
    login, at, _ = parts.netloc.rpartition("@")
    netloc = f"{login}{at}{f'[{host}]' if ':' in host else host}:{port}"
    return replace(address, url=urlunsplit(parts._replace(netloc=netloc)), host=host, port=port, path=None)

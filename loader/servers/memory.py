"""The memory of servers, from INFO."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loader.servers.routing import Servers
from loader.wire.address import Address
from loader.wire.faults import translated


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of one server.

    Attributes:
        used: Bytes that count towards the limit.
        limit: ``maxmemory`` in bytes; 0 for none.
        policy: ``maxmemory-policy``.
        evicted: Keys evicted since the server started.
    """

    used: int
    limit: int
    policy: str
    evicted: int

    @property
    def evicts(self) -> bool:
        """Whether the server drops keys when it is full."""
        return bool(self.limit) and self.policy != "noeviction"


def memory_of(info: Any) -> Memory | None:
    """The memory, from a reply to INFO; None if it is an error."""
    if not isinstance(info, Mapping) or "used_memory" not in info:
        return None
    return Memory(
        int(info["used_memory"]) - int(info.get("mem_not_counted_for_evict", 0)),
        int(info.get("maxmemory", 0)),
        str(info.get("maxmemory_policy", "noeviction")),
        int(info.get("evicted_keys", 0)),
    )


async def read_memory(servers: Servers) -> dict[Address, Memory | None]:
    """Asks each primary.

    Raises:
        LoaderError: A server does not answer, or refuses.
    """

    async def of(address: Address) -> tuple[Address, Memory | None]:
        client = servers.client_at(address)
        with translated(str(address)):
            memory, stats = await client.execute_all([("INFO", "memory"), ("INFO", "stats")])
        return address, memory_of({**stats, **memory})

    return dict(await asyncio.gather(*map(of, servers.primaries())))

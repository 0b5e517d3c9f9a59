"""The replicas of servers: how far they are behind, as INFO tells it, and waiting until they are near enough.

A server keeps what a replica has not received in a buffer. If that exceeds ``client-output-buffer-limit replica``, the
replica is disconnected, and copies everything anew.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from loader.servers.routing import Servers
from loader.tasks.sizes import in_bytes
from loader.wire.faults import translated
from loader.wire.replies import parse_list

_LOOK_SECONDS = 0.1

log = logging.getLogger("runqy_loader")


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica of a server.

    Attributes:
        address: Host and port.
        is_online: Whether it follows the server; if not, it copies everything just now.
        behind: Bytes of the server's writes that it has not acknowledged. It acknowledges once a second.
        silent: Seconds since it acknowledged last.
    """

    address: str
    is_online: bool
    behind: int
    silent: int


def replicas_of(info: Any) -> list[Replica]:
    """The replicas in a reply to INFO (``slave0:ip=…,port=…,state=online,offset=…,lag=…``); none if it is an error."""
    if not isinstance(info, Mapping):
        return []
    offset = int(info.get("master_repl_offset", 0))
    found = []
    for number in range(int(info.get("connected_slaves", 0))):
        fields = parse_list(str(info.get(f"slave{number}", "")))
        if fields:
            behind = max(0, offset - int(fields.get("offset", 0)))
            place = f"{fields.get('ip')}:{fields.get('port')}"
            found.append(Replica(place, fields.get("state") == "online", behind, int(fields.get("lag", 0))))
    return found


class ReplicaLag:
    """Holds a load back while a replica is too far behind (``--max-replica-lag``).

    Args:
        limit: Bytes; 0 for no limit.
    """

    def __init__(self, servers: Servers, limit: int) -> None:
        self._servers = servers
        self._limit = limit
        self._looked_at = 0.0
        self._sent = 0  # bytes, since then
        self._looking = asyncio.Lock()

    def sent(self, size: int) -> None:
        """Notes that a batch of so many bytes goes to the server."""
        self._sent += size

    async def below(self, is_stopping: Callable[[], bool]) -> None:
        """Returns when all replicas are within the limit, or the load is to end.

        A replica that is disconnected does not count.

        Raises:
            LoaderError: A server does not answer, or refuses INFO.
        """
        if not self._limit:
            return
        async with self._looking:
            if time.monotonic() - self._looked_at < _LOOK_SECONDS and self._sent < self._limit / 2:
                return
            self._sent = 0
            is_waiting = False
            while (last := await self._farthest()) is not None and last.behind > self._limit:
                if is_stopping():
                    return
                if not is_waiting:
                    is_waiting = True
                    log.info(
                        "replica %s is %s behind: waiting until it has no more than %s left (--max-replica-lag)",
                        last.address, in_bytes(last.behind), in_bytes(self._limit),
                    )  # fmt: skip
                await asyncio.sleep(_LOOK_SECONDS)
            if is_waiting:
                log.info("the replicas have caught up")
            self._looked_at = time.monotonic()

    async def _farthest(self) -> Replica | None:
        found = [replica async for replica in self._all() if replica.is_online]
        return max(found, key=lambda replica: replica.behind, default=None)

    async def _all(self) -> AsyncIterator[Replica]:
        for client in list(self._servers.clients()):
            with translated(str(self._servers)):
                info = await client.execute("INFO", "replication")
            for replica in replicas_of(info):
                yield replica

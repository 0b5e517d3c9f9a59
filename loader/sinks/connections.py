"""The connections of one pipeline worker: one to the server, or one to each node of a cluster that it needs."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Self

from loader.errors import ConnectionFailedError
from loader.jobs.lease import Lease
from loader.servers.routing import Servers
from loader.wire.address import Address
from loader.wire.connection import Connection, Reply
from loader.wire.opening import open_connection

Admit = Callable[[float], Awaitable[None]]
"""Makes sure that this run may write over connections that were open at this time."""


class Connections:
    """Connections that are opened at first use.

    Args:
        timeout: Seconds without any reply after which a connection counts as lost.
        admit: Awaited when a connection is open, before it is used. Its argument is when that was (``time.monotonic``).

    Attributes:
        names: The names by which the server knows the connections.
    """

    def __init__(self, servers: Servers, lease: Lease, timeout: float, admit: Admit | None = None) -> None:
        self._servers = servers
        self._lease = lease
        self._timeout = timeout
        self._admit = admit
        self._opened_at = -math.inf
        self._open: dict[Address, Connection] = {}
        self._opening = asyncio.Lock()
        self.names: list[str] = []

    async def to(self, key: bytes) -> Connection:
        """A connection to the node that serves a key.

        Raises:
            TransientError, SinkError: See ``open_connection``.
            JobBusyError: Another run has taken the job over.
        """
        address = self._servers.address_of(key)
        if address not in self._open:
            async with self._opening:  # the lock is fair: tasks that wait for it go on in their order
                if address not in self._open:
                    name = self._lease.next_connection_name()
                    self.names.append(name)
                    try:
                        connection = await open_connection(address, name, self._timeout)
                    except ConnectionFailedError as error:
                        raise self._servers.located(error, address) from error
                    try:
                        # This process may have been suspended since it named the connection. A run that takes over
                        # from now on closes it.
                        await self._lease.renew()
                        if self._admit is not None:
                            await self._admit(time.monotonic())
                    except BaseException:
                        connection.abort()
                        raise
                    self._open[address] = connection
                    self._opened_at = time.monotonic()
        return self._open[address]

    async def scatter(self, commands: Sequence[tuple[bytes, bytes]]) -> list[Reply]:
        """Sends each command to the node that serves its key; the replies come in the order of the commands.

        Args:
            commands: Pairs of a key and the command on it.
        """
        by_node = self._servers.by_node([key for key, _ in commands])
        calls = []
        for positions in by_node.values():
            connection = await self.to(commands[positions[0]][0])
            calls.append(
                connection.call(b"".join(commands[position][1] for position in positions), replies=len(positions))
            )
        replies: list[Reply] = [None] * len(commands)
        for positions, node_replies in zip(by_node.values(), await asyncio.gather(*calls), strict=True):
            for position, reply in zip(positions, node_replies, strict=True):
                replies[position] = reply
        return replies

    async def handed_to(self, admit: Admit | None) -> Self:
        """The same connections for another use. Nothing may be in flight.

        Raises:
            LoaderError: See ``admit``.
        """
        self._admit = admit
        if admit is not None:
            await admit(self._opened_at)
        return self

    @property
    def are_usable(self) -> bool:
        """Whether all connections are still open."""
        return all(connection.is_open for connection in self._open.values())

    def opened(self) -> list[Connection]:
        """All connections that are open."""
        return list(self._open.values())

    async def close(self) -> None:
        """Closes all connections after everything written has been sent."""
        for connection in list(self._open.values()):
            await connection.close()

    def abort(self) -> None:
        """Closes all connections at once. Data that has not been sent is dropped."""
        for connection in self._open.values():
            connection.abort()

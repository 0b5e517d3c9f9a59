"""A connection for steps that may be repeated. It is opened at first use, and again after it was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

import hiredis

from loader.errors import LoaderError, RefusedNowError, UsageError
from loader.servers.first_contact import first_contact
from loader.servers.retry import Patience, retry
from loader.wire.address import Address
from loader.wire.connection import Connection, Reply
from loader.wire.faults import from_reply
from loader.wire.opening import open_connection
from loader.wire.resp import command

Fence = Callable[[Collection[str]], Awaitable[None]]
"""Ensures that the server executes nothing more of what connections with these names have sent."""


class Session:
    """Calls to one server, each repeated after transient faults. Calls may overlap.

    Args:
        timeout: Seconds without any reply after which the connection counts as lost.
        retry_for: Seconds for which a call is repeated.
        next_name: Returns a name that no connection has or had.
        reached: Whether the server is known to be reachable. If not, a connection that fails at first is more likely a
            mistake of the user than a fault, and is not retried.
        fence: Awaited after a connection was lost, before anything is sent again; None if late writes do no harm.
        admit: Awaited when a connection is open and has its name, before anything is sent; None for nothing.

    Attributes:
        losses: The number of connections lost so far before their replies came.
    """

    def __init__(
        self,
        address: Address,
        timeout: float,
        retry_for: float,
        next_name: Callable[[], str],
        fence: Fence | None = None,
        admit: Callable[[], Awaitable[None]] | None = None,
        *,
        reached: bool = False,
    ) -> None:
        self.address = address
        self.losses = 0
        self._timeout = timeout
        self._patience = Patience(retry_for)
        self._next_name = next_name
        self._fence = fence
        self._admit = admit
        self._connection: Connection | None = None
        self._opening = asyncio.Lock()
        self._lost: set[str] = set()
        self._name = ""
        self._reached = reached

    async def call(self, commands: bytes, replies: int, where: str = "") -> list[Reply]:
        """Sends commands and returns their replies. Repeats this after a lost connection, or if the server was busy.

        Args:
            where: What the commands are about, such as a key; for error messages.

        Raises:
            SinkError: The server refuses one of the commands, or the fault lasted.
        """
        result = await self.values(commands, replies)
        for reply in result:
            if isinstance(reply, hiredis.ReplyError):
                raise from_reply(str(reply), f"{self.address}, {where}" if where else str(self.address))
        return result

    async def values(self, commands: bytes, replies: int) -> list[Reply]:
        """Like ``call``, but error replies that a repetition would not change are returned as values."""
        return await retry(lambda: self._once(commands, replies), self._patience, connected=self._reached)

    async def _once(self, commands: bytes, replies: int) -> list[Reply]:
        connection = await self._connected()
        try:
            result = await connection.call(commands, replies)
        except LoaderError:
            self._drop(connection)
            raise
        for reply in result:
            if isinstance(reply, hiredis.ReplyError):
                error = from_reply(str(reply), str(self.address))
                if isinstance(error, RefusedNowError):
                    # After a failover, the same address may lead to another server. The replies are known, and final.
                    self._drop(connection, replied=not self._patience.covers(error))
                if self._patience.covers(error):
                    raise error
        return result

    async def _connected(self) -> Connection:
        async with self._opening:
            if self._connection is None:
                if self._lost and self._fence is not None:
                    await self._fence(self._lost)
                self._lost.clear()
                self._name = self._next_name()
                connection = await self._open()
                self._reached = True
                if self._admit is not None:
                    try:
                        await self._admit()
                    except BaseException:
                        connection.abort()
                        raise
                self._connection = connection
            return self._connection

    async def _open(self) -> Connection:
        def connect() -> Awaitable[Connection]:
            return open_connection(self.address, self._name, self._timeout)

        return await (connect() if self._reached else first_contact(self.address, connect))

    def _drop(self, connection: Connection, *, replied: bool = False) -> None:
        if connection is self._connection:  # otherwise another call has dropped it already
            self._connection = None
            self._lost.add(self._name)
            self.losses += not replied
            connection.abort()

    async def close(self) -> None:
        """Closes the connection, if one is open."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            try:
                async with asyncio.timeout(1):
                    await connection.close()
            except (TimeoutError, LoaderError):
                connection.abort()


async def require_one_server(session: Session, what: str) -> None:
    """Checks that the server holds all keys itself.

    Args:
        what: The operation that a cluster does not support, for the error.

    Raises:
        UsageError: The server belongs to a Redis Cluster.
        LoaderError: The server does not answer.
    """
    (ranges,) = await session.values(command(b"CLUSTER", b"SLOTS"), 1)
    # Otherwise an error: no cluster, an old server, or no right to ask. One node with all slots holds all keys itself.
    if isinstance(ranges, list) and len({tuple(map(str, place[2][:2])) for place in ranges}) > 1:
        raise UsageError(f"{session.address} belongs to a Redis Cluster, which {what} does not support yet")

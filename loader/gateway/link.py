"""A connection to Redis that reconnects whenever it is lost."""

from __future__ import annotations

import asyncio
import math

import hiredis

from loader.errors import ConnectionFailedError, LoaderError, RefusedNowError, SinkError
from loader.gateway.rare_warnings import RareWarnings
from loader.servers.outage import Outage
from loader.servers.retry import Patience, retry
from loader.wire.address import Address
from loader.wire.connection import Connection, Reply
from loader.wire.opening import open_connection
from loader.wire.resp import command

_PAUSE_AFTER_REFUSAL = 2.0
_PING_TIMEOUT = 2.0


class WrongTypeError(SinkError):
    """A key that the gateway needs is of another type."""


def wrong_type(reply: Reply, key: str, wanted: str) -> WrongTypeError | None:
    """The error if a reply says that a key is of another type; None otherwise.

    Args:
        wanted: What the key should hold, such as "a list of tasks".
    """
    if isinstance(reply, hiredis.ReplyError) and str(reply).startswith("WRONGTYPE"):
        return WrongTypeError(f"the key {key} is of another type than {wanted}")
    return None


class Link:
    """Calls use the current connection and are never repeated: only the caller knows which calls may be repeated.

    Args:
        name: The name of the connection.
        timeout: Seconds without any reply after which the connection counts as lost.
        outage: Tells the user what is waited for; shared by the connections to a server, so that it is told once.
        warnings: For what happens to each of these connections.
        group: The links to this server, which are added to it: what shows one of them a failover holds for all.
    """

    def __init__(
        self,
        address: Address,
        name: str,
        timeout: float,
        outage: Outage,
        warnings: RareWarnings,
        group: list[Link] | None = None,
    ) -> None:
        self._address = address
        self._name = name
        self._timeout = timeout
        self._patience = Patience(math.inf, outage=outage)
        self._warnings = warnings
        self._connection: Connection | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._group = group if group is not None else []
        self._group.append(self)

    async def open(self) -> None:
        """Connects. From then on, a lost connection is replaced.

        Raises:
            LoaderError: The server cannot be reached, or refuses.
        """
        self._connection = await self._connect()
        self._keeping = asyncio.create_task(self._keep(self._connection))

    async def close(self) -> None:
        """Closes the connection after everything written has been sent."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        if self._connection is not None:
            await self._connection.close()

    @property
    def is_up(self) -> bool:
        return self._connection is not None

    def call(self, commands: bytes, replies: int) -> asyncio.Future[list[Reply]]:
        """See ``Connection.call``.

        Raises:
            ConnectionFailedError: There is no connection: nothing was sent.
        """
        if self._connection is None:
            raise ConnectionFailedError(f"{self._address}: there is no connection at the moment")
        return self._connection.call(commands, replies)

    def leave_replica(self, error: Exception) -> None:
        """Replaces the connections of the group by new ones if an error says that this one leads to a replica.

        After a failover, the same address leads to the new primary, and the connections to the old one. Those that only
        read get no such error: they would go on to show the old state.
        """
        if not (isinstance(error, RefusedNowError) and error.condition == "READONLY"):
            return
        for link in self._group:
            if link._connection is not None:
                link._connection.abort()

    async def answers(self) -> bool:
        """Whether the server answers a PING within 2 s."""
        try:
            async with asyncio.timeout(_PING_TIMEOUT):
                return await self.call(command(b"PING"), replies=1) == [b"PONG"]
        except (LoaderError, TimeoutError):
            return False

    async def _connect(self) -> Connection:
        return await open_connection(self._address, self._name, self._timeout)

    async def _keep(self, connection: Connection) -> None:
        while True:
            await connection.wait_closed()
            self._connection = None
            self._warnings.warn(f"{self._address}: the connection was lost; reconnecting")
            connection = await self._reconnect()
            self._connection = connection
            self._warnings.warn(f"{self._address}: connected again")

    async def _reconnect(self) -> Connection:
        while True:
            try:
                return await retry(self._connect, self._patience)
            except LoaderError as error:  # such as a changed password: the gateway keeps running in that case too
                self._warnings.warn(f"{error}; trying again in {_PAUSE_AFTER_REFUSAL:g} s")
                await asyncio.sleep(_PAUSE_AFTER_REFUSAL)

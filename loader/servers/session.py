"""Connections for steps that may be repeated. They are opened at first use, and again after they were lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import hiredis

from loader.errors import ConnectionFailedError, LoaderError, RefusedNowError
from loader.servers.closing import close_quietly
from loader.servers.question import Question
from loader.servers.retry import Patience, retry
from loader.servers.routing import Servers
from loader.wire.address import Address
from loader.wire.connection import Connection, Reply
from loader.wire.faults import from_reply
from loader.wire.opening import open_connection

T = TypeVar("T")

Fence = Callable[[Collection[str]], Awaitable[None]]
"""Ensures that the servers execute nothing more of what connections with these names have sent."""


class Session:
    """Calls to a server, or to the nodes of a cluster, each repeated after transient faults. Calls may overlap.

    After a fault in a cluster, it is read again which node serves which slots. Of a call to several nodes, all is
    repeated, also what some of them have done already.

    Args:
        servers: Reached at the first call, if they are not yet. A connection that fails then is more likely a mistake
            of the user than a fault, and is not retried.
        timeout: Seconds without any reply after which a connection counts as lost.
        retry_for: Seconds for which a call is repeated.
        next_name: Returns a name that no connection has or had.
        fence: Awaited after a connection was lost, before anything is sent again; None if late writes do no harm.
        admit: Awaited when a connection is open and has its name, before anything is sent; None for nothing.

    Attributes:
        losses: The number of connections lost so far before their replies came.
        repeats: The number of further attempts of calls so far.
    """

    def __init__(
        self,
        servers: Servers,
        timeout: float,
        retry_for: float,
        next_name: Callable[[], str],
        fence: Fence | None = None,
        admit: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.servers = servers
        self.losses = 0
        self.repeats = 0
        self._timeout = timeout
        self._patience = Patience(retry_for)
        self._next_name = next_name
        self._fence = fence
        self._admit = admit
        self._open: dict[Address, tuple[Connection, str]] = {}  # with their names
        self._opening = asyncio.Lock()
        self._lost: set[str] = set()

    @property
    def address(self) -> Address:
        """The server that the user named."""
        return self.servers.address

    async def call(self, questions: Sequence[Question], where: str = "") -> list[Reply]:
        """The replies, in the order of the questions. This is repeated after a lost connection, or if a server was
        busy.

        Args:
            where: What the commands are about, such as a key; for error messages.

        Raises:
            SinkError: A server refuses one of the commands, or the fault lasted.
        """
        where = f"{self.address}, {where}" if where else str(self.address)
        return [_checked(reply, where) for reply in await self.values(questions)]

    async def values(self, questions: Sequence[Question]) -> list[Reply]:
        """Like ``call``, but error replies that a repetition would not change are returned as values."""

        async def once() -> list[Reply]:
            await self._reached()
            replies: list[Reply] = [None] * len(questions)
            places = self.servers.by_node([question.key for question in questions])
            sent = [
                (address, b"".join([questions[at].command for at in positions]), len(positions))
                for address, positions in places.items()
            ]
            for positions, found in zip(places.values(), await self._all(sent), strict=True):
                for at, reply in zip(positions, found, strict=True):
                    replies[at] = reply
            return replies

        return await self.repeat(once)

    async def on_each(self, command: bytes, where: str) -> list[Reply]:
        """The reply of each primary to a command without a key. Otherwise as ``call``."""

        async def once() -> list[list[Reply]]:
            await self._reached()
            return await self._all([(address, command, 1) for address in self.servers.primaries()])

        return [_checked(reply, f"{self.address}, {where}") for (reply,) in await self.repeat(once)]

    async def repeat(self, step: Callable[[], Awaitable[T]]) -> T:
        """Repeats a step after transient faults, as calls are repeated."""
        return await retry(step, self._patience, connected=self.servers.is_reached, between=self._find_again)

    async def reach(self) -> None:
        """Reaches the servers, as the first call would.

        Raises:
            LoaderError: The server cannot be reached, or refuses.
        """
        await self.repeat(self._reached)

    async def _reached(self) -> None:
        async with self._opening:
            if not self.servers.is_reached:
                await self.servers.reach(self._next_name())

    async def _find_again(self) -> None:
        self.repeats += 1
        if self.servers.is_cluster:
            await self.servers.reconnect()

    async def _all(self, calls: Sequence[tuple[Address, bytes, int]]) -> list[list[Reply]]:
        """Sends commands to several servers at once.

        Args:
            calls: For each server: the commands, and the number of their replies.
        """
        if len(calls) == 1:
            return [await self._once(*calls[0])]
        answers = await asyncio.gather(*(self._once(*call) for call in calls), return_exceptions=True)
        result: list[list[Reply]] = []
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
            result.append(answer)
        return result

    async def _once(self, address: Address, commands: bytes, count: int) -> list[Reply]:
        connection = await self._connected(address)
        try:
            result = await connection.call(commands, count)
        except LoaderError:
            self._drop(address, connection)
            raise
        for reply in result:
            if isinstance(reply, hiredis.ReplyError):
                error = from_reply(str(reply), str(address))
                if isinstance(error, RefusedNowError):
                    # After a failover, the same address may lead to another server. The replies are known, and final.
                    self._drop(address, connection, replied=not self._patience.covers(error))
                if self._patience.covers(error):
                    raise error
        return result

    async def _connected(self, address: Address) -> Connection:
        async with self._opening:
            if address not in self._open:
                while self._lost:  # others may be lost while these are fenced
                    lost = frozenset(self._lost)
                    if self._fence is not None:
                        await self._fence(lost)
                    self._lost -= lost
                name = self._next_name()
                try:
                    connection = await open_connection(address, name, self._timeout)
                except ConnectionFailedError as error:
                    raise self.servers.located(error, address) from error
                if self._admit is not None:
                    try:
                        await self._admit()
                    except BaseException:
                        connection.abort()
                        raise
                self._open[address] = connection, name
            return self._open[address][0]

    def _drop(self, address: Address, connection: Connection, *, replied: bool = False) -> None:
        current, name = self._open.get(address, (None, ""))
        if connection is current:  # otherwise another call has dropped it already
            del self._open[address]
            self._lost.add(name)
            self.losses += not replied
            connection.abort()

    async def close(self) -> None:
        """Closes the connections that are open."""
        connections = [connection for connection, _ in self._open.values()]
        self._open.clear()
        for connection in connections:
            await close_quietly(connection.close())
            connection.abort()


def _checked(reply: Reply, where: str) -> Reply:
    if isinstance(reply, hiredis.ReplyError):
        raise from_reply(str(reply), where)
    return reply


@asynccontextmanager
async def open_session(
    address: Address, timeout: float, retry_for: float, next_name: Callable[[], str]
) -> AsyncIterator[Session]:
    """A session with a server that this process only reads, for the time of a ``with`` block.

    Raises:
        LoaderError: The server cannot be reached, or refuses.
    """
    servers = Servers(address, timeout)
    session = Session(servers, timeout, retry_for, next_name)
    try:
        await session.reach()
        yield session
    finally:
        await session.close()
        await servers.aclose()

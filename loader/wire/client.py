"""A client for everything outside the hot path: single commands, and a few at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import hiredis

from loader.errors import ConnectionFailedError, LoaderError
from loader.wire.address import Address
from loader.wire.connection import Connection, Reply
from loader.wire.faults import from_os_error, missing_command
from loader.wire.opening import open_connection
from loader.wire.replies import pairs, parse_info
from loader.wire.resp import array

T = TypeVar("T")

Argument = bytes | str | int | float
Command = Sequence[Argument]
Guard = Callable[[bool], Awaitable[None]]
"""Awaited before anything is sent; it fails if nothing may be. Its argument says whether the connection is new."""


class Client:
    """Calls to one server, over a connection that is opened at first use, and again after it was lost.

    Calls may overlap, and may be cancelled. No call is repeated: its caller knows which steps may be.

    Args:
        timeout: Seconds for connecting and for the replies of each call.
        name: The name of the connection; '' for none.
        guard: See ``Guard``. It is asked when the connection has its name, and then before each call.
    """

    def __init__(self, address: Address, timeout: float, name: str = "", guard: Guard | None = None) -> None:
        self._address = address
        self._timeout = timeout
        self._name = name
        self._guard = guard
        self._connection: Connection | None = None
        self._opening = asyncio.Lock()

    async def execute(self, *command: Argument) -> Reply:
        """Sends a command. Its reply is as hiredis returns it, but those of INFO and HGETALL are dicts.

        Raises:
            hiredis.ReplyError: The server replies with an error.
            LoaderError: The server cannot be reached, or the connection is lost: it is unknown whether the command ran.
        """
        (reply,) = await self.execute_all([command])
        return reply

    async def execute_all(self, commands: Sequence[Command]) -> list[Reply]:
        """Sends commands at once; otherwise as ``execute``."""
        replies = await self.ask(commands)
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError):
                raise reply
        return replies

    async def ask(self, commands: Sequence[Command]) -> list[Reply]:
        """As ``execute_all``, but error replies are values."""
        if not commands:
            return []
        connection = await self.connect()
        if self._guard is not None:
            await self._guard(False)
        sent = b"".join([array([_encoded(argument) for argument in command]) for command in commands])
        try:
            replies = await self._in_time(connection.call(sent, len(commands)))
        except LoaderError:
            connection.abort()
            raise
        if any(isinstance(reply, hiredis.ReplyError) and missing_command(str(reply)) for reply in replies):
            self.renew()  # some servers close the connection after a command that they do not know
        return [_read(command[0], reply) for command, reply in zip(commands, replies, strict=True)]

    async def ask_each(self, commands: Sequence[Command]) -> list[Reply]:
        """As ``ask``, for commands that may be repeated. If the server closes the connection, it is asked one by one.

        A command after which it closes the connection twice is one that it does not know: its reply is an error.
        """
        try:
            return await self.ask(commands)
        except ConnectionFailedError as error:
            if not error.closed:
                raise
        return [await self._ask_alone(command) for command in commands]

    async def _ask_alone(self, command: Command) -> Reply:
        for _ in range(2):
            try:
                (reply,) = await self.ask([command])
            except ConnectionFailedError as error:
                if not error.closed:
                    raise
            else:
                return reply
        return hiredis.ReplyError(f"ERR unknown command '{command[0]!s}', the server closes the connection")

    async def connect(self) -> Connection:
        """Opens the connection, if none is open.

        Raises:
            LoaderError: The server cannot be reached, or refuses the login.
        """
        async with self._opening:
            if self._connection is None or not self._connection.is_open:
                self._connection = None
                opened = await self._in_time(open_connection(self._address, self._name, self._timeout))
                if self._guard is not None:
                    try:
                        await self._guard(True)
                    except BaseException:
                        opened.abort()
                        raise
                self._connection = opened
            return self._connection

    async def _in_time(self, step: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._timeout):
                return await step
        except TimeoutError as error:
            raise from_os_error(error, str(self._address)) from error

    @property
    def connection(self) -> Connection | None:
        """The connection over which the last call went; None if there is none any more."""
        return self._connection

    @property
    def name(self) -> str:
        """The name of the connection; '' if it has none, or the server refuses names."""
        return self._name

    async def set_name(self, name: str) -> None:
        """Names the connection, and those that are opened after it. Raises as ``execute``."""
        self._name = name
        try:
            await self.execute("CLIENT", "SETNAME", name)
        except hiredis.ReplyError:
            self._name = ""
            raise

    def renew(self) -> None:
        """Has the next call open a new connection. Calls under way keep theirs."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.retire()

    async def aclose(self) -> None:
        """Closes the connection, if one is open."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close()
            finally:
                connection.abort()


def _encoded(argument: Argument) -> bytes:
    if isinstance(argument, bytes):
        return argument
    return argument.encode() if isinstance(argument, str) else repr(argument).encode()


_READERS: Mapping[Argument, Callable[[Any], Reply]] = {"INFO": parse_info, "HGETALL": pairs}


def _read(name: Argument, reply: Reply) -> Reply:
    reader = _READERS.get(name)
    return reply if reader is None or isinstance(reply, Exception) else reader(reply)

"""A peer that speaks bytes which a test has written down, on a real socket of this host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import hiredis

from loader.wire.address import Address, parse_address

OK = b"+OK\r\n"
HANDSHAKE = {b"AUTH": OK, b"SELECT": OK, b"PING": b"+PONG\r\n", b"CLIENT": OK}
"""What a server answers to the commands with which a connection begins."""


class Session:
    """One connection that the peer has accepted.

    Attributes:
        commands: All that have arrived, as lists of their arguments.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.commands: list[list[bytes]] = []
        self.writer = writer
        self._reader = reader
        self._parser = hiredis.Reader()

    async def next(self) -> list[bytes] | None:
        """The next command; None when the other side has closed the connection."""
        while (command := self._parser.gets()) is False:
            try:
                data = await self._reader.read(65536)
            except ConnectionError:
                return None
            if not data:
                return None
            self._parser.feed(data)
        self.commands.append(command)
        return list(command)

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def greet(self, answers: Mapping[bytes, bytes] = HANDSHAKE) -> None:
        """Answers what a connection begins with, CLIENT SETNAME being the last of it."""
        while (command := await self.next()) is not None:
            await self.say(answers[command[0]])
            if command[0] == b"CLIENT":
                return

    async def until_closed(self) -> None:
        """Reads on until the other side has closed the connection."""
        while await self.next() is not None:
            pass


Script = Callable[[Session], Awaitable[Any]]
"""What the peer does with a connection; it is closed afterwards."""


def answering(answers: Mapping[bytes, bytes]) -> Script:
    """Answers each command by its name, until the connection is closed."""

    async def script(session: Session) -> None:
        while (command := await session.next()) is not None:
            await session.say({**HANDSHAKE, **answers}[command[0]])

    return script


@asynccontextmanager
async def listening(port: int) -> AsyncIterator[Callable[[Script], Awaitable[None]]]:
    """Gives a function that starts a peer at this port, at most once."""
    servers: list[asyncio.Server] = []

    async def come_up(script: Script) -> None:
        if not servers:
            servers.append(await asyncio.start_server(_Handler(script), "127.0.0.1", port))

    try:
        yield come_up
    finally:
        for server in servers:
            server.close()
            await server.wait_closed()


@asynccontextmanager
async def peer(script: Script, *, login: str = "", db: int = 0, path: Path | None = None) -> AsyncIterator[Address]:
    """Listens during the block; the address under which it is reached.

    At its end the script is waited for: the test has closed the connections by then. What fails in it fails the block.
    """
    handler = _Handler(script)
    if path is not None:
        server = await asyncio.start_unix_server(handler, path)
        address = parse_address(f"unix://{path}")
    else:
        server = await asyncio.start_server(handler, "127.0.0.1", 0)
        address = parse_address(f"redis://{login}127.0.0.1:{server.sockets[0].getsockname()[1]}/{db}")
    async with server:
        yield address
        await asyncio.gather(*handler.running)


class _Handler:
    """Runs the script for each connection."""

    def __init__(self, script: Script) -> None:
        self.running: set[asyncio.Task[None]] = set()
        self._script = script

    def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.running.add(asyncio.ensure_future(self._handle(reader, writer)))

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._script(Session(reader, writer))
        finally:
            writer.close()

"""Sends ready-made commands to the server, or to each key's node of a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import count

from loader.servers.question import Question
from loader.servers.routing import Servers
from loader.wire.address import Address
from loader.wire.connection import Connection, Reply
from loader.wire.opening import open_connection


class Reader:
    """Connections that are opened when they are first needed.

    Args:
        timeout: Seconds without any reply after which a connection counts as lost.
        name: What the names of the connections begin with.
    """

    def __init__(self, servers: Servers, timeout: float, name: str) -> None:
        self._servers = servers
        self._name = name
        self._timeout = timeout
        self._connections: dict[Address, Connection] = {}
        self._numbers = count(1)

    def drop(self) -> None:
        """Drops all connections: the fault that broke one has most likely broken the others."""
        for connection in self._connections.values():
            connection.abort()
        self._connections.clear()

    async def ask(self, questions: Sequence[Question]) -> list[Reply]:
        """The replies, in the order of the questions. Error replies are values in the list.

        Raises:
            LoaderError: A connection cannot be opened, or was lost.
        """
        by_node = self._servers.by_node([question.key for question in questions])
        replies: list[Reply] = [None] * len(questions)
        calls = [
            self._call(address, [questions[position].command for position in positions])
            for address, positions in by_node.items()
        ]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        for answer, positions in zip(answers, by_node.values(), strict=True):
            if isinstance(answer, BaseException):
                raise answer
            for position, reply in zip(positions, answer, strict=True):
                replies[position] = reply
        return replies

    async def _call(self, address: Address, commands: list[bytes]) -> list[Reply]:
        connection = self._connections.get(address)
        if connection is None:
            name = f"{self._name}:{next(self._numbers)}"
            connection = self._connections[address] = await open_connection(address, name, self._timeout)
        return await connection.call(b"".join(commands), replies=len(commands))

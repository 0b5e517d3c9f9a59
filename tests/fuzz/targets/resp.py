"""RESP: commands as hiredis reads them, and replies as they were encoded, however they arrive."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from random import Random
from typing import Any

import hiredis

from loader.errors import LoaderError
from loader.wire.address import parse_address
from loader.wire.connection import Connection
from loader.wire.replies import parse_clients, parse_info, parse_list
from loader.wire.resp import array, bulk, bulks, command
from tests.fuzz.drawn import Pieces, chunks, packed, parameters, with_parameters
from tests.unit.wire.test_connection import encoded

_ADDRESS = parse_address("redis://localhost")
_RUNNER = asyncio.Runner()
_MOST_DEPTH = 4


def seeds() -> Iterator[bytes]:
    for number in range(10):
        yield with_parameters(packed([b"SET", b"key", b"", b"\r\n$5\r\n", b"\xc8\x05"]), number)
        yield with_parameters(b"+OK\r\n:1\r\n$3\r\nabc\r\n*2\r\n$-1\r\n-ERR no\r\n", number)
        yield with_parameters(b"# Memory\r\nused_memory:1\r\ndb0:keys=2,expires=0\r\nid=3 addr=1:2 name=\n", number)


def check(data: bytes) -> None:
    random, content = parameters(data)
    kind = random.randrange(4)
    if kind == 0:
        _commands([*Pieces(content).blobs()])
    elif kind == 1:
        _RUNNER.run(_replies(content, random))
    elif kind == 2:
        _RUNNER.run(_any_bytes(content, random))
    else:
        _text(content)


def _commands(arguments: list[bytes]) -> None:
    made = command(*arguments)
    assert made == array(arguments) == b"*%d\r\n" % len(arguments) + b"".join(map(bulk, arguments))
    assert bulks(arguments, b"head") == b"head" + b"".join(map(bulk, arguments))
    reader = hiredis.Reader()
    reader.feed(made)
    assert reader.gets() == arguments
    if arguments:
        whole: Any = tuple(arguments)
        assert made == hiredis.pack_command(whole)


async def _replies(content: bytes, random: Random) -> None:
    """Calls get the replies that were encoded, each its own."""
    pieces = Pieces(content)
    calls = [[_value(pieces, 0) for _ in range(1 + pieces.number(3))] for _ in range(1 + pieces.number(4))]
    answer = b"".join(encoded(reply) for replies in calls for reply in replies)
    async with _Connected() as connection:
        waiting = [connection.call(b"", len(replies)) for replies in calls]
        for chunk in chunks(answer, random):
            connection.data_received(chunk)
        assert [await one for one in waiting] == calls


def _value(pieces: Pieces, depth: int) -> Any:
    kind = pieces.number() % (5 if depth < _MOST_DEPTH else 3)
    if kind == 0:
        return None
    if kind == 1:
        return pieces.number(2**64 - 1) - 2**63
    if kind == 2:
        return pieces.blob()
    return [_value(pieces, depth + 1) for _ in range(pieces.number(5))]


async def _any_bytes(content: bytes, random: Random) -> None:
    """What no server says ends in one of our errors, or waits for more, and chunks do not matter."""
    outcomes = []
    for parts in ([content], chunks(content, random)):
        async with _Connected() as connection:
            waiting = [connection.call(b"", 1) for _ in range(3)]
            for part in parts:
                connection.data_received(part)
            connection.connection_lost(None)
            outcomes.append([repr(outcome) for outcome in await asyncio.gather(*waiting, return_exceptions=True)])
            assert all(one.exception() is None or isinstance(one.exception(), LoaderError) for one in waiting), outcomes
    assert outcomes[0] == outcomes[1]


class _Connected:
    """A connection with a socket whose other end says nothing."""

    async def __aenter__(self) -> Connection:
        ours, self._other = socket.socketpair()
        _, connection = await asyncio.get_running_loop().create_connection(lambda: Connection(_ADDRESS, 60), sock=ours)
        self._connection = connection
        return connection

    async def __aexit__(self, *_: object) -> None:
        self._connection.abort()
        await self._connection.wait_closed()
        self._other.close()


def _text(content: bytes) -> None:
    """Replies that are text give the words that they hold."""
    text = content.decode(errors="replace").replace("\r", "")
    fields = parse_info(content)
    for name, value in fields.items():
        assert f"{name}:{value}" in text.split("\n")
        assert all(item in value.split(",") for item in (f"{n}={v}" for n, v in parse_list(value).items()))
    assert len(fields) == len({line.partition(":")[0] for line in text.split("\n") if ":" in line and line[0] != "#"})
    clients = parse_clients(content)
    assert len(clients) == sum(map(bool, text.split("\n")))
    for client, line in zip(clients, filter(None, text.split("\n")), strict=True):
        assert {f"{name}={value}" for name, value in client.items()} <= set(line.split(" "))

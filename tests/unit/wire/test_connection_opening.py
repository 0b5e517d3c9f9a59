"""How a connection begins: in which order it introduces itself, and what keeps it from beginning."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from loader.errors import ConnectionFailedError, LoaderError, SinkError, TransientError
from loader.wire.connection import Connection
from loader.wire.resp import command
from tests.conftest import free_port
from tests.unit.wire.peer import HANDSHAKE, OK, Session, answering, peer

GET = command(b"GET", b"k")
LONG = 600.0
"""Seconds that no test waits."""


@pytest.mark.parametrize(
    ("login", "db", "first"),
    [
        ("", 0, []),
        (":secret@", 0, [[b"AUTH", b"secret"]]),
        ("me:secret@", 3, [[b"AUTH", b"me", b"secret"], [b"SELECT", b"3"]]),
    ],
)
def test_it_logs_in_selects_asks_and_takes_a_name_in_this_order(login: str, db: int, first: list[list[bytes]]) -> None:
    met: list[list[bytes]] = []

    async def run() -> None:
        async def script(session: Session) -> None:
            await session.greet()
            met.extend(session.commands)
            await session.until_closed()

        async with peer(script, login=login, db=db) as address:
            await (await Connection.open(address, "runqy-loader:j:1:0.1", LONG)).close()

    asyncio.run(run())
    assert met == [*first, [b"PING"], [b"CLIENT", b"SETNAME", b"runqy-loader:j:1:0.1"]]


@pytest.mark.parametrize(
    ("where", "answer", "error", "words"),
    [
        (b"AUTH", b"-WRONGPASS invalid username-password pair\r\n", SinkError, "refuses this user name or password"),
        (b"SELECT", b"-ERR DB index is out of range\r\n", SinkError, "no such database"),
        (b"PING", b"-NOAUTH Authentication required.\r\n", SinkError, "wants a password"),
        (b"PING", b"-LOADING Redis is loading the dataset in memory\r\n", TransientError, "is loading its data"),
    ],
)
def test_a_refusal_at_the_start_is_raised_and_the_connection_closed(
    where: bytes, answer: bytes, error: type[LoaderError], words: str
) -> None:
    closed = []

    async def run() -> None:
        async def script(session: Session) -> None:
            await session.greet({**HANDSHAKE, where: answer})
            closed.append(await session.next())

        async with peer(script, login=":secret@", db=1) as address:
            with pytest.raises(error, match=words) as caught:
                await Connection.open(address, "name", LONG)
            assert type(caught.value) is error
            assert "secret" not in str(caught.value)

    asyncio.run(run())
    assert closed == [None]


def test_a_name_that_is_refused_is_no_obstacle() -> None:
    async def run() -> None:
        script = answering({b"CLIENT": b"-NOPERM this user has no permissions\r\n", b"GET": OK})
        async with peer(script) as address:
            connection = await Connection.open(address, "name", LONG)
            assert await connection.call(GET, 1) == [b"OK"]
            await connection.close()

    asyncio.run(run())


def test_a_unix_socket_is_spoken_to_as_well() -> None:

    async def run(path: Path) -> None:
        async with peer(answering({b"GET": b":1\r\n"}), path=path) as address:
            connection = await Connection.open(address, "name", LONG)
            assert await connection.call(GET, 1) == [1]
            await connection.close()

    with tempfile.TemporaryDirectory(prefix="rql-") as folder:  # short enough for a socket, as tmp_path may not be
        asyncio.run(run(Path(folder) / "s"))


def test_where_nobody_listens_it_is_refused() -> None:
    async def run() -> None:
        async with peer(answering({})) as address:
            nobody = replace(address, port=free_port())
            with pytest.raises(ConnectionFailedError, match="connection refused"):
                await Connection.open(nobody, "name", LONG)

    asyncio.run(run())


def test_a_peer_that_is_silent_at_the_start_is_given_up() -> None:
    async def run() -> None:
        async with peer(Session.until_closed) as address:
            with pytest.raises(ConnectionFailedError, match=r"no reply for 0\.2 s"):
                await Connection.open(address, "name", 0.2)

    asyncio.run(run())


def test_a_cancellation_at_the_start_closes_the_connection() -> None:
    async def run() -> None:
        asked, closed = asyncio.Event(), asyncio.Event()

        async def script(session: Session) -> None:
            assert await session.next() == [b"PING"]
            asked.set()
            assert await session.next() is None
            closed.set()

        async with peer(script) as address:
            opening = asyncio.ensure_future(Connection.open(address, "name", LONG))
            await asked.wait()
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
            await closed.wait()

    asyncio.run(run())

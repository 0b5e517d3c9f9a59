"""The client for single commands: replies, errors, and what follows after a connection was lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import hiredis
import pytest

from loader.errors import ConnectionFailedError
from loader.wire.address import Address, parse_address
from loader.wire.client import Client
from tests.conftest import Server
from tests.unit.wire.peer import HANDSHAKE, Session, answering, peer

LONG = 600.0
"""Seconds that no test waits."""


@asynccontextmanager
async def client_of(address: Address, timeout: float = LONG) -> AsyncIterator[Client]:
    client = Client(address, timeout)
    try:
        yield client
    finally:
        await client.aclose()


async def greeted(session: Session) -> None:
    """Answers the first command of a connection without a name."""
    assert await session.next() == [b"PING"]
    await session.say(HANDSHAKE[b"PING"])


def test_arguments_of_every_kind_are_sent_and_replies_come_as_they_are(server: Server, client: Any) -> None:
    async def run() -> None:
        async with client_of(parse_address(server.url)) as ours:
            assert await ours.execute("HSET", b"k", "text", "é", "whole", 7, "part", 1.5) == 3
            assert await ours.execute("HGETALL", "k") == {b"text": "é".encode(), b"whole": b"7", b"part": b"1.5"}
            assert (await ours.execute("INFO", "server"))["redis_version"]
            assert await ours.execute_all([("GET", "none"), ("LRANGE", "none", 0, -1)]) == [None, []]
            assert await ours.ask([]) == []

    asyncio.run(run())


def test_an_error_reply_is_raised_or_is_a_value_among_others(server: Server, client: Any) -> None:
    async def run() -> None:
        async with client_of(parse_address(server.url)) as ours:
            commands = [("SET", "k", "v"), ("HGETALL", "k"), ("GET", "k")]
            with pytest.raises(hiredis.ReplyError, match="WRONGTYPE"):
                await ours.execute_all(commands)
            first, error, last = await ours.ask(commands)
            assert (first, last) == (b"OK", b"v")
            assert isinstance(error, hiredis.ReplyError)
            with pytest.raises(hiredis.ReplyError, match="unknown command"):
                await ours.execute("NONE-SUCH")

    asyncio.run(run())


def test_calls_that_overlap_share_one_connection_and_get_their_own_replies(server: Server, client: Any) -> None:
    async def run() -> None:
        before = client.info("stats")["total_connections_received"]
        async with client_of(parse_address(server.url)) as ours:
            echoed = await asyncio.gather(*(ours.execute("ECHO", number) for number in range(100)))
        assert echoed == [b"%d" % number for number in range(100)]
        assert client.info("stats")["total_connections_received"] == before + 1

    asyncio.run(run())


def test_after_a_loss_the_next_call_has_a_new_connection_of_the_same_name(server: Server, client: Any) -> None:
    async def run() -> None:
        async with client_of(parse_address(server.url)) as ours:
            await ours.set_name("a-name")
            client.client_kill_filter(_id=await ours.execute("CLIENT", "ID"))
            with pytest.raises(ConnectionFailedError):
                await ours.execute("PING")
            assert await ours.execute("CLIENT", "GETNAME") == b"a-name"

    asyncio.run(run())


def test_a_connection_that_was_closed_while_idle_costs_no_call() -> None:
    asked = []

    async def hangs_up_after_one(session: Session) -> None:
        await greeted(session)
        asked.append(await session.next())
        await session.say(b"+OK\r\n")

    async def run() -> None:
        async with peer(hangs_up_after_one) as address, client_of(address) as ours:
            for _ in range(3):
                assert await ours.execute("GET", "k") == b"OK"
                await (await ours.connect()).wait_closed()

    asyncio.run(run())
    assert len(asked) == 3


def test_a_silent_server_is_told_with_the_networks_reason() -> None:
    async def silent(session: Session) -> None:
        await session.until_closed()

    async def silent_after_greeting(session: Session) -> None:
        await greeted(session)
        await session.until_closed()

    async def run() -> None:
        for script in (silent, silent_after_greeting):
            async with peer(script) as address, client_of(address, 0.2) as ours:
                with pytest.raises(ConnectionFailedError, match="timed out"):
                    await ours.execute("GET", "k")

    asyncio.run(run())


def test_renewed_it_opens_another_connection_and_a_call_under_way_ends_on_its_own() -> None:
    met: list[Session] = []
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def script(session: Session) -> None:
        await greeted(session)
        met.append(session)
        while (command := await session.next()) is not None:
            if command == [b"GET", b"slow"]:
                asked.set()
                await may_answer.wait()
            await session.say(b"$%d\r\n%b\r\n" % (len(command[1]), command[1]))

    async def run() -> None:
        async with peer(script) as address, client_of(address) as ours:
            slow = asyncio.ensure_future(ours.execute("GET", "slow"))
            await asked.wait()
            ours.renew()
            assert await ours.execute("GET", "quick") == b"quick"
            assert len(met) == 2
            may_answer.set()
            assert await slow == b"slow"
            ours.renew()
            assert await ours.execute("GET", "third") == b"third"
            assert len(met) == 3

    asyncio.run(run())


def test_what_is_not_redis_is_told() -> None:
    async def run() -> None:
        script = answering({b"PING": b"HTTP/1.1 400 Bad Request\r\n\r\n"})
        async with peer(script) as address, client_of(address) as ours:
            with pytest.raises(ConnectionFailedError, match="not a Redis reply"):
                await ours.execute("GET", "k")

    asyncio.run(run())

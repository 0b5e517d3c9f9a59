"""The pipelined connection: replies in the order of the calls, and every way to lose it told to all who wait."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import hiredis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.errors import ConnectionFailedError
from loader.wire.address import parse_address
from loader.wire.connection import Connection
from loader.wire.resp import command
from tests.conftest import Server
from tests.unit.wire.peer import Script, Session, peer

GET = command(b"GET", b"k")
LONG = 600.0
"""Seconds that no test waits."""

Use = Callable[[Connection], Awaitable[Any]]


def converse(script: Script, use: Use, *, timeout: float = LONG) -> None:
    """Uses a connection to a peer that greets and then goes by the script."""

    async def run() -> None:
        async def greet_first(session: Session) -> None:
            await session.greet()
            await script(session)

        async with peer(greet_first) as address:
            connection = await Connection.open(address, "name", timeout)
            try:
                await use(connection)
            finally:
                connection.abort()

    asyncio.run(run())


# --- replies ----------------------------------------------------------------------------------------------------------

REPLIES = st.recursive(
    st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.binary(max_size=50)),
    lambda inner: st.lists(inner, max_size=4),
)


def encoded(reply: Any) -> bytes:
    """By the protocol's description (RESP2), apart from the loader's own encoder."""
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, bytes):
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    return b"*%d\r\n" % len(reply) + b"".join(map(encoded, reply))


@settings(max_examples=40)
@given(st.lists(st.lists(REPLIES, min_size=1, max_size=4), max_size=6), st.lists(st.integers(1, 40), min_size=1))
def test_each_call_gets_its_replies_however_they_are_cut(calls: list[list[Any]], lengths: list[int]) -> None:
    answer = b"".join(encoded(reply) for replies in calls for reply in replies)

    async def script(session: Session) -> None:
        for _ in calls:
            await session.next()
        at = 0
        while at < len(answer):
            length = lengths[at % len(lengths)]
            await session.say(answer[at : at + length])
            await asyncio.sleep(0)
            at += length
        await session.until_closed()

    async def use(connection: Connection) -> None:
        waiting = [connection.call(GET, len(replies)) for replies in calls]
        assert [await future for future in waiting] == calls

    converse(script, use)


def test_an_error_reply_is_a_value_among_the_others() -> None:
    async def script(session: Session) -> None:
        await session.next()
        await session.say(b":1\r\n-OOM command not allowed\r\n:3\r\n")
        await session.until_closed()

    async def use(connection: Connection) -> None:
        one, error, three = await connection.call(GET, 3)
        assert (one, three) == (1, 3)
        assert isinstance(error, hiredis.ReplyError)
        assert str(error) == "OOM command not allowed"

    converse(script, use)


def test_more_replies_than_a_call_asked_for_are_the_next_ones() -> None:
    async def script(session: Session) -> None:
        await session.next()
        await session.say(b":1\r\n:2\r\n:3\r\n")
        await session.next()
        await session.say(b":4\r\n")
        await session.until_closed()

    async def use(connection: Connection) -> None:
        assert await connection.call(GET, 2) == [1, 2]
        assert await connection.call(GET, 2) == [3, 4]

    converse(script, use)


def test_fewer_replies_than_a_call_asked_for_are_none() -> None:
    async def script(session: Session) -> None:
        await session.next()
        await session.say(b":1\r\n")

    async def use(connection: Connection) -> None:
        with pytest.raises(ConnectionFailedError, match="closed by the server"):
            await connection.call(GET, 2)

    converse(script, use)


def test_a_call_whose_caller_has_gone_takes_its_replies_with_it() -> None:
    async def run_on(session: Session) -> None:
        await session.next()
        await session.next()
        await session.say(b":1\r\n:2\r\n:3\r\n")
        await session.until_closed()

    async def use(connection: Connection) -> None:
        gone, stays = connection.call(GET, 2), connection.call(GET, 1)
        gone.cancel()
        assert await stays == [3]

    converse(run_on, use)


# --- losses -----------------------------------------------------------------------------------------------------------


def test_a_loss_half_way_in_a_reply_fails_all_that_is_not_answered_and_all_that_follows() -> None:
    async def script(session: Session) -> None:
        for _ in range(3):
            await session.next()
        await session.say(b"+OK\r\n+OK\r\n$10\r\nhalf")

    async def use(connection: Connection) -> None:
        calls = [connection.call(GET, 1), connection.call(GET, 2), connection.call(GET, 1)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert outcomes[0] == [b"OK"]
        assert isinstance(outcomes[1], ConnectionFailedError)
        assert outcomes[1] is outcomes[2]
        with pytest.raises(ConnectionFailedError) as caught:
            await connection.call(GET, 1)
        assert caught.value is outcomes[1]
        await connection.wait_closed()

    converse(script, use)


def test_a_reset_is_told_by_what_the_system_says() -> None:
    async def script(session: Session) -> None:
        await session.next()
        raw = session.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        session.writer.transport.abort()

    async def use(connection: Connection) -> None:
        with pytest.raises(ConnectionFailedError, match="reset"):
            await connection.call(GET, 1)

    converse(script, use)


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"%1\r\n*0\r\n:1\r\n"], ids=["HTTP", "a map"])
def test_what_is_no_redis_is_told_as_that(said: bytes) -> None:
    async def script(session: Session) -> None:
        await session.next()
        await session.say(b":1\r\n" + said)
        await session.until_closed()

    async def use(connection: Connection) -> None:
        first, second = await asyncio.gather(connection.call(GET, 2), connection.call(GET, 1), return_exceptions=True)
        assert isinstance(first, ConnectionFailedError) and first is second
        assert "not a Redis reply" in str(first)
        with pytest.raises(ConnectionFailedError, match="not a Redis reply"):
            await connection.call(GET, 1)
        await connection.wait_closed()

    converse(script, use)


@pytest.mark.parametrize("at_once", [True, False])
def test_replies_before_what_is_no_redis_count_also_if_they_come_with_it(at_once: bool) -> None:
    async def script(session: Session) -> None:
        await session.next()
        await session.say(b":1\r\n" + (b"HTTP/1.1\r\n" if at_once else b""))
        if not at_once:
            await session.say(b"HTTP/1.1\r\n")
        await session.until_closed()

    async def use(connection: Connection) -> None:
        first, second = await asyncio.gather(connection.call(GET, 1), connection.call(GET, 1), return_exceptions=True)
        assert first == [1]
        assert isinstance(second, ConnectionFailedError) and "not a Redis reply" in str(second)

    converse(script, use)


def test_where_nothing_is_heard_for_the_timeout_the_connection_is_given_up() -> None:
    async def run_on(session: Session) -> None:
        await session.next()
        await session.say(b":1\r\n")
        await session.until_closed()  # which it is, by the one that gives up

    async def use(connection: Connection) -> None:
        calls = [connection.call(GET, 1), connection.call(GET, 1), connection.call(GET, 1)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert outcomes[0] == [1]
        assert "no reply for 0.3 s" in str(outcomes[1])
        assert outcomes[1] is outcomes[2]
        await connection.wait_closed()

    converse(run_on, use, timeout=0.3)


def test_a_connection_that_owes_nothing_is_not_given_up() -> None:
    async def script(session: Session) -> None:
        await session.next()
        await session.say(b":1\r\n")
        await session.until_closed()

    async def use(connection: Connection) -> None:
        await asyncio.sleep(2.5)
        assert await connection.call(GET, 1) == [1]

    converse(script, use, timeout=2)


def test_a_reply_that_comes_bit_by_bit_is_not_given_up() -> None:
    async def script(session: Session) -> None:
        await session.next()
        for byte in b"+PONG\r\n":
            await asyncio.sleep(0.4)  # in all more than the timeout, each time much less
            await session.say(bytes([byte]))
        await session.until_closed()

    async def use(connection: Connection) -> None:
        assert await connection.call(GET, 1) == [b"PONG"]

    converse(script, use, timeout=2)


# --- closing ----------------------------------------------------------------------------------------------------------


def test_closing_in_order_still_sends_what_was_written() -> None:
    met: list[list[bytes]] = []
    large = b"x" * 3_000_000

    async def script(session: Session) -> None:
        await session.until_closed()
        met.extend(session.commands[-2:])

    async def use(connection: Connection) -> None:
        call = connection.call(command(b"SET", b"k", large) + GET, 2)
        await connection.close()
        with pytest.raises(ConnectionFailedError):
            await call

    converse(script, use)
    assert met == [[b"SET", b"k", large], [b"GET", b"k"]]


@pytest.mark.parametrize("how", ["close", "abort"])
def test_who_waits_when_it_is_closed_is_told_and_so_is_who_calls_afterwards(how: str) -> None:
    async def use(connection: Connection) -> None:
        call = connection.call(GET, 1)
        if how == "close":
            await connection.close()
        else:
            connection.abort()
        for future in (call, connection.call(GET, 1)):
            with pytest.raises(ConnectionFailedError, match="closed"):
                await future
        await connection.wait_closed()

    converse(Session.until_closed, use)


def test_one_who_waits_for_the_end_may_give_up_without_a_harm_to_the_others() -> None:
    async def use(connection: Connection) -> None:
        impatient, patient = (asyncio.ensure_future(connection.wait_closed()) for _ in range(2))
        await asyncio.sleep(0)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        assert not patient.done()
        connection.abort()
        await patient

    converse(Session.until_closed, use)


# --- with a real server -----------------------------------------------------------------------------------------------


def test_a_server_that_kills_the_connection_ends_what_waits(valkey: Server) -> None:
    async def run() -> None:
        connection = await Connection.open(parse_address(valkey.url), "the-one", LONG)
        assert await connection.call(command(b"SET", b"k", b"v") + GET, 2) == [b"OK", b"v"]
        waiting = connection.call(command(b"BLPOP", b"nothing", b"0"), 1)
        with valkey.client() as client:
            (found,) = (c for c in client.client_list() if c["name"] == "the-one")
            client.client_kill_filter(_id=found["id"])
        with pytest.raises(ConnectionFailedError, match="closed by the server"):
            await waiting
        await connection.wait_closed()

    asyncio.run(run())

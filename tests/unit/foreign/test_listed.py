"""Lists and sorted sets that are read while clients push and take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from itertools import chain
from typing import Any

import pytest

from loader.errors import SinkError
from loader.foreign import listed
from loader.foreign.listed import Frozen, Side
from loader.servers.question import Question
from loader.servers.routing import Servers
from loader.servers.session import Session
from loader.wire.address import parse_address
from tests.conftest import Server

KEY = "list"


@asynccontextmanager
async def frozen(server: Server, between: Callable[[bytes], None] | None = None) -> AsyncIterator[Frozen]:
    """What reads, and what is done before each of its commands but the first."""

    class Disturbed(Session):
        sent = 0

        async def values(self, questions: Sequence[Question]) -> list[Any]:
            if between is not None and self.sent:
                between(questions[0].command)
            self.sent += 1
            return await super().values(questions)

    servers = Servers(parse_address(server.url), 5)
    session = Disturbed(servers, 5, 0, lambda: "reader")
    try:
        with ExitStack() as stack:
            yield Frozen(session, stack)
    finally:
        await session.close()
        await servers.aclose()


def numbers(first: int, last: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, last)]


@pytest.mark.parametrize("side", ["head", "tail"])
@pytest.mark.parametrize("count", [0, 1, 64, 65, 66, 1000, 3001])
def test_the_next_to_be_taken_comes_first(server: Server, client: Any, side: Side, count: int) -> None:
    if count:
        (client.lpush if side == "head" else client.rpush)(KEY, *numbers(0, count))

    async def read() -> list[bytes]:
        async with frozen(server) as reader:
            each = await reader.listed(KEY.encode(), side)
            return list(chain.from_iterable(each()))

    assert asyncio.run(read()) == numbers(0, count)


@pytest.mark.parametrize("side", ["head", "tail"])
@pytest.mark.parametrize(("pushed", "taken"), [(1, 0), (70, 0), (0, 1), (0, 200), (30, 20), (200, 700)])
def test_nothing_that_stays_is_missed(server: Server, client: Any, side: Side, pushed: int, taken: int) -> None:
    push, take = (client.lpush, client.rpop) if side == "head" else (client.rpush, client.lpop)
    push(KEY, *numbers(0, 2000))
    there = 2000

    def between(_: bytes) -> None:
        nonlocal there
        if pushed and there < 6000:
            push(KEY, *numbers(there, there + pushed))
            there += pushed
        if taken:
            take(KEY, taken)

    async def read() -> list[bytes]:
        async with frozen(server, between) as reader:
            each = await reader.listed(KEY.encode(), side)
            return list(chain.from_iterable(each()))

    found = asyncio.run(read())
    assert found == sorted(set(found), key=int)  # each once, in order
    left = client.lrange(KEY, 0, -1)
    stayed = {one for one in left if int(one) < 2000}
    assert stayed <= set(found) <= set(numbers(0, there))


def test_what_is_taken_out_of_the_middle_is_noticed(
    server: Server, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.lpush(KEY, *numbers(0, 1000))
    between: list[int] = []

    def remove(commands: bytes) -> None:
        """Takes out the last element that was read, so that its place tells nothing any more."""
        if b"LRANGE" in commands:
            at = commands.split(b"\r\n")[6]
            (element,) = client.lrange(KEY, int(at), int(at))
            client.lrem(KEY, 1, element)
            between.append(1)

    monkeypatch.setattr(listed, "MOST", 100)

    async def read() -> None:
        async with frozen(server, remove) as reader:
            await reader.listed(KEY.encode(), "head")

    with pytest.raises(SinkError, match="key list changes too quickly"):
        asyncio.run(read())
    assert len(between) >= listed._TRIES - 1


def test_a_sorted_set_from_the_lowest_score(server: Server, client: Any) -> None:
    client.zadd(KEY, {f"m{number}": number / 2 for number in range(2500)})

    async def read() -> list[tuple[bytes, float]]:
        async with frozen(server) as reader:
            each = await reader.sorted_set(KEY.encode())
            return list(chain.from_iterable(each()))

    assert asyncio.run(read()) == [(b"m%d" % number, number / 2) for number in range(2500)]


def test_a_sorted_set_that_becomes_due_while_it_is_read(server: Server, client: Any) -> None:
    client.zadd(KEY, {f"m{number}": number for number in range(2000)})

    def between(_: bytes) -> None:
        client.zpopmin(KEY, 100)
        client.zadd(KEY, {f"new{client.zcard(KEY)}": 5000})

    async def read() -> list[tuple[bytes, float]]:
        async with frozen(server, between) as reader:
            each = await reader.sorted_set(KEY.encode())
            return list(chain.from_iterable(each()))

    found = [member for member, _ in asyncio.run(read())]
    stayed = {one for one in client.zrange(KEY, 0, -1) if one.startswith(b"m")}
    assert stayed <= set(found)
    assert len(found) == len(set(found))


def test_what_is_taken_out_of_a_sorted_set_hides_nothing(server: Server, client: Any) -> None:
    client.zadd(KEY, {f"m{number}": number for number in range(1000)})

    def between(commands: bytes) -> None:
        """Takes out what was read already, once: what follows moves to where it was."""
        if client.zcard(KEY) == 1000:
            client.zrem(KEY, *(f"m{number}" for number in range(950, 1000)))

    async def read() -> list[tuple[bytes, float]]:
        async with frozen(server, between) as reader:
            each = await reader.sorted_set(KEY.encode())
            return list(chain.from_iterable(each()))

    assert {member for member, _ in asyncio.run(read())} >= set(client.zrange(KEY, 0, -1))


def test_another_type_is_an_error_that_names_the_key(server: Server, client: Any) -> None:
    client.set(KEY, "text")

    async def read() -> None:
        async with frozen(server) as reader:
            await reader.listed(KEY.encode(), "head")

    with pytest.raises(SinkError, match="key list"):
        asyncio.run(read())

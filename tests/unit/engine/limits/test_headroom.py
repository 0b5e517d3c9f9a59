"""``--memory-headroom``: which server counts, and when its memory is read."""

from __future__ import annotations

import asyncio

from loader.engine.limits.headroom import MemoryHeadroom
from loader.servers.memory import Memory
from loader.settings.memory import Headroom
from loader.wire.address import Address, parse_address
from tests.unit.engine.limits.making import Clock, delivery

ONE, OTHER = parse_address("redis://one:1/0"), parse_address("redis://other:2/0")
GB = 1_000_000_000


class Servers:
    """The memory of two servers, and how often it was read."""

    def __init__(self) -> None:
        self.used = {ONE: 0, OTHER: 0}
        self.limit = 10 * GB
        self.reads = 0

    async def read(self) -> dict[Address, Memory | None]:
        self.reads += 1
        return {address: Memory(used, self.limit, "noeviction", 0) for address, used in self.used.items()}


def limit_of(servers: Servers, clock: Clock, headroom: str = "20%") -> MemoryHeadroom:
    def servers_of(queue: str) -> list[Address]:
        return [ONE] if queue == "one.default" else [OTHER]

    return MemoryHeadroom(Headroom.parse(headroom), headroom, servers.read, servers_of, clock)


def test_a_delivery_waits_for_the_server_that_it_goes_to() -> None:
    servers, clock = Servers(), Clock()
    servers.used[ONE] = 8 * GB + 1
    limit = limit_of(servers, clock)

    async def run() -> None:
        assert await limit.hold(delivery(1, "other.default")) is None
        hold = await limit.hold(delivery(1, "one.default"))
        assert hold is not None
        assert "one:1 has 2.0 GB free (--memory-headroom 20%)" in hold.text
        servers.used[ONE] = 8 * GB
        clock.now += hold.seconds
        assert await limit.hold(delivery(1, "one.default")) is None

    asyncio.run(run())


def test_far_from_the_headroom_the_memory_is_read_once_a_second() -> None:
    servers, clock = Servers(), Clock()
    limit = limit_of(servers, clock)

    async def run() -> None:
        for _ in range(10_000):
            assert await limit.hold(delivery(1)) is None
            clock.now += 0.001
        assert 9 <= servers.reads <= 11

    asyncio.run(run())


def test_near_the_headroom_the_memory_is_read_before_it_can_be_reached() -> None:
    servers, clock = Servers(), Clock()
    limit = limit_of(servers, clock)

    async def run() -> None:
        while await limit.hold(delivery(1)) is None:
            clock.now += 0.001
            servers.used[OTHER] += GB // 5000  # 200 MB a second
        assert servers.used[OTHER] - 8 * GB <= 0.051 * GB / 5

    asyncio.run(run())


def test_a_server_whose_limit_was_taken_away_holds_nothing() -> None:
    servers = Servers()
    servers.limit, servers.used[OTHER] = 0, 20 * GB

    async def run() -> None:
        assert await limit_of(servers, Clock()).hold(delivery(1)) is None

    asyncio.run(run())

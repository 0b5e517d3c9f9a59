"""One window a node: a node that does not go on leaves the others their room, and its own deliveries their order."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from loader.sinks.base import Delivery
from loader.sinks.lanes import Lanes
from loader.wire.connection import Connection
from tests.unit.sinks.test_window import MIB, delivery


class Sending:
    """What is sent over two connections, of which each delivery is acknowledged by ``end``."""

    def __init__(self, nodes: int = 2, *, scattered: bool = False) -> None:
        self.lanes = Lanes(nodes, scattered=scattered)
        self.sent: dict[str, list[int]] = {}
        self._ends: dict[int, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def take(self, node: str, one: Delivery) -> int | None:
        """Takes one for a node. Returns its number; None if there is no room."""
        waiting = asyncio.ensure_future(self.lanes.room())
        await asyncio.sleep(0)
        if not waiting.done():
            waiting.cancel()
            return None
        self.lanes.hold(one)
        number = len(self._tasks)
        self._ends[number] = asyncio.Event()
        self._tasks.append(asyncio.create_task(self._send(node, number, one)))
        await asyncio.sleep(0)
        return number

    async def _send(self, node: str, number: int, one: Delivery) -> None:
        connection = cast(Connection, node)  # only told apart
        await self.lanes.enter(connection, one)
        self.sent.setdefault(node, []).append(number)
        await self._ends[number].wait()
        self.lanes.leave(connection, one)

    async def end(self, *numbers: int) -> None:
        for number in numbers:
            self._ends[number].set()
        for _ in range(5):
            await asyncio.sleep(0)

    def cancel(self, number: int) -> None:
        self._tasks[number].cancel()


def run(steps: Any) -> None:
    asyncio.run(steps())


def test_a_node_that_stands_still_leaves_the_others_their_room() -> None:
    async def steps() -> None:
        sending = Sending()
        slow = [await sending.take("slow", delivery(1000)) for _ in range(4)]
        assert sending.sent == {"slow": slow[:2]}
        for _ in range(20):
            number = await sending.take("fast", delivery(1000))
            assert number is not None
            await sending.end(number)
        assert len(sending.sent["fast"]) == 20
        await sending.end(*cast("list[int]", slow[:2]))
        assert sending.sent["slow"] == slow, "in the order in which they were taken"

    run(steps)


def test_what_waits_for_a_node_is_bounded_by_number_and_by_size() -> None:
    async def steps() -> None:
        for one, most in ((delivery(1000), 32), (delivery(1), 32), (delivery(1, MIB), 8), (delivery(1, 20 * MIB), 2)):
            sending = Sending()
            taken = 0
            while await sending.take("slow", one) is not None:
                taken += 1
            assert taken == most
            assert await sending.take("fast", one) is None

    run(steps)


def test_on_a_single_server_nothing_waits() -> None:
    async def steps() -> None:
        sending = Sending(nodes=1)
        assert [await sending.take("only", delivery(1000)) for _ in range(3)] == [0, 1, None]
        assert sending.sent == {"only": [0, 1]}
        await sending.end(0)
        assert await sending.take("only", delivery(1000)) == 2
        assert sending.sent == {"only": [0, 1, 2]}

    run(steps)


def test_scattered_deliveries_are_counted_by_a_nodes_share() -> None:
    async def steps() -> None:
        for nodes, most in ((1, 2), (2, 4), (3, 6), (50, 8)):
            sending = Sending(nodes, scattered=True)
            for _ in range(20):
                await sending.take("list", delivery(1000))
            assert len(sending.sent["list"]) == most

    run(steps)


def test_one_that_is_cancelled_while_it_waits_takes_no_room() -> None:
    async def steps() -> None:
        sending = Sending()
        for _ in range(4):
            await sending.take("slow", delivery(1000))
        sending.cancel(2)
        await sending.end(0)
        assert sending.sent["slow"] == [0, 1, 3]

    run(steps)

"""What one worker has on its way to the nodes of a cluster: a window for each node, and a bounded store before them.

The input has its order, and the next delivery may be for a node that is slow, or takes no writes for a moment. It then
waits in the lane of its node, and the worker takes further ones, for the other nodes, until it holds as much as it may.
So a node that pauses does not stop the others at once, and a node that stays slow does not need more memory: in the end
all wait for it, as their next tasks come after those of the slow node in the input.

A single server has one lane, in which nothing waits.
"""

from __future__ import annotations

import asyncio
from collections import deque

from loader.sinks.base import Delivery
from loader.sinks.window import OF_ONE_SERVER, Window, WindowLimits
from loader.wire.connection import Connection

_HELD = WindowLimits(least=2, most=32, tasks=64_000, size=8 * 1024 * 1024)
"""What a worker holds at most, on its way and waiting, if there are several nodes."""

_MOST_SHARES = 4
"""Scattered deliveries have no more than so many times the window of one server, however many nodes there are."""


class Lanes:
    """The deliveries of one worker, in the order in which they were taken, by the node whose list they go to.

    Args:
        nodes: The number of nodes.
        scattered: Whether each delivery is spread over all nodes, so that a node gets only its share of it.
    """

    def __init__(self, nodes: int, *, scattered: bool) -> None:
        self._limits = OF_ONE_SERVER.times(min(nodes, _MOST_SHARES) if scattered else 1)
        self._held = Window(_HELD if nodes > 1 else OF_ONE_SERVER)
        self._lanes: dict[Connection, _Lane] = {}

    async def room(self) -> None:
        """Returns once another delivery may be taken."""
        await self._held.room()

    def hold(self, delivery: Delivery) -> None:
        """Counts a delivery that was taken."""
        self._held.enter(delivery)

    async def enter(self, connection: Connection, delivery: Delivery) -> None:
        """Returns once the delivery may be sent: those to its node leave room for it, and none waits before it.

        Args:
            connection: The connection to the node.
        """
        if (lane := self._lanes.get(connection)) is None:
            lane = self._lanes[connection] = _Lane(self._limits)
        await lane.enter(delivery)

    def leave(self, connection: Connection, delivery: Delivery) -> None:
        """A delivery that was sent is in."""
        self._lanes[connection].leave(delivery)
        self._held.leave(delivery)


class _Lane:
    def __init__(self, limits: WindowLimits) -> None:
        self._window = Window(limits)
        self._waiting: deque[tuple[Delivery, asyncio.Future[None]]] = deque()

    async def enter(self, delivery: Delivery) -> None:
        if not self._waiting and self._window.has_room:
            self._window.enter(delivery)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((delivery, turn))
        await turn

    def leave(self, delivery: Delivery) -> None:
        self._window.leave(delivery)
        while self._waiting and self._window.has_room:
            following, turn = self._waiting.popleft()
            if not turn.done():  # else it was cancelled
                self._window.enter(following)
                turn.set_result(None)

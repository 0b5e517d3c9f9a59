"""The state of a load's queues, all together, over connections of their own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from loader.jobs.measurements import QueueLengths
from loader.servers.closing import close_quietly
from loader.servers.routing import Servers
from loader.servers.session import Session
from loader.tasks.profiles import LayoutName
from loader.watch.look import Look


class QueueLook:
    """Reads the state of queues; see ``loader.watch.look`` for what that costs a server.

    Args:
        servers: Those of the load. Its connections are not used: they would wait for each other.
        name: What the names of the connections begin with.
    """

    def __init__(self, servers: Servers, layout: LayoutName, timeout: float, name: str) -> None:
        self._servers = servers.beside()
        self._layout = layout
        numbers = itertools.count(1)
        # Not repeated after a fault: there is a next time.
        self._session = Session(self._servers, timeout, 0.0, lambda: f"{name}{next(numbers)}")
        self._has_failed = False  # the last look

    async def __call__(self, queues: Sequence[str]) -> QueueLengths | None:
        """The sums over the queues, and the oldest pending task of any.

        Raises:
            LoaderError: A server refuses, or does not answer.
        """
        if self._has_failed and self._servers.is_reached:
            await self._servers.reconnect()  # the cluster may have moved the queues
        self._has_failed = True
        found = await Look.of(self._session, self._layout, *queues).read()
        self._has_failed = False
        ages = [one.oldest_pending_seconds for one in found if one.oldest_pending_seconds is not None]
        return QueueLengths(
            pending=sum(one.pending for one in found),
            active=sum(one.active for one in found),
            scheduled=sum(one.scheduled for one in found),
            retry=sum(one.retry for one in found),
            archived=sum(one.archived for one in found),
            completed=sum(one.completed for one in found),
            oldest_pending_seconds=round(max(ages), 3) if ages else None,
        )

    async def close(self) -> None:
        """Closes the connections."""
        await close_quietly(self._session.close())
        await self._servers.aclose()

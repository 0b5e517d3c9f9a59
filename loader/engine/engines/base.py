"""The interface between a load and what runs its shards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from loader.engine.part import Part
from loader.jobs.orders import Orders
from loader.jobs.report import LoadReport
from loader.sources.shards import Shard


class Steerable(Protocol):
    """What runs shards, as ``Steered`` needs it."""

    @property
    def batches_waiting(self) -> int: ...

    def stop(self) -> None: ...

    def order(self, orders: Orders) -> None: ...


class Steered:
    """Keeps what an engine is told until something runs, and then passes it on. See ``Engine`` for the methods."""

    def __init__(self) -> None:
        self._running: Steerable | None = None
        self._orders = Orders()
        self._stopping = False

    @property
    def batches_waiting(self) -> int:
        return 0 if self._running is None else self._running.batches_waiting

    def stop(self) -> None:
        self._stopping = True
        if self._running is not None:
            self._running.stop()

    def order(self, orders: Orders) -> None:
        self._orders = orders
        if self._running is not None:
            self._running.order(orders)

    def steer(self, running: Steerable) -> None:
        """From now on, this runs."""
        self._running = running
        running.order(self._orders)
        if self._stopping:
            running.stop()


class Engine(Protocol):
    """Runs the shards of one load. An engine is tuning: a job begun with one is resumed with any other."""

    @property
    def is_spread(self) -> bool:
        """Whether processes of other machines take part; see ``loader.jobs.lease.Run``."""
        ...

    @property
    def batches_waiting(self) -> int:
        """The number of batches in the bounded queues."""
        ...

    def stop(self) -> None:
        """Ends the work soon. Batches in flight are acknowledged, then ``run`` returns False."""
        ...

    def order(self, orders: Orders) -> None:
        """Pauses the load, lets it go on, or changes its rate."""
        ...

    async def run(self, part: Part, shards: Sequence[Shard], report: LoadReport) -> bool:
        """Loads the shards, and counts into the report. Returns whether every record was processed.

        ``stop`` and ``order`` may be called before.

        Raises:
            LoaderError: The load failed. What is in stays in.
        """
        ...

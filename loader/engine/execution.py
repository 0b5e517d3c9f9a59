"""The work of one load, from its preparation to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import loader
from loader.engine.part import Part
from loader.engine.series import LookAtQueues, SeriesRecorder
from loader.jobs.fenced_file import begin_file
from loader.jobs.measurements import Measurements
from loader.jobs.orders import Orders
from loader.jobs.report import LoadReport
from loader.settings import LoadOptions
from loader.sources.shards import Shard

if TYPE_CHECKING:
    from loader.engine.engines.base import Engine

T = TypeVar("T")


class StoppedError(Exception):
    """``Execution.stop`` was called."""


class Execution:
    """The work of one load. It can be stopped before it begins, too.

    Args:
        engine: Runs the shards.

    Attributes:
        has_begun: Whether the shards are being loaded, or were.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._preparing: asyncio.Task[Any] | None = None
        self._stopping = False
        self.has_begun = False

    @property
    def batches_waiting(self) -> int:
        """The number of batches in the bounded queues."""
        return self._engine.batches_waiting

    @property
    def is_spread(self) -> bool:
        """See ``Engine``."""
        return self._engine.is_spread

    def stop(self) -> None:
        """Ends the work soon. Batches in flight are acknowledged, then ``run`` returns False."""
        self._stopping = True
        self._engine.stop()
        if self._preparing is not None:
            self._preparing.cancel()

    def order(self, orders: Orders) -> None:
        """Pauses the load, lets it go on, or changes its rate."""
        self._engine.order(orders)

    async def unless_stopped(self, preparation: Coroutine[Any, Any, T]) -> T:
        """Awaits what comes before ``run``.

        Raises:
            StoppedError: ``stop`` was called before that was done.
        """
        self._preparing = task = asyncio.ensure_future(preparation)
        if self._stopping:
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if self._stopping and current is not None and not current.cancelling():
                raise StoppedError from None
            raise
        finally:
            self._preparing = None

    async def run(
        self,
        part: Part,
        shards: Sequence[Shard],
        report: LoadReport,
        look: LookAtQueues | None = None,
        server: dict[str, Any] | None = None,
    ) -> bool:
        """Loads the shards. Returns whether every record was processed.

        Args:
            look: Reads the state of the load's queues, for ``options.series``.
            server: What the server is, for the same.

        Raises:
            LoaderError: See ``Engine.run``.
        """
        self.has_begun = True
        await asyncio.to_thread(begin_file, part.rejects, resumed=report.resumed)
        recorder = await self._recorder(part.options, report, look, server)
        work = self._engine.run(part, shards, report)
        return await (work if recorder is None else recorder.during(work))

    async def _recorder(
        self, options: LoadOptions, report: LoadReport, look: LookAtQueues | None, server: dict[str, Any] | None
    ) -> SeriesRecorder | None:
        if options.series is None:
            return None
        from loader.machine import describe_machine  # other loads need not wait for the import

        report.measured = measured = Measurements(
            interval=options.series,
            version=loader.__version__,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            machine=await asyncio.to_thread(describe_machine),
            server=server,
        )
        return SeriesRecorder(report, measured, options.own_queues, look)

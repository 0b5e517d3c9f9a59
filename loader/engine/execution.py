"""Runs the shards of a load in this process or in several."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import loader
from loader.engine.part import Part, PartialLoad
from loader.engine.series import LookAtQueues, SeriesRecorder
from loader.jobs.fenced_file import begin_file
from loader.jobs.measurements import Measurements
from loader.jobs.orders import Orders
from loader.jobs.report import LoadReport
from loader.settings import LoadOptions
from loader.sources.shards import Shard

if TYPE_CHECKING:
    from loader.engine.processes import ProcessPool

T = TypeVar("T")

_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
_LEFT_FOR_OTHERS = 2
_SHARDS_A_PROCESS = 4
_MOST_PROCESSES = 4

log = logging.getLogger("runqy_loader")


class StoppedError(Exception):
    """``Execution.stop`` was called."""


class Execution:
    """The work of one load. It can be stopped before it begins, too."""

    def __init__(self) -> None:
        self._running: PartialLoad | ProcessPool | None = None
        self._preparing: asyncio.Task[Any] | None = None
        self._orders = Orders()
        self._stopping = False

    @property
    def batches_waiting(self) -> int:
        """The number of batches in the bounded queues."""
        return 0 if self._running is None else self._running.batches_waiting

    def stop(self) -> None:
        """Ends the work soon. Batches in flight are acknowledged, then ``run`` returns False."""
        self._stopping = True
        if self._running is not None:
            self._running.stop()
        if self._preparing is not None:
            self._preparing.cancel()

    def order(self, orders: Orders) -> None:
        """Pauses the load, lets it go on, or changes its rate."""
        self._orders = orders
        if self._running is not None:
            self._running.order(orders)

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
            LoaderError: See ``Pipeline.run`` and ``ProcessPool.run``.
        """
        await asyncio.to_thread(begin_file, part.rejects, resumed=report.resumed)
        recorder = await self._recorder(part.options, report, look, server)
        report.processes = _process_count(part, shards)
        if report.processes == 1:
            self._running = here = PartialLoad(part, report)
            work = here.run(_each(shards))
        else:
            from loader.engine.processes import ProcessPool

            self._running = pool = ProcessPool(part, report.processes, report)
            work = pool.run(shards)
        self._running.order(self._orders)
        if self._stopping:
            self._running.stop()
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


def _process_count(part: Part, shards: Sequence[Shard]) -> int:
    if part.options.is_limited and not part.options.writes_nothing:
        if part.options.processes not in ("auto", 1):
            log.info(
                "--processes %s is not used: a load with limits such as --max-pending is sent by one process",
                part.options.processes,
            )
        return 1
    if part.options.counts_in_order:
        if part.options.processes not in ("auto", 1):
            log.info("--dedup, --offset and --limit need all records in their order: one process loads them")
        return 1
    if part.options.is_paced:
        if part.options.processes not in ("auto", 1):
            log.info(
                "--processes %s is not used: a load with %s is sent by one process",
                part.options.processes,
                part.options.scheduled_by,
            )
        return 1
    wanted, repeatable = part.options.processes, all(source.identity.repeatable for source in part.sources)
    if wanted == "auto":
        shared = repeatable and Path(sys.executable or "").stem.startswith("python")  # else a program embeds Python
        return spare_processes(processors(), len(shards), part.options.workers) if shared else 1
    if wanted > 1 and not repeatable:
        log.info("input from a pipe or an iterable cannot be shared between processes: one process loads it")
        return 1
    return max(1, min(wanted, len(shards)))


def spare_processes(processors: int, shards: int, workers: int) -> int:
    """The number of processes for ``--processes auto``.

    One process nearly keeps a server busy. More of them pay if each has several shards, because a process takes a fifth
    of a second to start, and if processors are left for the server, which may be on this machine, and for its workers.
    One worker means that the order matters, which only one process keeps.
    """
    if workers == 1:
        return 1
    return max(1, min(processors - _LEFT_FOR_OTHERS, shards // _SHARDS_A_PROCESS, _MOST_PROCESSES))


def processors(cpu_max: Path = _CPU_MAX) -> int:
    """The number of processors that this process may use: a container may give it a share of those that it sees.

    Args:
        cpu_max: The quota of its control group, version 2: microseconds in each period of microseconds, or "max".
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = map(int, cpu_max.read_text().split())
        count = min(count, quota // period)
    return max(1, count)


async def _each(shards: Sequence[Shard]) -> AsyncIterator[Shard]:
    for shard in shards:
        yield shard

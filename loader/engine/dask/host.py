"""Runs shards in a process of a Dask worker, in one thread of its own.

The thread stays as long as the process. What a run of the loader has open (connections, encoders) stays open from one
shard to the next, and is closed when no shard has come for a while.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from contextvars import ContextVar
from dataclasses import replace
from functools import cache

from distributed import get_worker

import loader
from loader.engine.dask.collected import CollectedIds, CollectedRejects
from loader.engine.dask.fitness import require_same_version
from loader.engine.dask.guard import guarded
from loader.engine.dask.messages import (
    JudgedFirst,
    Ordered,
    Progress,
    Said,
    Setup,
    ShardResult,
    ShardTask,
    packed,
    topic_of,
    unpacked,
)
from loader.engine.dask.shard_files import ShardFiles
from loader.engine.loop import loop_factory
from loader.engine.messages import Counts
from loader.engine.part import Channel, Outputs, Part, PartialLoad
from loader.engine.tuning import tune_process
from loader.errors import LoaderError, SourceError
from loader.jobs.counts import SourceCounts
from loader.jobs.orders import Orders
from loader.jobs.report import LoadReport, SourceReport
from loader.servers.closing import close_quietly
from loader.sources.shards import Shard
from loader.wire.faults import ShardTakenOverError

_PROGRESS_SECONDS = 0.5
_IDLE_SECONDS = 5.0
"""After so long without a shard, connections are closed: the driver may be gone."""

_DRIVER_SECONDS = 3.0
_LOOKS_WITHOUT_DRIVER = 2
"""After so many looks, each of which finds that the driver does not have the job, its shards end: a driver that was
cut off may take its lease again. A shard that is paused would keep its thread for ever: nobody is left to
let it go on, and the next driver may wait for that thread."""

_RUN: ContextVar[str | None] = ContextVar("runqy_loader_run", default=None)
"""The run of the loader for which a task of the event loop works: several may have shards in one process."""

_log = logging.getLogger("runqy_loader")


def run_shard(task: ShardTask) -> ShardResult:
    """The Dask task: one run of one shard. Raises LoaderError only."""
    return guarded(_worker_name, lambda: _run_shard(task))


def _run_shard(task: ShardTask) -> ShardResult:
    require_same_version(f"Dask worker {_worker_name()}", loader.__version__, task.version)
    return _host().run(task)


def stop_run(token: str) -> None:
    """Has this process begin no more batch of a run."""
    _host().stop(token)


def order_run(token: str, ordered: Ordered) -> None:
    """Has this process follow orders for a run, now and in shards that start later. A rate is that of each shard."""
    _host().order(token, ordered)


def end_run(token: str) -> None:
    """The run is over: has its shards end that still run, and closes what it has open."""
    _host().end(token)


def shards_running() -> int:
    """How many shards this process runs."""
    return _host().shards_running


_making = threading.Lock()


def _host() -> _Host:
    with _making:  # of several threads that come first
        return _the_host()


@cache
def _the_host() -> _Host:
    tune_process()
    return _Host()


@cache
def _worker_name() -> str:
    worker = get_worker()
    name = str(worker.name)
    return f"{name if name == worker.address else f'{name} ({worker.address})'} on {socket.gethostname()}"


class _Host:
    def __init__(self) -> None:
        self._worker = get_worker()
        self._loop = (loop_factory() or asyncio.new_event_loop)()
        self._open: dict[str, _Open] = {}
        self._stopped: set[str] = set()
        self._ordered: dict[str, Ordered] = {}
        thread = threading.Thread(target=self._loop.run_forever, name="runqy-loader", daemon=True)
        thread.start()
        _log.propagate = False
        _log.addHandler(_Forward(self._tell_those, thread.ident))

    def run(self, task: ShardTask) -> ShardResult:
        """Runs a shard; called in a thread of the Dask worker."""
        _worker_name()  # only such a thread knows its worker
        return asyncio.run_coroutine_threadsafe(self._run(task), self._loop).result()

    def stop(self, token: str) -> None:
        def stop() -> None:
            self._stopped.add(token)
            if token in self._open:
                self._open[token].stop()

        self._loop.call_soon_threadsafe(stop)

    def order(self, token: str, ordered: Ordered) -> None:
        def order() -> None:
            newest = self._newest(token, ordered)
            if token in self._open and newest is not None:
                self._open[token].order(newest)

        self._loop.call_soon_threadsafe(order)

    def _newest(self, token: str, ordered: Ordered) -> Orders | None:
        """The newest orders for a run that this process knows, these among them; None if the run is to end."""
        if token in self._stopped:
            return None
        newest = max(ordered, self._ordered.get(token, ordered), key=lambda one: one.number)
        self._ordered[token] = newest
        return newest.orders

    def end(self, token: str) -> None:
        def end() -> None:
            self._stopped.add(token)
            self._ordered.pop(token, None)
            if token in self._open:
                self._open[token].stop()
                self._open[token].close_soon(0.0)

        self._loop.call_soon_threadsafe(end)

    @property
    def shards_running(self) -> int:
        return sum(len(run.running) for run in list(self._open.values()))

    async def _run(self, task: ShardTask) -> ShardResult:
        _RUN.set(task.token)
        run = self._open.get(task.token)
        if run is None:
            setup: Setup = unpacked(task.setup)
            _log.setLevel(setup.log_level)
            run = self._open[task.token] = _Open(setup, self._tell, lambda: self._open.pop(task.token, None))
        return await run.shard(task, lambda: self._newest(task.token, task.ordered))

    def _tell(self, token: str, message: object) -> None:
        self._worker.log_event(topic_of(token), packed(message))

    def _tell_those(self, token: str | None, message: object) -> None:
        """Tells the driver of a run; those of all runs what is of none."""
        for one in list(self._open) if token is None else [token]:
            self._tell(one, message)


class _Open:
    """One run of the loader in this process: its channel, and the shards that run.

    Args:
        closed: Called when nothing is open any more.
    """

    def __init__(self, setup: Setup, tell: Callable[[str, object], None], closed: Callable[[], object]) -> None:
        self._setup = setup
        self._part = replace(setup.part, name=f"{os.getpid():x}-{secrets.token_hex(4)}")
        self._files = ShardFiles(setup, _worker_name(), self._part.name)
        self._tell = tell
        self._closed = closed
        self.running: dict[int, _Running] = {}
        self._users = 0
        self._is_closed = False
        self._stack = AsyncExitStack()
        self._channel: Channel | None = None
        self._opening = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._beside: list[asyncio.Task[None]] = []

    def stop(self) -> None:
        for running in self.running.values():
            running.load.stop()

    def order(self, orders: Orders) -> None:
        for running in self.running.values():
            running.load.order(orders)

    async def shard(self, task: ShardTask, newest: Callable[[], Orders | None]) -> ShardResult:
        """Runs a shard. ``newest`` tells the orders when it begins; None has it not begin."""
        self._users += 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            # Dask may run a shard again in the process that runs it still. Claims tell processes apart, so this process
            # must not run it twice at a time.
            while (before := self.running.get(task.shard.number)) is not None:
                before.load.stop()
                await before.over.wait()
            running = self.running[task.shard.number] = _Running(self._setup, _part_of(self._part, task), task)
            try:
                orders = newest()
                if orders is None:
                    return running.result(complete=False)
                running.load.order(orders)
                return await self._run(running)
            finally:
                del self.running[task.shard.number]
                running.over.set()
        finally:
            self._users -= 1
            if not self._users:
                self.close_soon(_IDLE_SECONDS)

    async def _run(self, running: _Running) -> ShardResult:
        if not self._beside:
            self._beside = [asyncio.create_task(self._tell_progress()), asyncio.create_task(self._watch_driver())]
        running.judged = lambda: self._tell(self._setup.token, JudgedFirst())
        channel: Channel | None = None
        error: LoaderError | None = None
        taken_over = complete = False
        try:
            channel = await self._opened()
            own = channel if channel.of_shard is None else channel.of_shard()
            done = await running.load.run_over(own, _only(running.task.shard))
            if done:
                await running.keep(self._files)
            complete = done
        except ShardTakenOverError:
            taken_over = True
        except SourceError as caught:
            caught.args = (f"Dask worker {_worker_name()}: {caught.args[0]}",)
            caught.hint = caught.hint or "Every worker must see the input under the same path"
            error = caught
        except LoaderError as caught:
            error = caught
        if not complete and not taken_over:
            lost = await running.keep_early(self._files)
            if lost is not None and error is not None and lost.args != error.args:
                _log.warning("%s", lost.args[0])
            error = error or lost
        acknowledged = {} if channel is None else channel.take_acknowledged(running.task.shard.number)
        return running.result(complete=complete, acknowledged=acknowledged, error=error, taken_over=taken_over)

    async def _opened(self) -> Channel:
        async with self._opening:
            if self._channel is None:
                await self._files.prove()
                self._channel = await self._stack.enter_async_context(self._part.destination(self._part))
            return self._channel

    async def _tell_progress(self) -> None:
        while True:
            await asyncio.sleep(_PROGRESS_SECONDS)
            for running in self.running.values():
                self._tell(self._setup.token, running.progress())

    async def _watch_driver(self) -> None:
        """Ends shards whose driver has died, or has lost the job. One that comes back has them run again."""
        looks = 0
        while True:
            await asyncio.sleep(_DRIVER_SECONDS)
            if self._channel is None:
                continue
            try:
                looks = 0 if await self._channel.is_driven() else looks + 1
            except LoaderError as error:  # each shard waits for the server, and tells
                _log.debug("it is not known whether the driver has the job: %s", error)
            if looks >= _LOOKS_WITHOUT_DRIVER:
                self.stop()

    def close_soon(self, seconds: float) -> None:
        """Closes everything after so many seconds, if no shard comes before."""
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, lambda: loop.create_task(self._close()))

    async def _close(self) -> None:
        if self._users or self._is_closed:
            return
        self._is_closed = True
        self._closed()  # a shard that comes now opens everything anew
        for task in self._beside:
            task.cancel()
        await close_quietly(self._stack.aclose())


class _Running:
    """One run of a shard."""

    def __init__(self, setup: Setup, part: Part, task: ShardTask) -> None:
        self.task = task
        self._setup = setup
        self.over = asyncio.Event()
        self.judged: Callable[[], None] = lambda: None
        sources = [SourceReport(s.identity.name, s.identity.format, s.identity.size) for s in task.sources]
        self._report = LoadReport(part.job, part.options.layout_name, sources, dry_run=part.options.dry_run)
        self._report.resumed = setup.resumed
        self._rejects = CollectedRejects(wanted=setup.keeps_rejects)
        self._ids = CollectedIds() if setup.keeps_ids else None
        outputs = Outputs(self._rejects, self._ids)
        self.load = PartialLoad(part, self._report, lambda: self.judged(), outputs)

    async def keep(self, files: ShardFiles) -> None:
        """Writes the files of the shard, whose run has come to the end. Raises LoaderError if that fails."""
        await self._keep_rejects(files, whole=True)
        if self._ids is not None:
            await files.keep_ids(self.task.shard.number, self._ids.lines)

    async def keep_early(self, files: ShardFiles) -> LoaderError | None:
        """Writes the rejects of a run that has ended early, which may be why. Returns the error if that fails."""
        try:
            await self._keep_rejects(files, whole=False)
        except LoaderError as error:
            return error
        return None

    async def _keep_rejects(self, files: ShardFiles, *, whole: bool) -> None:
        await files.keep_rejects(self.task.shard.number, b"".join(self._rejects.lines), whole=whole)
        if files.rejects is not None and self._rejects.lines:
            self._report.rejects_file = files.rejects

    def progress(self) -> Progress:
        return Progress(self.task.shard.number, self._sources(), self.load.batches_waiting)

    def result(
        self,
        *,
        complete: bool,
        acknowledged: dict[str, list[int]] | None = None,
        error: LoaderError | None = None,
        taken_over: bool = False,
    ) -> ShardResult:
        counts = Counts.of(self._report, self._sources(), 0)
        # What this worker has written, the driver need not hold.
        rejects = () if self._setup.rejects_place else self._rejects.lines
        ids = b"" if self._ids is None or self._setup.ids_place else self._ids.lines
        return ShardResult(
            _worker_name(),
            complete,
            counts,
            acknowledged or {},
            rejects,
            ids,
            error,
            taken_over,
            self.load.not_judged,
        )

    def _sources(self) -> dict[int, SourceCounts]:
        return dict(zip(self.task.indexes, (source.counts for source in self._report.sources), strict=True))


def _part_of(part: Part, task: ShardTask) -> Part:
    """The part of a worker for one shard."""
    return replace(part, sources=task.sources, origins=task.origins, process=task.process, earlier=task.earlier)


async def _only(shard: Shard) -> AsyncIterator[Shard]:
    yield shard


class _Forward(logging.Handler):
    """Tells the driver what its shards say, but not what a driver says that runs in this process."""

    def __init__(self, tell: Callable[[str | None, object], None], thread: int | None) -> None:
        super().__init__()
        self._tell = tell
        self._thread = thread

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread != self._thread:
            return
        if hasattr(record, "waiting"):
            self._tell(_RUN.get(), Said(waiting=record.waiting, is_wait=True))
        else:
            self._tell(_RUN.get(), Said(record.levelno, record.getMessage(), getattr(record, "once", "")))

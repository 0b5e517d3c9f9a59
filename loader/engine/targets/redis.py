"""A Redis server or cluster as target: the job's record, its lease and its ledger around the pipeline."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import redis.exceptions

from loader.engine.cluster import check_cluster
from loader.engine.execution import Execution
from loader.engine.known_queues import KnownQueues, known_queues, queues_in_file
from loader.engine.part import Channel, Part
from loader.engine.pipeline import StateOf
from loader.engine.targets.base import Choice, Cleared, LoadPlan, LoadTarget, Preflight
from loader.errors import JobMismatchError, LayoutMismatchError
from loader.jobs.ids_file import begin_ids_file
from loader.jobs.job import Job, ledger_state, manifest_of
from loader.jobs.lease import Lease, Run, while_held
from loader.jobs.ledger import LedgerState
from loader.jobs.report import LoadReport
from loader.layouts.registry import encoder_for
from loader.servers.control import close_quietly
from loader.servers.retry import retry
from loader.servers.routing import Servers
from loader.settings import LoadOptions, settled
from loader.sinks.redis import RedisSink
from loader.tasks.profiles import LayoutName
from loader.wire.address import Address, parse_address
from loader.wire.faults import translated

log = logging.getLogger("runqy_loader")


class RedisTarget(LoadTarget):
    """Loads each task exactly once; see docs/reference.md.

    Args:
        preflight: Raises an error for a load that cannot work.
    """

    def __init__(self, options: LoadOptions, address: Address, preflight: Preflight) -> None:
        self._options = options
        self._address = address
        self._preflight = preflight
        self._begun: _RedisLoad | None = None

    async def run(self, plan: LoadPlan, report: LoadReport, execution: Execution) -> None:
        load = _RedisLoad(self._options, self._address, plan, report)
        try:
            await load.reach()
            await load.settle(self._preflight)
            known = await load.known_queues()
            await load.check(self._preflight, known)
            await load.begin()
            self._begun = load
            await load.note_ids_file()
            if await load.work(execution, known):
                await load.finish()
        finally:
            self._begun = None
            await load.close()

    async def pending(self) -> int | None:
        return None if self._begun is None else await self._begun.pending()


class _RedisLoad:
    """One load. The methods are its steps, in this order."""

    def __init__(self, options: LoadOptions, address: Address, plan: LoadPlan, report: LoadReport) -> None:
        self._options = options
        self._plan = plan
        self._report = report
        self._servers = Servers(address, options.timeout)
        self._lease = Lease(self._servers, report.job, Run.new())
        self._job = Job(self._servers, report.job, plan.manifest)
        self._choice: Choice | None = None
        self._recorded: LayoutName | None = None
        self._cleared = Cleared()
        self._held = False

    async def _retry(self, step: Callable[[], Awaitable[None]]) -> None:
        await retry(step, self._options.retry_for, between=self._servers.reconnect)

    async def reach(self) -> None:
        """Waits until the server answers."""
        name = self._lease.run.connection_name(self._report.job, 0, 0)
        await retry(lambda: self._servers.reach(name), self._options.retry_for, connected=False)

    async def settle(self, preflight: Preflight) -> None:
        """Chooses the layout, if the options leave it open, and checks that a server of this kind can hold the load.

        A job that was begun keeps its layout.
        """
        if self._options.layout == "auto":
            layout, reason = await self._layout(preflight)
            log.info("layout %s: %s", layout, reason)
            self._report.layout = layout
            self._options = settled(self._options, layout)
            sources = [source.identity for source in self._plan.sources]
            manifest = manifest_of(self._options, sources, self._plan.manifest["shard_bytes"])
            self._job = Job(self._servers, self._report.job, manifest)
        check_cluster(self._options, self._servers)

    async def _layout(self, preflight: Preflight) -> tuple[LayoutName, str]:
        """The layout of the job, and why it has this layout.

        Raises:
            JobMismatchError: The job was begun with another layout than the one that an option needs.
            LayoutMismatchError: The server is used in a way that does not tell the layout.
        """

        async def look() -> None:
            refused, self._choice = None, None
            try:
                self._choice = await preflight.choose_layout(self._servers, self._options)
            except LayoutMismatchError as error:
                refused = error
            self._recorded = await self._job.recorded_layout()
            if self._recorded is None and refused is not None:
                raise refused

        await self._retry(look)
        if self._recorded is None:
            assert self._choice is not None  # noqa: S101 - otherwise it was refused
            return self._choice.layout, self._choice.reason
        needed, option = self._options.implied_layout or (self._recorded, "")
        if needed != self._recorded:
            raise JobMismatchError(
                f"job {self._job.name} was begun with layout {self._recorded}, but {option} needs layout {needed}",
                f"Leave out {option} to complete the job, or give another --job name to load this as a new job",
            )
        if self._choice is not None and self._choice.layout != self._recorded:
            self._choice = None
        return self._recorded, f"job {self._job.name} was begun with this layout"

    async def known_queues(self) -> KnownQueues:
        """Checks that the queue exists, if an option gives a way to know it. Returns the known queues."""
        options = self._options
        known = await known_queues(options, queues_in_file(options), self._servers)
        if known.names is None:
            log.info(
                "it is not checked whether %s exists; use --queues-file or --queue-check redis to check it",
                f"queue {options.default_queue}" if options.default_queue is not None else "each record's queue",
            )
        known.check(options.default_queue)
        return known

    async def check(self, preflight: Preflight, known: KnownQueues) -> None:
        """Runs the preflight."""

        async def checked() -> None:
            sources, choice = self._plan.sources, self._choice
            self._choice = None  # a repetition asks again
            self._cleared = await preflight.check(
                self._servers, self._options, self._report.job, known.names, sources, choice
            )

        try:
            await self._retry(checked)
        except LayoutMismatchError as error:
            if self._recorded is None:
                raise
            raise LayoutMismatchError(
                f"job {self._job.name} was begun with layout {self._recorded}, but {error.args[0]}",
                f"Give --force-layout to complete it in layout {self._recorded}; "
                "runqy-loader migrate moves its tasks to the other layout",
            ) from error

    async def begin(self) -> None:
        """Records the job, and acquires its lease for this run."""
        await self._retry(self._job.open)
        await self._retry(self._lease.acquire)
        self._held = True
        self._report.resumed = self._job.resumed
        if self._job.resumed:
            log.info("resuming job %s", self._job.name)

    async def note_ids_file(self) -> None:
        """Starts the ids file, if the option is given, and records its path in the job."""
        path = self._options.ids_out
        if path is not None:
            where = begin_ids_file(path, self._job.name, self._options.layout_name)
            self._report.ids_file = str(path)
            await self._retry(lambda: self._job.note_ids(where))

    async def work(self, execution: Execution, known: KnownQueues) -> bool:
        """Loads the shards. Returns whether every record was processed."""
        options, job = self._options, self._job.name
        part = Part(
            options,
            job,
            partial(into_redis, self._servers.address.url, self._servers.accepts_names),
            self._lease.run,
            self._plan.sources,
            known.names,
            options.rejects or Path(f"{job}.rejects.jsonl"),
            forwarded=self._cleared.forwarded,
        )
        complete = await while_held([self._lease], execution.run(part, self._plan.shards, self._report))
        self._report.end("completed" if complete else "interrupted")
        return complete

    async def finish(self) -> None:
        """Marks the job as done in its record."""
        await self._retry(partial(self._job.finish, self._report.to_dict()))

    async def close(self) -> None:
        """Releases the lease, and closes all connections."""
        if self._held:
            await close_quietly(self._lease.release())
        await self._servers.aclose()

    async def pending(self) -> int | None:
        queue = self._options.default_queue
        if queue is None:
            return None
        try:
            key = encoder_for(self._options, queue).pending_key.decode()
            return int(await self._servers.client_of(key).llen(key))
        except (redis.exceptions.RedisError, OSError, RuntimeError):
            return None  # only a display needs it


@asynccontextmanager
async def into_redis(url: str, named: bool, part: Part) -> AsyncIterator[Channel]:
    """The ``Destination`` of one server, with both arguments bound.

    Args:
        named: Whether the server accepts names of connections.
    """
    retry_for = part.options.retry_for
    servers = Servers(parse_address(url), part.options.timeout)
    try:
        await retry(servers.refresh, retry_for)
        lease = Lease(servers, part.job, part.run, part.process)
        servers.accepts_names = named
        sink = RedisSink(servers, part.options, part.job, lease)
        yield Channel(
            sink.work,
            _state_of(servers, sink, retry_for),
            lambda: retry(sink.confirm, retry_for, between=servers.reconnect),
        )
    finally:
        await servers.aclose()


def _state_of(servers: Servers, sink: RedisSink, retry_for: float) -> StateOf:
    # The ledger of a new job is read as well: the server may have lost the job's record, with other data, during a run.
    listed: set[str] = set()

    async def state_of(queue: str, shard: int) -> LedgerState:
        ledger = sink.ledger(queue, shard)
        index = sink.encoder(queue).queues_key
        if index and queue not in listed:
            await retry(lambda: _list_queue(servers, index, queue), retry_for, between=servers.reconnect)
            listed.add(queue)
        return await retry(lambda: ledger_state(servers, ledger), retry_for, between=servers.reconnect)

    return state_of


async def _list_queue(servers: Servers, key: str, queue: str) -> None:
    with translated(f"{servers}, key {key}"):
        await servers.client_of(key).sadd(key, queue)

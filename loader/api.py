"""The library's front door: ``Loader`` and ``load``."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Coroutine, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis.asyncio
import redis.exceptions

from loader.control import control_client, reach, say_goodbye
from loader.embedded import EmbeddedServer
from loader.engine.part import Part, PartialLoad
from loader.engine.processes import ProcessPool
from loader.errors import SourceError, TransientError
from loader.job import Job, job_name, manifest_of
from loader.lease import RENEW_SECONDS, Lease, Run
from loader.queues import check_queue, configured_queues, queues_on_server
from loader.report import LoadReport, SourceReport
from loader.retry import patiently
from loader.settings import DISCARD, EMBEDDED, LoadOptions
from loader.sources.base import Source
from loader.sources.registry import Input, open_sources
from loader.sources.shards import Shard, plan, shard_bytes
from loader.wire.address import Address, parse_address

log = logging.getLogger("runqy_loader")


class Loader:
    """Loads payloads into a queue. Use with ``async with``; several loads may follow each other.

    Args:
        options: A ``LoadOptions``; or give its fields as keyword arguments.

    Raises:
        UsageError: Options out of range, or a ``redis`` URL that is none.

    Example:
        >>> async with Loader(queue="inference", redis="redis://localhost:6379/0") as loader:
        ...     report = await loader.load(["payloads.jsonl"])
    """

    def __init__(self, options: LoadOptions | None = None, **fields: Any) -> None:
        if options is not None and fields:
            raise TypeError("give a LoadOptions or its fields, not both")
        self.options = options or LoadOptions(**fields)
        self.options.check()
        self._embedded = EmbeddedServer(self.options.embedded_dir) if self.options.redis == EMBEDDED else None
        self._writes = not self.options.dry_run and self.options.redis != DISCARD
        self._address = None if self.options.redis in (EMBEDDED, DISCARD) else parse_address(self.options.redis)
        self._running: PartialLoad | ProcessPool | None = None
        self._watch: redis.asyncio.Redis | None = None
        self._stopping = False
        self.report: LoadReport | None = None

    async def __aenter__(self) -> Self:
        if self._embedded is not None and self._writes:
            self._address = parse_address(await asyncio.to_thread(self._embedded.start))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._embedded is not None and self._writes:
            await asyncio.to_thread(self._embedded.stop)

    @property
    def batches_waiting(self) -> int:
        """How full the bounded queue is, in batches."""
        return 0 if self._running is None else self._running.batches_waiting

    def stop(self) -> None:
        """Ends a running load soon: what is in flight is acknowledged, then ``load`` returns 'interrupted'."""
        self._stopping = True
        if self._running is not None:
            self._running.stop()

    async def load(self, given: Input, *, passing_over: Sequence[Path] = ()) -> LoadReport:
        """Loads every record of the input that this job has not loaded yet.

        Args:
            given: A path, a list of paths (globs, directories and '-' included), or an iterable or async iterable of
                payloads: bytes are JSON text, anything else is written as JSON.
            passing_over: Files that are no input though they lie in a directory or match a glob. The rejects file and
                those of other jobs are passed over anyway.

        Returns:
            The report; ``report.status`` tells 'completed' from 'interrupted'.

        Raises:
            LoaderError: The load failed. What is loaded stays so, and the same call goes on from there. The counts so
                far are in ``self.report``.
        """
        self.report = None
        own = [*passing_over, *([self.options.rejects] if self.options.rejects is not None else [])]
        sources = await open_sources(given, self.options.format, own)
        identities = [source.identity for source in sources]
        size = shard_bytes(sources)
        manifest = manifest_of(self.options, identities, size)
        self.report = report = LoadReport(
            job=job_name(self.options, identities, manifest),
            layout=self.options.layout,
            sources=[SourceReport(identity.name, identity.format, identity.size) for identity in identities],
            dry_run=self.options.dry_run,
            discarded=self.options.redis == DISCARD,
        )
        try:
            shards = await asyncio.to_thread(plan, sources, size)
            if self._writes:
                await self._load(sources, shards, report, manifest)
            else:
                await self._dry_run(sources, shards, report)
            _require_records(report)
        except Exception as error:  # also what an iterable of the caller's raises
            report.end("failed", str(error))
            raise
        except asyncio.CancelledError:
            report.end("interrupted")
            raise
        finally:
            self._running = None
            self._stopping = False
        return report

    async def pending(self) -> int | None:
        """Length of the target queue's pending list; None if there is no one queue, or no answer."""
        if self._watch is None or self.report is None or self.options.default_queue is None:
            return None
        try:
            return int(await self._watch.llen(f"asynq:{self.options.default_queue}:pending"))
        except (redis.exceptions.RedisError, OSError, RuntimeError):
            return None  # a display can do without

    async def _dry_run(self, sources: Sequence[Source], shards: Sequence[Shard], report: LoadReport) -> None:
        known = self._configured()
        if known is not None and self.options.default_queue is not None:
            check_queue(self.options.default_queue, known, str(self.options.queues_file))
        part = Part(self.options, report.job, None, Run.new(), False, sources, _frozen(known), self.options.rejects)
        report.end("completed" if await self._run(part, shards, report) else "interrupted")

    async def _load(
        self, sources: Sequence[Source], shards: Sequence[Shard], report: LoadReport, manifest: dict[str, Any]
    ) -> None:
        assert self._address is not None  # noqa: S101 - set on entering
        options, address = self.options, self._address
        run = Run.new()
        control = control_client(address, options.timeout)
        name = run.connection_name(report.job, 0, 0)
        lease = Lease(control, report.job, run, str(address))
        job = Job(control, report.job, manifest, str(address))
        held = False
        try:
            await patiently(lambda: reach(control, address, name), options.retry_for, connected=False)
            known = await self._known_queues(control, address)
            await patiently(job.open, options.retry_for)
            await patiently(lease.acquire, options.retry_for)
            held = True
            report.resumed = job.resumed
            if job.resumed:
                log.info("going on with job %s", job.name)
            self._watch = control
            rejects = options.rejects or Path(f"{job.name}.rejects.jsonl")
            part = Part(options, job.name, address.url, run, job.resumed, sources, _frozen(known), rejects)
            complete = await _while_held(lease, self._run(part, shards, report))
            report.end("completed" if complete else "interrupted")
            if complete:
                await patiently(lambda: job.finish(report.to_dict()), options.retry_for)
        finally:
            self._watch = None
            if held:
                await say_goodbye(lease.release())
            await say_goodbye(control.aclose())

    async def _run(self, part: Part, shards: Sequence[Shard], report: LoadReport) -> bool:
        report.processes = self._process_count(part.sources, shards)
        load: PartialLoad | ProcessPool
        if report.processes == 1:
            load = partial = PartialLoad(part, report)
            work = partial.run(_each(shards))
        else:
            load = pool = ProcessPool(part, report.processes, report)
            work = pool.run(shards)
        self._running = load
        if self._stopping:
            load.stop()
        return await work

    def _process_count(self, sources: Sequence[Source], shards: Sequence[Shard]) -> int:
        wanted = self.options.processes
        if wanted == "auto":
            wanted = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        if wanted > 1 and not all(source.identity.repeatable for source in sources):
            log.info("what comes from a pipe or an iterable cannot be shared out: one process loads it")
            return 1
        return max(1, min(wanted, len(shards)))

    def _configured(self) -> set[str] | None:
        return None if self.options.queues_file is None else configured_queues(self.options.queues_file)

    async def _known_queues(self, control: redis.asyncio.Redis, address: Address) -> set[str] | None:
        known, where = self._configured(), str(self.options.queues_file)
        if known is None and self.options.queue_check == "redis":
            known, where = await queues_on_server(control, str(address)), f"asynq:queues on {address}"
        queue = self.options.default_queue
        if known is None:
            log.info(
                "whether %s exists is not checked; --queues-file or --queue-check redis would",
                f"queue {queue}" if queue is not None else "each record's queue",
            )
        elif queue is not None:
            check_queue(queue, known, where)
        return known


async def load(given: Input, **fields: Any) -> LoadReport:
    """Loads payloads and returns the report: ``Loader`` in one call. Keywords are the fields of ``LoadOptions``.

    Raises:
        LoaderError: See ``Loader.load``.
    """
    async with Loader(**fields) as loader:
        return await loader.load(given)


async def _while_held(lease: Lease, work: Coroutine[Any, Any, bool]) -> bool:
    """Runs work while the lease is kept. Raises JobBusyError as soon as it is lost."""
    working, keeping = asyncio.create_task(work), asyncio.create_task(_keep(lease))
    try:
        await asyncio.wait([working, keeping], return_when=asyncio.FIRST_COMPLETED)
        if keeping.done():
            keeping.result()
        return await working
    finally:
        for task in (working, keeping):
            task.cancel()
            await asyncio.wait([task])


async def _keep(lease: Lease) -> None:
    """Renews the lease until cancelled. Raises JobBusyError if another run has taken it."""
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        try:
            await lease.renew()
        except TransientError as error:
            log.debug("the lease could not be renewed: %s", error)


def _require_records(report: LoadReport) -> None:
    """An empty input is more likely a producer that failed than what was wanted."""
    if report.status == "completed" and not report.records_read:
        names = ", ".join(source.name for source in report.sources[:3])
        raise SourceError(f"no record in {names}", "Check what was to write it")


async def _each(shards: Sequence[Shard]) -> AsyncIterator[Shard]:
    for shard in shards:
        yield shard


def _frozen(names: set[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)

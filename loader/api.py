"""The library's front door: ``Loader`` and ``load``."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import redis.exceptions

from loader.engine.part import Destination, Part, PartialLoad
from loader.errors import SourceError
from loader.extras import require
from loader.jobs.ids_file import begin_ids_file
from loader.jobs.job import Job, job_name, manifest_of
from loader.jobs.lease import Lease, Run, while_held
from loader.jobs.report import LoadReport, SourceReport
from loader.layouts.registry import encoder_for
from loader.preflight.cluster import check_cluster
from loader.preflight.examine import Target, check_before_load
from loader.queues.existing import QUEUES_KEY, check_queue, queues_on_server
from loader.servers.control import say_goodbye
from loader.servers.retry import patiently
from loader.servers.routing import Servers
from loader.settings import DISCARD, EMBEDDED, LoadOptions
from loader.sources.base import Source
from loader.sources.registry import Input, open_sources
from loader.sources.shards import Shard, plan, shard_bytes
from loader.wire.address import parse_address

if TYPE_CHECKING:
    from loader.engine.processes import ProcessPool
    from loader.servers.embedded import EmbeddedServer

log = logging.getLogger("runqy_loader")


class Loader:
    """Loads payloads into a queue. Use with ``async with``; several loads may follow each other.

    Args:
        options: A ``LoadOptions``; or give its fields as keyword arguments.

    Raises:
        UsageError: Options out of range, a ``redis`` URL that is none, or an extra that they need is not installed.

    Example:
        >>> async with Loader(queue="inference", redis="redis://localhost:6379/0") as loader:
        ...     report = await loader.load(["payloads.jsonl"])
    """

    def __init__(self, options: LoadOptions | None = None, **fields: Any) -> None:
        if options is not None and fields:
            raise TypeError("give a LoadOptions or its fields, not both")
        self.options = options or LoadOptions(**fields)
        self.options.check()
        _require_extras(self.options)
        is_embedded = self.options.to is None and self.options.redis == EMBEDDED
        self._embedded = _embedded_server(self.options) if is_embedded else None
        self._writes = not self.options.dry_run and (self.options.to is not None or self.options.redis != DISCARD)
        to_redis = self.options.to is None and self.options.redis not in (EMBEDDED, DISCARD)
        self._address = parse_address(self.options.redis) if to_redis else None
        self._running: PartialLoad | ProcessPool | None = None
        self._watch: Servers | None = None
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
                payloads: bytes are JSON text, anything else is written as JSON, or rejected where it cannot be.
            passing_over: Files that are no input though they lie in a directory or match a glob. The rejects file and
                those of other jobs are passed over anyway.

        Returns:
            The report; ``report.status`` tells 'completed' from 'interrupted'.

        Raises:
            LoaderError: The load failed. What is loaded stays so, and the same call goes on from there. The counts so
                far are in ``self.report``.
        """
        self.report = None
        written = (self.options.rejects, self.options.ids_out, self.options.journal)
        own = [*passing_over, *(path for path in written if path is not None)]
        sources = await open_sources(given, self.options.format, own)
        identities = [source.identity for source in sources]
        size = shard_bytes(sources)
        manifest = manifest_of(self.options, identities, size)
        self.report = report = LoadReport(
            job=job_name(self.options, identities, manifest),
            layout=self.options.layout if self.options.to is None else "http",
            sources=[SourceReport(identity.name, identity.format, identity.size) for identity in identities],
            dry_run=self.options.dry_run,
            discarded=self.options.to is None and self.options.redis == DISCARD,
        )
        try:
            shards = await asyncio.to_thread(plan, sources, size)
            if self._writes and self.options.to is not None:
                await self._load_over_http(sources, shards, report, manifest)
            elif self._writes:
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
            key = encoder_for(self.options, self.options.default_queue).pending_key.decode()
            return int(await self._watch.client_of(key).llen(key))
        except (redis.exceptions.RedisError, OSError, RuntimeError):
            return None  # a display can do without

    async def _dry_run(self, sources: Sequence[Source], shards: Sequence[Shard], report: LoadReport) -> None:
        known = self._configured()
        if known is not None and self.options.default_queue is not None:
            check_queue(self.options.default_queue, known, str(self.options.queues_file))
        part = Part(self.options, report.job, None, Run.new(), sources, _frozen(known), self.options.rejects)
        report.end("completed" if await self._run(part, shards, report) else "interrupted")

    async def _load(
        self, sources: Sequence[Source], shards: Sequence[Shard], report: LoadReport, manifest: dict[str, Any]
    ) -> None:
        assert self._address is not None  # noqa: S101 - set on entering
        options, address = self.options, self._address
        run = Run.new()
        servers = Servers(address, options.timeout)
        name = run.connection_name(report.job, 0, 0)
        lease = Lease(servers, report.job, run)
        job = Job(servers, report.job, manifest)
        held = False
        try:
            await patiently(lambda: servers.reach(name), options.retry_for, connected=False)
            check_cluster(options, servers)
            known = await self._known_queues(servers)
            examine = partial(check_before_load, servers, Target(options, job.name, known), sources)
            await patiently(examine, options.retry_for, between=servers.reconnect)
            await patiently(job.open, options.retry_for, between=servers.reconnect)
            await patiently(lease.acquire, options.retry_for, between=servers.reconnect)
            held = True
            report.resumed = job.resumed
            if job.resumed:
                log.info("going on with job %s", job.name)
            self._watch = servers
            if options.ids_out is not None:
                where = begin_ids_file(options.ids_out, job.name, options.layout)
                report.ids_file = str(options.ids_out)
                await patiently(lambda: job.note_ids(where), options.retry_for)
            rejects = options.rejects or Path(f"{job.name}.rejects.jsonl")
            part = Part(
                options, job.name, address.url, lease.run, sources, _frozen(known), rejects, servers.takes_names
            )
            complete = await while_held([lease], self._run(part, shards, report))
            report.end("completed" if complete else "interrupted")
            if complete:
                finish = partial(job.finish, report.to_dict())
                await patiently(finish, options.retry_for, between=servers.reconnect)
        finally:
            self._watch = None
            if held:
                await say_goodbye(lease.release())
            await servers.aclose()

    async def _load_over_http(
        self, sources: Sequence[Source], shards: Sequence[Shard], report: LoadReport, manifest: dict[str, Any]
    ) -> None:
        from loader.engine.over_http import load_over_http  # an HTTP client takes long to import

        known = self._configured()
        if known is not None and self.options.default_queue is not None:
            check_queue(self.options.default_queue, known, str(self.options.queues_file))
        rejects = self.options.rejects or Path(f"{report.job}.rejects.jsonl")
        part = Part(self.options, report.job, None, Run.new(), sources, _frozen(known), rejects)
        complete = await load_over_http(part, report, manifest, lambda to: self._run(part, shards, report, to))
        report.end("completed" if complete else "interrupted")

    async def _run(
        self, part: Part, shards: Sequence[Shard], report: LoadReport, destination: Destination | None = None
    ) -> bool:
        report.processes = self._process_count(part.sources, shards)
        load: PartialLoad | ProcessPool
        if report.processes == 1:
            load = here = PartialLoad(part, report, destination)
            work = here.run(_each(shards))
        else:
            from loader.engine.processes import ProcessPool

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
        if self.options.queues_file is None:
            return None
        from loader.queues.runqy_yaml import configured_queues  # YAML takes 10 ms that only this option needs

        return configured_queues(self.options.queues_file)

    async def _known_queues(self, servers: Servers) -> set[str] | None:
        known, where = self._configured(), str(self.options.queues_file)
        if known is None and self.options.queue_check == "redis":
            known = await queues_on_server(servers.client_of(QUEUES_KEY), str(servers))
            where = f"{QUEUES_KEY} on {servers}"
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


def _require_extras(options: LoadOptions) -> None:
    if options.to is not None:
        require("http", "--to")
    elif options.redis == EMBEDDED:
        require("embedded", "--redis embedded")
    if options.queues_file is not None:
        require("yaml", "--queues-file")


def _embedded_server(options: LoadOptions) -> EmbeddedServer:
    from loader.servers.embedded import EmbeddedServer  # 20 ms that only this option needs

    return EmbeddedServer(options.embedded_dir)


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

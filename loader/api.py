"""The library's front door: ``Loader`` and ``load``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis.asyncio
import redis.exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from loader.assign import Assigner
from loader.embedded import EmbeddedServer
from loader.errors import LoaderError, TransientError
from loader.job import Job, job_name, manifest_of
from loader.lease import RENEW_SECONDS, Lease
from loader.ledger import LedgerState
from loader.pipeline import Pipeline
from loader.queues import check_queue, configured_queues, queues_on_server
from loader.rejects import RejectsFile
from loader.report import LoadReport, SourceReport
from loader.retry import patiently
from loader.settings import EMBEDDED, LoadOptions
from loader.sinks.redis import RedisSink
from loader.sources.base import Source
from loader.sources.registry import Input, open_sources
from loader.wire.address import Address, parse_address
from loader.wire.faults import from_redis_py

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
        self._address = None if self._embedded else parse_address(self.options.redis)
        self._pipeline: Pipeline | None = None
        self._watch: redis.asyncio.Redis | None = None
        self._stopping = False
        self.report: LoadReport | None = None

    async def __aenter__(self) -> Self:
        if self._embedded is not None and not self.options.dry_run:
            self._address = parse_address(await asyncio.to_thread(self._embedded.start))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._embedded is not None and not self.options.dry_run:
            await asyncio.to_thread(self._embedded.stop)

    @property
    def batches_waiting(self) -> int:
        """How full the bounded queue is, in batches."""
        return 0 if self._pipeline is None else self._pipeline.waiting

    def stop(self) -> None:
        """Ends a running load soon: what is in flight is acknowledged, then ``load`` returns 'interrupted'."""
        self._stopping = True
        if self._pipeline is not None:
            self._pipeline.stop()

    async def load(self, given: Input) -> LoadReport:
        """Loads every record of the input that this job has not loaded yet.

        Args:
            given: A path, a list of paths (globs, directories and '-' included), or an iterable or async iterable of
                payloads: bytes are JSON text, anything else is written as JSON.

        Returns:
            The report; ``report.status`` tells 'completed' from 'interrupted'.

        Raises:
            LoaderError: The load failed. What is loaded stays so, and the same call goes on from there. The counts so
                far are in ``self.report``.
        """
        sources = await open_sources(given, self.options.format)
        identities = [source.identity for source in sources]
        name = job_name(self.options, identities)
        self.report = report = LoadReport(
            job=name,
            layout=self.options.layout,
            sources=[SourceReport(identity.name, identity.format, identity.size) for identity in identities],
            dry_run=self.options.dry_run,
        )
        try:
            if self.options.dry_run:
                await self._dry_run(sources, report)
            else:
                await self._load(sources, report)
        except LoaderError as error:
            report.end("failed", str(error))
            raise
        except asyncio.CancelledError:
            report.end("interrupted")
            raise
        finally:
            self._pipeline = None
        return report

    async def pending(self) -> int | None:
        """Length of the target queue's pending list; None if there is no one queue, or no answer."""
        if self._watch is None or self.report is None or self.options.default_queue is None:
            return None
        try:
            return int(await self._watch.llen(f"asynq:{self.options.default_queue}:pending"))
        except (redis.exceptions.RedisError, OSError):
            return None  # a display can do without

    async def _dry_run(self, sources: Sequence[Source], report: LoadReport) -> None:
        known = self._configured()
        if known is not None and self.options.default_queue is not None:
            check_queue(self.options.default_queue, known, str(self.options.queues_file))
        rejects = RejectsFile(self.options.rejects, resumed=False)
        await self._run(sources, report, rejects, known, None, None)

    async def _load(self, sources: Sequence[Source], report: LoadReport) -> None:
        assert self._address is not None  # noqa: S101 - set on entering
        options, address = self.options, self._address
        run = Lease.new_run()
        control = _control(address, Lease.connection_name(report.job, run, 0), options.timeout)
        lease = Lease(control, report.job, run, str(address))
        manifest = manifest_of(options, [source.identity for source in sources])
        job = Job(control, report.job, manifest, str(address))
        held = False
        try:
            await patiently(lambda: _reach(control, address), options.retry_for, connected=False)
            known = await self._known_queues(control, address)
            await patiently(job.open, options.retry_for)
            await patiently(lease.acquire, options.retry_for)
            held = True
            report.resumed = job.resumed
            if job.resumed:
                log.info("going on with job %s", job.name)
            self._watch = control
            rejects = RejectsFile(options.rejects or Path(f"{job.name}.rejects.jsonl"), resumed=job.resumed)
            try:
                await self._run(
                    sources, report, rejects, known, RedisSink(address, options, job.name, lease), job, lease
                )
            finally:
                if rejects.used:
                    report.rejects_file = str(rejects.path)
            if report.status == "completed":
                await patiently(lambda: job.finish(report.to_dict()), options.retry_for)
        finally:
            self._watch = None
            if held:
                await _quietly(lease.release())
            await _quietly(control.aclose())

    async def _run(
        self,
        sources: Sequence[Source],
        report: LoadReport,
        rejects: RejectsFile,
        known: Collection[str] | None,
        sink: RedisSink | None,
        job: Job | None,
        lease: Lease | None = None,
    ) -> None:
        assigner = Assigner(self.options, report.job, [source.identity.digest for source in sources], known)

        async def state_of(queue: str) -> LedgerState:
            if sink is None or job is None or not job.resumed:
                return LedgerState()
            _, ledger = sink.queue(queue)
            return await patiently(lambda: job.ledger_state(ledger), self.options.retry_for)

        worker = sink.work if sink is not None else None
        self._pipeline = Pipeline(sources, self.options, assigner, rejects, report, worker, state_of)
        if self._stopping:
            self._pipeline.stop()
        renewing = asyncio.create_task(_keep(lease)) if lease is not None else None
        running = asyncio.create_task(self._pipeline.run())
        try:
            await asyncio.wait(
                [running] if renewing is None else [running, renewing], return_when=asyncio.FIRST_COMPLETED
            )
            if renewing is not None and renewing.done():
                renewing.result()
            await running
        finally:
            for task in (running, renewing):
                if task is not None:
                    task.cancel()
                    await asyncio.wait([task])
            await rejects.close()
        report.end("completed" if self._pipeline.complete else "interrupted")

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


def _control(address: Address, name: str, timeout: float) -> redis.asyncio.Redis:
    """The connection for all that is not the hot path. Retrying is the caller's, who knows what may be repeated."""
    return redis.asyncio.Redis.from_url(
        address.url,
        client_name=name,
        single_connection_client=False,
        socket_connect_timeout=timeout,
        socket_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )


async def _reach(control: redis.asyncio.Redis, address: Address) -> None:
    try:
        await control.ping()
    except redis.exceptions.RedisError as error:
        raise from_redis_py(error, str(address)) from error
    except OSError as error:
        raise from_redis_py(redis.exceptions.ConnectionError(str(error)), str(address)) from error


async def _keep(lease: Lease) -> None:
    """Renews the lease until cancelled. Raises JobBusyError if another run has taken it."""
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        try:
            await lease.renew()
        except TransientError as error:
            log.debug("the lease could not be renewed: %s", error)


async def _quietly(step: Any) -> None:
    """For goodbyes to a server that may be gone: the lease ends by itself."""
    try:
        await step
    except (redis.exceptions.RedisError, OSError) as error:
        log.debug("while closing: %s", error)

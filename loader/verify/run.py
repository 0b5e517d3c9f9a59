"""One comparison from its options to its report: what ``runqy-loader verify`` runs. It writes nothing to Redis."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from typing import TypeVar
from zlib import crc32

from loader.engine.ends import Ends
from loader.engine.execution import Execution
from loader.engine.known_queues import known_queues, queues_in_file
from loader.engine.part import Channel, Part
from loader.engine.plan import LoadPlan, Proposal
from loader.engine.targets.find_job import find_job
from loader.engine.targets.registry import require_extras
from loader.errors import UsageError
from loader.jobs.job import Job, ledger_state
from loader.jobs.lease import Run
from loader.jobs.ledger import LedgerState, QueueLedger
from loader.jobs.record_limit import largest_overhead, record_limit
from loader.jobs.report import LoadReport, SourceReport
from loader.layouts.registry import encoder_for
from loader.preflight.choice import choose_layout
from loader.results.reader import Reader
from loader.servers.retry import retry
from loader.servers.routing import Servers
from loader.servers.session import Session
from loader.settings import LoadOptions
from loader.sinks.base import Delivery, Feed, Observer
from loader.sources.base import Source
from loader.sources.open_sources import open_sources
from loader.sources.problems import Problems
from loader.stored.queue_reader import stored_queue
from loader.stored.snapshot import pending_ids
from loader.verify.listed import ABSENT, FREE, LISTED, Listed
from loader.verify.look import LOOKUPS, PENDING, STORED, Expected, Look, Lookup
from loader.verify.options import VerifyOptions
from loader.verify.report import Difference, Kind, VerifyReport
from loader.wire.address import Address, parse_address
from loader.wire.faults import translated
from loader.wire.target import ToDiscard, ToEmbedded, ToHttp, ToRedis

T = TypeVar("T")

_WORKERS = 4

log = logging.getLogger("runqy_loader")


class Verifier:
    """Compares input with what Redis has of it.

    Args:
        load: The options of the load.

    Attributes:
        report: Counts, updated as it runs.

    Raises:
        UsageError: Options are out of range or contradict each other, or there is no Redis to look at.
    """

    def __init__(self, load: LoadOptions, options: VerifyOptions, write: Callable[[bytes], None] | None = None) -> None:
        load.check()
        options.check()
        require_extras(load)
        match load.target:
            case ToHttp():
                raise UsageError("--to names no Redis: verify looks at the server itself", "Give --redis")
            case ToDiscard():
                raise UsageError("--redis discard keeps nothing to look at", "Give the server of the load")
            case ToEmbedded(None):
                raise UsageError("--redis embedded has nothing without --embedded-dir", "Give the folder of the load")
        self._load = replace(load, max_errors="none", rejects=None, ids_out=None, workers=_WORKERS, processes=1)
        self._options = options
        self._execution = Execution()
        self.report = VerifyReport(load.job or "", load.layout, undrained=options.undrained, write=write)

    def stop(self) -> None:
        """Makes ``run`` end soon."""
        self._execution.stop()

    async def run(self, paths: Sequence[str]) -> VerifyReport:
        """Compares the records of these files with the server.

        Raises:
            LoaderError: The input cannot be read, or the server refuses or cannot be reached.
        """
        load = self._load
        problems = Problems(skip=load.skip_bad_files)
        sources = await open_sources(list(paths), load.format, [], problems, force_format=load.force_format)
        try:
            match load.target:
                case ToRedis(url):
                    await self._on(parse_address(url), sources)
                case ToEmbedded(directory):
                    from loader.servers.embedded import embedded_server  # 20 ms, only needed here

                    async with embedded_server(directory) as address:
                        await self._on(address, sources)
        except Exception as error:
            self.report.fail(error)
            raise
        return self.report

    async def _on(self, address: Address, sources: Sequence[Source]) -> None:
        servers = Servers(address, self._load.timeout)
        comparison = _Comparison(servers, self._load, self._options, self.report, self._execution)
        try:
            await comparison.find(sources)
            complete = await comparison.compare()
        finally:
            await comparison.close()
        self.report.end("completed" if complete else "interrupted")


class _Comparison:
    """One comparison with a server. The methods are its steps, in this order."""

    def __init__(
        self,
        servers: Servers,
        load: LoadOptions,
        options: VerifyOptions,
        report: VerifyReport,
        execution: Execution,
    ) -> None:
        self._servers = servers
        self._load = load
        self._options = options
        self._report = report
        self._execution = execution
        self._seconds = load.retry_seconds
        self._states: dict[tuple[str, int], LedgerState] = {}
        self._listed = Listed()
        self._plan: LoadPlan
        self._lookup: Lookup
        self._part: Part
        self._counts: LoadReport

    async def _retry(self, step: Callable[[], Awaitable[T]]) -> T:
        return await retry(step, self._seconds, between=self._servers.reconnect)

    async def find(self, sources: Sequence[Source]) -> None:
        """Finds the job of this input, and prepares to read it as the job has."""
        servers = self._servers
        await retry(lambda: servers.reach("runqy-loader-verify:0"), self._seconds, connected=False)
        proposals = Proposal.for_each_layout(self._load, sources)
        found = await find_job(servers, proposals, self._retry)
        if found is not None:
            self._report.recorded = True
            self._plan = await found.proposal.planned(found.job.name, found.recorded)
        else:
            proposal = proposals[0]
            if len(proposals) > 1:
                choice = await self._retry(lambda: choose_layout(servers, self._load))
                proposal = next(one for one in proposals if one.options.layout == choice.layout)
            self._plan = await proposal.planned(proposal.names[0])
            log.warning(
                "%s has no record of job %s: what was loaded and taken cannot be told from what was never loaded",
                servers, self._plan.job,
            )  # fmt: skip
        plan, options = self._plan, self._plan.options
        self._report.job, self._report.layout = plan.job, options.layout_name
        self._lookup = LOOKUPS[options.layout_name]()
        await self._warn_if_loading()
        known = await known_queues(options, queues_in_file(options), servers)
        self._counts = _counts(plan)
        job, limit = Job(servers, plan.job), None
        if self._report.recorded:
            around = largest_overhead(options)
            limit = await self._retry(
                lambda: record_limit(servers, plan.job, None, options.max_record_bytes, around, resumed=True)
            )
        ends = Ends(await self._retry(job.ends))

        @asynccontextmanager
        async def destination(_: Part) -> AsyncIterator[Channel]:
            yield Channel(self._compare_all, ends=ends)

        self._part = Part.of(plan, destination, Run.new(), known.names, None, records=limit)

    async def _warn_if_loading(self) -> None:
        key = f"runqy-loader:{{{self._plan.job}}}:lease"
        with translated(f"{self._servers}, key {key}"):
            if await self._servers.client_of(key).execute("GET", key) is not None:
                log.warning("job %s is being loaded: tasks on their way may be shown as missing", self._plan.job)

    async def compare(self) -> bool:
        """Compares all records, then the pending lists. Returns whether it was not stopped before."""
        complete = await self._execution.run(self._part, self._plan.shards, self._counts)
        report, counts = self._report, self._counts
        report.records_read, report.invalid = counts.records_read, counts.rejected
        if not complete:
            return False
        if self._options.sample is None:
            await self._compare_lists()
        return True

    async def close(self) -> None:
        self._listed.close()
        await self._servers.aclose()

    # --- records ------------------------------------------------------------------------------------------------

    async def _compare_all(self, feed: Feed, observer: Observer) -> None:
        reader = Reader(self._servers, self._load.timeout)
        try:
            while (delivery := await feed()) is not None:
                await self._compare(reader, delivery, observer)
                observer.loaded(delivery)
        finally:
            reader.drop()

    async def _compare(self, reader: Reader, delivery: Delivery, observer: Observer) -> None:
        report, batch = self._report, delivery.batch
        if not _is_chosen(batch.shard, batch.number, self._options.share):
            report.not_sampled += len(delivery.payloads)
            return
        ledger = await self._ledger(delivery)
        is_in = ledger is not None and ledger.is_loaded(batch.number)
        skipped = ledger.skipped.get(batch.number, {}) if ledger is not None and is_in else {}
        default = self._plan.options.task_options
        tasks = [
            Expected(task_id, payload, (delivery.options[at] if delivery.options else default).type or delivery.queue)
            for at, (task_id, payload) in enumerate(zip(delivery.whole_ids, delivery.payloads, strict=True))
        ]
        looks = await self._looks(reader, delivery.queue, tasks)
        rows: list[tuple[bytes, int]] = []
        for at, (task, look) in enumerate(zip(tasks, looks, strict=True)):
            report.compared += 1
            if at in skipped:
                report.set_aside += 1
                continue
            rows.append((task.id, _wanted(look, is_in=is_in, undrained=self._options.undrained)))
            await self._judge(delivery, at, look, observer, is_in=is_in)
        if self._options.sample is None:
            self._listed.add(delivery.queue, delivery.id_prefix, rows)

    async def _judge(self, delivery: Delivery, at: int, look: Look, observer: Observer, *, is_in: bool) -> None:
        report = self._report
        kind, detail = look.kind, look.detail
        if kind is None and look.state is None:
            kind = Kind.GONE if is_in else Kind.MISSING
            report.gone += is_in
            if is_in and not self._options.undrained:
                return
        elif kind is None and report.recorded and not is_in:
            kind = Kind.NOT_PUSHED
        elif kind is None:
            assert look.state is not None  # noqa: S101 - for the type checker
            report.same += 1
            report.states[look.state] += 1
            return
        assert kind is not None  # noqa: S101 - for the type checker
        task_id = (delivery.id_prefix + delivery.ids[at]).decode()
        report.add(Difference(kind, task_id, delivery.queue, await observer.place(delivery, at), detail))

    async def _ledger(self, delivery: Delivery) -> LedgerState | None:
        """What the job's ledger has of a shard and a queue; None if there is no record of the job."""
        if not self._report.recorded:
            return None
        key = (delivery.queue, delivery.batch.shard)
        if key not in self._states:
            if any(shard != delivery.batch.shard for _, shard in self._states):
                self._states.clear()
            encoder = encoder_for(self._plan.options, delivery.queue, cluster=self._servers.is_cluster)
            ledger = QueueLedger(self._plan.job, encoder, delivery.batch.shard)
            self._states[key] = await self._retry(lambda: ledger_state(self._servers, ledger))
        return self._states[key]

    async def _looks(self, reader: Reader, queue: str, tasks: Sequence[Expected]) -> list[Look]:
        return await self._repeated(reader, lambda: self._lookup.looks(reader, queue, tasks))

    async def _repeated(self, reader: Reader, look: Callable[[], Awaitable[T]]) -> T:
        async def between() -> None:
            reader.drop()
            await self._servers.reconnect()

        return await retry(look, self._seconds, between=between)

    # --- pending lists ------------------------------------------------------------------------------------------

    async def _compare_lists(self) -> None:
        report = self._report
        reader = Reader(self._servers, self._load.timeout)

        async def states(queue: str, ids: Sequence[bytes]) -> list[str | None]:
            return await self._repeated(reader, lambda: self._lookup.states(reader, queue, ids))

        try:
            async for difference in self._listed.differences(self._pending, states):
                report.add(difference)
                if difference.kind is Kind.UNLISTED:
                    report.same -= 1
                    report.states[PENDING if report.states[PENDING] else STORED] -= 1
                elif difference.kind is Kind.WITHOUT_HASH and report.gone:
                    report.gone -= 1
        finally:
            reader.drop()
        report.lists_read = True

    async def _pending(self, queue: str) -> AsyncIterator[list[bytes]]:
        stored = stored_queue(self._plan.options.layout_name, queue)
        servers = self._servers
        address = servers.address_of(stored.pending_key) if servers.is_cluster else servers.address
        names = count(1)
        session = Session(
            address, self._load.timeout, self._seconds, lambda: f"runqy-loader-verify:list.{next(names)}", reached=True
        )
        try:
            async for ids in pending_ids(session, stored):
                yield ids
        finally:
            await session.close()


def _wanted(look: Look, *, is_in: bool, undrained: bool) -> int:
    """What a look at a task's hash says of the pending list."""
    if look.state is None and look.kind is None:
        return ABSENT
    is_pending = look.state == PENDING or (look.state == STORED and undrained)
    return LISTED if is_pending and is_in and look.kind is not Kind.WRONG_QUEUE else FREE


def _is_chosen(shard: int, batch: int, share: float) -> bool:
    """Whether a batch belongs to the sample: the same ones each time."""
    return crc32(b"%d %d" % (shard, batch)) < share * 2**32


def _counts(plan: LoadPlan) -> LoadReport:
    identities = [source.identity for source in plan.sources]
    sources = [SourceReport(one.name, one.format, one.size) for one in identities]
    return LoadReport(job=plan.job, layout=plan.options.layout_name, sources=sources, resumed=True)

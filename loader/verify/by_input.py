"""Compares the records of an input with Redis."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from loader.engine.ends import Ends
from loader.engine.execution import Execution
from loader.engine.known_queues import known_queues, queues_in_file
from loader.engine.part import Channel, Part
from loader.engine.plan import LoadPlan, Proposal
from loader.engine.targets.find_job import find_job
from loader.errors import SourceError
from loader.jobs.job import Job, ledger_state
from loader.jobs.lease import Run
from loader.jobs.ledger import LedgerState, QueueLedger
from loader.jobs.record_limit import largest_overhead, record_limit
from loader.jobs.report import LoadReport, SourceReport
from loader.layouts.registry import encoder_for
from loader.preflight.choice import choose_layout
from loader.results.reader import Reader
from loader.settings import LoadOptions
from loader.sinks.base import Delivery, Feed, Observer
from loader.sources.base import Source
from loader.verify.access import Access
from loader.verify.listed import Listed, Wanted
from loader.verify.look import Expected, Stored
from loader.verify.options import VerifyOptions, is_chosen
from loader.verify.report import Difference, Kind, VerifyReport

log = logging.getLogger("runqy_loader")


class InputComparison:
    """One comparison. The methods are its steps, in this order."""

    def __init__(
        self, access: Access, load: LoadOptions, options: VerifyOptions, report: VerifyReport, execution: Execution
    ) -> None:
        self._access = access
        self._load = load
        self._share = options.share
        self._report = report
        self._execution = execution
        self._states: dict[tuple[str, int], LedgerState] = {}
        self._listed = Listed()
        self._plan: LoadPlan
        self._part: Part
        self._counts: LoadReport

    async def find(self, sources: Sequence[Source]) -> None:
        """Finds the job of this input, and prepares to read it as the job has.

        Raises:
            LoaderError: The job has other content, or the server refuses or cannot be reached.
        """
        self._plan = plan = await self._planned(sources)
        servers, options, retry = self._access.servers, plan.options, self._access.retry
        self._report.job, self._report.layout = plan.job, options.layout_name
        known = await known_queues(options, queues_in_file(options), servers)
        self._counts = _counts(plan)
        limit = None
        if self._report.recorded:
            around = largest_overhead(options)
            limit = await retry(
                lambda: record_limit(servers, plan.job, None, options.max_record_bytes, around, resumed=True)
            )
        ends = Ends(await retry(Job(servers, plan.job).ends))

        @asynccontextmanager
        async def destination(_: Part) -> AsyncIterator[Channel]:
            yield Channel(self._compare_all, ends=ends)

        self._part = Part.of(plan, destination, Run.new(), known.names, None, records=limit)

    async def _planned(self, sources: Sequence[Source]) -> LoadPlan:
        servers, retry = self._access.servers, self._access.retry
        proposals = Proposal.for_each_layout(self._load, sources)
        found = await find_job(servers, proposals, retry)
        if found is not None:
            self._report.recorded = True
            # What options the tasks got does not matter here.
            tasks = {} if found.recorded is None else {"tasks": found.recorded.get("tasks", {})}
            proposal = replace(found.proposal, manifest={**found.proposal.manifest, **tasks})
            return await proposal.planned(found.job.name, found.recorded)
        proposal = proposals[0]
        if len(proposals) > 1:
            choice = await retry(lambda: choose_layout(servers, self._load))
            proposal = next(one for one in proposals if one.options.layout == choice.layout)
        log.warning(
            "%s has no record of job %s: what was loaded and taken cannot be told from what was never loaded",
            servers,
            proposal.names[0],
        )
        return await proposal.planned(proposal.names[0])

    async def compare(self) -> bool:
        """Compares all records, then the pending lists. Returns whether it was not stopped before.

        Raises:
            LoaderError: The input cannot be read, or the server refuses or cannot be reached.
        """
        complete = await self._execution.run(self._part, self._plan.shards, self._counts)
        report, counts = self._report, self._counts
        report.records_read, report.invalid = counts.records_read, counts.rejected
        if complete and not counts.records_read:
            raise SourceError(f"no record in {', '.join(one.name for one in counts.sources[:3])}", "Check the input")
        if complete and self._share == 1:
            await self._access.compare_lists(self._plan.options.layout_name, self._listed, report)
        return complete

    def close(self) -> None:
        self._listed.close()

    async def _compare_all(self, feed: Feed, observer: Observer) -> None:
        """The ``Worker``: compares in place of delivering."""
        reader = self._access.reader()
        try:
            while (delivery := await feed()) is not None:
                await self._compare(reader, delivery, observer)
                observer.loaded(delivery)
        finally:
            reader.drop()

    async def _compare(self, reader: Reader, delivery: Delivery, observer: Observer) -> None:
        report, batch, queue, options = self._report, delivery.batch, delivery.queue, self._plan.options
        if not is_chosen(batch.shard, batch.number, self._share):
            report.not_sampled += len(delivery.payloads)
            return
        ledger = await self._ledger(delivery)
        is_in = ledger is not None and ledger.is_loaded(batch.number)
        skipped = ledger.skipped.get(batch.number, {}) if ledger is not None and is_in else {}
        default = options.task_options
        tasks = [
            Expected(task_id, payload, (delivery.options[at] if delivery.options else default).type or queue)
            for at, (task_id, payload) in enumerate(zip(delivery.whole_ids, delivery.payloads, strict=True))
        ]
        found = await self._access.stored(reader, options.layout_name, queue, [task.id for task in tasks])
        rows: list[tuple[bytes, Wanted]] = []
        for at, (task, stored) in enumerate(zip(tasks, found, strict=True)):
            report.compared += 1
            if at in skipped:
                report.set_aside += 1
                continue
            wanted = Wanted.NOT_LISTED if stored is None else stored.wanted(undrained=report.undrained)
            rows.append((task.id, Wanted.NOT_KNOWN if wanted is Wanted.LISTED and not is_in else wanted))
            kind, detail = self._judge(stored, task, is_in=is_in)
            if kind is not None:
                place = await observer.place(delivery, at)
                difference = Difference(kind, task.id.decode(), queue, place, detail)
                (report.note if kind is Kind.GONE else report.add)(difference)
        if self._share == 1:
            self._listed.add(queue, batch.id_prefix, rows)

    def _judge(self, stored: Stored | None, task: Expected, *, is_in: bool) -> tuple[Kind | None, str]:
        """Counts a task. Returns how it differs, and more about that."""
        report = self._report
        if stored is None:
            if not is_in:
                return Kind.MISSING, ""
            report.gone += 1
            return Kind.GONE if report.undrained else None, ""
        kind, detail = stored.difference(task)
        if kind is None and report.recorded and not is_in:
            kind = Kind.NOT_PUSHED
        if kind is None:
            report.same += 1
            report.states[stored.state] += 1
        return kind, detail

    async def _ledger(self, delivery: Delivery) -> LedgerState | None:
        """What the job's ledger has of a shard and a queue; None if there is no record of the job."""
        if not self._report.recorded:
            return None
        key = (delivery.queue, delivery.batch.shard)
        if key not in self._states:
            if any(shard != delivery.batch.shard for _, shard in self._states):
                self._states.clear()
            servers = self._access.servers
            encoder = encoder_for(self._plan.options, delivery.queue, cluster=servers.is_cluster)
            ledger = QueueLedger(self._plan.job, encoder, delivery.batch.shard)
            self._states[key] = await self._access.retry(lambda: ledger_state(servers, ledger))
        return self._states[key]


def _counts(plan: LoadPlan) -> LoadReport:
    identities = [source.identity for source in plan.sources]
    sources = [SourceReport(one.name, one.format, one.size) for one in identities]
    return LoadReport(job=plan.job, layout=plan.options.layout_name, sources=sources, resumed=True)

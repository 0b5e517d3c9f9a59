"""The part of a load that one process does: shards in, tasks out."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

from loader.engine.assign import Assigner
from loader.engine.ends import Ends
from loader.engine.first_records import Earlier
from loader.engine.handover import Handover, handover_of
from loader.engine.limits.hours import OnlyBetween
from loader.engine.limits.limits import Limit, Limits
from loader.engine.loaded_before import StateOf
from loader.engine.pipeline import Pipeline
from loader.engine.plan import LoadPlan
from loader.jobs.ids_file import Ids, IdsFile
from loader.jobs.lease import Run
from loader.jobs.ledger import LedgerState
from loader.jobs.orders import Orders
from loader.jobs.proof import Proof
from loader.jobs.rejects import Rejects, RejectsFile
from loader.jobs.report import LoadReport
from loader.outputs.place import file_of
from loader.settings import LoadOptions
from loader.shaping.settle import shape_of
from loader.sinks.base import Delivery, Worker
from loader.sources.base import Source
from loader.sources.record_limit import RecordLimit
from loader.sources.shards import Shard


async def nothing_loaded(queue: str, shard: int) -> LedgerState:
    """The ``StateOf`` for a destination without a ledger."""
    return LedgerState()


async def _nothing_to_confirm() -> None:
    pass


async def _driven() -> bool:
    return True


def _not_noted(delivery: Delivery) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Channel:
    """A destination that is open in one process.

    Attributes:
        worker: Delivers batches; None if records are only validated.
        state_of: Returns which batches are in already.
        confirm: Awaited when everything is delivered.
        passed_over: Called for each delivery that is in already, as the ledger says. ``confirm`` covers these as well.
        ids_passed_over: Whether to write the ids of batches that are in already, when these batches are skipped.
        ends: Where input that cannot be read again has ended before.
        proof: That the run may still write to the files of the job.
        limits: What holds the load back on behalf of the destination.
        of_shard: The same channel for one run of a shard, of which another run may take it over.
        take_acknowledged: The numbers of the batches of a shard that are in, by queue; they are no more kept here.
        is_driven: Whether the first process of a run that is spread over machines has the job. Raises LoaderError if
            the server does not tell.
        note_acknowledged: Has ``confirm`` cover batches that another process has loaded: queue, shard and numbers.
    """

    worker: Worker | None
    state_of: StateOf = nothing_loaded
    confirm: Callable[[], Awaitable[None]] = _nothing_to_confirm
    passed_over: Callable[[Delivery], None] = _not_noted
    ids_passed_over: bool = True
    ends: Ends = field(default_factory=Ends)
    proof: Proof = field(default_factory=Proof)
    limits: Sequence[Limit] = ()
    of_shard: Callable[[], Channel] | None = None
    take_acknowledged: Callable[[int], dict[str, list[int]]] = lambda shard: {}
    is_driven: Callable[[], Awaitable[bool]] = _driven
    note_acknowledged: Callable[[str, int, Sequence[int]], None] = lambda queue, shard, batches: None


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where a load writes beside its destination. ``ids`` is None if no ids are wanted."""

    rejects: Rejects
    ids: Ids | None


Destination = Callable[["Part"], AbstractAsyncContextManager[Channel]]
"""Opens the channel of a part, in the process that has the part. It is pickled with the part for other processes."""


@dataclass(frozen=True, slots=True)
class Part:
    """All that a process needs to load shards of a job. It can be pickled if its sources are files.

    Attributes:
        run: The run of the loader that this part belongs to.
        origins: See ``loader.engine.plan.LoadPlan``.
        known_queues: Full names of the queues that exist; None if this is not checked.
        rejects: The rejects file; None for none, or if the options name a place for one file a shard.
        process: Number of the process within the run; 0 if it is the only one.
        earlier: What other parts of the load have read before; see ``Pipeline``.
        name: Name of the process, if it loads single shards of a run that is spread over machines; '' otherwise.
        records: The longest record; None for the limit of ``options``.
        forwarded: See ``loader.engine.targets.base.Cleared``.
        first_version: See ``Pipeline``.
    """

    options: LoadOptions
    job: str
    destination: Destination
    run: Run
    sources: Sequence[Source]
    origins: Sequence[tuple[int, str]]
    known_queues: frozenset[str] | None
    rejects: Path | None
    process: int = 0
    records: RecordLimit | None = None
    forwarded: frozenset[str] | None = None
    first_version: bool = False
    name: str = ""
    earlier: Earlier = field(default_factory=Earlier)

    @classmethod
    def of(
        cls,
        plan: LoadPlan,
        destination: Destination,
        run: Run,
        known_queues: frozenset[str] | None,
        rejects: Path | None,
        *,
        records: RecordLimit | None = None,
        forwarded: frozenset[str] | None = None,
    ) -> Part:
        """The part that is the whole of a plan."""
        return cls(
            plan.options,
            plan.job,
            destination,
            run,
            plan.sources,
            plan.origins,
            known_queues,
            rejects,
            records=records,
            forwarded=forwarded,
            first_version=plan.first_version,
        )


class PartialLoad:
    """Loads shards in this process and counts into a report.

    Args:
        judged: Called once, when the first records are judged and good enough; see ``FirstRecords``.
        outputs: Where rejects and ids go; None for the files of the options.
    """

    def __init__(
        self,
        part: Part,
        report: LoadReport,
        judged: Callable[[], None] = lambda: None,
        outputs: Outputs | None = None,
    ) -> None:
        self._outputs = outputs
        self._part = part
        self._report = report
        self._judged = judged
        self._pipeline: Pipeline | None = None
        self._handover = Handover()
        self._orders = Orders()
        self._stopping = False

    @property
    def batches_waiting(self) -> int:
        return 0 if self._pipeline is None else self._pipeline.waiting

    @property
    def not_judged(self) -> Earlier | None:
        """See ``Pipeline``."""
        return None if self._pipeline is None else self._pipeline.not_judged

    def stop(self) -> None:
        """Stops reading; ``run`` returns when the batches in flight are acknowledged."""
        self._stopping = True
        if self._pipeline is not None:
            self._pipeline.stop()

    def order(self, orders: Orders) -> None:
        """Pauses the load, lets it go on, or changes its rate."""
        self._orders = orders
        self._handover.order(orders)

    async def run(self, shards: AsyncIterable[Shard]) -> bool:
        """Loads the shards. Returns whether every record was processed.

        Raises:
            LoaderError: See ``Pipeline.run``.
        """
        async with self._part.destination(self._part) as channel:
            complete = await self.run_over(channel, shards)
            if complete:
                await channel.confirm()
            return complete

    async def run_over(self, channel: Channel, shards: AsyncIterable[Shard]) -> bool:
        """As ``run``, over a channel that is open, and without confirming what is in."""
        part = self._part
        assigner = Assigner(part.options, part.job, part.origins, part.known_queues, part.forwarded)
        records = part.records or RecordLimit.of_option(part.options.max_record_bytes)
        shape = shape_of(part.options, records, keep_values=assigner.needs_values)
        if self._outputs is not None:
            rejects, ids = self._outputs.rejects, self._outputs.ids
        else:
            rejects, ids = RejectsFile(part.rejects, channel.proof), None
            if (path := file_of(part.options.ids_out)) is not None:
                ids = IdsFile(path, channel.proof, passed_over=channel.ids_passed_over)
        if ids is not None:
            await ids.open()
        latency = None
        if not part.options.writes_nothing:
            self._handover, latency = handover_of(part.options, self._report, self._limits(channel))
            self._handover.order(self._orders)
        self._pipeline = Pipeline(
            part.sources,
            shards,
            part.options,
            assigner,
            rejects,
            self._report,
            channel.worker,
            channel.state_of,
            ids,
            channel.ends,
            shape,
            part.process,
            self._judged,
            records,
            first_version=part.first_version,
            passed_over=channel.passed_over,
            handover=self._handover,
            latency=latency,
            earlier=part.earlier,
        )
        if self._stopping:
            self._pipeline.stop()
        try:
            try:
                await self._pipeline.run()
            finally:
                self._handover.end(self._pipeline.left)
                if ids is not None:
                    await ids.close()
        finally:
            rejects.close()
            if rejects.used:
                self._report.rejects_file = str(rejects.path)
        return self._pipeline.complete

    def _limits(self, channel: Channel) -> Limits | None:
        hours = self._part.options.hours
        found = [*([] if hours is None else [OnlyBetween(hours)]), *channel.limits]
        return Limits(found, self._report.holding) if found else None

"""One reader, a bounded queue, several flush workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from operator import itemgetter

from loader.engine.assign import Assigner
from loader.errors import LoaderError, SourceChangedError, TooManyRejectsError
from loader.jobs.ids_file import IdsFile
from loader.jobs.ledger import LedgerState
from loader.jobs.rejects import RejectsFile
from loader.jobs.report import InDoubt, LoadReport, SourceReport
from loader.settings import LoadOptions
from loader.sinks.base import Delivery, Worker
from loader.sources.base import Source
from loader.sources.record_limit import RecordLimit
from loader.sources.shards import Shard
from loader.sources.validate import Batch, Reject, validate
from loader.tasks.reasons import Reason

StateOf = Callable[[str, int], Awaitable[LedgerState]]
"""Returns the state of the ledger of a queue and a shard."""


class Pipeline:
    """Runs the sources through the workers and keeps the report.

    Args:
        worker: Started ``options.workers`` times; None for a dry run.
        state_of: Called once for each shard and queue.
        shards: The parts of the sources to load, in this order.
        ids: The file for the ids of tasks that are in; None to keep no ids.
        records: The longest record; None for the limit of ``options``.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        shards: AsyncIterable[Shard],
        options: LoadOptions,
        assigner: Assigner,
        rejects: RejectsFile,
        report: LoadReport,
        worker: Worker | None,
        state_of: StateOf,
        ids: IdsFile | None = None,
        records: RecordLimit | None = None,
    ) -> None:
        self._sources = sources
        self._shards = shards
        self._options = options
        self._assigner = assigner
        self._rejects = rejects
        self._report = report
        self._worker = worker
        self._state_of = state_of
        self._ids = ids
        self._records = records or RecordLimit.of_option(options.max_record_bytes)
        self._states: dict[str, LedgerState] = {}
        self._queue: asyncio.Queue[Delivery | None] = asyncio.Queue(options.queue_depth)
        self._reader: asyncio.Task[None] | None = None
        self._failure: LoaderError | None = None
        self._stopping = False
        self._all_read = False
        self._doubts: dict[Delivery, InDoubt] = {}

    @property
    def waiting(self) -> int:
        """Batches in the bounded queue."""
        return self._queue.qsize()

    def stop(self) -> None:
        """Stops reading and delivering; ``run`` returns when the batches in flight are acknowledged."""
        if self._stopping:
            return
        self._stopping = True
        if self._reader is not None:
            self._reader.cancel()

    @property
    def complete(self) -> bool:
        """Whether every record has been read and processed."""
        report = self._report
        dealt_with = report.loaded + report.already_loaded + report.rejected + report.valid
        return self._all_read and report.records_read == dealt_with

    async def run(self) -> None:
        """Loads everything.

        Raises:
            LoaderError: The input or the server failed. If the input failed, the error is raised after the delivery of
                everything that was read before the failure; if the server failed, it is raised at once.
        """
        try:
            async with asyncio.TaskGroup() as group:
                if self._worker is not None:
                    for _ in range(self._options.workers):
                        group.create_task(self._work(self._worker))
                self._reader = group.create_task(self._read())
                self._reader.add_done_callback(self._after_reading)
                if self._stopping:
                    self._reader.cancel()
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        if self._failure is not None:
            raise self._failure

    # --- reader -------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        try:
            await self._read_all()
        except LoaderError as error:
            # The records read before are good: the workers deliver them, then run() raises this error.
            self._failure = error
        if self._stopping:
            raise asyncio.CancelledError
        await self._queue.put(None)

    def _after_reading(self, reader: asyncio.Task[None]) -> None:
        # This is a callback because a task that is cancelled before its first step never runs its own code.
        if reader.cancelled():  # a stop: batches in the queue are not delivered any more
            while not self._queue.empty():
                self._queue.get_nowait()
            self._queue.put_nowait(None)

    async def _read_all(self) -> None:
        async for shard in self._shards:
            self._states.clear()  # they belong to the last shard
            number = 0
            for piece in shard.pieces:
                source, tally = self._sources[piece.source], self._report.sources[piece.source]
                batches = source.batches(self._options.records_a_batch, self._records.size, piece.start, piece.end)
                async with aclosing(batches):
                    async for raw in batches:
                        if self._stopping:  # the caller's iterable may have caught the cancellation
                            raise asyncio.CancelledError
                        parsed = self._assigner.needs_values
                        batch = validate(
                            raw, number, piece.source, parsed=parsed, shard=shard.number, limit=self._records.name
                        )
                        await self._admit(batch, source, tally)
                        tally.bytes_read = source.position
                        number += 1
                tally.bytes_read = source.position
        self._all_read = True

    async def _admit(self, batch: Batch, source: Source, tally: SourceReport) -> None:
        deliveries = self._assigner.assign(batch)
        tally.records_read += len(batch.raw.records) - batch.blank
        if batch.rejected:
            await self._reject(batch, sorted(batch.rejected, key=itemgetter(0)))
        for delivery in deliveries:
            if self._worker is None:
                self._report.valid += len(delivery.payloads)
                continue
            state = self._states.get(delivery.queue)
            if state is None:
                state = self._states[delivery.queue] = await self._state_of(delivery.queue, batch.shard)
            if state.is_loaded(batch.number):
                await self._check_unchanged(batch, source, state)
                skipped = state.skipped.get(batch.number, {})
                tally.already_loaded += len(delivery.payloads) - len(skipped)
                if self._ids is not None and self._ids.passed_over:
                    self._ids.add(delivery.queue, delivery.id_prefix, delivery.ids, skipped)
                    await self._ids.settle()
                if skipped:
                    await self.skipped(delivery, skipped)
            else:
                await self._queue.put(delivery)

    async def _check_unchanged(self, batch: Batch, source: Source, state: LedgerState) -> None:
        if state.checksum(batch.number) != batch.checksum:
            name, line, offset = await source.place(batch.raw, 0)
            count = len(batch.raw.records)
            raise SourceChangedError(
                f"{name}:{line} (byte {offset}): the {count} records from here on are not the ones that job "
                f"{self._report.job} has loaded",
                "Resume with the same input, or give another --job name to load this as a new job",
            )

    async def _reject(self, batch: Batch, rejected: Sequence[tuple[int, Reason]]) -> None:
        source = self._sources[batch.source_index]
        rejects: list[Reject] = []
        for index, why in rejected:
            rejects.append(Reject(*await source.place(batch.raw, index), why, batch.raw.records[index]))
        await self._rejects.add(rejects)
        before = self._report.rejected
        self._report.sources[batch.source_index].rejected += len(rejects)
        self._report.count_rejects(why for _, why in rejected)
        self._report.last_reject = f"{rejects[-1].source}:{rejects[-1].line}: {rejects[-1].why.text}"
        limit = self._options.max_errors
        if limit is not None and before + len(rejects) > limit:
            last = rejects[max(0, limit - before)]
            raise TooManyRejectsError(
                f"{last.source}:{last.line}: {last.why.text}; more than --max-errors {limit} "
                f"record{'' if limit == 1 else 's'} rejected",
                "Raise --max-errors to go on: bad records are set aside, to be corrected and loaded separately",
            )

    # --- workers ------------------------------------------------------------------------------------------------

    async def _work(self, worker: Worker) -> None:
        await worker(self._next, self)

    async def _next(self) -> Delivery | None:
        if self._ids is not None:
            await self._ids.settle()
        delivery = await self._queue.get()
        if delivery is None or self._stopping:
            self._queue.put_nowait(None)  # for the other workers; there is room because an item was just taken
            return None
        return delivery

    # --- Observer -----------------------------------------------------------------------------------------------

    async def skipped(self, delivery: Delivery, positions: Mapping[int, Reason]) -> None:
        rejected: list[tuple[int, Reason]] = []
        for position, why in sorted(positions.items()):
            if self._options.on_conflict == "skip" and why.code.is_conflict:
                self._report.sources[delivery.batch.source_index].already_loaded += 1
            else:
                rejected.append((delivery.records[position], why))
        if rejected:
            await self._reject(delivery.batch, rejected)

    async def in_doubt(self, delivery: Delivery, why: str) -> None:
        if delivery in self._doubts:
            return
        source, raw = self._sources[delivery.batch.source_index], delivery.batch.raw
        first = await source.place(raw, delivery.records[0])
        last = await source.place(raw, delivery.records[-1])
        doubt = InDoubt(delivery.queue, first.name, first.line, last.name, last.line, len(delivery.payloads), why)
        if self._doubts.setdefault(delivery, doubt) is doubt:  # another request may have noted it in the meantime
            self._report.in_doubt.append(doubt)

    async def place(self, delivery: Delivery, position: int) -> str:
        source = self._sources[delivery.batch.source_index]
        place = await source.place(delivery.batch.raw, delivery.records[position])
        return f"{place.name}:{place.line}"

    def loaded(self, delivery: Delivery) -> None:
        if (doubt := self._doubts.pop(delivery, None)) is not None:
            doubt.repeated = True
        if self._ids is not None:
            self._ids.add(delivery.queue, delivery.id_prefix, delivery.ids, delivery.skipped)
        count = len(delivery.payloads) - len(delivery.skipped)
        report = self._report
        report.sources[delivery.batch.source_index].loaded += count
        report.queues[delivery.queue] = report.queues.get(delivery.queue, 0) + count
        report.batches += 1


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    found = errors.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found

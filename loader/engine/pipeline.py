"""One reader, a bounded queue, several flush workers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from contextlib import aclosing
from operator import itemgetter
from typing import TYPE_CHECKING

from loader.engine.assign import Assigner
from loader.engine.doubts import Doubts
from loader.engine.ends import CUT_OFF, Ends, ends_in_a_record, is_cut_off, is_last, no_line_end
from loader.engine.first_records import Earlier, FirstRecords, too_many
from loader.engine.handover import Handover
from loader.engine.hold_back import Admission, Callbacks, HoldBack
from loader.engine.loaded_before import LoadedBefore, StateOf
from loader.errors import LoaderError, TooManyRejectsError
from loader.jobs.ids_file import Ids
from loader.jobs.ledger import LedgerState
from loader.jobs.rejects import Rejects
from loader.jobs.report import InDoubt, LoadReport, SkippedFile, SourceReport
from loader.settings import LoadOptions
from loader.sinks.base import Delivery, Worker
from loader.sources.base import Source
from loader.sources.batch import RawBatch
from loader.sources.codecs.codec import DamagedError
from loader.sources.problems import Problem
from loader.sources.record_limit import RecordLimit
from loader.sources.shards import Shard
from loader.sources.validate import Batch, Reject, validate
from loader.tasks.reasons import Reason

if TYPE_CHECKING:
    from loader.pace.latency import LatencyRecorder
    from loader.shaping.shape import Shape

log = logging.getLogger("runqy_loader")


class Pipeline:
    """Runs the sources through the workers and keeps the report.

    Args:
        worker: Started ``options.workers`` times; None for a dry run.
        state_of: Called once for each shard and queue.
        shards: The parts of the sources to load, in this order.
        ids: The file for the ids of tasks that are in; None to keep no ids.
        ends: Where input that cannot be read again has ended before.
        shape: Chooses records and makes their payloads; None if no option wants that.
        process: Number of the process, from 1; 0 if the load has only one. A share of bad records is judged by the
            parent of several processes, except that the first one judges the first records.
        judged: Called once, when the first records are judged and good enough.
        records: The longest record; None for the limit of ``options``.
        first_version: Whether version 1 began the job. Its checksums do not say which records of a batch are tasks.
        passed_over: Called for each delivery that is in already.
        handover: What deliveries wait for before they are sent; None for nothing.
        latency: Keeps how long after its due time each task was in; None without due times.
        earlier: What other parts of the load have read before its first records are judged.

    Attributes:
        not_judged: What was read so far of the first records, if all is read and they are not judged.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        shards: AsyncIterable[Shard],
        options: LoadOptions,
        assigner: Assigner,
        rejects: Rejects,
        report: LoadReport,
        worker: Worker | None,
        state_of: StateOf,
        ids: Ids | None = None,
        ends: Ends | None = None,
        shape: Shape | None = None,
        process: int = 0,
        judged: Callable[[], None] = lambda: None,
        records: RecordLimit | None = None,
        *,
        first_version: bool = False,
        passed_over: Callable[[Delivery], None] = lambda delivery: None,
        handover: Handover | None = None,
        latency: LatencyRecorder | None = None,
        earlier: Earlier | None = None,
    ) -> None:
        self._sources = sources
        self._shards = shards
        self._options = options
        self._assigner = assigner
        self._rejects = rejects
        self._report = report
        self._worker = worker
        self._ids = ids
        self._ends = ends or Ends()
        self._shape = shape
        self._passed_over = passed_over
        self._handover = handover or Handover()
        self._latency = latency
        self._records = records or RecordLimit.of_option(options.max_record_bytes)
        queues = self._ends.queues
        self._before = LoadedBefore(state_of, report, queues, options.own_queues, first_version=first_version)
        self._queue: asyncio.Queue[Delivery | None] = asyncio.Queue(options.queue_depth)
        self._given_back: deque[Delivery] = deque()
        self._reader: asyncio.Task[None] | None = None
        self._failure: LoaderError | None = None
        self._stopping = False
        self._all_read = False
        self._doubts = Doubts(sources, report)
        self._limit = options.error_limit
        self._process = process
        self._first: HoldBack | None = None
        if process <= 1 and FirstRecords.are_judged(self._limit):
            callbacks = Callbacks(self._pass_on, self._is_in, self._located, judged)
            self._first = HoldBack(self._limit, report, callbacks, dry_run=worker is None, earlier=earlier or Earlier())
        self.not_judged: Earlier | None = None

    @property
    def waiting(self) -> int:
        """Batches in the bounded queue."""
        return self._queue.qsize()

    def stop(self) -> None:
        """Stops reading and delivering; ``run`` returns when the batches in flight are acknowledged."""
        if self._stopping:
            return
        self._stopping = True
        self._handover.stop()
        if self._reader is not None:
            self._reader.cancel()

    @property
    def complete(self) -> bool:
        """Whether every record has been read and processed."""
        return self.left == 0

    @property
    def left(self) -> int | None:
        """Records that are not processed; None if not all have been read."""
        return self._report.records_read - self._report.dealt_with if self._all_read else None

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
        report = self._report
        if not self._process and self.complete and self._over_share(all_read=True):
            raise self._too_many(report.last_reject)

    # --- reader -------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        try:
            await self._read_all()
            if self._first is not None:
                self.not_judged = await self._first.end()
                self._first = None
        except TooManyRejectsError as error:
            self._failure = error
        except LoaderError as error:
            # The records read before are good: the workers deliver them, then run() raises this error.
            self._failure = error
            if self._first is not None:
                await self._first.fail()
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
            await self._before.begin(shard.number)
            number = 0
            for piece in shard.pieces:
                source, tally = self._sources[piece.source], self._report.sources[piece.source]
                end_is_noted = source.identity.end_is_noted
                batches = source.batches(self._options.records_a_batch, self._records.size, piece.start, piece.end)
                lines = 0
                async with aclosing(batches):
                    try:
                        async for raw in batches:
                            if self._stopping:  # the caller's iterable may have caught the cancellation
                                raise asyncio.CancelledError
                            for name, damage in raw.damaged:
                                self._skip(name, damage)
                            if not raw.records:
                                continue
                            parts = self._ends.split(piece.source, raw) if end_is_noted else [raw]
                            ends = end_is_noted and is_last(raw, self._options.records_a_batch)
                            for part in parts:
                                ends_here = ends and part is parts[-1]
                                await self._read_batch(part, shard.number, number, piece.source, ends=ends_here)
                                number += 1
                                if self._shape is not None and self._shape.is_over:
                                    tally.bytes_read = source.position
                                    self._all_read = True
                                    return
                            tally.bytes_read = source.position
                            lines = raw.first_record + len(raw.records)
                    except DamagedError as damage:
                        self._skip(tally.name, damage, lines)
                tally.bytes_read = source.position
                if source.identity.may_grow:
                    await self._before.require_no_more(source, shard.number, number)
        self._all_read = True

    def _skip(self, name: str, damage: DamagedError, lines: int = 0) -> None:
        """Goes on without the rest of a damaged file, if that is wanted.

        The same bytes are damaged at the same place in the next run, so the batches of the files after it stay the
        same. Other errors of reading may pass, so they end the load.
        """
        if not self._options.skip_bad_files:
            if len(self._sources) > 1 or self._report.sources[0].name != name:
                damage.hint += "; the same command with --skip-bad-files goes on with the other files"
            raise damage
        reason = Problem.of(name, damage).what
        self._report.skipped_files.append(SkippedFile(name, reason, lines))
        log.warning("%s: %s; going on without %s", name, reason, "the rest of it" if lines else "it")

    async def _read_batch(self, raw: RawBatch, shard: int, number: int, index: int, *, ends: bool) -> None:
        """Validates a batch and gives its records on.

        Args:
            ends: Whether the input ends with this batch, and may end later in a later run.
        """
        source = self._sources[index]
        repeatable, strict = source.identity.repeatable, self._options.require_final_newline
        last: RawBatch | None = None  # the last record, if it is no part of the batch
        cut_off = is_cut_off(raw)
        if cut_off or (strict and ends_in_a_record(raw)):
            if strict and repeatable:
                raise await no_line_end(source, raw)
            if not repeatable:
                raw, last, ends = *raw.split(len(raw.records) - 1), True
        if ends:
            await self._ends.note(index, raw.first_record + len(raw.records))
        if raw.records:
            parsed = self._assigner.needs_values and self._shape is None  # a shape reads them itself
            any_json = self._options.accept_any_json
            limit = self._records.name
            batch = validate(raw, number, index, parsed=parsed, shard=shard, any_json=any_json, limit=limit)
            if cut_off and last is None:
                batch.rejected[-1] = (len(raw.records) - 1, CUT_OFF)
            await self._admit(batch, source, self._report.sources[index], ends=ends)
        if last is not None:
            if strict:
                raise await no_line_end(source, last)
            rest = Batch(shard, number, index, last, [], [], None, last.size, 0, rejected=[(0, CUT_OFF)])
            await self._admit(rest, source, self._report.sources[index], ends=ends)

    async def _admit(self, batch: Batch, source: Source, tally: SourceReport, *, ends: bool) -> None:
        if self._shape is not None:
            self._shape.apply(batch, tally)
        deliveries = self._assigner.assign(batch)
        tally.records_read += len(batch.raw.records) - batch.blank
        if self._assigner.counts_fallbacks:
            fallbacks = self._assigner.take_fallbacks()
            tally.queue_fallbacks += fallbacks
            if not source.identity.repeatable and self._options.queue_field is not None:
                self._assigner.judge_queue_field(batch, fallbacks, is_last=ends)
        admission = Admission(batch, source, tally, deliveries)
        if self._first is None:
            await self._pass_on(admission)
            return
        await self._first.add(admission)
        if self._first.is_over:
            self._first = None

    async def _is_in(self, admission: Admission) -> bool:
        batch = admission.batch
        states = [await self._before.state(delivery.queue, batch.shard) for delivery in admission.deliveries]
        return any(state.is_loaded(batch.number) for state in states)

    async def _pass_on(self, admission: Admission) -> None:
        batch, source, tally, deliveries = admission
        states: list[LedgerState] = []
        if self._worker is not None:
            # Before any reject is written: a record that is in must not get into the rejects file.
            if (0, CUT_OFF) not in batch.rejected:  # a record that is cut off has the number of the batch before it
                await self._before.require_same_queues(batch, deliveries, source)
            for delivery in deliveries:
                states.append(state := await self._before.state(delivery.queue, batch.shard))
                if state.is_loaded(batch.number):
                    await self._before.require_unchanged(delivery, source, state)
        if batch.rejected:
            await self._reject(batch)
        if self._worker is None:
            self._report.valid += sum(len(delivery.payloads) for delivery in deliveries)
            return
        for delivery, state in zip(deliveries, states, strict=True):
            if state.is_loaded(batch.number):
                self._passed_over(delivery)
                skipped = state.skipped.get(batch.number, {})
                count = len(delivery.payloads) - len(skipped)
                if state.is_of_this_load(batch.number):
                    self._count(delivery, count)
                else:
                    tally.already_loaded += count
                if self._ids is not None and self._ids.passed_over:
                    self._ids.add(delivery.queue, delivery.id_prefix, delivery.ids, skipped)
                    await self._ids.settle()
                if skipped:
                    await self.skipped(delivery, skipped)
            else:
                await self._queue.put(delivery)

    async def _located(self, batch: Batch, rejected: Sequence[tuple[int, Reason]] | None = None) -> list[Reject]:
        """The rejects of a batch, with their places: all of the batch, or these."""
        source = self._sources[batch.source_index]
        indexes = sorted(batch.rejected, key=itemgetter(0)) if rejected is None else rejected
        return [Reject(await source.place(batch.raw, index), why, batch.raw.records[index]) for index, why in indexes]

    async def _reject(self, batch: Batch, rejected: Sequence[tuple[int, Reason]] | None = None) -> None:
        rejects = await self._located(batch, rejected)
        await self._rejects.add(rejects)
        report, limit = self._report, self._limit
        before = report.rejected
        report.sources[batch.source_index].rejected += len(rejects)
        for reject in rejects:
            report.count_reject(reject.why, reject.place, reject.record)
        report.last_reject = rejects[-1].described
        if limit.count is not None and limit.is_exceeded(report.rejected, report.records_read):
            raise self._too_many(rejects[max(0, limit.count - before)].described)
        if not self._process and self._first is None and self._over_share():
            raise self._too_many(report.last_reject)

    def _over_share(self, *, all_read: bool = False) -> bool:
        report, limit = self._report, self._limit
        has_share = limit.percent is not None
        return has_share and limit.is_exceeded(report.rejected, report.records_read, all_read=all_read)

    def _too_many(self, reject: str) -> TooManyRejectsError:
        return too_many(self._report, self._limit, reject)

    # --- workers ------------------------------------------------------------------------------------------------

    async def _work(self, worker: Worker) -> None:
        await worker(self._next, self)

    async def _next(self) -> Delivery | None:
        if self._ids is not None:
            await self._ids.settle()
        if self._stopping:
            self._given_back.clear()
        if self._given_back:
            delivery = self._given_back.popleft()
        else:
            taken = await self._handover.next_of(self._queue)
            if taken is None or self._stopping:
                self._queue.put_nowait(None)  # for the other workers; there is room because an item was just taken
                return None
            delivery = taken
        try:
            await self._handover.wait(delivery)
        except BaseException:  # the worker has lost a connection, or a limit its server: it asks again
            self._given_back.append(delivery)
            raise
        return None if self._stopping else delivery  # the other workers find the end in the queue

    # --- Observer -----------------------------------------------------------------------------------------------

    @property
    def is_stopping(self) -> bool:
        return self._stopping

    async def skipped(self, delivery: Delivery, positions: Mapping[int, Reason]) -> None:
        rejected: list[tuple[int, Reason]] = []
        for position, why in sorted(positions.items()):
            if self._options.on_conflict == "skip" and why.code.is_conflict:
                self._report.sources[delivery.batch.source_index].already_loaded += 1
            else:
                rejected.append((delivery.records[position], why))
        if rejected:
            await self._reject(delivery.batch, rejected)

    async def in_doubt(self, delivery: Delivery, why: str) -> InDoubt:
        return await self._doubts.note(delivery, why)

    async def place(self, delivery: Delivery, position: int) -> str:
        source = self._sources[delivery.batch.source_index]
        return (await source.place(delivery.batch.raw, delivery.records[position])).text

    def loaded(self, delivery: Delivery) -> None:
        self._doubts.settle(delivery)
        self._handover.landed(delivery)
        if self._latency is not None:
            self._latency.record(delivery.due, delivery.skipped, time.monotonic())
        if self._ids is not None:
            self._ids.add(delivery.queue, delivery.id_prefix, delivery.ids, delivery.skipped)
        self._count(delivery, len(delivery.payloads) - len(delivery.skipped))
        self._report.compact += delivery.compact

    def _count(self, delivery: Delivery, count: int) -> None:
        report = self._report
        report.sources[delivery.batch.source_index].loaded += count
        report.queues[delivery.queue] = report.queues.get(delivery.queue, 0) + count
        report.batches += 1


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    found = errors.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found

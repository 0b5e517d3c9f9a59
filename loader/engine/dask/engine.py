"""Drives a load on a Dask cluster: one Dask task for each run of a shard.

Dask gives no guarantee that a task runs once. It may run twice at the same moment, and a result that is there may be of
a run that was taken over. So what is in, and who may write, is decided in Redis (``loader.jobs.claims``); here, a shard
is done when a run of it says that every record is processed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from distributed import Client, Future

from loader.engine.dask.cluster import connected
from loader.engine.dask.fitness import check_workers, warn_of_failures
from loader.engine.dask.gathered import Gathered
from loader.engine.dask.host import end_run, run_shard, stop_run
from loader.engine.dask.messages import JudgedFirst, Progress, Said, ShardResult, ShardTask, topic_of, unpacked
from loader.engine.dask.outcome import from_exception, lost_scheduler, outcome_of
from loader.engine.dask.shard_folders import folders_ready
from loader.engine.dask.shipping import Shipping, require_picklable
from loader.engine.dask.steering import Steering
from loader.engine.dask.workers import Workers
from loader.engine.engines.base import Steered
from loader.engine.first_records import Earlier, FirstRecords, too_many
from loader.engine.part import Channel, Part
from loader.errors import LoaderError, SinkError, TooManyRejectsError, TransientError
from loader.jobs.orders import Orders
from loader.jobs.report import LoadReport
from loader.outputs.place import place_of
from loader.servers.outage import Outage
from loader.settings import LoadOptions
from loader.sources.shards import Shard, longest_first
from loader.wire.faults import RESUME

MOST_RUNS = 5
"""So often a shard is run, if its runs fail by faults that may pass, before the load ends."""

SILENT_SECONDS = 30.0
"""Workers tell the scheduler every second that they are there. The shards of one that has been silent for so long run
elsewhere as well: Dask itself would wait for ``worker-ttl``, five minutes as it comes."""

_MOST_TAKEN_OVER = 20
_AHEAD_A_THREAD = 3
_LEAST_AHEAD = 16
_LOOK_SECONDS = 1.0

log = logging.getLogger("runqy_loader")


@dataclass(slots=True, eq=False)
class _Attempts:
    """A shard that is not done.

    Attributes:
        number: How often it was submitted.
        failed: How many of its runs have failed.
        taken_over: How many of them have ended because another run had the shard.
        workers: Those that alone may run what was submitted last; None if any may.
    """

    shard: Shard
    workers: frozenset[str] | None = None
    number: int = 0
    failed: int = 0
    taken_over: int = 0


class DaskEngine(Steered):
    """``--engine dask``. See ``loader.engine.engines.base`` for what it does."""

    is_spread = True

    def __init__(self, options: LoadOptions) -> None:
        super().__init__()
        self._scheduler = options.scheduler

    async def run(self, part: Part, shards: Sequence[Shard], report: LoadReport) -> bool:
        """Loads the shards.

        Raises:
            UsageError: The sources cannot be sent to other processes.
            LoaderError: The scheduler cannot be reached or was lost; a shard failed too often; or see ``Pipeline.run``.
        """
        shipping = Shipping(
            part,
            resumed=report.resumed,
            log_level=log.getEffectiveLevel(),
            keeps_rejects=part.rejects is not None or part.options.rejects is not None,
        )
        places = (place_of(part.options.rejects), place_of(part.options.ids_out))
        async with (
            connected(self._scheduler) as client,
            part.destination(part) as channel,
            folders_ready([place for place in places if place], part.job, part.run.token),
        ):
            run = _Run(client, part, shipping, shards, report, channel)
            self.steer(run)
            complete = await run.work()
            if complete:
                await channel.confirm()
            return complete


class _Run:
    def __init__(
        self,
        client: Client,
        part: Part,
        shipping: Shipping,
        shards: Sequence[Shard],
        report: LoadReport,
        channel: Channel,
    ) -> None:
        self._client = client
        self._part = part
        self._shipping = shipping
        self._report = report
        self._token = part.run.token
        self._gathered = Gathered(part, report, channel)
        # The first shard stays the first, as its records are judged; a long one that came last would run alone.
        others = [shard for shard in longest_first(shards, part.sources) if shard is not shards[0]]
        self._left = deque(map(_Attempts, [*shards[:1], *others]))
        self._futures: dict[Future, _Attempts] = {}
        self._beside: set[asyncio.Task[None]] = set()
        self._results: list[tuple[Future, ShardResult | LoaderError]] = []
        self._news = asyncio.Event()
        # The first shard is judged before the others are loaded; if it is too short, the next one. See FirstRecords.
        self._first = shards[0].number if shards and FirstRecords.are_judged(part.options.error_limit) else None
        self._judged = self._first is None or part.options.dry_run
        self._earlier = Earlier()  # of shards that were too short
        self._workers = Workers(client, SILENT_SECONDS)
        self._steering = Steering(self._workers, self._token, lambda: len(self._futures) + len(self._left))
        self._checked: frozenset[str] = frozenset()  # workers that have this program
        self._outage = Outage()
        self._told: set[str] = set()
        self._failure: LoaderError | None = None
        self._submitted = self._stopping = self._is_over = False
        self._stopped_at: float | None = None

    @property
    def batches_waiting(self) -> int:
        return self._gathered.batches_waiting

    def stop(self) -> None:
        """Submits nothing more; ``work`` returns when all tasks are back."""
        if not self._stopping:
            self._stopping = True
            self._spawn(self._stop_workers())
            self._news.set()

    def order(self, orders: Orders) -> None:
        self._steering.order(orders)
        self._spawn(self._steering.tell())

    async def work(self) -> bool:
        """Runs all shards. Returns whether every record was processed."""
        client, topic = self._client, topic_of(self._token)
        client.subscribe_topic(topic, self._heard)
        looking = asyncio.create_task(self._look())
        looking.add_done_callback(lambda _: self._news.set())
        try:
            await warn_of_failures(client)
            await self._work(looking)
            await self._gathered.keep_early()
        finally:
            looking.cancel()
            await self._end(topic)
            await self._gathered.close()
        if self._failure is not None:
            raise self._failure
        report, limit = self._report, self._part.options.error_limit
        complete = not self._left
        if complete and limit.is_exceeded(report.rejected, report.records_read, all_read=True):
            raise self._too_many()
        return complete

    async def _work(self, looking: asyncio.Task[None]) -> None:
        while self._futures or (self._left and not self._stopping):
            self._submit()
            await self._news.wait()
            self._news.clear()
            if looking.done():
                looking.result()  # it ends by an error only
            results, self._results = self._results, []
            for future, result in results:
                await self._settle(future, result)

    def _submit(self) -> None:
        """Submits what there is room for, at once: each call of Dask costs a millisecond, whatever it submits."""
        room = self._ahead - len(self._futures)
        if self._stopping or not self._left or not self._checked or room < min(len(self._left), 1 + self._ahead // 4):
            return
        keys: list[tuple[str, int, int]] = []
        tasks: list[ShardTask] = []
        only = self._workers.live if self._workers.has_had_silent else None  # Dask would give a silent worker more
        if only == frozenset():
            return
        ordered = self._steering.share()
        taken = [self._left.popleft() for _ in range(min(room, len(self._left)))]
        for attempts in taken:
            number = attempts.shard.number
            earlier = replace(self._earlier, is_last=not self._left)
            tasks.append(self._shipping.task(attempts.shard, 1 if number == self._first else 2, ordered, earlier))
            if not self._submitted:
                require_picklable(tasks[0])
                self._submitted = True
            attempts.number += 1
            attempts.workers = only
            # The first part of a tuple is the group of tasks in the scheduler: one group a run.
            keys.append((f"runqy-loader-shard-{self._token}", number, attempts.number))
        futures = self._client.map(
            run_shard, tasks, key=keys, pure=False, retries=0, workers=None if only is None else sorted(only)
        )
        for future, attempts in zip(futures, taken, strict=True):
            self._futures[future] = attempts
            self._spawn(self._follow(future))

    @property
    def _ahead(self) -> int:
        """How many shards may be with the scheduler: a hundred thousand are not its business."""
        if not self._judged:
            return 1
        return max(_LEAST_AHEAD, _AHEAD_A_THREAD * self._workers.threads)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if self._is_over:  # the client may be closed: there is nobody to be told
            work.close()
            return
        task = asyncio.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def _follow(self, future: Future) -> None:
        try:
            result: ShardResult | LoaderError = await outcome_of(self._client, future)
        except Exception as error:  # whatever it is, the shard must not be waited for for ever
            result = from_exception(error)
        self._results.append((future, result))
        self._news.set()

    async def _settle(self, future: Future, result: ShardResult | LoaderError) -> None:
        """Counts what is back, and has the shard run again if it is not done."""
        attempts = self._futures.pop(future, None)
        if attempts is None:
            return
        future.release()
        number = attempts.shard.number
        if isinstance(result, LoaderError):
            self._again(attempts, result)
        elif result.taken_over:
            attempts.taken_over += 1
            log.debug("shard %d: the run of it by %s was taken over by another one", number, result.worker)
            if attempts.taken_over > _MOST_TAKEN_OVER:
                self._fail(SinkError(f"shard {number} is taken over again and again", RESUME.capitalize()))
            self._left.appendleft(attempts)
        elif result.error is not None:
            self._gathered.count(number, result)
            self._again(attempts, result.error)
        else:
            await self._gathered.add(number, result)
            if not result.complete:
                self._left.appendleft(attempts)
            elif number == self._first and not self._judged:
                self._read_on(result.not_judged)
        self._check_rejects()

    def _read_on(self, not_judged: Earlier | None) -> None:
        """Has the next shard judged, if the first one has not enough records."""
        if not_judged is None or not self._left:
            self._judged = True
        else:
            self._earlier, self._first = not_judged, self._left[0].shard.number

    def _again(self, attempts: _Attempts, error: LoaderError) -> None:
        """Has a shard run again whose run has failed, if that may help."""
        self._left.appendleft(attempts)
        attempts.failed += 1
        if not isinstance(error, TransientError):
            self._fail(error)
        elif attempts.failed >= MOST_RUNS:
            error.args = (
                f"shard {attempts.shard.number} has failed {attempts.failed} times; the last time: {error.args[0]}",
            )
            self._fail(error)
        elif not self._stopping:
            log.warning(
                "shard %d runs again (%d of %d): %s",
                attempts.shard.number,
                attempts.failed + 1,
                MOST_RUNS,
                error.args[0],
            )

    def _fail(self, error: LoaderError) -> None:
        if self._failure is None:
            self._failure = error
            self.stop()

    def _check_rejects(self) -> None:
        report = self._report
        if self._judged and self._part.options.error_limit.is_exceeded(report.rejected, report.records_read):
            self._fail(self._too_many())

    def _too_many(self) -> TooManyRejectsError:
        report, limit = self._report, self._part.options.error_limit
        return too_many(report, limit, report.last_reject, ", by all workers together")

    # --- the cluster --------------------------------------------------------------------------------------------

    def _heard(self, event: tuple[float, Any]) -> None:
        """What a worker tells while it runs a shard."""
        message = unpacked(event[1])
        if isinstance(message, Progress):
            self._gathered.progress(message)
            self._check_rejects()
        elif isinstance(message, JudgedFirst):
            self._judged = True
        elif isinstance(message, Said):
            if message.is_wait:
                self._outage.relay(message.waiting)
            elif message.once not in self._told:
                log.log(message.level, "%s", message.text)
                if message.once:
                    self._told.add(message.once)
        self._news.set()

    async def _look(self) -> None:
        """Looks now and then which workers there are, and whether the scheduler is there."""
        told = False
        silent: frozenset[str] = frozenset()
        while True:
            if not self._workers.is_scheduler_there:
                self._lost_scheduler()
            elif await self._workers.look():
                await self._check(self._workers.live - self._checked)
                if new := self._workers.silent - silent:
                    log.warning(
                        "Dask workers have said nothing for %.0f s, and others run their shards: %s",
                        SILENT_SECONDS,
                        ", ".join(sorted(new)),
                    )
                silent = self._workers.silent
                if stranded := await self._stranded():
                    await self._take_back(stranded)  # claims end what these may do yet
                    await self._workers.hang_up()
                if not self._workers.threads and not told:
                    log.warning("the Dask cluster has no workers; waiting for the first one")
                told = not self._workers.threads
                self._report.processes = max(self._report.processes, self._workers.threads)
                self._spawn(self._steering.tell())
            if self._stopping:
                await self._stop_workers()
            self._news.set()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _check(self, workers: frozenset[str]) -> None:
        try:
            if workers:
                await check_workers(self._client, workers)
        except LoaderError as error:
            self._fail(error)
        else:
            self._checked |= workers

    async def _stranded(self) -> list[Future]:
        """The tasks that silent workers have, or their results, and those for workers of which none is there any more:
        Dask has them wait for one of these for ever."""
        given = await self._workers.only_with_silent([future.key for future in self._futures])
        live = self._workers.live
        return [
            future
            for future, attempts in self._futures.items()
            if future.key in given or (attempts.workers is not None and not attempts.workers & live)
        ]

    async def _take_back(self, futures: Sequence[Future]) -> None:
        """Waits no more for tasks, whose shards are not done."""
        for future in futures:
            self._left.appendleft(self._futures.pop(future))
        if futures:
            await self._workers.cancel(futures)

    def _lost_scheduler(self) -> None:
        self._fail(SinkError("the Dask scheduler is gone", f"Start it again, and {RESUME}"))
        for future in list(self._futures):
            self._results.append((future, lost_scheduler()))

    async def _stop_workers(self) -> None:
        """Has workers end their shards, and takes back what none has. One that is silent for long is not waited for."""
        now = time.monotonic()
        self._stopped_at = self._stopped_at or now
        if now - self._stopped_at > self._part.options.timeout:
            if self._futures:
                log.warning("%d shards are with workers that do not answer: not waiting for them", len(self._futures))
            await self._take_back(list(self._futures))
        else:
            await self._workers.tell(stop_run, self._token)
            waiting = await self._workers.not_begun([one.key for one in self._futures if not one.done()])
            await self._take_back([one for one in self._futures if one.key in waiting])
        self._news.set()

    async def _end(self, topic: str) -> None:
        """Leaves nothing of the run in the cluster."""
        self._is_over = True
        for task in list(self._beside):
            task.cancel()
        if self._client.status == "running":
            await self._workers.tell(end_run, self._token)
            await self._workers.cancel(list(self._futures))
            with suppress(ValueError):  # it is not subscribed to
                self._client.unsubscribe_topic(topic)

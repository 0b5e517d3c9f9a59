"""The steps of one load into Redis, from the first connection to the last check."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import hiredis

from loader.engine.cluster import check_cluster
from loader.engine.execution import Execution
from loader.engine.known_queues import KnownQueues, known_queues, queues_in_file
from loader.engine.memory_watch import MemoryWatch
from loader.engine.order_watch import OrderWatch
from loader.engine.part import Part
from loader.engine.plan import LoadPlan, Proposal
from loader.engine.targets.base import Choice, Cleared, Preflight
from loader.engine.targets.find_job import FoundJob, claim_sources, find_job
from loader.engine.targets.places import as_recorded, in_same_places
from loader.engine.targets.redis_channel import into_redis
from loader.errors import (
    AlreadyLoadedError,
    LayoutMismatchError,
    LoaderError,
    RefusedNowError,
    RejectStormError,
    TransientError,
)
from loader.jobs.ids_file import begin_ids_file
from loader.jobs.index import enter_job, leave_jobs
from loader.jobs.job import Job
from loader.jobs.keep import keep_finished, keep_record, standing_to_load, warn_of_leftovers
from loader.jobs.lease import Lease, Run, while_held
from loader.jobs.old_jobs import note_old_jobs
from loader.jobs.orders import Orders
from loader.jobs.record_limit import largest_overhead, record_limit
from loader.jobs.rejects import rejects_path, where_rejects_go
from loader.jobs.report import LoadReport
from loader.jobs.source_index import forget_sources, index_keys, note_sources
from loader.layouts.registry import encoder_for
from loader.outputs.place import file_of, place_of
from loader.servers.closing import close_quietly
from loader.servers.memory import memory_of
from loader.servers.retry import Patience, retry
from loader.servers.routing import Servers
from loader.servers.scatter import ask_each
from loader.settings import LoadOptions
from loader.settings.keep import keep_seconds
from loader.settings.shared import REDIS_URL
from loader.sources.base import Source
from loader.sources.record_limit import RecordLimit
from loader.wire.address import Address

if TYPE_CHECKING:
    from loader.engine.course_note import CourseNote

T = TypeVar("T")

log = logging.getLogger("runqy_loader")


class RedisLoad:
    """One load. The methods are its steps, in this order."""

    def __init__(
        self,
        options: LoadOptions,
        address: Address,
        sources: Sequence[Source],
        report: LoadReport,
        *,
        is_spread: bool,
    ) -> None:
        self._given = options
        self._proposals = Proposal.for_each_layout(options, sources)
        self._proposal = self._proposals[0]
        report.job = self._proposal.names[0]
        self._report = report
        self._sources = list(report.sources)
        self._servers = Servers(address, options.timeout)
        self._run = Run.new(is_spread=is_spread)
        self._job: Job
        self._before: dict[str, Any] | None = None  # the manifest of a resumed job, if this run has changed it
        self._plan: LoadPlan
        self._choice: Choice | None = None
        self._cleared = Cleared()
        self._lease: Lease | None = None
        self._memory: MemoryWatch | None = None
        self._records: RecordLimit | None = None
        self._orders = Orders()
        self._course: CourseNote | None = None
        self._lists: list[bytes] = []  # of the load's own queues, for displays: they ask several times a second
        self._patience = Patience.of(options.retry_seconds, full=options.waits_for_memory)

    @property
    def _options(self) -> LoadOptions:
        return self._proposal.options

    async def _retry(self, step: Callable[[], Awaitable[T]]) -> T:
        # The servers are asked each time: the first attempt may find the job, or record it.
        servers = self._servers
        return await retry(step, self._patience, written=lambda: servers.holds_job, between=servers.reconnect)

    async def reach(self) -> None:
        """Waits until the server answers."""
        name = self._run.connection_name(self._report.job, self._servers.address.db, 0, 0)
        await retry(lambda: self._servers.reach(name), self._patience, connected=False, written=lambda: False)

    async def find(self, preflight: Preflight) -> None:
        """Finds the job that this load goes on with, or plans a new one, whose layout is chosen if it is left open.

        A job that was begun keeps its layout.

        Raises:
            JobMismatchError: The job was begun with other content, for another place, or with another layout.
            LayoutMismatchError: The server is used in a way that does not tell the layout.
            UsageError: A cluster cannot hold this load.
        """
        is_open = self._given.layout == "auto"
        refused = await self._look(preflight) if is_open else None
        found = await find_job(self._servers, self._proposals, self._retry)
        reason = "" if found is None else f"job {found.first} was begun with this layout"
        if found is None:
            proposal = self._proposals[0]
            if refused is not None:
                raise refused
            if self._choice is not None:
                proposal = next(one for one in self._proposals if one.options.layout == self._choice.layout)
                reason = self._choice.reason
            found = FoundJob(proposal, proposal.names[0], Job(self._servers, proposal.names[0]), None)
        self._proposal, self._job = found.proposal, found.job
        self._servers.holds_job = found.recorded is not None
        await self._go_by(found.recorded)
        self._report.job, self._report.layout = self._job.name, self._options.layout_name
        if is_open:
            log.info("layout %s: %s", self._options.layout_name, reason)
        if self._choice is not None and self._choice.layout != self._options.layout_name:
            self._choice = None
        await self._retry(self._check_cluster)
        if self._job.name != self._proposals[0].names[0]:
            await self._retry(
                lambda: self._servers.name(self._run.connection_name(self._job.name, self._servers.address.db, 0, 0))
            )

    async def _check_cluster(self) -> None:
        check_cluster(self._options, self._servers)

    async def _go_by(self, recorded: dict[str, Any] | None) -> None:
        """Plans the load: as a new job, or by the manifest of a job that was begun."""
        self._plan = await self._proposal.planned(self._job.name, recorded)
        self._report.sources = self._plan.in_order(self._sources)

    async def _look(self, preflight: Preflight) -> LoaderError | None:
        """Chooses the layout of a new job. Returns the error if it cannot be chosen: a begun job needs no choice."""
        # Before the job's record is read: a node of a cluster that was not recognised is refused here.
        try:
            self._choice = await self._retry(lambda: preflight.choose_layout(self._servers, self._given))
        except (LayoutMismatchError, RefusedNowError) as error:
            return error
        return None

    async def known_queues(self) -> KnownQueues:
        """Checks that the queue exists, if an option gives a way to know it. Returns the known queues."""
        options = self._options
        known = await known_queues(options, queues_in_file(options), self._servers)
        if known.names is None:
            log.info(
                "it is not checked whether %s exists; use --queues-file or --queue-check redis to check it",
                queue_named(options.own_queues),
            )
        known.check(*options.own_queues)
        return known

    async def check(self, preflight: Preflight, known: KnownQueues) -> None:
        """Runs the preflight."""
        plan = self._plan

        async def checked() -> None:
            choice, self._choice = self._choice, None  # a repetition asks again
            self._cleared = await preflight.check(
                self._servers, plan.options, plan.job, known.names, plan.sources, choice
            )

        try:
            await self._retry(checked)
        except LayoutMismatchError as error:
            if not self._servers.holds_job:
                raise
            layout = self._options.layout_name
            raise LayoutMismatchError(
                f"job {plan.job} was begun with layout {layout}, but {error.args[0]}",
                f"Give --force-layout to complete it in layout {layout}; "
                "runqy-loader migrate moves its tasks to the other layout",
            ) from error
        before = {address: memory_of(info) for address, info in self._servers.info.items()}
        self._memory = MemoryWatch(self._servers, self._options, before)
        self._memory.check_threshold()
        self._memory.check_headroom()

    async def begin(self) -> None:
        """Records the job, acquires its lease for this run, and claims its sources.

        Raises:
            AlreadyLoadedError: Another job has loaded one of the sources.
        """
        recorded = await self._retry(lambda: self._job.open(self._plan.manifest))
        if recorded is not None and recorded != self._plan.manifest:
            # Another run has begun it in this moment, or the limit for records is lower in this run.
            await self._go_by(recorded)
            if recorded != self._plan.manifest:
                self._before = recorded
                await self._retry(lambda: self._job.record(self._plan.manifest))
        self._servers.holds_job = True
        lease = Lease(self._servers, self._job.name, self._run)
        await self._retry(lease.acquire)
        self._lease = lease
        await self._go_on()
        await self._retry(self._settle_record_limit)
        self._report.resumed = self._job.resumed
        if not (self._job.resumed or self._options.again):
            await self._retry(lambda: note_old_jobs(self._servers))
        try:
            await claim_sources(self._servers, self._plan, self._retry, resumed=self._job.resumed)
        except AlreadyLoadedError:
            await self._retry(self._job.forget)
            raise
        await self._retry(lambda: enter_job(self._servers, self._job.name))
        if self._job.resumed:
            log.info("resuming job %s", self._job.name)
            if await self._retry(self._job.go_on) and self._options.max_errors is None:
                # Its batches of bad records alone have no mark, and would count as the beginning of a wrong input.
                self._plan = replace(self._plan, options=replace(self._plan.options, max_errors="none"))

    async def _go_on(self) -> None:
        """Makes sure, under the lease, that the job may be loaded, and that its record and ledgers stay.

        Raises:
            RolledBackError: It is being rolled back, or was.
        """
        job = self._job
        standing = await self._retry(lambda: standing_to_load(self._servers, job))
        if standing.manifest is None:  # it has ended, or was rolled back or forgotten in this moment
            await self._retry(lambda: job.begin(self._plan.manifest))
            job.resumed = False
        self._orders = standing.orders
        await self._retry(lambda: keep_record(self._servers, job.name))
        queues = self._options.own_queues
        if queues and not job.resumed:
            await self._retry(lambda: warn_of_leftovers(self._servers, job.name, self._plan.manifest, queues))
        self._plan = replace(self._plan, options=in_same_places(self._plan.options, standing))
        is_first = not job.resumed or standing.is_noted
        await self._retry(lambda: self._note_origin(noted=is_first))

    async def _note_origin(self, *, noted: bool) -> None:
        """See ``Job.note_origin``."""
        rejects = as_recorded(where_rejects_go(self._plan.options.rejects, self._job.name))
        await self._job.note_origin(self._plan.prefixes, rejects, noted=noted)

    async def _settle_record_limit(self) -> None:
        limit, job = self._servers.largest_value, self._job
        around, asked = largest_overhead(self._options), self._plan.options.max_record_bytes
        self._records = await record_limit(self._servers, job.name, limit, asked, around, resumed=job.resumed)

    async def note_ids_file(self) -> None:
        """Starts the ids file, if the option is given, and records its path in the job."""
        path = self._plan.options.ids_out
        if path is not None:
            await self._renew()
            where = as_recorded(path)
            if isinstance(path, Path):
                begin_ids_file(path, self._job.name, self._options.layout_name)
            self._report.ids_file = str(path)
            await self._retry(lambda: self._job.note_ids(where))

    async def _renew(self) -> None:
        """Makes sure that no other run has taken the job over."""
        assert self._lease is not None  # noqa: S101 - begin() has acquired it
        await self._retry(self._lease.renew)

    async def work(self, execution: Execution, known: KnownQueues) -> bool:
        """Loads the shards. Returns whether every record was processed."""
        assert self._lease is not None  # noqa: S101 - begin() has acquired it
        assert self._memory is not None  # noqa: S101 - check() has set it
        options = self._plan.options
        part = Part.of(
            self._plan,
            partial(into_redis, self._servers.address.place, self._servers.accepts_names, self._cleared.compact),
            self._lease.run,
            known.names,
            None if place_of(options.rejects) else rejects_path(file_of(options.rejects), self._job.name),
            records=self._records,
            forwarded=self._cleared.forwarded,
        )
        look = server = None
        if self._options.series is not None:
            from loader.engine.queue_look import QueueLook  # other loads need not wait for these imports
            from loader.engine.server_facts import server_facts

            server = await server_facts(self._servers)
            name = f"runqy-loader-series:{self._lease.run.token}:"
            look = QueueLook(self._servers, self._options.layout_name, self._options.timeout, name)
        run = partial(execution.run, part, self._plan.shards, self._report, look, server)
        orders = OrderWatch(
            self._servers,
            self._job.name,
            self._orders,
            execution.order,
            self._report.holding,
            elsewhere=self._options.redis != REDIS_URL(),
        )
        try:
            async with orders.watching(), await self._noted(execution):
                complete = await while_held([self._lease], self._memory.during(run, execution.stop))
        finally:
            if look is not None:
                await look.close()
        if complete:
            await self._renew()
        else:
            orders.tell_what_stays()
            with suppress(TransientError):  # a run that is to stop does not wait for the server
                await self._lease.renew()
        self._report.end("completed" if complete else "interrupted")
        return complete

    async def _noted(self, execution: Execution) -> AbstractAsyncContextManager[None]:
        """Has others look on, if the load may go on without the command that began it, or did so in an earlier run."""
        if not execution.is_spread:
            if not self._report.resumed:
                return nullcontext()
            from loader.jobs.course import read_course

            if (await self._retry(lambda: read_course(self._servers, self._job.name))).progress is None:
                return nullcontext()
        from loader.engine.course_note import CourseNote

        assert self._lease is not None  # noqa: S101 - begin() has acquired it
        self._course = CourseNote(self._servers, self._lease, self._report)
        return self._course.noting()

    async def finish(self) -> None:
        """Marks the job as done in its record."""
        if self._memory is not None and not self._cleared.is_consumed:
            self._report.server_bytes_a_task = await self._memory.bytes_a_task(self._report.loaded)
        await self._retry(self._keep_record)
        await self._retry(partial(self._job.finish, self._report.to_record()))
        kept, job = keep_seconds(self._options.keep_job), self._job
        await self._retry(lambda: keep_finished(self._servers, job, kept))

    async def _keep_record(self) -> None:
        """Records the job and its sources anew, if the server has lost their records while it had no batch to lose."""
        if await self._job.begin(self._plan.manifest):
            options = self._options
            await self._note_origin(noted=not options.records_name_queues)  # these may be lost too
            await enter_job(self._servers, self._job.name)
            keys = index_keys(self._plan.manifest)
            await note_sources(self._servers, self._job.name, keys, _counts_none, again=True)

    async def take_back(self, error: LoaderError) -> None:
        """Undoes what a load has recorded that is refused before it has loaded anything.

        This is the job itself, if this run has begun it, or a lower limit for records: with that, what was loaded
        before would not match, and the job could not be resumed as it was begun.
        """
        try:
            if self._lease is not None:
                await self._lease.renew()
            if self._before is not None and not self._report.loaded:
                await self._job.record(self._before)
            if isinstance(error, RejectStormError) and not self._job.resumed:
                await self._job.forget()
                await leave_jobs(self._servers, [self._job.name])
                await forget_sources(self._servers, self._job.name, index_keys(self._plan.manifest))
        except LoaderError as failure:
            log.warning("the record of job %s was not restored: %s", self._job.name, failure)

    async def end(self, error: BaseException | None) -> None:
        """Releases the lease, and closes all connections.

        Args:
            error: What has ended the load.
        """
        if self._course is not None:
            await self._course.end(error)
        if self._lease is not None:
            await close_quietly(self._lease.release())
        await self._servers.aclose()

    async def pending(self) -> int | None:
        if not self._lists:
            self._lists = [encoder_for(self._options, queue).pending_key for queue in self._options.own_queues]
        if not self._lists:
            return None
        try:
            return sum(map(int, await ask_each(self._servers, [("LLEN", key) for key in self._lists])))
        except (hiredis.ReplyError, LoaderError):
            return None  # only a display needs it


def queue_named(queues: Sequence[str]) -> str:
    """The queues that ``--queue`` means, for messages."""
    if len(queues) > 1:
        return f"each of the {len(queues)} sub-queues"
    return f"queue {queues[0]}" if queues else "each record's queue"


async def _counts_none(job: str) -> bool:
    return False

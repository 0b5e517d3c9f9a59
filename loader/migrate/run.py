"""Runs a migration: leases and records first, then step after step; in the end nothing is left half-way."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import orjson

from loader.errors import (
    JobBusyError,
    JobMismatchError,
    LayoutMismatchError,
    LoaderError,
    TooManyRejectsError,
    UsageError,
)
from loader.jobs.job import Job
from loader.jobs.lease import Lease, Run, while_held
from loader.layouts.asynq import AsynqEncoder
from loader.layouts.base import QueueEncoder
from loader.layouts.registry import encoder_for
from loader.migrate.options import MigrateOptions
from loader.migrate.report import MigrateReport
from loader.migrate.source import Claims, Snapshot, TaskSource
from loader.migrate.target import Target
from loader.migrate.translate import Translation
from loader.preflight.examine import check_layout
from loader.servers.control import say_goodbye
from loader.servers.retry import patiently
from loader.servers.routing import Servers
from loader.servers.session import Session, require_one_server
from loader.stored.fetch import Fetched
from loader.stored.queue_reader import stored_queue
from loader.stored.snapshot import in_the_other_layout
from loader.stored.spool import Spool
from loader.tasks.reasons import Reason, ReasonCode
from loader.wire.address import Address, parse_address
from loader.wire.faults import translated
from loader.wire.resp import command

_LAST_LOOK_SECONDS = 1.0

log = logging.getLogger("runqy_loader")


@dataclass(frozen=True, slots=True)
class _Opened:
    """A server on which the job is recorded, and its lease held."""

    servers: Servers
    lease: Lease
    job: Job


class Migration:
    """Migrates the pending tasks of a queue to another.

    Raises:
        UsageError: Options out of range, a URL that is none, or source and target are the same.
    """

    def __init__(self, options: MigrateOptions) -> None:
        options.check()
        self._options = options
        self._from = parse_address(options.from_redis)
        self._to = self._from if options.to_redis is None else parse_address(options.to_redis)
        self._run = Run.new()
        self._stopping = False
        self._unsettled = 0
        job = options.job_name(_place(self._from), _place(self._to))
        self._rejects = options.rejects or Path(f"{job}.rejects.jsonl")
        self.report = MigrateReport(
            job,
            options.move,
            f"{options.source_queue} ({options.from_layout}) on {_place(self._from)}",
            f"{options.target_queue} ({options.target_layout}) on {_place(self._to)}",
        )
        if _place(self._from) == _place(self._to):
            self._check_same_server()

    def stop(self) -> None:
        """Ends soon: what is in flight is settled, and what else is claimed goes back to the source."""
        self._stopping = True

    async def run(self) -> MigrateReport:
        """Migrates everything that is pending.

        Raises:
            LoaderError: The migration failed. What is in the target stays there, and the same job goes on from there.
        """
        report = self.report
        try:
            async with AsyncExitStack() as stack:
                complete = await self._migrate(stack)
            report.end("completed" if complete else "interrupted")
        except Exception as error:
            report.fail(error)
            raise
        except asyncio.CancelledError:
            report.end("interrupted")
            raise
        return report

    async def _migrate(self, stack: AsyncExitStack) -> bool:
        options, report = self._options, self.report
        to = await self._opened(stack, self._to)
        opened = [to]
        report.resumed = to.job.resumed
        into = await stack.enter_async_context(self._session(self._to, to.lease, fenced=True, reached=True))
        out = await stack.enter_async_context(self._session(self._from, to.lease, fenced=options.move))
        await require_one_server(out, "migrate")
        same = await self._is_same_server(out)
        if same:
            self._check_same_server()
        await self._check_layout(to, same=same)
        if options.move and not same:
            opened.append(await self._opened(stack, self._from))
            lease = opened[-1].lease
            out = await stack.enter_async_context(self._session(self._from, lease, fenced=True, reached=True))
        target = self._target(into, same=same)
        source: Claims | Snapshot
        queue = stored_queue(options.from_layout, options.source_queue)
        if options.move:
            source = claims = self._claims(out, same=same)
            if not same:
                await patiently(lambda: self._bind(to, opened[-1], claims), options.retry_for)
            for job, count in (await claims.enter()).items():
                log.warning("job %s holds %s tasks of this queue: migrate them with --job %s", job, f"{count:,}", job)
        else:
            source = Snapshot(out, queue, stack.enter_context(Spool()), options.batch_size)
        if key := encoder_for(options.target, options.target_queue).queues_key:
            await into.call(command(b"SADD", key.encode(), options.target_queue.encode()), 1, f"key {key}")
        (report.waiting,) = await out.call(command(b"LLEN", queue.pending_key), 1, f"key {queue.pending_key.decode()}")
        complete = await while_held([each.lease for each in opened], self._work(source, target, opened[-1].lease))
        if complete:
            for each in opened:
                await self._finish(each.job)
        if not (report.waiting or report.migrated or report.already):
            report.elsewhere = await in_the_other_layout(out, queue)
        return complete

    # --- before and after ------------------------------------------------------------------------------------------

    async def _opened(self, stack: AsyncExitStack, address: Address) -> _Opened:
        """The job's record and lease on a server."""
        options, name = self._options, self.report.job
        servers = Servers(address, options.timeout)
        stack.push_async_callback(servers.aclose)
        lease = Lease(servers, name, self._run)
        job = Job(servers, name, options.manifest())
        own_name = lease.next_connection_name()
        await patiently(lambda: servers.reach(own_name), options.retry_for, connected=False)
        if servers.is_cluster:
            raise UsageError(f"{servers} belongs to a Redis Cluster, which migrate does not support yet")
        for step in (job.open, lease.acquire):
            await patiently(step, options.retry_for, between=servers.reconnect)
        stack.push_async_callback(lambda: say_goodbye(lease.release()))
        return _Opened(servers, lease, job)

    async def _finish(self, job: Job) -> None:
        await patiently(lambda: job.finish({**self.report.to_dict(), "status": "completed"}), self._options.retry_for)

    @asynccontextmanager
    async def _session(
        self, address: Address, lease: Lease, *, fenced: bool, reached: bool = False
    ) -> AsyncIterator[Session]:
        async def fence(names: Collection[str]) -> None:
            await lease.reconnect()
            await lease.renew()
            await lease.fence(names)

        options = self._options
        names = lease.next_connection_name
        session = Session(
            address, options.timeout, options.retry_for, names, fence if fenced else None, reached=reached
        )
        try:
            yield session
        finally:
            await session.close()

    async def _is_same_server(self, source: Session) -> bool:
        """Whether the lease that was taken at the target is seen at the source: addresses may differ all the same."""
        key = f"runqy-loader:{{{self.report.job}}}:lease".encode()
        (holder,) = await source.call(command(b"GET", key), 1, f"key {key.decode()}")
        return holder is not None and orjson.loads(holder).get("run") == self._run.token

    def _check_same_server(self) -> None:
        options = self._options
        if options.from_layout != options.target_layout:
            return
        if options.source_queue == options.target_queue:
            raise UsageError(
                f"source and target are the same: {self.report.source}", "Say --to-queue, --to-layout or --to-redis"
            )
        if options.from_layout == "documented" and not options.move:
            raise UsageError(
                "in the documented layout, a task's key does not hold its queue, so it cannot be in two of one server",
                "Say --move, or export the queue and load it with other ids",
            )

    async def _check_layout(self, to: _Opened, *, same: bool) -> None:
        options = self._options
        leaving = options.from_layout if same and options.source_queue == options.target_queue else None
        check = partial(check_layout, to.servers, options.target, leaving=leaving)
        try:
            await patiently(check, options.retry_for, between=to.servers.reconnect)
        except LayoutMismatchError:
            self.report.refused = not to.job.resumed
            await to.job.forget()
            raise

    async def _bind(self, to: _Opened, source: _Opened, claims: Claims) -> None:
        """Ties what the source holds of this job to this target, which knows what of it is in.

        Raises:
            JobMismatchError: It was claimed for another target, or the target has lost what it knew.
        """
        name = self.report.job
        key = f"runqy-loader:{{{name}}}:job"
        there, here = to.servers.client_of(key), source.servers.client_of(key)
        with translated(f"key {key}"):
            await there.hsetnx(key, "token", secrets.token_hex(8))
            token = await there.hget(key, "token")
            bound = await here.hget(key, "token")
            if bound != token and await claims.held():
                raise JobMismatchError(
                    f"job {name} holds tasks in {claims.holding_key.decode()} on {_place(self._from)} that it claimed "
                    "for another target, or the target has lost its data",
                    "Resume with the same target; else see docs/migrate.md, 'What a lost target means'",
                )
            await here.hset(key, "token", token or b"")

    def _target(self, session: Session, *, same: bool) -> Target:
        options = self._options
        queue, documented = options.target_queue, options.from_layout == "documented"
        encoder: QueueEncoder = encoder_for(options.target, queue)
        # runqy's look-up is the key of the source's task, or that of a task that stays: see Claims for a move's.
        if same and options.target_layout == "asynq" and (documented or not options.move):
            encoder = AsynqEncoder(queue, options.target.task_options, reverse_lookup=False)
        shared = same and options.target_layout == "documented"
        return Target(
            session,
            encoder,
            self.report.job,
            Translation(options),
            shared_with=options.source_queue if shared else "",
            shares_tasks=documented,
        )

    def _claims(self, session: Session, *, same: bool) -> Claims:
        options = self._options
        looks_up = same and options.target_layout == "asynq" and options.target_profile.reverse_lookup
        return Claims(
            session,
            stored_queue(options.from_layout, options.source_queue),
            self.report.job,
            options.batch_size,
            keeps_hashes=same and options.target_layout == "documented",
            look_up=options.target_queue if looks_up else "",
        )

    # --- the work --------------------------------------------------------------------------------------------------

    async def _work(self, source: Claims | Snapshot, target: Target, lease: Lease) -> bool:
        if isinstance(source, Snapshot):
            return await self._transfer(source, target)
        held = await source.held()
        self._unsettled = len(held)  # until it is known which of them a run that was killed has placed
        try:
            # These leave the source before all else, as from here on what is held may be put back.
            placed = await target.remember_only(held)
            await source.settle("drop", placed)
            target.forget(placed)
            self.report.already += len(placed)
            self._unsettled = 0
            complete = await self._transfer(source, target)
            await target.settle()
        except JobBusyError:
            raise  # what is claimed is the other run's now
        except asyncio.CancelledError:
            self.report.held = await self._still_held(source)
            raise
        except LoaderError as error:
            await self._give_back(source, lease, error)
            raise
        await self._give_back(source, lease)
        return complete

    async def _transfer(self, source: TaskSource, target: Target) -> bool:
        """Whether all was dealt with, and not only what came before a stop."""
        current = await source.take(0)
        while current.count:
            if self._stopping:
                return False
            self._unsettled = current.count
            # The next tasks are fetched while these are placed. Both end before anything else is asked of the source,
            # which counts on how many are in flight.
            following, placed = await asyncio.gather(
                source.take(current.count), target.insert(current.tasks), return_exceptions=True
            )
            if isinstance(placed, BaseException):
                if not target.in_doubt:
                    self._unsettled = 0
                raise placed
            await self._settle(source, target, current, placed)
            self._unsettled = 0
            self._check_rejects()
            if isinstance(following, BaseException):
                raise following
            current = following
        return not self._stopping

    async def _settle(self, source: TaskSource, target: Target, fetched: Fetched, skipped: dict[int, Reason]) -> None:
        report, on_conflict = self.report, self._options.on_conflict
        there, rejected = list[bytes](), list(fetched.unreadable)
        for position, task in enumerate(fetched.tasks):
            why = skipped.get(position)
            if why is None:
                report.migrated += 1
            elif why.code is ReasonCode.ALREADY_MIGRATED or (on_conflict == "skip" and why.code.is_conflict):
                report.already += 1
            else:
                rejected.append((task.id, why))
                continue
            there.append(task.id)
        report.missing += len(fetched.missing)
        self._write_rejects(rejected)
        await source.settle("drop", there)
        await source.settle("forget", fetched.missing)
        await source.settle("aside", [task_id for task_id, _ in rejected])
        if report.moves and not target.repeated:
            # Where it was sent twice, a late first time must still find it known; the next run forgets it.
            target.forget([*there, *fetched.missing])

    def _check_rejects(self) -> None:
        limit = self._options.max_errors
        if limit is not None and self.report.rejected > limit:
            raise TooManyRejectsError(
                f"{self.report.rejected} tasks were rejected, more than --max-errors {limit} allows",
                f"See {self._rejects}",
            )

    def _write_rejects(self, rejected: Sequence[tuple[bytes, Reason]]) -> None:
        if not rejected:
            return
        self.report.count_rejects(why for _, why in rejected)
        self.report.rejects_file = str(self._rejects)
        lines = [
            orjson.dumps(
                {"id": task_id.decode(errors="backslashreplace"), "code": why.code, "reason": why.text},
                option=orjson.OPT_APPEND_NEWLINE,
            )
            for task_id, why in rejected
        ]
        try:
            with self._rejects.open("ab") as file:
                file.write(b"".join(lines))
        except OSError as error:
            raise LoaderError(
                f"the rejects file {self._rejects} cannot be written: {error.strerror}",
                "Name a writable one with --rejects",
            ) from error

    async def _still_held(self, source: Claims) -> int:
        """For the report of a run that was told to stop at once: a second is all that it asks for."""
        try:
            async with asyncio.timeout(_LAST_LOOK_SECONDS):
                return len(await source.held())
        except (LoaderError, TimeoutError):
            return self._unsettled

    async def _give_back(self, source: Claims, lease: Lease, failure: LoaderError | None = None) -> None:
        """Puts back what is claimed, but for what may be in the target.

        Args:
            lease: The one at the source.
        """
        try:
            # A run that was stalled for long may have lost all this to another.
            await patiently(lease.renew, self._options.retry_for)
            self.report.put_back = await source.put_back(self._unsettled)
            self.report.held = len(await source.held())
            if not self.report.held:
                await source.leave()
        except LoaderError as error:
            self.report.held = self._unsettled
            if failure is None:
                raise
            log.warning("what is claimed could not be put back: %s", error)


def _place(address: Address) -> str:
    """A server and database, without credentials."""
    return f"{address}/{address.db}"

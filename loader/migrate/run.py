"""Runs a migration: first the leases and records, then step after step. At the end, no task is left half moved."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

from loader.errors import LayoutMismatchError, LoaderError, SinkError, TransientError, UnknownQueueError, UsageError
from loader.jobs.fenced_file import begin_file
from loader.jobs.index import enter_job
from loader.jobs.keep import keep_finished
from loader.jobs.lease import Run, while_held
from loader.jobs.proof import Proof
from loader.jobs.rejects import rejects_path
from loader.layouts.compact import Dumps
from loader.layouts.registry import encoder_for
from loader.migrate.ends import Ends, bind, hold_job, is_seen, lost_data
from loader.migrate.move import Move
from loader.migrate.options import MigrateOptions, target_options_named
from loader.migrate.origin import Origin, StoredOrigin
from loader.migrate.report import MigrateReport
from loader.migrate.scattered import ScatteredTarget
from loader.migrate.settle import place, settled, with_layout
from loader.migrate.source import Claims
from loader.migrate.target import Target
from loader.migrate.transfer import Transfer
from loader.outputs.gzip import repair_gzip
from loader.preflight.compact import asked_dumps
from loader.preflight.examine import check_layout
from loader.preflight.usage import Usage
from loader.servers.closing import close_quietly
from loader.servers.question import ask
from loader.servers.retry import retry
from loader.servers.routing import Servers
from loader.servers.value_limit import ask_value_limit
from loader.settings.keep import keep_seconds
from loader.settings.server_address import password_source
from loader.settings.wording import renamed
from loader.stored.queue_reader import StoredQueue, stored_queue
from loader.wire.address import parse_address

log = logging.getLogger("runqy_loader")

Work = Callable[[], Coroutine[Any, Any, bool]]


class Migration:
    """Migrates the pending tasks of a queue to another.

    Raises:
        UsageError: Options are out of range, a URL is not valid, or source and target are the same.
    """

    def __init__(self, options: MigrateOptions) -> None:
        options.check()
        self._options = options = options.settled()
        self._from = parse_address(
            options.from_redis,
            "--from-redis",
            password_source(options.from_redis_password_file, options.from_redis_password_command, "from-"),
        )
        self._to = self._from
        if options.to_redis is not None:
            password = password_source(options.to_redis_password_file, options.to_redis_password_command, "to-")
            self._to = parse_address(options.to_redis, "--to-redis", password)
        self._run = Run.new()
        self._stop = asyncio.Event()
        job = options.job_name(place(self._from), place(self._to))
        self.report = MigrateReport(job, options.move, options.from_queue, options.to_queue or options.from_queue)
        if options.from_layout != "auto":
            self._describe_ends()

    def stop(self) -> None:
        """Makes ``run`` end soon. Tasks in flight are settled, and other claimed tasks are put back into the source."""
        self._stop.set()

    async def run(self) -> MigrateReport:
        """Migrates all pending tasks.

        Raises:
            LoaderError: The migration failed. Migrated tasks stay in the target, and the same job goes on from there.
        """
        report = self.report
        repair_gzip(self._options.rejects, "--rejects")
        try:
            async with AsyncExitStack() as stack:
                complete = await self._migrate(stack)
            report.end("completed" if complete else "interrupted")
        except Exception as error:
            if isinstance(error, LoaderError):
                self._name_server(error)
            report.fail(error)
            raise
        except asyncio.CancelledError:
            report.end("interrupted")
            raise
        return report

    def _name_server(self, error: LoaderError) -> None:
        """Has an error about a server name the option with its address."""
        at_target = str(self._to) in str(error.args[0]) and self._to != self._from
        names = {"redis": "to-redis" if at_target else "from-redis"}
        error.args, error.hint = (renamed(str(error.args[0]), names),), renamed(error.hint, names)

    async def _migrate(self, stack: AsyncExitStack) -> bool:
        await self._settle()
        report = self.report
        ends = await self._both_reached(stack)
        usage = await self._refuse_unseen_layout(ends)
        origin = self._origin(usage)
        await self._refuse_unknown_source(ends, origin)
        dumps = await self._dumps(ends)
        if isinstance(origin, StoredOrigin) and self._options.move:
            ends = await self._source_held(stack, ends)
            work = await self._move(ends, origin, dumps)
        else:
            work = await self._copy(stack, ends, origin, dumps)
        await self._announce(ends, origin)
        complete = await while_held([end.lease for end in ends.held], work())
        report.other_states = await origin.staying(ends.out)
        if complete:
            await self._finish(ends)
        if not (report.waiting or report.migrated or report.already):
            report.elsewhere = await origin.elsewhere(ends.out)
        return complete

    def _origin(self, usage: Usage) -> Origin:
        if self._options.from_system is None:
            return StoredOrigin(self._options)
        from loader.migrate.job_origin import JobOrigin  # most migrations need no other system

        return JobOrigin(self._options, usage)

    async def _settle(self) -> None:
        """Chooses the layout of the source by its keys, and the job to go on with."""
        try:
            if self._options.from_system is not None:
                self._options = await with_layout(self._options, self.report.job, self._to)
                self._describe_ends()
                return
            found = await settled(self._options, self._from, self._to)
            self._options, self.report.job = found.options, found.job
            self._options.check()
            self._describe_ends()
        except (LayoutMismatchError, UsageError):
            self.report.refused = True
            raise
        if found.reason:
            log.info("layout %s of the source: %s", self._options.from_layout, found.reason)

    def _describe_ends(self) -> None:
        """Names both ends in the report. Raises UsageError if they are the same."""
        options = self._options
        kind = options.from_system or options.source_layout
        self.report.source = f"{options.source_queue} ({kind}) on {place(self._from)}"
        self.report.target_queue = options.target_queue
        self.report.target = f"{options.target_queue} ({options.target_layout}) on {place(self._to)}"
        if place(self._from) == place(self._to):
            self._refuse_same_queue()

    # --- before the first task -------------------------------------------------------------------------------------

    async def _both_reached(self, stack: AsyncExitStack) -> Ends:
        """Records and leases the job at the target, and connects to the source."""
        options = self._options
        target = await stack.enter_async_context(hold_job(self.report.job, self._run, self._to, options))
        self.report.resumed = target.job.resumed
        into = await stack.enter_async_context(target.session(target.servers, options, fenced=True))
        source = Servers(self._from, options.timeout)
        stack.push_async_callback(lambda: close_quietly(source.aclose()))
        out = await stack.enter_async_context(target.session(source, options, fenced=options.move))
        same = await is_seen(self.report.job, self._run, out)
        if same:
            self._refuse_same_queue()
        layouts = [(target.servers, options.target_layout)]
        if options.from_system is None:
            layouts.append((source, options.source_layout))
        try:
            for servers, layout in layouts:
                if layout == "documented":
                    servers.require_all_slots()  # the tasks of one queue are in all of them
        except TransientError:
            await target.job.forget()
            raise
        return Ends(target, target, into, out, same)

    def _refuse_same_queue(self) -> None:
        """Raises UsageError if source and target, on one server, are the same queue or would share task keys."""
        options = self._options
        if options.from_system is not None or options.from_layout != options.target_layout:
            return
        if options.source_queue == options.target_queue:
            raise UsageError(
                f"source and target are the same: {self.report.source}", "Give --to-queue, --to-layout or --to-redis"
            )
        if options.from_layout == "documented" and not options.move:
            raise UsageError(
                "in the documented layout, a task's key does not hold its queue, so it cannot be in two of one server",
                "Use --move, or export the queue and load it with other ids",
            )

    async def _refuse_unseen_layout(self, ends: Ends) -> Usage:
        """The use of the target. Raises LayoutMismatchError if no consumer would see tasks in the target's layout."""
        options, servers, job = self._options, ends.target.servers, ends.target.job
        leaving = None
        if options.from_system is None and ends.same and options.source_queue == options.target_queue:
            leaving = options.source_layout
        check = partial(check_layout, servers, options.target, options.to_queue or options.from_queue, leaving=leaving)
        try:
            with target_options_named():
                return await retry(check, options.retry_for, between=servers.reconnect)
        except (LayoutMismatchError, UnknownQueueError):
            self.report.refused = not job.resumed
            await job.forget()
            raise

    async def _refuse_unknown_source(self, ends: Ends, origin: Origin) -> None:
        """Raises UnknownQueueError if there is no such queue. A job that has begun may have emptied it."""
        job = ends.target.job
        if job.resumed:
            return
        try:
            await origin.require(ends.out)
        except UnknownQueueError:
            self.report.refused = True
            await job.forget()
            raise

    async def _dumps(self, ends: Ends) -> Dumps | None:
        """Which tasks are dumped, and how; None for no dumps. Raises SinkError where they must be."""
        servers, job = ends.target.servers, ends.target.job
        encoder = encoder_for(self._options.target, self._options.target_queue, cluster=servers.is_cluster)
        ask_dumps = partial(asked_dumps, servers, self._options.target, encoder)
        try:
            return await retry(ask_dumps, self._options.retry_for, between=servers.reconnect)
        except TransientError:
            raise
        except SinkError:
            self.report.refused = not job.resumed
            await job.forget()
            raise

    async def _source_held(self, stack: AsyncExitStack, ends: Ends) -> Ends:
        """Records and leases the job at the source as well, if that is another server."""
        if ends.same:
            return ends
        options = self._options
        source = await stack.enter_async_context(hold_job(self.report.job, self._run, self._from, options))
        out = await stack.enter_async_context(source.session(source.servers, options, fenced=True))
        return replace(ends, source=source, out=out)

    async def _announce(self, ends: Ends, origin: Origin) -> None:
        """Adds the target's queue to the set of queues, if its layout has one, and the job to the list of jobs.

        From here on, a job that was finished is as unfinished as any other: its queue may have more by now.
        """
        options = self._options
        if key := encoder_for(options.target, options.target_queue).queues_key:
            await ends.into.call([ask(b"SADD", key.encode(), options.target_queue.encode())], f"key {key}")
        target = ends.target.servers
        await retry(partial(enter_job, target, self.report.job), options.retry_for, between=target.reconnect)
        for end in ends.held:
            await retry(end.job.go_on, options.retry_for, between=end.servers.reconnect)
        self.report.waiting = await origin.waiting(ends.out)

    # --- the work --------------------------------------------------------------------------------------------------

    async def _copy(self, stack: AsyncExitStack, ends: Ends, origin: Origin, dumps: Dumps | None) -> Work:
        source = await origin.snapshot(ends.out, stack.enter_context(ExitStack()))
        target = await self._target(ends, origin, dumps)

        async def work() -> bool:
            await target.begin()
            before = await target.count_placed()
            complete = await self._transfer(ends, target).run(source)
            after = await target.count_placed()
            if before is not None and after is not None and after < before + self.report.migrated:
                raise lost_data(self._to)
            return complete

        return work

    async def _move(self, ends: Ends, origin: StoredOrigin, dumps: Dumps | None) -> Work:
        """Binds the claimed tasks to this target, and registers the job with those that move tasks of this queue."""
        options = self._options
        target, claims = await self._target(ends, origin, dumps), self._claims(ends, origin.queue)
        if not ends.same:
            await retry(partial(bind, ends, claims, place(self._from)), options.retry_for, between=ends.reconnect)
        for job, count in (await claims.enter()).items():
            log.warning("job %s holds %s tasks of this queue: migrate them with --job %s", job, f"{count:,}", job)
        return Move(claims, target, self._transfer(ends, target), self.report, ends.source.lease, options.retry_for).run

    def _transfer(self, ends: Ends, target: Target) -> Transfer:
        rejects = rejects_path(self._options.rejects, self.report.job)
        begin_file(rejects, resumed=self.report.resumed)

        async def renew() -> None:
            for end in ends.held:
                await retry(end.lease.renew, self._options.retry_for, between=end.servers.reconnect)

        proof = Proof(renew, lambda: all(end.lease.is_proved() for end in ends.held))
        return Transfer(self._options, self.report, target, rejects, proof, self._stop)

    async def _target(self, ends: Ends, origin: Origin, dumps: Dumps | None) -> Target:
        options = self._options
        same = ends.same and options.from_system is None  # jobs of other systems have other keys
        documented = options.from_layout == "documented"
        # runqy's look-up key is the key of the source's task, or of a task that stays. For a move, Claims writes it.
        look_up = not (same and (documented or not options.move))
        # As for envelopes: tasks may have fields that are not the layout's own.
        of_tasks = replace(options.target, envelope=True)
        queue, cluster = options.target_queue, ends.target.servers.is_cluster
        encoder = encoder_for(of_tasks, queue, cluster=cluster, look_up=look_up)
        compact = None
        if dumps is not None:
            compact = encoder_for(of_tasks, queue, cluster=cluster, compact=dumps, look_up=look_up)
        shared = options.source_queue if same and options.target_layout == "documented" else ""
        kind = Target
        if cluster and options.target_layout == "documented":
            kind = ScatteredTarget
        servers = ends.target.servers
        limit = await retry(lambda: ask_value_limit(servers.clients()), options.retry_for, between=servers.reconnect)
        return kind(
            ends.into,
            encoder,
            compact,
            stored_queue(options.target_layout, queue),
            self.report.job,
            origin.translation(),
            limit,
            shared_with=shared,
            shares_tasks=documented,
        )

    def _claims(self, ends: Ends, queue: StoredQueue) -> Claims:
        options, same = self._options, ends.same
        looks_up = same and options.target_layout == "asynq" and options.target_profile.reverse_lookup
        return Claims(
            ends.out,
            queue,
            self.report.job,
            options.batch_size,
            keeps_hashes=same and options.target_layout == "documented",
            look_up=options.target_queue if looks_up else "",
            cluster=ends.source.servers.is_cluster,
        )

    # --- after the last task ---------------------------------------------------------------------------------------

    async def _finish(self, ends: Ends) -> None:
        """Marks the job as done in its records."""
        report = {**self.report.to_dict(), "status": "completed"}
        for end in ends.held:
            await retry(end.confirm, self._options.retry_for, between=end.servers.reconnect)
        for end in ends.held:
            again, kept = end.servers.reconnect, keep_seconds(self._options.keep_job)
            await retry(partial(end.job.finish, report), self._options.retry_for, between=again)
            await retry(partial(keep_finished, end.servers, end.job, kept), self._options.retry_for, between=again)

"""Takes back what a job has loaded and no consumer has taken.

The job is marked first, so that no load goes on with it. Its keys are deleted last. So a rollback that was stopped or
killed at any moment goes on when it is run again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import orjson

from loader.errors import JobBusyError, LoaderError, UsageError
from loader.jobs.how import load_command
from loader.jobs.job_keys import keys_of, queues_of
from loader.jobs.keep import delete_ledgers, forget, keep_for, stay
from loader.jobs.manifest import VERSION
from loader.jobs.standing import DONE, UNDOING, UNDONE, Standing, job_key, read_standing, shown_left, shown_time
from loader.jobs.under_lease import UnderLease
from loader.servers.retry import Patience, retry
from loader.servers.routing import Servers
from loader.servers.scatter import ask_each
from loader.settings.keep import keep_seconds
from loader.settings.server_address import server_address
from loader.undo.ledgers import QueueTotals, total_tasks, totals_of
from loader.undo.options import RollbackOptions, check_job
from loader.undo.orphans import delete_never_pushed, hashes_with, never_pushed
from loader.undo.report import RollbackReport
from loader.undo.selection import count_ids, ids_path, prefixes_of, selections
from loader.undo.take import QueueTaker, StoppedEarlyError

T = TypeVar("T")

log = logging.getLogger("runqy_loader")


class Rollback:
    """One run of a rollback.

    Raises:
        UsageError: An option or the name of the job cannot be used.
    """

    def __init__(self, job: str, options: RollbackOptions) -> None:
        check_job(job)
        options.check()
        self._options = options
        self._servers = Servers(server_address(options), options.timeout)
        self._stop = asyncio.Event()
        self._patience = Patience(options.retry_for)
        self._lease = UnderLease(self._servers, self._patience)
        self.report = RollbackReport(job, options.dry_run)

    def stop(self) -> None:
        """Makes ``run`` end soon, between two steps."""
        self._stop.set()

    async def run(self) -> RollbackReport:
        """Takes back the tasks of the job.

        Raises:
            LoaderError: This failed. What was taken back stays so, and the same call goes on from there.
        """
        report = self.report
        try:
            await retry(self._servers.reach, self._patience, connected=False)
            job = await self._found()
            if job.state == UNDONE:
                self._tell_noted(job)
                log.info("job %s was rolled back on %s", job.name, shown_time(job.undone.get("time")))
            elif report.dry_run:
                totals = await self._take_all(job)
                if job.holder is None:  # what a running load has not pushed yet is no orphan
                    report.orphans = len(await self._orphans(job, totals))
            else:
                await self._under_lease()
            report.end("completed")
        except StoppedEarlyError:
            report.end("interrupted")
        except Exception as error:
            report.fail(error)
            raise
        except asyncio.CancelledError:
            report.end("interrupted")
            raise
        finally:
            await self._servers.aclose()
        return report

    # --- before the first task -------------------------------------------------------------------------------------

    async def _repeat(self, step: Callable[[], Awaitable[T]]) -> T:
        return await self._lease.repeat(step)

    async def _found(self) -> Standing:
        """The job. Raises LoaderError if it is none that can be taken back."""
        name = self.report.job
        job = await self._repeat(lambda: read_standing(self._servers, name))
        manifest = job.manifest
        if manifest is None:
            raise _no_job(name, self._servers)
        if job.is_migration:
            raise UsageError(f"job {name} is a migration, which cannot be rolled back", _back(manifest))
        if manifest.get("version", 0) > VERSION:
            raise LoaderError(f"a later version of runqy-loader has begun job {name}", "Roll it back with that version")
        return job

    async def _under_lease(self) -> None:
        try:
            await self._lease.work(self.report.job, "rolled back", self._take_back)
        except JobBusyError as error:
            if error.loading:
                error.hint = "Stop that first: what it loads meanwhile would not be taken back"
            raise

    # --- the work --------------------------------------------------------------------------------------------------

    async def _take_back(self) -> None:
        job = await self._found()
        if job.state == UNDONE:
            return
        report = self.report
        report.resumed = job.state == UNDOING
        if "removed" not in job.undone:
            prefixes_of(job), ids_path(job, self._options.ids)  # raises an error before anything is changed
            job = await self._marked(job)
            totals = await self._take_all(job)
            await self._delete_orphans(job, totals)
            job = await self._noted(job, totals)
            report.left = job.undone["left"]
        else:  # only its keys are left
            self._tell_noted(job)
        await self._delete_keys(job)

    def _tell_noted(self, job: Standing) -> None:
        """Has the report tell what earlier runs have noted that have taken all back."""
        self.report.earlier, self.report.left = job.undone.get("removed", 0), job.undone.get("left")

    async def _marked(self, job: Standing) -> Standing:
        """Marks the job as being rolled back. From now on, no load goes on with it."""
        if job.state == UNDOING:
            return job
        keys = await self._repeat(lambda: keys_of(self._servers, job))
        await self._repeat(lambda: stay(self._servers, keys))
        return await self._note(job, UNDOING, {"was": job.state, "began": time.time()})

    async def _note(self, job: Standing, state: str, undone: dict[str, Any]) -> Standing:
        words = ("state", state, "undone", orjson.dumps(undone))
        await self._repeat(lambda: ask_each(self._servers, [("HSET", job_key(job.name), *words)]))
        return replace(job, state=state, undone=undone)

    async def _take_all(self, job: Standing) -> dict[str, QueueTotals]:
        """Takes all tasks out of all queues. Returns what the ledgers say before it."""
        report, options = self.report, self._options
        queues = await self._repeat(lambda: queues_of(self._servers, job))
        totals = {queue: await self._totals(job, queue) for queue in queues}
        report.earlier = sum(one.taken_back for one in totals.values())
        prefixes, path = prefixes_of(job), ids_path(job, options.ids)
        if path is not None:
            await self._check_ids(job, path, totals)
        manifest = job.manifest or {}
        look_up = manifest["layout"] == "asynq" and (manifest.get("profile") or "runqy") == "runqy"
        for selection in selections(prefixes, path, manifest.get("queue")):
            for queue in queues:
                taker = QueueTaker(
                    self._servers,
                    job.name,
                    manifest["layout"],
                    queue,
                    report,
                    self._repeat,
                    self._stop.is_set,
                    look_up=look_up,
                )
                tasks = totals[queue].tasks
                await taker.take(selection, None if tasks is None else tasks - totals[queue].taken_back)
        if report.dry_run:
            tasks = total_tasks(list(totals.values()))
            report.left = None if tasks is None else tasks - report.earlier - report.taken_back
        return totals

    async def _totals(self, job: Standing, queue: str) -> QueueTotals:
        return await self._repeat(lambda: totals_of(self._servers, job, queue))

    async def _check_ids(self, job: Standing, path: Path, totals: dict[str, QueueTotals]) -> None:
        """Raises LoaderError if a file of ids lacks ids: a run that was killed may not have written its last ones."""
        known = total_tasks(list(totals.values()))
        if known is None:
            report = job.report if (job.undone.get("was") or job.state) == DONE else {}
            known = report.get("loaded", 0) + report.get("already_loaded", 0) if report else None
        found = await asyncio.to_thread(count_ids, path, (job.manifest or {}).get("queue"), totals)
        if known is None or found < known:
            lacks = "may lack ids" if known is None else f"has {found:,} ids, and {known:,} tasks of the job are in"
            raise LoaderError(
                f"{path} {lacks}: a run that was killed has not written its last ones",
                f"Have the file written anew: {load_command(job)} --ids-out {path}",
            )

    async def _orphans(self, job: Standing, totals: dict[str, QueueTotals]) -> list[tuple[bytes, str]]:
        """The hashes of batches that were never pushed. A job that was finished has none."""
        if job.undone.get("was", job.state) == DONE:
            return []
        keys = await hashes_with(self._servers, self._repeat, prefixes_of(job))
        return await never_pushed(self._servers, self._repeat, keys, totals)

    async def _delete_orphans(self, job: Standing, totals: dict[str, QueueTotals]) -> None:
        found = await self._orphans(job, totals)
        await delete_never_pushed(self._servers, self._repeat, found, (job.manifest or {})["layout"])
        self.report.orphans = len(found)

    async def _noted(self, job: Standing, totals: dict[str, QueueTotals]) -> Standing:
        """Notes in the record how many tasks were taken back, and how many are left."""
        after = [await self._totals(job, queue) for queue in totals]
        removed, tasks = sum(one.taken_back for one in after), total_tasks(after)
        left = None if tasks is None else max(tasks - removed, 0)
        for queue, one in zip(totals, after, strict=True):
            # What was taken by steps whose replies were lost, nearly always from the pending list; and in long queues,
            # ids without a task of their own, such as those that are in the queue twice.
            self.report.count("pending", queue, one.taken_back - totals[queue].taken_back - self.report.queues[queue])
        return await self._note(job, UNDOING, {**job.undone, "removed": removed, "left": left, "time": time.time()})

    async def _delete_keys(self, job: Standing) -> None:
        """Deletes the ledgers. The record stays if tasks are left, so that they are not loaded a second time."""
        keys = await self._repeat(lambda: keys_of(self._servers, job))
        if job.undone["left"] == 0:
            await self._repeat(lambda: forget(self._servers, keys))
            return
        key = job_key(job.name)
        await self._repeat(lambda: delete_ledgers(self._servers, keys))
        fields = ("prefixes", "report", "ids", "ends", "record_limit", "rejects")
        await self._repeat(lambda: ask_each(self._servers, [("HDEL", key, *fields)]))
        await self._note(job, UNDONE, job.undone)
        kept = keep_seconds(self._options.keep_job)
        await self._repeat(lambda: keep_for(self._servers, keys, kept))
        log.info(
            "%s tasks of job %s had been taken by consumers: loading the same input again needs --again",
            shown_left(job.undone["left"]),
            job.name,
        )


def _no_job(name: str, servers: Servers) -> LoaderError:
    with suppress(OSError):
        if Path(f"{name}.journal").exists():
            return LoaderError(
                f"job {name} was loaded over HTTP (--to), which cannot be rolled back",
                "The runqy server has its tasks, and this loader did not write them: delete them through that server; "
                "see docs/jobs.md",
            )
    return LoaderError(
        f"there is no job {name} on {servers}",
        "runqy-loader jobs lists the jobs there. A job that was loaded over HTTP (--to) has no record in Redis, and "
        "cannot be rolled back",
    )


def _back(manifest: dict[str, Any]) -> str:
    names = {"from": manifest.get("to_queue"), "to": manifest.get("from_queue")}
    if not manifest.get("move"):
        return "A copy has left its source as it was; see docs/jobs.md for what to do with the copies"
    return (
        f"Move the tasks back: runqy-loader migrate --from-queue {names['from']} --from-layout "
        f"{manifest.get('to_layout')} --to-queue {names['to']} --to-layout {manifest.get('from_layout')} --move"
    )

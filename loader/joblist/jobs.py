"""Lists, shows, forgets and cleans up jobs, and says when their records end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self, TypeVar

from loader.errors import JobBusyError, LoaderError
from loader.joblist.options import JobsOptions
from loader.joblist.view import EXPIRED, JobView, connections, refuse_running, view_of
from loader.jobs.course import Course, read_course
from loader.jobs.index import enter_jobs, leave_jobs, listed_jobs
from loader.jobs.job_keys import keys_of, queues_of
from loader.jobs.keep import forget, keep_for
from loader.jobs.ordering import order_pause, order_rate, order_resume
from loader.jobs.records import prefix_of
from loader.jobs.standing import DONE, LOADING, UNDOING, UNDONE, Standing, job_in, job_key, read_standing
from loader.jobs.under_lease import UnderLease
from loader.servers.retry import Patience, retry
from loader.servers.routing import Servers
from loader.servers.scan import once, scan_all
from loader.settings.server_address import server_address
from loader.tasks.ids import ID_BYTES
from loader.undo.ledgers import totals_of
from loader.undo.orphans import delete_never_pushed, hashes_with, never_pushed
from loader.undo.selection import prefixes_of

T = TypeVar("T")

_WHY_OVER = {DONE: "is finished", UNDOING: "is being rolled back", UNDONE: "was rolled back"}


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What ``clean`` has found of one job.

    Attributes:
        deleted: The number of its hashes and look-ups that were never pushed.
        passed_over: Why it was not looked at; '' if it was.
    """

    job: str
    deleted: int = 0
    passed_over: str = ""


@dataclass(slots=True)
class Forgotten:
    """What ``forget`` deletes.

    Attributes:
        means: What it means for the job's tasks, and for a load of the same input.
    """

    job: str
    means: list[str] = field(default_factory=list)
    done: bool = False


class Jobs:
    """The jobs of a server or cluster, between ``async with`` and its end.

    Raises:
        UsageError: An option cannot be used.
    """

    def __init__(self, options: JobsOptions) -> None:
        options.check()
        self._options = options
        self._servers = Servers(server_address(options), options.timeout)
        self._patience = Patience(options.retry_for)
        self._lease = UnderLease(self._servers, self._patience)

    async def __aenter__(self) -> Self:
        await retry(self._servers.reach, self._patience, connected=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._servers.aclose()

    async def _repeat(self, step: Callable[[], Awaitable[T]]) -> T:
        return await self._lease.repeat(step)

    async def every(self) -> list[JobView]:
        """All jobs, the first begun first. Names of jobs that are gone are removed from the list.

        Raises:
            LoaderError: The server refuses, or cannot be reached.
        """
        if self._options.scan:
            await self._repeat(self._search)
        names = await self._repeat(lambda: connections(self._servers))
        views: list[JobView] = []
        gone: list[str] = []
        for name in await self._repeat(lambda: listed_jobs(self._servers)):
            job = await self._standing(name)
            if job.manifest is None:
                gone.append(name)
            else:
                views.append(await self._repeat(partial(view_of, self._servers, job, names)))
        await self._repeat(lambda: leave_jobs(self._servers, gone))
        return [view for view in views if view.state != EXPIRED]

    async def show(self, name: str) -> JobView:
        """One job.

        Raises:
            LoaderError: There is no such job; or the server refuses, or cannot be reached.
        """
        job = await self._known(name)
        names = await self._repeat(lambda: connections(self._servers))
        return await self._repeat(lambda: view_of(self._servers, job, names))

    async def forget(self, name: str) -> Forgotten:
        """Deletes the record of a job, and its ledgers; with ``yes`` only. Its tasks stay where they are.

        Raises:
            LoaderError: There is no such job; it is running, or being rolled back; or the server refuses.
        """
        job = await self._known(name)
        names = await self._repeat(lambda: connections(self._servers))
        refuse_running(self._servers, job, names, "forgotten")
        _refuse_half(job)
        found = Forgotten(name, _meaning(job))
        if self._options.yes and not self._options.dry_run:
            await self._under_lease(name, "forgotten", lambda: self._forget(name))
            found.done = True
        return found

    async def _forget(self, name: str) -> None:
        job = await self._known(name)
        _refuse_half(job)
        keys = await self._repeat(lambda: keys_of(self._servers, job))
        await self._repeat(lambda: forget(self._servers, keys))

    async def expire(self, name: str, kept: int | None) -> JobView:
        """Has the record of a finished job end after so many seconds from now; None: never.

        Raises:
            LoaderError: There is no such job; or it is not finished.
        """
        await self._under_lease(name, "given an end", lambda: self._expire(name, kept))
        return await self.show(name)

    async def _expire(self, name: str, kept: int | None) -> None:
        job = await self._known(name)
        if job.state not in (DONE, UNDONE):
            raise LoaderError(
                f"job {name} is not finished, so its record must stay: it says what is in",
                f"Finish it, or give it up: runqy-loader rollback {name}, or runqy-loader jobs forget {name}",
            )
        keys = await self._repeat(lambda: keys_of(self._servers, job))
        await self._repeat(lambda: keep_for(self._servers, keys, kept, quiet=False))

    async def pause(self, name: str) -> JobView:
        """Has the runs of a job pause: the one that loads it now, and later ones, until ``resume``.

        Raises:
            LoaderError: There is no such job, or it does not go on; or the server refuses, or cannot be reached.
        """
        return await self._ordered(name, partial(order_pause, self._servers, name))

    async def resume(self, name: str) -> JobView:
        """Has the runs of a job go on after ``pause``. Raises as ``pause``."""
        return await self._ordered(name, partial(order_resume, self._servers, name))

    async def change_rate(self, name: str, rate: float | None) -> JobView:
        """Has the runs of a job load at a rate: the one that loads it now, and later ones. Raises as ``pause``.

        Args:
            rate: Tasks a second, above 0; None: as the options of the load say.
        """
        return await self._ordered(name, partial(order_rate, self._servers, name, rate))

    async def _ordered(self, name: str, order: Callable[[], Awaitable[bool]]) -> JobView:
        job = await self._known(name)
        if job.is_migration:
            raise LoaderError(
                f"job {name} is a migration, which takes no orders",
                "Interrupt it, and run the same command again later",
            )
        if not await self._repeat(order):
            raise LoaderError(
                f"job {name} {_WHY_OVER.get(job.state, 'has ended')}: there is nothing to pause or to slow down",
                "runqy-loader jobs lists the jobs and their states",
            )
        return await self.show(name)

    async def course(self, name: str) -> Course:
        """How the newest run of a job goes, if it notes that.

        Raises:
            LoaderError: There is no such job; or the server refuses, or cannot be reached.
        """
        found = await self._repeat(lambda: read_course(self._servers, name))
        if not found.is_there:
            await self._known(name)
        return found

    async def clean(self) -> list[Cleaned]:
        """Deletes hashes that killed runs of unfinished jobs have left, and that were never pushed.

        Raises:
            LoaderError: The server refuses, or cannot be reached.
        """
        if self._options.scan:
            await self._repeat(self._search)
        names = await self._repeat(lambda: connections(self._servers))
        jobs: list[tuple[Standing, frozenset[bytes]]] = []
        cleaned: list[Cleaned] = []
        for name in await self._repeat(lambda: listed_jobs(self._servers)):
            job = await self._standing(name)
            if job.manifest is None or job.state != LOADING or job.is_migration:
                continue
            try:
                refuse_running(self._servers, job, names, "cleaned up after")
                jobs.append((job, prefixes_of(job)))
            except LoaderError as error:
                cleaned.append(Cleaned(name, passed_over=str(error.args[0])))
        if jobs:
            prefixes = frozenset[bytes]().union(*(own for _, own in jobs))
            keys = await hashes_with(self._servers, self._repeat, prefixes)
            for job, own in jobs:
                mine = [key for key in keys if prefix_of(key[-ID_BYTES:], own)]
                cleaned.append(await self._clean(job.name, mine))
        return cleaned

    async def _clean(self, name: str, keys: list[bytes]) -> Cleaned:
        if not keys:
            return Cleaned(name)
        try:
            return await self._under_lease(name, "cleaned up after", lambda: self._clean_held(name, keys))
        except JobBusyError as error:
            if error.taken_over:
                raise
            return Cleaned(name, passed_over=str(error.args[0]))

    async def _clean_held(self, name: str, keys: list[bytes]) -> Cleaned:
        job = await self._standing(name)
        if job.manifest is None or job.state != LOADING:
            return Cleaned(name)
        queues = await self._repeat(lambda: queues_of(self._servers, job))
        totals = {queue: await self._repeat(partial(totals_of, self._servers, job, queue)) for queue in queues}
        found = await never_pushed(self._servers, self._repeat, keys, totals)
        if not self._options.dry_run:
            await delete_never_pushed(self._servers, self._repeat, found, job.manifest["layout"])
        unknown = [queue for queue, one in totals.items() if one.tasks is None]
        why = f"an earlier version has loaded a part of it into {', '.join(unknown)}" if unknown else ""
        return Cleaned(name, len(found), why)

    # --- shared ----------------------------------------------------------------------------------------------------

    async def _standing(self, name: str) -> Standing:
        return await self._repeat(partial(read_standing, self._servers, name))

    async def _known(self, name: str) -> Standing:
        job = await self._standing(name)
        if job.manifest is None:
            raise LoaderError(
                f"there is no job {name} on {self._servers}",
                "runqy-loader jobs lists the jobs there, with --scan also those of earlier versions. A job that was "
                "loaded over HTTP (--to) has no record in Redis: its journal is its record",
            )
        return job

    async def _under_lease(self, name: str, doing: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Does work while it holds the lease of a job."""
        await self._known(name)
        return await self._lease.work(name, doing, work)

    async def _search(self) -> None:
        found: list[tuple[str, float]] = []
        async for keys in scan_all(self._servers, once, job_key("*"), rest=1.0):
            for key in keys:
                name = job_in(key)
                job = await read_standing(self._servers, name)
                if job.manifest is not None:
                    found.append((name, job.created or 0.0))
        await enter_jobs(self._servers, found)


def _refuse_half(job: Standing) -> None:
    """Raises LoaderError for a job that is being rolled back: keys of its tasks could stay for ever."""
    if job.state == UNDOING:
        raise LoaderError(
            f"job {job.name} is being rolled back", f"Finish that first: runqy-loader rollback {job.name}"
        )


def _meaning(job: Standing) -> list[str]:
    lines = ["its tasks stay where they are, and can no longer be rolled back"]
    if job.is_migration:
        return [*lines, "if the same migration is run again, it copies or moves tasks again that it has placed before"]
    lines.append("if its input is loaded again, all of it is loaded, and tasks that are in are loaded a second time")
    if not job.has_own_ids:
        lines.append("under the same name, they get the same ids: let consumers finish with the first ones before")
    if job.state == LOADING:
        lines.append("it is not finished: its load cannot go on where it stopped")
    return lines

"""A job as users see it: its state, its progress, who works on it, and how to go on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from loader.errors import LoaderError
from loader.jobs.how import next_step
from loader.jobs.job_keys import keys_of, marks_of, queues_of
from loader.jobs.lease import connections_of
from loader.jobs.manifest import own_queues
from loader.jobs.standing import DONE, UNDOING, UNDONE, Standing
from loader.servers.routing import Servers, list_clients
from loader.undo.ledgers import total_tasks, totals_of

RUNNING, INTERRUPTED, FINISHED = "running", "interrupted", "finished"
ROLLING_BACK, ROLLED_BACK, EXPIRED = "being rolled back", "rolled back", "expired"

_STATES = {DONE: FINISHED, UNDOING: ROLLING_BACK, UNDONE: ROLLED_BACK}


@dataclass(frozen=True, slots=True)
class JobView:
    """One job.

    Attributes:
        kind: ``load`` or ``migrate``.
        state: One of the constants above.
        begun, finished, expires: Unix times; None if there is none.
        host, pid: The process that works on it now.
        since: The Unix time since which that process is connected, if the server tells.
        queues: Full names of its queues; of a job that an earlier version has begun, as far as they are known.
        batches: The number of batches that are in; of a migration, of ids that it remembers.
        tasks: The number of tasks that are in; None if it is not known.
        input_bytes: The size of its input as stored; None if it is not known.
        left: After a rollback: tasks that consumers had taken.
        rejected: Records that its last complete run has rejected.
        rejects, ids: Paths of its rejects file and its ids file, on the host that has written them.
        sources: Names of its input.
        go_on: The command that goes on with it; '' if there is nothing to do.
        paused: The Unix time since which it is to pause; None if it is not.
        rate: Tasks a second that were ordered from another terminal; None if none were.
    """

    job: str
    kind: str
    state: str
    begun: float | None = None
    finished: float | None = None
    expires: float | None = None
    host: str | None = None
    pid: int | None = None
    since: float | None = None
    layout: str | None = None
    queues: Sequence[str] = ()
    batches: int = 0
    tasks: int | None = None
    input_bytes: int | None = None
    left: int | None = None
    rejected: int | None = None
    rejects: str | None = None
    ids: str | None = None
    sources: Sequence[str] = field(default_factory=list)
    go_on: str = ""
    paused: float | None = None
    rate: float | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


async def connections(servers: Servers) -> Mapping[str, float] | None:
    """The names of connections, each with the Unix time of its beginning; None if a server lists none.

    Raises:
        LoaderError: A server does not answer.
    """
    found: dict[str, float] = {}
    for client in servers.clients():
        clients = await list_clients(client, str(servers))
        if clients is None:
            return None
        for one in clients:
            if one["name"]:
                found[one["name"]] = time.time() - float(one.get("age") or 0)
    return found


def holder_of(
    job: Standing, names: Mapping[str, float] | None, database: int
) -> tuple[dict[str, Any] | None, float | None]:
    """Who works on a job, and since when. A killed process leaves its lease for a moment, but no connections."""
    holder = job.holder
    if holder is None:
        return None, None
    if names is None or not holder.get("named", True):
        return holder, None
    prefix = f"{connections_of(job.name, database)}{holder.get('run')}:{'0.' if holder.get('spread') else ''}"
    begun = [since for name, since in names.items() if name.startswith(prefix)]
    return (holder, min(begun)) if begun else (None, None)


async def view_of(servers: Servers, job: Standing, names: Mapping[str, float] | None) -> JobView:
    """A job that has a record.

    Args:
        names: From ``connections``.

    Raises:
        LoaderError: A server refuses, or cannot be reached.
    """
    manifest: dict[str, Any] = job.manifest or {}
    holder, since = holder_of(job, names, servers.address.db)
    state = _STATES.get(job.state, INTERRUPTED)
    if holder is not None and state != ROLLING_BACK:
        state = RUNNING
    if holder is None and job.has_ended:
        state = EXPIRED
    queues, batches, tasks = await _progress(servers, job)
    sources = manifest.get("sources", [])
    sizes = [source.get("size") for source in sources]
    report = job.report
    return JobView(
        job.name,
        "migrate" if job.is_migration else "load",
        state,
        job.created,
        job.finished,
        None if job.expires is None else job.expires / 1000,
        None if holder is None else holder.get("host"),
        None if holder is None else holder.get("pid"),
        since,
        manifest.get("layout") or manifest.get("to_layout"),
        queues,
        batches,
        tasks,
        None if None in sizes or not sizes else sum(sizes),
        job.undone.get("left"),
        report.get("rejected"),
        job.rejects or report.get("rejects_file"),
        job.ids,
        [str(source.get("name")) for source in sources],
        "" if holder is not None or state == EXPIRED else next_step(job),
        None if job.is_over else job.orders.paused,
        None if job.is_over else job.orders.rate,
    )


async def _progress(servers: Servers, job: Standing) -> tuple[list[str], int, int | None]:
    """The queues of a job, and how many batches and tasks are in."""
    manifest: dict[str, Any] = job.manifest or {}
    if job.is_migration:
        there = await marks_of(servers, await keys_of(servers, job))
        return [manifest["to_queue"]], there, job.report.get("migrated")
    if job.state == UNDONE:
        return own_queues(manifest), 0, 0
    if job.records_name_queues and not job.is_noted:  # to find them would take a search through all keys
        queues = sorted(job.report.get("queues", {}))
        done = job.report.get("loaded", 0) + job.report.get("already_loaded", 0)
        return queues, 0, done if job.state == DONE else None
    queues = await queues_of(servers, job)
    totals = [await totals_of(servers, job, queue) for queue in queues]
    tasks = total_tasks(totals)
    if tasks is None and job.state == DONE:
        tasks = job.report.get("loaded", 0) + job.report.get("already_loaded", 0)
    elif tasks is not None:
        tasks -= sum(one.taken_back for one in totals)
    return queues, sum(one.batches for one in totals), tasks


def refuse_running(servers: Servers, job: Standing, names: Mapping[str, float] | None, what: str) -> None:
    """Raises LoaderError if a process works on a job."""
    holder, _ = holder_of(job, names, servers.address.db)
    if holder is not None:
        raise LoaderError(
            f"process {holder.get('pid')} on {holder.get('host')} works on job {job.name}, so it is not {what}",
            "Stop that one first",
        )

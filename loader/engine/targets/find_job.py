"""Finds the job that a load goes on with, or makes sure that a new one loads nothing a second time."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from typing import Any, Protocol, TypeVar

import redis.exceptions

from loader.engine.plan import LoadPlan, Proposal
from loader.errors import AlreadyLoadedError, TransientError
from loader.jobs.job import Job
from loader.jobs.source_index import index_keys, note_sources
from loader.servers.routing import Servers

T = TypeVar("T")

log = logging.getLogger("runqy_loader")


class Repeat(Protocol):
    """Repeats a step while it fails with a fault that may pass; see ``loader.servers.retry``."""

    async def __call__(self, step: Callable[[], Awaitable[T]]) -> T: ...


async def find_job(servers: Servers, proposal: Proposal, repeat: Repeat) -> tuple[Job, dict[str, Any] | None]:
    """The job of a load, and its manifest if it was begun before.

    With ``--again``, a derived name gets a number, unless the job of that name is not finished.

    Raises:
        LoaderError: The server refuses, or cannot be reached.
    """
    for name in proposal.names:
        job = Job(servers, name)
        recorded = await repeat(partial(_recorded, servers, job))
        if recorded is not None:
            break
    else:
        return Job(servers, proposal.names[0]), None
    options = proposal.options
    if not options.again or options.job is not None:
        return job, recorded
    for number in count(2):
        if not await repeat(job.is_done):
            log.info("job %s is not finished: --again goes on with it", job.name)
            break
        job = Job(servers, f"{name}-{number}")
        recorded = await repeat(job.recorded)
        if recorded is None:
            break
    return job, recorded


async def _recorded(servers: Servers, job: Job) -> dict[str, Any] | None:
    try:
        return await job.recorded()
    except TransientError as error:
        if servers.is_cluster or not isinstance(error.__cause__, redis.exceptions.MovedError):
            raise
        return None  # a node of a cluster that does not tell the other nodes: the preflight refuses it


async def claim_sources(servers: Servers, plan: LoadPlan, repeat: Repeat, *, resumed: bool) -> None:
    """Notes the job as a user of its sources.

    Args:
        resumed: Whether the job was begun before. If it has loaded something, it goes on whatever other jobs did.

    Raises:
        AlreadyLoadedError: Another job has loaded one of them into the same queue, and ``--again`` is not given.
        LoaderError: The server refuses, or cannot be reached.
    """
    keys = index_keys(plan.manifest)

    async def counts(job: str) -> bool:
        return await Job(servers, job).may_have_loaded()

    async def note() -> tuple[str, str] | None:
        again = plan.options.again or (resumed and await Job(servers, plan.job).has_loaded())
        return await note_sources(servers, plan.job, keys, counts, again=again)

    taken = await repeat(note)
    if taken is None:
        return
    key, other = taken
    digest = key.rpartition(":")[2]
    source = next(source["name"] for source in plan.manifest["sources"] if source["digest"] == digest)
    queue = plan.options.default_queue
    where = f"on {servers}" if queue is None else f"in {queue}"
    if await repeat(Job(servers, other).is_done):
        raise AlreadyLoadedError(
            f"{source} is {where} already: job {other} has loaded it",
            "Leave it out, or give --again to load it a second time",
        )
    raise AlreadyLoadedError(
        f"a part of {source} may be {where} already: job {other} was begun with it and is not finished",
        f"Go on with that job: --job {other} and all of its input; or give --again to load it a second time",
    )

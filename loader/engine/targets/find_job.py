"""Finds the job that a load goes on with, or makes sure that a new one loads nothing a second time."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, TypeVar

from loader.engine.plan import LoadPlan, Proposal
from loader.errors import AlreadyLoadedError, JobMismatchError, LoaderError
from loader.jobs.job import Job
from loader.jobs.source_index import index_keys, note_sources, users_of
from loader.jobs.standing import DONE
from loader.servers.retry import Repeat
from loader.servers.routing import Servers
from loader.settings import LoadOptions
from loader.wire.faults import code_of

T = TypeVar("T")

log = logging.getLogger("runqy_loader")


@dataclass(frozen=True, slots=True)
class FoundJob:
    """The job of a load.

    Attributes:
        proposal: The proposal with the job's layout.
        first: The name under which the job, or the first one with the same content, was begun.
        recorded: The job's manifest; None for a job that is not begun yet.
    """

    proposal: Proposal
    first: str
    job: Job
    recorded: dict[str, Any] | None


async def find_job(servers: Servers, proposals: Sequence[Proposal], repeat: Repeat) -> FoundJob | None:
    """The job that a load goes on with; None if it is a new one.

    With ``--again``, this is the first job with the same content that is not finished, or the one after the last.

    Args:
        proposals: One for each layout that is possible.

    Raises:
        JobMismatchError: An option needs another layout than the job has.
        RolledBackError: The job is being rolled back, or consumers had taken some of its tasks before it was.
        LoaderError: The server refuses, or cannot be reached.
    """
    for name in dict.fromkeys(name for proposal in proposals for name in proposal.names):
        job = Job(servers, name)
        recorded = await repeat(partial(_recorded, servers, job))
        if recorded is not None:
            fitting = _fitting(proposals, name, recorded)
            return FoundJob(fitting, name, *await _again(servers, fitting.options, job, recorded, repeat))
    return None


def _fitting(proposals: Sequence[Proposal], job: str, recorded: Mapping[str, Any]) -> Proposal:
    """The proposal with the layout of a job that was begun."""
    layout = recorded.get("layout")
    for proposal in proposals:
        if proposal.options.layout == layout:
            return proposal
    (only,) = proposals
    if (needed := only.needed) is not None:
        raise JobMismatchError(
            f"job {job} was begun with layout {layout}, but {needed} needs layout {only.options.layout}",
            f"Leave out {needed} to complete the job, or give another --job name to load this as a new job",
        )
    return only


async def _again(
    servers: Servers, options: LoadOptions, job: Job, recorded: dict[str, Any], repeat: Repeat
) -> tuple[Job, dict[str, Any] | None]:
    """The job to go on with: of finished jobs, ``--again`` begins the next one."""
    name, found = job.name, recorded
    standing = await repeat(job.standing)
    if not options.again or options.job is not None:
        standing.refuse_rolled_back()
        return job, found
    for number in count(2):
        standing.refuse_rolled_back(again=True)
        if not standing.is_over:
            log.info("job %s is not finished: --again goes on with it", job.name)
            break
        job = Job(servers, f"{name}-{number}")
        following = await repeat(job.recorded)
        if following is None:
            return job, None
        found, standing = following, await repeat(job.standing)
    return job, found


async def _recorded(servers: Servers, job: Job) -> dict[str, Any] | None:
    try:
        return await job.recorded()
    except LoaderError as error:
        # The preflight refuses a node of a cluster that does not tell the other nodes, and names all missing rights.
        code = code_of(error.__cause__)
        if code == "NOPERM" or (code == "MOVED" and not servers.is_cluster):
            return None
        raise


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

    if (taken := await repeat(note)) is not None:
        await refuse_taken(servers, plan, taken)


async def taken_source(servers: Servers, plan: LoadPlan, *, resumed: bool) -> tuple[str, str] | None:
    """The source of a plan that ``claim_sources`` would refuse, and the job that has loaded it. Writes nothing.

    Args:
        resumed: Whether the job was begun before, and has loaded something.

    Raises:
        LoaderError: The server refuses, or cannot be reached.
    """
    if plan.options.again or resumed:
        return None
    for key, jobs in await users_of(servers, index_keys(plan.manifest)):
        for other in jobs:
            if other != plan.job and await Job(servers, other).may_have_loaded():
                return key, other
    return None


async def refuse_taken(servers: Servers, plan: LoadPlan, taken: tuple[str, str]) -> None:
    """Raises AlreadyLoadedError for a source that another job has loaded; see ``taken_source``."""
    key, other = taken
    digest = key.rpartition(":")[2]
    source = next(source["name"] for source in plan.manifest["sources"] if source["digest"] == digest)
    queue = plan.options.default_queue
    where = f"on {servers}" if queue is None or "{*}" in key else f"in {queue}"  # *: records name their queues
    standing = await Job(servers, other).standing()
    standing.refuse_rolled_back()
    if standing.state == DONE:
        raise AlreadyLoadedError(
            f"{source} is {where} already: job {other} has loaded it",
            "Leave it out, or give --again to load it a second time",
        )
    raise AlreadyLoadedError(
        f"a part of {source} may be {where} already: job {other} was begun with it and is not finished",
        f"Go on with that job: --job {other} and all of its input; or give --again to load it a second time",
    )

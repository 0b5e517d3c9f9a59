"""The names of all jobs of a server, in one sorted set: to list them takes no search through the server's keys.

Key ``runqy-loader:jobs``, a sorted set of names by the Unix time at which each was begun. A name may outlive its job,
whose record ends by itself (``keep.py``); whoever lists jobs removes such names. Jobs of earlier versions are not in it
before they are resumed, or found by a search.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence

from loader.errors import LoaderError, TransientError
from loader.servers.routing import Servers
from loader.wire.faults import translated

JOBS_KEY = "runqy-loader:jobs"

log = logging.getLogger("runqy_loader")


async def enter_job(servers: Servers, job: str) -> None:
    """Adds a job that begins or goes on. Without the right to do so, the job is loaded all the same.

    Raises:
        TransientError: The server cannot be reached.
    """
    try:
        with translated(f"{servers}, key {JOBS_KEY}"):
            await servers.client_of(JOBS_KEY).execute("ZADD", JOBS_KEY, "NX", time.time(), job)
    except TransientError:
        raise
    except LoaderError as error:
        log.debug("job %s is not listed by runqy-loader jobs: %s", job, error)


async def enter_jobs(servers: Servers, jobs: Sequence[tuple[str, float]]) -> None:
    """Adds jobs of earlier versions that a search has found, each with the time at which it was begun.

    Raises:
        LoaderError: The server refuses, or cannot be reached.
    """
    if jobs:
        with translated(f"{servers}, key {JOBS_KEY}"):
            words = [word for name, begun in jobs for word in (begun, name)]
            await servers.client_of(JOBS_KEY).execute("ZADD", JOBS_KEY, "NX", *words)


async def leave_jobs(servers: Servers, jobs: Iterable[str]) -> None:
    """Removes names of jobs that are gone.

    Raises:
        LoaderError: The server refuses, or cannot be reached.
    """
    if names := list(jobs):
        with translated(f"{servers}, key {JOBS_KEY}"):
            await servers.client_of(JOBS_KEY).execute("ZREM", JOBS_KEY, *names)


async def listed_jobs(servers: Servers) -> list[str]:
    """All names, the first begun first.

    Raises:
        LoaderError: The server refuses, or cannot be reached.
    """
    with translated(f"{servers}, key {JOBS_KEY}"):
        return [name.decode() for name in await servers.client_of(JOBS_KEY).execute("ZRANGE", JOBS_KEY, 0, -1)]

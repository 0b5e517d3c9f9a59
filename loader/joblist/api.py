"""The Python API for looking at jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack, cast

from loader.joblist.jobs import Jobs
from loader.joblist.options import JobsOptions, ordered_rate
from loader.joblist.view import JobView

if TYPE_CHECKING:
    from loader.settings.keywords import JobsKeywords


async def list_jobs(**fields: Unpack[JobsKeywords]) -> list[JobView]:
    """The jobs of a server, the first begun first.

    Args:
        fields: Fields of ``JobsOptions``: ``redis``, ``scan`` (to find jobs of earlier versions), ``timeout``,
            ``retry_for``.

    Raises:
        LoaderError: The server refuses, or cannot be reached.

    Example:
        >>> for job in await list_jobs(redis="redis://localhost:6379/0"):
        ...     print(job.job, job.state, job.tasks)
    """
    async with Jobs(JobsOptions(**cast(dict[str, Any], fields))) as jobs:
        return await jobs.every()


async def pause_job(job: str, **fields: Unpack[JobsKeywords]) -> JobView:
    """Has the runs of a job pause: the one that loads it now, within about a second, and later ones.

    Args:
        job: Name of the job.
        fields: Fields of ``JobsOptions``: ``redis``, ``timeout``, ``retry_for``.

    Raises:
        LoaderError: There is no such job, or it does not go on; or the server refuses, or cannot be reached.
    """
    async with Jobs(JobsOptions(**cast(dict[str, Any], fields))) as jobs:
        return await jobs.pause(job)


async def resume_job(job: str, **fields: Unpack[JobsKeywords]) -> JobView:
    """Has the runs of a job go on after ``pause_job``. Arguments and errors are the same."""
    async with Jobs(JobsOptions(**cast(dict[str, Any], fields))) as jobs:
        return await jobs.resume(job)


async def change_job_rate(job: str, rate: float | str | None, **fields: Unpack[JobsKeywords]) -> JobView:
    """Has the runs of a job load at a rate: the one that loads it now, within about a second, and later ones.

    Args:
        rate: Tasks a second, or a text such as ``5000/s``; None: as the options of the load say.

    Raises:
        UsageError: The rate is none, or not above 0.
        LoaderError: As ``pause_job``.
    """
    wanted = None if rate is None else ordered_rate(rate)
    async with Jobs(JobsOptions(**cast(dict[str, Any], fields))) as jobs:
        return await jobs.change_rate(job, wanted)

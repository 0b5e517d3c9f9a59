"""The Python API for looking at jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack, cast

from loader.joblist.jobs import Jobs
from loader.joblist.options import JobsOptions
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

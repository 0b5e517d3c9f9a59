"""The Python API for taking back what a job has loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack, cast

from loader.undo.options import RollbackOptions
from loader.undo.report import RollbackReport
from loader.undo.rollback import Rollback

if TYPE_CHECKING:
    from loader.settings.keywords import RollbackKeywords


async def rollback(job: str, **fields: Unpack[RollbackKeywords]) -> RollbackReport:
    """Takes back each task that a job has loaded and no consumer has taken.

    Args:
        job: Its name.
        fields: Fields of ``RollbackOptions``: ``redis``, ``ids`` (for a job whose ids come from its records),
            ``dry_run``, ``keep_job``, ``timeout``, ``retry_for``.

    Returns:
        The report: ``taken_back`` and ``left`` are numbers of tasks.

    Raises:
        UsageError: An option or the name cannot be used, or the job cannot be taken back.
        JobBusyError: A process is loading the job.
        LoaderError: It failed. The same call goes on from there.

    Example:
        >>> report = await rollback("inference-default-4f1c", redis="redis://localhost:6379/0")
        >>> print(report.taken_back, report.left)
    """
    return await Rollback(job, RollbackOptions(**cast(dict[str, Any], fields))).run()

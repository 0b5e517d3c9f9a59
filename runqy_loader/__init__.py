"""runqy-loader: loads millions of tasks into a runqy/asynq queue on Redis, fast and exactly once.

The name that programs import. Everything is in the package ``loader``, whose name other packages use as well.

>>> import asyncio, runqy_loader
>>> report = asyncio.run(runqy_loader.load("payloads.jsonl", queue="inference"))
"""

# Like loader/__init__.py, this file runs under every Python from 3.6 on.
from typing import TYPE_CHECKING, Any

import loader

if TYPE_CHECKING:
    from loader import (
        AlreadyLoadedError,
        ConnectionFailedError,
        EvictedError,
        JobBusyError,
        JobMismatchError,
        JobView,
        LayoutMismatchError,
        Loader,
        LoaderError,
        LoadOptions,
        LoadReport,
        MemoryLimitError,
        Observation,
        OversizedError,
        QueueNameError,
        QueueState,
        ReasonCode,
        RefusedNowError,
        RejectStormError,
        ResultTimeoutError,
        RollbackReport,
        RolledBackError,
        ScheduleError,
        SinkError,
        SourceChangedError,
        SourceError,
        SourceFormatError,
        SourceReport,
        TaskResult,
        TooManyRejectsError,
        TransientError,
        UnknownQueueError,
        UsageError,
        WatchedQueue,
        change_job_rate,
        list_jobs,
        load,
        pause_job,
        resume_job,
        rollback,
        wait_for_result,
        wait_for_results,
        watch_queues,
    )

__all__ = [
    "AlreadyLoadedError",
    "ConnectionFailedError",
    "EvictedError",
    "JobBusyError",
    "JobMismatchError",
    "JobView",
    "LayoutMismatchError",
    "LoadOptions",
    "LoadReport",
    "Loader",
    "LoaderError",
    "MemoryLimitError",
    "Observation",
    "OversizedError",
    "QueueNameError",
    "QueueState",
    "ReasonCode",
    "RefusedNowError",
    "RejectStormError",
    "ResultTimeoutError",
    "RollbackReport",
    "RolledBackError",
    "ScheduleError",
    "SinkError",
    "SourceChangedError",
    "SourceError",
    "SourceFormatError",
    "SourceReport",
    "TaskResult",
    "TooManyRejectsError",
    "TransientError",
    "UnknownQueueError",
    "UsageError",
    "WatchedQueue",
    "__version__",
    "change_job_rate",
    "list_jobs",
    "load",
    "pause_job",
    "resume_job",
    "rollback",
    "wait_for_result",
    "wait_for_results",
    "watch_queues",
]
if not hasattr(loader, "python_is_too_old"):
    raise ImportError(
        "runqy_loader needs its package 'loader', but {} has the same name and comes first: rename it".format(
            getattr(loader, "__file__", None) or "another module"
        )
    )
__version__ = loader.__version__


def __getattr__(name: str) -> Any:
    """Public names of ``loader``, imported at their first use. Raises ImportError if Python is too old."""
    if name in __all__:
        return getattr(loader, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> Any:
    return sorted(__all__)

"""runqy-loader: loads millions of tasks into a runqy/asynq queue on Redis, fast and exactly once.

>>> import asyncio, runqy_loader
>>> report = asyncio.run(runqy_loader.load("payloads.jsonl", queue="inference"))
"""

# This file and __main__.py run under every Python from 3.6 on, to say that a newer one is needed: they take no
# `from __future__ import annotations`, for one.
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loader.errors import (
        AlreadyLoadedError,
        ConnectionFailedError,
        EvictedError,
        JobBusyError,
        JobMismatchError,
        LayoutMismatchError,
        LoaderError,
        MemoryLimitError,
        OversizedError,
        QueueNameError,
        RefusedNowError,
        RejectStormError,
        ResultTimeoutError,
        RolledBackError,
        ScheduleError,
        SinkError,
        SourceChangedError,
        SourceError,
        SourceFormatError,
        TooManyRejectsError,
        TransientError,
        UnknownQueueError,
        UsageError,
    )
    from loader.joblist.view import JobView
    from loader.jobs.report import LoadReport, SourceReport
    from loader.public import (
        Loader,
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
    from loader.results.result import TaskResult
    from loader.settings import LoadOptions
    from loader.tasks.reasons import ReasonCode
    from loader.undo.report import RollbackReport
    from loader.watch.queue_state import QueueState
    from loader.watch.watcher import Observation, WatchedQueue

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
__version__ = "0.1.0"

OLDEST_PYTHON = (3, 11)

_HOMES = {
    "AlreadyLoadedError": "loader.errors",
    "ConnectionFailedError": "loader.errors",
    "EvictedError": "loader.errors",
    "JobBusyError": "loader.errors",
    "JobMismatchError": "loader.errors",
    "LayoutMismatchError": "loader.errors",
    "ScheduleError": "loader.errors",
    "LoadOptions": "loader.settings",
    "LoadReport": "loader.jobs.report",
    "Loader": "loader.public",
    "LoaderError": "loader.errors",
    "MemoryLimitError": "loader.errors",
    "OversizedError": "loader.errors",
    "QueueNameError": "loader.errors",
    "ReasonCode": "loader.tasks.reasons",
    "RefusedNowError": "loader.errors",
    "RejectStormError": "loader.errors",
    "ResultTimeoutError": "loader.errors",
    "SinkError": "loader.errors",
    "SourceChangedError": "loader.errors",
    "SourceError": "loader.errors",
    "SourceFormatError": "loader.errors",
    "SourceReport": "loader.jobs.report",
    "TaskResult": "loader.results.result",
    "TooManyRejectsError": "loader.errors",
    "TransientError": "loader.errors",
    "UnknownQueueError": "loader.errors",
    "UsageError": "loader.errors",
    "JobView": "loader.joblist.view",
    "RollbackReport": "loader.undo.report",
    "RolledBackError": "loader.errors",
    "change_job_rate": "loader.public",
    "list_jobs": "loader.public",
    "load": "loader.public",
    "pause_job": "loader.public",
    "resume_job": "loader.public",
    "rollback": "loader.public",
    "wait_for_result": "loader.public",
    "wait_for_results": "loader.public",
    "watch_queues": "loader.public",
    "Observation": "loader.watch.watcher",
    "QueueState": "loader.watch.queue_state",
    "WatchedQueue": "loader.watch.watcher",
}


def python_is_too_old() -> str:
    """The message for a user whose Python is too old; empty if it is not too old."""
    if sys.version_info >= OLDEST_PYTHON:
        return ""
    oldest, found = (".".join(map(str, version)) for version in (OLDEST_PYTHON, sys.version_info[:3]))
    return f"runqy-loader needs Python {oldest} or newer, and {sys.executable} is {found}. Install it with a newer one."


def __getattr__(name: str) -> Any:
    """Imports public names at their first use, so that ``runqy-loader --help`` does not wait for Redis clients.

    Raises:
        ImportError: Python is too old.
    """
    if name in _HOMES:
        if python_is_too_old():
            raise ImportError(python_is_too_old())
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

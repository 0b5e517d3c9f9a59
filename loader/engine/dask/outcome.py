"""What became of a Dask task."""

from __future__ import annotations

import asyncio
from typing import Any

from distributed import Client, Future, KilledWorker

from loader.engine.dask.fitness import unfit
from loader.engine.dask.messages import ShardResult
from loader.errors import LoaderError, SinkError, TransientError
from loader.wire.faults import RESUME


async def outcome_of(client: Client, future: Future) -> ShardResult:
    """Waits for a task and returns its result. Dask gets the results of several tasks at once where it can.

    Raises:
        TransientError: Its worker has died.
        LoaderError: It cannot run there, or the scheduler has forgotten it.
    """
    try:
        # If the result is lost with its worker, Dask runs the task again, and this waits for that.
        found = await client.gather([future], errors="skip")
        if not found:
            raise lost_scheduler() if future.cancelled() else from_exception(await future.exception())
    except asyncio.CancelledError:  # this task's, or the future's: Dask raises the same
        if not future.cancelled():
            raise
        raise lost_scheduler() from None
    except OSError as error:
        raise SinkError(f"the Dask scheduler was lost: {error}", RESUME.capitalize()) from error
    (result,) = found
    if not isinstance(result, ShardResult):
        raise SinkError(f"a Dask task has returned {type(result).__name__}", "Install one version on all machines")
    return result


async def outcome_error(future: Future) -> LoaderError | None:
    """Waits for a task of any result. Returns the error with which it has ended, if it has."""
    # Nothing is fetched, as ``gather`` does: it fails, or waits, when the scheduler is gone.
    error = await future.exception()
    if future.cancelled():
        return lost_scheduler()
    return None if error is None else from_exception(error)


def lost_scheduler() -> LoaderError:
    """The error for tasks that the scheduler has forgotten. They may run still, and their results count for nobody."""
    return SinkError(
        "the Dask scheduler has forgotten its tasks: it was restarted, or has lost this client",
        f"Check it, and {RESUME}",
    )


def from_exception(error: Any) -> LoaderError:
    """The error for an exception with which a task has ended."""
    if isinstance(error, LoaderError):
        return error
    if isinstance(error, KilledWorker):
        return TransientError(f"its Dask worker {error.last_worker.address} has died", RESUME.capitalize())
    if isinstance(error, ModuleNotFoundError) or "No module named" in str(error):
        return unfit(f"a Dask worker cannot import what the load needs ({error})")
    return SinkError(f"a Dask worker failed: {type(error).__name__}: {error}", RESUME.capitalize())

"""What became of a Dask task."""

from __future__ import annotations

from typing import Any

from distributed import Client, Future, KilledWorker

from loader.engine.dask.messages import ShardResult
from loader.errors import LoaderError, SinkError, TransientError
from loader.wire.faults import RESUME


async def outcome_of(client: Client, future: Future) -> ShardResult:
    """The result of a task that is over.

    Raises:
        TransientError: Its worker has died, or the scheduler has dropped it.
        LoaderError: It cannot run there.
    """
    try:
        if future.status == "finished":
            (result,) = await client.gather([future])
            if isinstance(result, ShardResult):
                return result
            raise SinkError(f"a Dask task has returned {type(result).__name__}", "Install one version on all machines")
        if future.status == "error":
            raise from_exception(await future.exception())
    except KilledWorker as error:
        raise from_exception(error) from error
    except OSError as error:
        raise TransientError(f"a Dask worker was lost: {error}") from error
    raise lost_scheduler()


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
        return LoaderError(
            f"a Dask worker cannot import what the load needs ({error})",
            "Install runqy-loader on all workers, in the same version and with the same extras as here",
        )
    return SinkError(f"a Dask worker failed: {type(error).__name__}: {error}", RESUME.capitalize())

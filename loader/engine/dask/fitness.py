"""Whether the machines of a cluster have this program, asked before they get tasks.

A worker that cannot read a task closes its connection to the scheduler, and ends (distributed 2026.8,
``Worker.handle_scheduler``). Dask then gives the task to the next one, and so on. A function to be called is read
where an error is only an error.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection

from distributed import Client

import loader
from loader.engine.dask.cluster import allowed_failures
from loader.errors import LoaderError

_ANSWER_SECONDS = 10.0

log = logging.getLogger("runqy_loader")


def version() -> str:
    """Runs in a worker."""
    return loader.__version__


async def check_scheduler(client: Client) -> int:
    """Returns how often the scheduler runs a task again whose worker has died.

    Raises:
        LoaderError: It does not have this program.
    """
    try:
        return int(await client.run_on_scheduler(allowed_failures))
    except (ImportError, AttributeError) as error:
        raise unfit(f"the Dask scheduler cannot import what the load needs ({error})") from error


async def warn_of_failures(client: Client) -> None:
    """Says how often Dask itself repeats a task that may have killed its worker. Raises as ``check_scheduler``."""
    if allowed := await check_scheduler(client):
        log.info(
            "the Dask scheduler runs a task again by itself after the death of its worker, %d times "
            "(distributed.scheduler.allowed-failures); with 0, this load alone decides",
            allowed,
        )


async def check_workers(client: Client, workers: Collection[str]) -> None:
    """Asks workers which version of this program they have. Those that do not answer soon are not waited for.

    Raises:
        LoaderError: One does not have this version.
    """
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            found = await client.run(version, workers=list(workers), on_error="return")
    except (OSError, ValueError, TimeoutError) as error:
        log.debug("not all Dask workers were asked for their version: %s", error)
        return
    for address, answer in found.items():
        # The error with which it could not be read comes as the text of a plain Exception. OSError: the worker is gone.
        if isinstance(answer, Exception) and not isinstance(answer, OSError):
            raise unfit(f"Dask worker {address} cannot import what the load needs ({answer})")
        if isinstance(answer, str):
            require_same_version(f"Dask worker {address}", answer, loader.__version__)


def require_same_version(who: str, has: str, driver: str) -> None:
    """Raises LoaderError if a machine has another version of this program than the driver of the load."""
    if has != driver:
        raise unfit(f"{who} has runqy-loader {has}, and this is {driver}")


def unfit(what: str) -> LoaderError:
    """The error for a machine that has not what the load needs."""
    return LoaderError(
        what,
        "Install runqy-loader[dask] on the scheduler and on all workers, in the same version and with the same extras "
        "as here",
    )

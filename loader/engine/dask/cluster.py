"""Connects to a Dask cluster, or starts one of this machine's processors."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import dask
from distributed import Client, Scheduler

from loader.engine.child_program import child_command, child_environment
from loader.engine.engines.local import processors
from loader.errors import LoaderError
from loader.servers.closing import close_quietly
from loader.wire.faults import RESUME

_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = _CONNECT_SECONDS + 5.0
_END_SECONDS = 5.0
_START_SECONDS = 120.0
_ALONE_SECONDS = 60.0
"""So long workers wait for their scheduler, which a busy machine may keep from answering, before they end."""

log = logging.getLogger("runqy_loader")


@asynccontextmanager
async def connected(scheduler: str | None) -> AsyncIterator[Client]:
    """A client of the cluster that ``--scheduler`` names.

    Raises:
        LoaderError: The scheduler cannot be reached.
    """
    with _silenced():
        async with _connected(scheduler) as client:
            yield client


@contextmanager
def _silenced() -> Iterator[None]:
    """Dask's own messages are not for the terminal of a load. What matters of them is told, or raised, here."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client", "tornado.application")]
    before = [logger.level for logger in loggers]
    if not log.isEnabledFor(logging.DEBUG):
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


@asynccontextmanager
async def _connected(scheduler: str | None) -> AsyncIterator[Client]:
    address = scheduler if scheduler not in (None, "auto") else dask.config.get("scheduler-address", None)
    if address:
        log.info("Dask scheduler %s%s", address, "" if address == scheduler else ", from Dask's configuration")
        async with _client(address) as client:
            yield client
        return
    count = processors()
    log.info("no Dask scheduler is given: %d Dask workers on this machine, for this load", count)
    async with _local(count) as address, _client(address) as client:
        try:
            await client.wait_for_workers(1, timeout=_START_SECONDS)
        except TimeoutError as error:
            raise LoaderError(
                f"no Dask worker of this machine has started within {_START_SECONDS:.0f} s",
                f"See what this says: {_shown_command(address)}",
            ) from error
        yield client


@asynccontextmanager
async def _client(address: str) -> AsyncIterator[Client]:
    client: Client | None = None
    try:
        # Another kind of server may take the connection and never answer: Dask itself would wait for ever.
        async with asyncio.timeout(_ANSWER_SECONDS):
            client = Client(address, asynchronous=True, timeout=_CONNECT_SECONDS, set_as_default=False)
            await client
    except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:  # TimeoutError is an OSError
        if client is not None:
            await close_quietly(client.close())
        if isinstance(error, TypeError) and address.startswith(("tls://", "wss://")):
            raise LoaderError(
                f"Dask has no certificates for {address}",
                "Set distributed.comm.tls in Dask's configuration, here and on the workers "
                "(https://distributed.dask.org/en/stable/tls.html)",
            ) from error
        raise LoaderError(
            f"no Dask scheduler answers at {address} ({_first_line(error)})",
            "Check that dask scheduler runs there, and the address in --scheduler",
        ) from error
    try:
        yield client
    finally:
        await close_quietly(client.close())


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


@asynccontextmanager
async def _local(workers: int) -> AsyncIterator[str]:
    """A scheduler in this process, and workers in others.

    Not distributed's own ``LocalCluster``: Ctrl-C goes to all processes of a terminal's group, and its workers would be
    gone before their batches in flight are acknowledged. These have a session of their own.
    """
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        scheduler = await Scheduler(host="127.0.0.1", port=0, dashboard=False, dashboard_address="127.0.0.1:0")
    try:
        process = await asyncio.create_subprocess_exec(
            *_worker_command(scheduler.address, workers),
            env=child_environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            async with _while_they_run(process, scheduler.address):
                yield scheduler.address
        finally:
            await _ended(process)
    finally:
        await close_quietly(scheduler.close())


def _worker_command(address: str, workers: int) -> list[str]:
    command = child_command("distributed.cli.dask_worker", address, "--nworkers", str(workers))
    return [*command, "--nthreads", "1", "--no-dashboard", "--death-timeout", f"{_ALONE_SECONDS:.0f}"]


def _shown_command(address: str) -> str:
    return shlex.join(_worker_command(address, 1))


@asynccontextmanager
async def _while_they_run(process: asyncio.subprocess.Process, address: str) -> AsyncIterator[None]:
    """Ends the block if the process of the workers ends: there would be no others, and it would wait for ever.

    Raises:
        LoaderError: It has ended.
    """

    async def watch() -> None:
        status = await process.wait()
        raise LoaderError(
            f"the Dask workers of this machine have ended (status {status})",
            f"{RESUME.capitalize()}. If they end at once, see what this says: {_shown_command(address)}",
        )

    try:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watch())
            yield
            watching.cancel()
    except BaseExceptionGroup as errors:
        first = errors.exceptions[0]
        raise first from first.__cause__


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(_END_SECONDS):
                await process.wait()
        except TimeoutError:
            os.killpg(process.pid, 9)
            await process.wait()


def allowed_failures(dask_scheduler: Scheduler) -> int:
    """Runs in the scheduler: how many workers a task may lose before Dask gives it up."""
    return int(dask_scheduler.allowed_failures)

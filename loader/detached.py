"""A load that goes on without the command that began it: the cluster drives it, and runs its shards.

The driver is a Dask task. It leaves the worker's pool of threads, so it takes no thread from the shards. If its worker
dies, Dask runs it again elsewhere, as often as the scheduler allows (``distributed.scheduler.allowed-failures``): the
new driver takes the job over and goes on where the ledgers say. Otherwise the job stays interrupted.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from distributed import Client, fire_and_forget, get_worker, secede

import loader
from loader.api import Loader
from loader.engine.dask.cluster import connected
from loader.engine.dask.fitness import check_scheduler, check_workers, require_same_version
from loader.engine.dask.guard import guarded
from loader.engine.dask.messages import Said, packed, unpacked
from loader.engine.dask.outcome import outcome_error
from loader.engine.loop import loop_factory
from loader.errors import LoaderError, UsageError
from loader.outputs.place import absolute_place, place_of
from loader.settings import LoadOptions

_LOOK_SECONDS = 0.1
_WITHDRAW_SECONDS = 5.0

log = logging.getLogger("runqy_loader")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The argument of the driver's task: a load as the command has it, with absolute paths."""

    token: str
    version: str
    paths: Sequence[str]
    options: LoadOptions
    log_level: int


@dataclass(frozen=True, slots=True)
class _Begun:
    """From the driver: the load is under way."""

    job: str


@dataclass(frozen=True, slots=True)
class _Over:
    """From the driver: the load is over."""

    job: str
    exit_status: int
    error: LoaderError | None


@dataclass(frozen=True, slots=True)
class Detached:
    """A load that the cluster drives.

    Attributes:
        exit_status: Of the load, if it is over already; otherwise None.
    """

    job: str
    exit_status: int | None


async def detach(paths: Sequence[str], options: LoadOptions) -> Detached:
    """Has the cluster begin a load. Returns once it is under way, or over.

    Raises:
        UsageError: Its input is only here.
        LoaderError: The scheduler cannot be reached, or the load cannot begin.
    """
    if "-" in paths:
        raise UsageError("--detach cannot load standard input", "Give files that the machines of the cluster see")
    token = secrets.token_hex(6)
    news: asyncio.Queue[object] = asyncio.Queue()
    async with connected(options.scheduler) as client:
        await check_scheduler(client)
        if workers := await client.nthreads():
            await check_workers(client, workers)
        else:
            log.warning("the Dask cluster has no workers; waiting for the first one")
        client.subscribe_topic(_topic(token), lambda event: news.put_nowait(unpacked(event[1])))
        wanted = _Wanted(
            token, loader.__version__, [_absolute(path) for path in paths], _elsewhere(options), log.getEffectiveLevel()
        )
        future = client.submit(drive, wanted, key=(f"runqy-loader-driver-{token}", 0), pure=False, retries=0)
        fire_and_forget(future)
        failing = asyncio.create_task(_failure(future, news))
        try:
            return await _begun(news)
        except asyncio.CancelledError:  # by a signal
            await _withdraw(client, future)
            raise
        finally:
            failing.cancel()


async def _withdraw(client: Client, future: Any) -> None:
    """Takes a load back that no worker has begun: it would begin with the next worker that joins."""
    try:
        async with asyncio.timeout(_WITHDRAW_SECONDS):
            given = await client.processing()
            if not any(future.key in keys for keys in given.values()):
                await client.cancel([future], force=True)
                return
    except (OSError, TimeoutError) as error:
        log.debug("the driver was not taken back: %s", error)
    log.warning("the cluster may have begun the load, and goes on with it; runqy-loader jobs lists it")


async def _begun(news: asyncio.Queue[object]) -> Detached:
    while True:
        message = await news.get()
        if isinstance(message, LoaderError):
            raise message
        if isinstance(message, Said):
            log.log(message.level, "%s", message.text)
        elif isinstance(message, _Begun):
            return Detached(message.job, None)
        elif isinstance(message, _Over):
            if message.error is not None:
                raise message.error
            return Detached(message.job, message.exit_status)


async def _failure(future: Any, news: asyncio.Queue[object]) -> None:
    if (error := await outcome_error(future)) is not None:
        news.put_nowait(error)


def _topic(token: str) -> str:
    return f"runqy-loader-driver-{token}"


def _absolute(path: str) -> str:
    return path if "://" in path else str(Path(path).absolute())


def _elsewhere(options: LoadOptions) -> LoadOptions:
    """The options for another process, with another working folder."""
    paths: dict[str, Any] = {
        one.name: value.absolute() for one in fields(options) if isinstance(value := getattr(options, one.name), Path)
    }
    for name in ("rejects", "ids_out"):
        if (place := place_of(getattr(options, name))) is not None:
            paths[name] = absolute_place(place)
    return replace(options, detach=False, **paths)


def drive(wanted: _Wanted) -> int:
    """The Dask task: drives a load. Returns its exit status; the job's record has the outcome.

    Raises:
        LoaderError: Whatever has failed.
    """
    return guarded(lambda: get_worker().address, lambda: _drive_here(wanted))


def _drive_here(wanted: _Wanted) -> int:
    worker = get_worker()
    require_same_version(f"Dask worker {worker.address}", loader.__version__, wanted.version)
    secede()
    # The scheduler as this worker knows it: its address may be another one in the cluster's own network.
    options = replace(wanted.options, scheduler=worker.scheduler.address)

    def tell(message: object) -> None:
        worker.log_event(_topic(wanted.token), packed(message))

    log.setLevel(wanted.log_level)
    log.propagate = False
    handler = _Forward(tell)
    log.addHandler(handler)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(_drive(wanted.paths, options, tell))
    finally:
        log.removeHandler(handler)


async def _drive(paths: Sequence[str], options: LoadOptions, tell: Callable[[object], None]) -> int:
    here = Loader(options)
    error: LoaderError | None = None

    looking = asyncio.create_task(_tell_begin(here, tell))
    try:
        async with here:
            await here.load(list(paths))
    except LoaderError as caught:
        error = caught
    finally:
        looking.cancel()
    report = here.report
    status = error.exit_status if error is not None else 0 if report is None else report.exit_status
    tell(_Over("" if report is None else report.job, status, error))
    return status


async def _tell_begin(here: Loader, tell: Callable[[object], None]) -> None:
    while (report := here.report) is None or not here.is_under_way:  # noqa: ASYNC110 - few loads have anybody look on
        await asyncio.sleep(_LOOK_SECONDS)
    tell(_Begun(report.job))


class _Forward(logging.Handler):
    """Tells the command what the driver says; what workers say reaches the driver by itself."""

    def __init__(self, tell: Callable[[object], None]) -> None:
        super().__init__()
        self._tell = tell
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self._tell(Said(record.levelno, record.getMessage()))

"""One process of the gateway: its connections to Redis, the application and the HTTP server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, cast

import uvicorn
from starlette.types import ASGIApp

from loader.errors import UsageError
from loader.gateway.app import Gateway, Parts
from loader.gateway.bodies import DROPPED
from loader.gateway.connection import Connection
from loader.gateway.encoders import Encoders
from loader.gateway.idempotency import IdempotencyKeys
from loader.gateway.keys import ApiKeys
from loader.gateway.lanes import Lanes
from loader.gateway.link import Link
from loader.gateway.listening import BACKLOG
from loader.gateway.metrics import Metrics
from loader.gateway.options import ServeOptions
from loader.gateway.push import can_look
from loader.gateway.queue_check import KnownQueues
from loader.gateway.rare_warnings import RareWarnings
from loader.gateway.reader import TaskReader
from loader.gateway.target import CheckedTarget
from loader.gateway.waiting import TaskWaiter
from loader.gateway.writer import Writer
from loader.servers.outage import Outage
from loader.settings.server_address import server_address
from loader.settings.shared import API_KEY_VARIABLE
from loader.telemetry.options import sender

if TYPE_CHECKING:
    from loader.telemetry.otlp import Otlp

_LEVELS = 3000
"""Nesting that a body may have before its payloads are looked at, whose limit is that of a load."""

_METRICS_SECONDS = 1.0

_ACCEPTS = 16
"""Connections that are accepted in a turn of the event loop. uvloop accepts one for each socket that listens: beside
hundreds of busy connections, whose turns take long, new ones would wait for seconds."""


class Serving:
    """Serves from sockets that listen.

    Args:
        target: The server, which has been checked, and the options.
    """

    def __init__(self, target: CheckedTarget, listening: Sequence[socket.socket]) -> None:
        self._target = target
        self._listening = listening
        self._server: uvicorn.Server | None = None
        self._waiter: TaskWaiter | None = None
        self._otlp: Otlp | None = None
        self.is_stopping = False
        self._at_once = False

    def stop(self) -> None:
        """Accepts nothing more, and lets requests in flight finish; a second call ends it at once."""
        self._at_once = self.is_stopping
        self.is_stopping = True
        if self._server is not None:
            self._server.should_exit, self._server.force_exit = True, self._at_once
        if self._waiter is not None:
            self._waiter.stop()
        if self._otlp is not None and self._at_once:
            self._otlp.abandon()

    async def run(self, ready: Callable[[], None]) -> bool:
        """Serves until ``stop`` is called. Returns whether the requests in flight could finish.

        Args:
            ready: Called once it accepts requests.

        Raises:
            LoaderError: Redis cannot be reached.
        """
        sys.setrecursionlimit(max(sys.getrecursionlimit(), _LEVELS))
        options = self._target.options
        address = server_address(options)
        warnings, outage = RareWarnings(), Outage()
        group: list[Link] = []
        writing, writing_large, reading = (
            Link(address, f"runqy-loader:gateway:{os.getpid()}:{use}", options.timeout, outage, warnings, group)
            for use in ("write", "write-large", "read")
        )
        async with contextlib.AsyncExitStack() as closing:
            for link in (writing, writing_large, reading):
                await link.open()
                closing.push_async_callback(link.close)
            encoders, metrics = Encoders(options, compact=self._target.compact), Metrics()
            looks = await can_look(writing)
            writers = (
                Writer(link, encoders, metrics, warnings, self._target.longest, looks=looks)
                for link in (writing, writing_large)
            )
            lanes, queues = Lanes(*writers), KnownQueues(options, reading)
            search = None if options.defaults.reverse_lookup else queues.some
            reader = TaskReader(reading, options.layout, search)
            self._waiter = TaskWaiter(reader)
            idempotency = IdempotencyKeys(reading, options.idempotency_seconds)
            keys = keys_of(options)
            parts = Parts(
                options, keys, reading, encoders, queues, lanes, idempotency, reader, self._waiter, metrics, warnings
            )
            application: ASGIApp = Gateway(parts)
            if options.otlp is not None:
                from loader.gateway.tracing import traced

                self._otlp = sender(options.otlp)
                await closing.enter_async_context(self._otlp.sending(metrics))
                application = traced(application, self._otlp.tracer_provider)
            self._server = _Server(_config(application, options), ready)
            if self.is_stopping:
                return True
            refreshing = asyncio.create_task(_refresh(metrics))
            closing.callback(refreshing.cancel)
            with contextlib.ExitStack() as copies:
                more = [copies.enter_context(one.dup()) for one in self._listening for _ in range(_ACCEPTS - 1)]
                await self._server.serve(sockets=[*self._listening, *more])
            if not self._at_once:
                await lanes.drain()
        return not self._at_once


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handling, which would raise the signal again and so end the process."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


async def _refresh(metrics: Metrics) -> None:
    """Keeps what other processes show of this one up to date."""
    while metrics.is_shared:
        metrics.refresh()
        await asyncio.sleep(_METRICS_SECONDS)


def keys_of(options: ServeOptions) -> ApiKeys:
    """The keys of clients; none with ``--no-auth``.

    Raises:
        UsageError: There is none, and ``--no-auth`` is not given.
    """
    if options.no_auth:
        return ApiKeys([])
    if options.api_key_env is None and not os.environ.get(API_KEY_VARIABLE):
        raise UsageError("no API key is given", f"Put it into {API_KEY_VARIABLE}, or say --no-auth to let everybody in")
    return ApiKeys.from_environment(options.api_key_env or API_KEY_VARIABLE)


def _config(gateway: ASGIApp, options: ServeOptions) -> uvicorn.Config:
    # The gateway logs what matters itself, without header fields.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        gateway,
        http=cast(
            type[asyncio.Protocol],
            partial(
                Connection,
                arrival_seconds=options.body_timeout,
                most_dropped=DROPPED * options.max_body_bytes,
            ),
        ),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=options.access_log,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=cast(
            int, options.idle_timeout
        ),  # uvicorn hands both to asyncio, which takes parts of a second
        timeout_graceful_shutdown=cast(int, options.shutdown_timeout),
    )
    if options.access_log:
        access = logging.getLogger("uvicorn.access")
        access.setLevel(logging.INFO)
        access.propagate = False
        access.handlers[:] = logging.getLogger("runqy_loader").handlers
    return config

"""Runs the gateway: opens its connections and its socket, and shuts it down."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import cast

import uvicorn

from loader.engine.loop import on_stop_signals
from loader.errors import UsageError
from loader.extras import require
from loader.gateway.app import Gateway, Parts
from loader.gateway.connection import Connection
from loader.gateway.encoders import Encoders
from loader.gateway.idempotency import IdempotencyKeys
from loader.gateway.keys import ApiKeys
from loader.gateway.lanes import Lanes
from loader.gateway.link import Link
from loader.gateway.listening import BACKLOG, listen, passed_sockets, url
from loader.gateway.metrics import Metrics
from loader.gateway.options import ServeOptions
from loader.gateway.push import can_look
from loader.gateway.queue_check import KnownQueues
from loader.gateway.rare_warnings import RareWarnings
from loader.gateway.reader import TaskReader
from loader.gateway.target import check_target
from loader.gateway.waiting import TaskWaiter
from loader.gateway.writer import Writer
from loader.settings.server_address import server_address
from loader.settings.shared import API_KEY_VARIABLE

_LEVELS = 3000
"""Nesting that a body may have before its payloads are looked at, whose limit is that of a load."""

_DROPPED = 4
"""How often the longest body is read and dropped after a refusal, so that its sender can read the answer."""

log = logging.getLogger("runqy_loader")


async def serve(options: ServeOptions, notify: Callable[[str], None]) -> bool:
    """Serves until SIGINT or SIGTERM, then lets requests in flight finish.

    Args:
        notify: Shows a line to the user.

    Returns:
        Whether the requests in flight could finish; False after a second signal.

    Raises:
        UsageError: The options cannot be used, the port is taken, or an extra that is needed is not installed.
        LoaderError: Redis cannot be reached or used; see ``check_target``.
    """
    options.check()
    sys.setrecursionlimit(max(sys.getrecursionlimit(), _LEVELS))
    if options.queues_file is not None:
        require("yaml", "--queues-file")
    keys = _keys(options)
    address = server_address(options)
    writing, writing_large, reading = (
        Link(address, f"runqy-loader:gateway:{os.getpid()}:{use}", options.timeout)
        for use in ("write", "write-large", "read")
    )
    queues = KnownQueues(options, reading)
    listening = passed_sockets(os.environ) or listen(options.host, options.port)
    async with contextlib.AsyncExitStack() as closing:
        for one in listening:
            closing.callback(one.close)
        target = await check_target(options, address, queues.configured)
        options = target.options
        for link in (writing, writing_large, reading):
            await link.open()
            closing.push_async_callback(link.close)
        encoders, metrics = Encoders(options, compact=target.compact), Metrics()
        warnings, looks = RareWarnings(), await can_look(writing)
        writer = Lanes(
            *(
                Writer(link, encoders, metrics, warnings, target.longest, looks=looks)
                for link in (writing, writing_large)
            )
        )
        look_up = options.defaults.reverse_lookup
        reader = TaskReader(reading, encoders, options.layout, None if look_up else queues.some)
        waiter = TaskWaiter(reader)
        idempotency = IdempotencyKeys(reading, options.idempotency_seconds)
        parts = Parts(options, keys, reading, encoders, queues, writer, idempotency, reader, waiter, metrics, warnings)
        server = _Server(_config(Gateway(parts), options))

        def stop() -> None:
            if server.should_exit:
                server.force_exit = True  # the second signal: stop at once
                return
            server.should_exit = True  # first of all: what comes after it may fail, and is not called again
            waiter.stop()
            notify("stopping: finishing requests in flight (signal again to stop at once)")

        on_stop_signals(stop)
        places = " and ".join(map(url, listening))
        notify(f"serving {options.layout} tasks to {address} at {places}{_warning(options, keys)}")
        await server.serve(sockets=listening)
        if not server.force_exit:
            await writer.drain()
        return not server.force_exit


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handling, which would raise the signal again and so end the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _keys(options: ServeOptions) -> ApiKeys:
    """The keys of clients; none with ``--no-auth``."""
    if options.no_auth:
        return ApiKeys([])
    if options.api_key_env is None and not os.environ.get(API_KEY_VARIABLE):
        raise UsageError("no API key is given", f"Put it into {API_KEY_VARIABLE}, or say --no-auth to let everybody in")
    return ApiKeys.from_environment(options.api_key_env or API_KEY_VARIABLE)


def _config(gateway: Gateway, options: ServeOptions) -> uvicorn.Config:
    logging.getLogger("uvicorn.error").setLevel(
        logging.CRITICAL
    )  # the gateway logs what matters itself, without headers
    return uvicorn.Config(
        gateway,
        http=cast(
            type[asyncio.Protocol],
            partial(
                Connection,
                arrival_seconds=options.body_timeout,
                most_dropped=_DROPPED * options.max_body_bytes,
            ),
        ),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=cast(int, options.idle_timeout),  # uvicorn hands both to asyncio
        timeout_graceful_shutdown=cast(int, options.shutdown_timeout),
    )


def _warning(options: ServeOptions, keys: ApiKeys) -> str:
    """What a user should know about the options, in a few words."""
    notes = []
    if not keys.needed:
        notes.append("no API key is required")
    if options.queues_file is None and options.queue_check == "none":
        notes.append("every queue name is accepted, unless --queues-file is given")
    return f" ({'; '.join(notes)})" if notes else ""

"""Runs the gateway: opens its connections and its socket, and shuts it down."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Callable, Iterator
from typing import cast

import uvicorn

from loader.engine.loop import on_stop_signals
from loader.errors import UsageError
from loader.extras import require
from loader.gateway.app import Gateway, Parts
from loader.gateway.encoders import Encoders
from loader.gateway.idempotency import IdempotencyKeys
from loader.gateway.keys import ApiKeys
from loader.gateway.link import Link
from loader.gateway.metrics import Metrics
from loader.gateway.options import ServeOptions
from loader.gateway.push import can_look
from loader.gateway.queue_check import KnownQueues
from loader.gateway.reader import TaskReader
from loader.gateway.target import check_target
from loader.gateway.waiting import TaskWaiter
from loader.gateway.writer import Writer
from loader.settings.server_address import server_address
from loader.settings.shared import API_KEY_VARIABLE
from loader.wire.hosts import WRONG_NAME, can_be_a_name

_BACKLOG = 2048
_KEEP_ALIVE_SECONDS = 75
"""How long an idle connection stays open: longer than usual clients and proxies keep theirs open (nginx: 60 s)."""

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
    if options.queues_file is not None:
        require("yaml", "--queues-file")
    keys = _keys(options)
    address = server_address(options)
    writing, reading = (
        Link(address, f"runqy-loader:gateway:{os.getpid()}:{use}", options.timeout) for use in ("write", "read")
    )
    queues = KnownQueues(options, reading)
    listening = _listen(options.host, options.port)
    async with contextlib.AsyncExitStack() as closing:
        closing.callback(listening.close)
        target = await check_target(options, address, queues.configured)
        options = target.options
        for link in (writing, reading):
            await link.open()
            closing.push_async_callback(link.close)
        encoders, metrics = Encoders(options, compact=target.compact), Metrics()
        writer = Writer(writing, encoders, metrics, target.longest, looks=await can_look(writing))
        reader = TaskReader(reading, encoders, options.layout, queues.all)
        waiter = TaskWaiter(reader)
        idempotency = IdempotencyKeys(reading, options.idempotency_seconds)
        parts = Parts(options, keys, reading, encoders, queues, writer, idempotency, reader, waiter, metrics)
        server = _Server(_config(Gateway(parts), options))

        def stop() -> None:
            if server.should_exit:
                server.force_exit = True  # the second signal: stop at once
                return
            notify("stopping: finishing requests in flight (signal again to stop at once)")
            server.should_exit = True
            waiter.stop()

        on_stop_signals(stop)
        notify(f"serving {options.layout} tasks to {address} at {_url(listening)}{_warning(options, keys)}")
        await server.serve(sockets=[listening])
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
        http="httptools",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=cast(int, options.shutdown_timeout),  # uvicorn hands it to asyncio.wait_for
    )


def _listen(host: str, port: int) -> socket.socket:
    if not can_be_a_name(host):
        raise UsageError(f"--host: {WRONG_NAME}", "Give an address or a name of this machine")
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, where = addresses[0]
        return socket.create_server(where[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise UsageError(
            f"cannot listen at {host}, port {port}: {error.strerror}", "Change --host or --port"
        ) from error


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _warning(options: ServeOptions, keys: ApiKeys) -> str:
    """What a user should know about the options, in a few words."""
    notes = []
    if not keys.needed:
        notes.append("no API key is required")
    if options.queues_file is None and options.queue_check == "none":
        notes.append("every queue name is accepted, unless --queues-file is given")
    return f" ({'; '.join(notes)})" if notes else ""

"""A process that measures how fast a server answers: ``python -m loader.engine.limits.probe``. See ``probing.py``."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
import sys
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import hiredis

from loader.engine.limits.measured import Answered, Measure, Unanswered
from loader.engine.messages import pack, receive
from loader.errors import LoaderError
from loader.servers.routing import Servers
from loader.wire.faults import translated

_NAME = "runqy-loader-probe"
"""The name of its connections. It is not that of the job's: they do not write, so nobody has to wait for their end."""
_MOST_WAITING = 20
"""The number of commands without an answer beyond which no more are sent."""
_PAUSE = 1.0
"""Seconds after which a server that cannot be reached is tried again."""


async def measure(wanted: Measure, inbox: asyncio.StreamReader, out: int) -> None:
    """Asks the servers at regular times, whether they have answered or not, until the parent is gone."""
    servers = Servers(wanted.place.address(), wanted.timeout)
    asking = asyncio.create_task(_for_ever(servers, wanted, out))
    try:
        while await receive(inbox) is not None:
            pass
    finally:
        asking.cancel()
        await asyncio.wait([asking])
        await servers.aclose()


async def _for_ever(servers: Servers, wanted: Measure, out: int) -> None:
    while True:
        try:
            if not servers.is_reached:
                await servers.reach(_NAME)
            await _while_it_answers(servers, wanted, out)
        except LoaderError as error:
            _send(out, Unanswered(str(error.args[0])))
        await asyncio.sleep(_PAUSE)
        with suppress(LoaderError):
            await servers.reconnect()


async def _while_it_answers(servers: Servers, wanted: Measure, out: int) -> None:
    waiting: dict[asyncio.Task[Any], float] = {}
    due = time.perf_counter()
    try:
        while True:
            if len(waiting) < _MOST_WAITING:
                waiting[asyncio.create_task(_ask(servers))] = time.perf_counter()
            due = max(due + wanted.every, time.perf_counter())
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            for task in [task for task in waiting if task.done()]:
                del waiting[task]
                _send(out, Answered(task.result()))
            oldest = time.perf_counter() - min(waiting.values(), default=math.inf)
            if oldest > wanted.limit:
                _send(out, Answered(oldest))
    finally:
        for task in waiting:
            task.cancel()
        if waiting:
            await asyncio.wait(waiting)


async def _ask(servers: Servers) -> float:
    """How long the slowest primary takes to answer."""

    async def one(client: Any) -> None:
        with translated(str(servers)), suppress(hiredis.ReplyError):  # a refusal is an answer
            await client.execute("PING")

    began = time.perf_counter()
    await asyncio.gather(*(one(client) for client in servers.clients()))
    return time.perf_counter() - began


def _send(out: int, message: Answered | Unanswered) -> None:
    data = memoryview(pack(message))
    while data:
        data = data[os.write(out, data) :]


async def _main() -> None:
    inbox = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(inbox), sys.stdin.buffer)
    wanted = await receive(inbox)
    if isinstance(wanted, Measure):  # else the parent is gone already
        await measure(wanted, inbox, sys.stdout.fileno())


def main() -> None:
    # A service manager sends SIGTERM to all processes of the service. This one ends with its parent.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    logging.getLogger("runqy_loader").propagate = False
    run: Coroutine[Any, Any, None] = _main()
    with suppress(BrokenPipeError):
        asyncio.run(run)


if __name__ == "__main__":
    main()

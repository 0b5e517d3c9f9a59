"""Limits of what goes on at the same time, and the sockets that are listened at."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys

import pytest

from loader.errors import UsageError
from loader.gateway.http import HttpError
from loader.gateway.listening import listen, passed_sockets
from loader.gateway.overload import Limit


def test_whoever_waits_is_admitted_in_turn() -> None:
    async def scene() -> None:
        limit = Limit(10, 60, "units")
        admitted: list[str] = []

        async def take(name: str, units: int) -> None:
            await limit.take(units)
            admitted.append(name)

        await take("first", 8)
        waiting = [asyncio.create_task(take(name, units)) for name, units in (("large", 5), ("small", 1))]
        await asyncio.sleep(0)
        assert (admitted, limit.used, limit.waiting) == (["first"], 8, 2)  # the small one does not overtake
        limit.give_back(8)
        await asyncio.gather(*waiting)
        assert (admitted, limit.used, limit.waiting) == (["first", "large", "small"], 6, 0)

    asyncio.run(scene())


def test_whoever_leaves_takes_nothing_and_lets_others_on() -> None:
    async def scene() -> None:
        limit = Limit(1, 60, "requests")
        await limit.take()
        gone, stays = (asyncio.create_task(limit.take()) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        limit.give_back()
        await stays
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert (limit.used, limit.waiting) == (1, 0)
        limit.give_back()
        assert limit.used == 0

    asyncio.run(scene())


def test_whoever_waits_too_long_is_refused() -> None:
    async def scene() -> None:
        limit = Limit(1, 0.01, "requests")
        await limit.take()
        with pytest.raises(HttpError, match="at its limit of requests"):
            await limit.take()
        assert (limit.used, limit.waiting) == (1, 0)

    asyncio.run(scene())


def test_a_free_port_is_the_same_at_each_address() -> None:
    listening = listen("localhost", 0)
    try:
        assert len({one.getsockname()[1] for one in listening}) == 1
        assert len({one.family for one in listening}) == len(listening)
    finally:
        for one in listening:
            one.close()


PASSED = """
import os, socket
from loader.gateway.listening import passed_sockets
given = socket.create_server(("127.0.0.1", 0))
os.dup2(given.fileno(), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
(found,) = passed_sockets(os.environ)
print(found.getsockname() == given.getsockname())
os._exit(0)
"""


def test_sockets_that_systemd_has_opened_are_taken() -> None:
    done = subprocess.run([sys.executable, "-c", PASSED], capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr
    for environ in ({}, {"LISTEN_PID": "1", "LISTEN_FDS": "1"}, {"LISTEN_FDS": "1"}):
        assert passed_sockets(environ) == []


def test_a_taken_port_is_refused() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match=r"cannot listen at 127\.0\.0\.1"):
            listen("127.0.0.1", taken.getsockname()[1])

"""Leases of one job on a real server, for the tests of leases."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from loader.jobs.lease import Lease, Run
from loader.servers.routing import Servers
from loader.wire.address import parse_address
from loader.wire.connection import Connection
from tests.conftest import Server

KEY, JOB_KEY = "runqy-loader:{j}:lease", "runqy-loader:{j}:job"
LONG = 600.0
"""Seconds that no test waits."""


@asynccontextmanager
async def lease_of(
    valkey: Server, run: Run | None = None, *, login: str = "", named: bool = True
) -> AsyncIterator[Lease]:
    """A lease of job j by a run of its own, whose control connection has its name."""
    address = parse_address(valkey.url.replace("//", f"//{login}"))
    servers = Servers(address, timeout=LONG)
    lease = Lease(servers, "j", Run.new())
    try:
        await servers.reach(lease.next_connection_name())
        yield lease
    finally:
        await servers.aclose()


@asynccontextmanager
async def connection(valkey: Server, name: str) -> AsyncIterator[Connection]:
    """A worker's connection of this name."""
    made = await Connection.open(parse_address(valkey.url), name, LONG)
    try:
        yield made
    finally:
        made.abort()


def holder(client: Any) -> dict[str, Any] | None:
    """What the lease says about who has it."""
    held = client.get(KEY)
    return None if held is None else dict(orjson.loads(held))


def holding(client: Any) -> str | None:
    """The run that has the lease."""
    held = holder(client)
    return None if held is None else held["run"]


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]


async def until(holds: Callable[[], object]) -> None:
    while not holds():  # pytest-timeout ends a test that waits in vain
        await asyncio.sleep(0.005)

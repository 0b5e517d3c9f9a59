"""The control client: a cancellation is heard at whatever step of a call it comes."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from loader.servers.routing import Servers
from loader.wire.address import parse_address
from tests.integration.tool import Tool


async def _calls_that_outlive_a_cancellation(url: str, *, connected: bool) -> list[int]:
    """After how many turns of the event loop a cancellation was lost; an empty list is as it should be."""
    found: list[int] = []
    turns, done = 0, False
    servers = Servers(parse_address(url), timeout=30)
    while not done:
        if not connected:
            await servers.aclose()
            servers = Servers(parse_address(url), timeout=30)
        calling = asyncio.ensure_future(servers.reach("a-name"))
        for _ in range(turns):
            await asyncio.sleep(0)
        done = calling.done()
        calling.cancel()
        try:
            await calling
        except asyncio.CancelledError:
            pass
        else:
            if not done:
                found.append(turns)
        turns += 1
    await servers.aclose()
    assert turns > 5
    return found


@pytest.mark.parametrize("connected", [False, True], ids=["while connecting", "once connected"])
@pytest.mark.parametrize("runner", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_cancellation_is_heard_at_every_step(tool: Tool, runner: object, connected: bool) -> None:
    assert callable(runner)
    assert runner(_calls_that_outlive_a_cancellation(tool.url, connected=connected)) == []


def test_a_call_after_a_cancelled_one_gets_its_own_reply(tool: Tool) -> None:
    async def scenario() -> None:
        servers = Servers(parse_address(tool.url), timeout=30)
        client = servers.client_of("k")
        await client.execute("SET", "k", "v")
        for turns in range(12):
            pinging = asyncio.ensure_future(client.execute("PING"))
            for _ in range(turns):
                await asyncio.sleep(0)
            pinging.cancel()
            await asyncio.wait([pinging])
            assert await client.execute("GET", "k") == b"v"
        await servers.aclose()

    asyncio.run(scenario())

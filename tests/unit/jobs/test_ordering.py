"""Orders in a job's record: who can note them, and that reading them opens no connection."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from loader.errors import LoaderError
from loader.jobs.ordering import order_pause, order_rate, order_resume, read_orders
from loader.jobs.orders import Orders, orders_of
from loader.jobs.standing import DONE, LOADING, job_key
from loader.servers.routing import Servers
from loader.wire.address import parse_address
from tests.conftest import Server

JOB = "ordered"


@pytest.fixture
def servers(valkey: Server) -> Servers:
    return Servers(parse_address(valkey.url), 5.0)


def test_orders_are_noted_and_read(servers: Servers, client: Any) -> None:
    client.hset(job_key(JOB), "state", LOADING)

    async def run() -> None:
        await servers.reach()
        try:
            assert await read_orders(servers, JOB) == Orders()
            assert await order_pause(servers, JOB)
            assert await order_rate(servers, JOB, 0.1)
            orders = await read_orders(servers, JOB)
            assert orders is not None
            assert orders.paused is not None
            assert orders.rate == 0.1
            assert await order_resume(servers, JOB)
            assert await order_rate(servers, JOB, None)
            assert await read_orders(servers, JOB) == Orders()
        finally:
            await servers.aclose()

    asyncio.run(run())


@pytest.mark.parametrize("state", [DONE, None])
def test_a_job_that_does_not_go_on_takes_no_orders(servers: Servers, client: Any, state: str | None) -> None:
    if state is not None:
        client.hset(job_key(JOB), "state", state)

    async def run() -> bool:
        await servers.reach()
        try:
            return await order_pause(servers, JOB)
        finally:
            await servers.aclose()

    assert asyncio.run(run()) is False
    assert client.hkeys(job_key(JOB)) == ([b"state"] if state else [])


def test_a_lost_connection_is_not_opened_again_to_read_orders(servers: Servers, client: Any) -> None:
    async def run() -> None:
        await servers.reach()
        control = servers.client_of(job_key(JOB))
        client.client_kill_filter(_type="normal", skipme=True)
        try:
            assert await read_orders(servers, JOB) is None, "the server has closed the connection"
            connected = client.info("stats")["total_connections_received"]
            assert await read_orders(servers, JOB) is None
            assert client.info("stats")["total_connections_received"] == connected
            assert control.connection is None or not control.connection.is_open
        finally:
            await servers.aclose()

    asyncio.run(run())


def test_a_refusal_is_an_error(servers: Servers, client: Any) -> None:
    client.set(job_key(JOB), "no record")

    async def run() -> None:
        await servers.reach()
        try:
            with pytest.raises(LoaderError, match=re.escape(job_key(JOB))):
                await read_orders(servers, JOB)
        finally:
            await servers.aclose()

    asyncio.run(run())


@pytest.mark.parametrize("text", [b"", b"x", b"nan", b"inf", b"-1", b"0", None])
def test_a_field_that_is_no_number_orders_nothing(text: bytes | None) -> None:
    assert orders_of(text, text) == Orders()

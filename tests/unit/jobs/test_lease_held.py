"""What runs while a lease is held, and how the connections that a run has lost are shut out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from loader.errors import JobBusyError
from loader.jobs import lease as module
from loader.jobs.lease import Lease, Run, while_held
from loader.servers.routing import Servers
from loader.wire.address import parse_address
from tests.conftest import Server
from tests.unit.jobs.leases import KEY, LONG, connection, lease_of, messages, until


async def _while_held(valkey: Server, work: Callable[[Lease], Awaitable[Any]]) -> Any:
    async with lease_of(valkey) as lease:
        await lease.acquire()

        async def begin() -> Any:
            return await work(lease)

        return await while_held([lease], begin())


def test_the_result_of_the_work_is_given(valkey: Server) -> None:
    async def work(lease: Lease) -> int:
        return 7

    assert asyncio.run(_while_held(valkey, work)) == 7


def test_an_error_of_the_work_is_raised(valkey: Server) -> None:
    async def work(lease: Lease) -> None:
        raise ValueError("a mistake")

    with pytest.raises(ValueError, match="a mistake"):
        asyncio.run(_while_held(valkey, work))


def test_the_lease_is_renewed_while_the_work_goes_on(
    valkey: Server, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.01)

    async def work(lease: Lease) -> None:
        for _ in range(3):
            client.delete(KEY)
            await until(lambda: client.exists(KEY))

    asyncio.run(_while_held(valkey, work))


def test_a_connection_that_is_lost_while_renewing_does_not_end_the_work(
    valkey: Server, client: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG, "runqy_loader")
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.01)

    async def work(lease: Lease) -> None:
        while "the lease could not be renewed" not in caplog.text:
            client.client_kill_filter(_type="normal", skipme=True)
            await asyncio.sleep(0.003)
        client.delete(KEY)
        await until(lambda: client.exists(KEY))

    asyncio.run(_while_held(valkey, work))


def test_work_is_cancelled_once_another_run_has_the_lease(
    valkey: Server, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.01)
    ended: list[str] = []

    async def work(lease: Lease) -> None:
        try:
            client.set(KEY, b"another's")
            await asyncio.sleep(LONG)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    with pytest.raises(JobBusyError, match="taken over"):
        asyncio.run(_while_held(valkey, work))
    assert ended == ["cancelled"]
    assert client.get(KEY) == b"another's"


def test_a_cancellation_reaches_the_work(valkey: Server) -> None:
    ended: list[str] = []

    async def run() -> None:
        begun = asyncio.Event()

        async def work(lease: Lease) -> None:
            begun.set()
            try:
                await asyncio.sleep(LONG)
            finally:
                ended.append("cancelled")

        task = asyncio.ensure_future(_while_held(valkey, work))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert ended == ["cancelled"]


# --- the fence --------------------------------------------------------------------------------------------------------


def test_a_fence_closes_the_lost_connections_and_no_others(valkey: Server) -> None:
    async def run() -> None:
        async with lease_of(valkey) as lease:
            lost, kept = lease.next_connection_name(), lease.next_connection_name()
            async with connection(valkey, lost) as stuck, connection(valkey, kept) as living:
                await lease.fence({lost, "runqy-loader:j:never:0.1"})
                await stuck.wait_closed()
                assert await living.call(b"*1\r\n$4\r\nPING\r\n", 1) == [b"PONG"]

    asyncio.run(run())


@pytest.mark.parametrize("denied", ["client|list", "client|kill"])
def test_where_a_fence_is_not_allowed_it_is_said_once(
    valkey: Server, client: Any, caplog: pytest.LogCaptureFixture, denied: str
) -> None:
    client.execute_command("ACL", "SETUSER", "weak", "reset", "on", ">p", "~*", "&*", "+@all", f"-{denied}")

    async def run() -> None:
        async with lease_of(valkey, login="weak:p@") as lease:
            name = lease.next_connection_name()
            async with connection(valkey, name) as stays:
                await lease.fence({name})
                await lease.fence({name})
                assert await stays.call(b"*1\r\n$4\r\nPING\r\n", 1) == [b"PONG"]

    try:
        asyncio.run(run())
    finally:
        client.acl_deluser("weak")
    assert sum("the server refuses CLIENT LIST or CLIENT KILL" in text for text in messages(caplog)) == 1


def test_each_connection_has_a_name_of_its_own() -> None:
    run = Run("0123456789ab", "host", 7)
    leases = [Lease(Servers(parse_address("redis://127.0.0.1:1"), 1), "j", run, process) for process in (0, 1)]
    names = [lease.next_connection_name() for lease in leases for _ in range(3)]
    assert names == [f"runqy-loader:j:0123456789ab:{process}.{n}" for process in (0, 1) for n in (1, 2, 3)]

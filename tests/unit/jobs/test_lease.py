"""The lease on the embedded Valkey: who has it, who may take it over, and which connections are shut out."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from loader.errors import JobBusyError
from loader.jobs import lease as module
from loader.jobs.lease import LEASE_MS, Lease, Run, while_held
from loader.servers.routing import Servers
from loader.wire.address import parse_address
from loader.wire.connection import Connection
from tests.conftest import Server

KEY, JOB_KEY = "runqy-loader:{j}:lease", "runqy-loader:{j}:job"
LONG = 600.0
"""Seconds that no test waits."""


@pytest.fixture
def client(valkey: Server) -> Iterator[Any]:
    with valkey.client() as client:
        yield client


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


# --- taking it --------------------------------------------------------------------------------------------------------


def test_whoever_takes_the_lease_is_named_in_it_and_it_ends_by_itself(valkey: Server, client: Any) -> None:
    async def run() -> None:
        async with lease_of(valkey) as lease:
            await lease.acquire()
            expected = {"run": lease.run.token, "host": socket.gethostname(), "pid": os.getpid(), "named": True}
            assert holder(client) == expected
            assert 0 < client.pttl(KEY) <= LEASE_MS
            assert lease.run.number == 1
            await lease.release()

    asyncio.run(run())
    assert not client.exists(KEY)
    assert client.hgetall(JOB_KEY) == {b"runs": b"1"}


def test_the_job_counts_the_runs_that_had_its_lease(valkey: Server) -> None:
    async def run() -> None:
        for number in (1, 2, 3):
            async with lease_of(valkey) as lease:
                await lease.acquire()
                assert lease.run.number == number
                await lease.release()

    asyncio.run(run())


def test_a_lease_whose_holder_is_connected_is_respected(
    valkey: Server, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_GRACE_SECONDS", 0.0)

    async def run() -> None:
        async with lease_of(valkey) as one, lease_of(valkey) as two:
            await one.acquire()
            with pytest.raises(JobBusyError, match=f"job j is being loaded by process {os.getpid()} on ") as caught:
                await two.acquire()
            assert "Wait for it or stop it" in caught.value.hint
            assert two.run.number == 0
            assert holding(client) == one.run.token
            await one.renew()

    asyncio.run(run())


def test_a_lease_whose_holder_has_no_connection_is_taken_over_at_once(
    valkey: Server, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def run() -> None:
        async with lease_of(valkey) as gone:
            await gone.acquire()
        client.persist(KEY)  # were its end waited for, this would hang
        async with lease_of(valkey) as lease:
            await lease.acquire()
            assert lease.run.number == 2
            assert holding(client) == lease.run.token

    asyncio.run(run())
    assert f"took job j over from process {os.getpid()} on {socket.gethostname()}, which is gone" in messages(caplog)


@pytest.mark.parametrize("content", [b"junk", b"[]", b'{"run":"x"}'])
def test_a_lease_that_nobody_can_read_is_taken_over_as_well(
    valkey: Server, client: Any, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    caplog.set_level(logging.INFO)
    client.set(KEY, content)

    async def run() -> None:
        async with lease_of(valkey) as lease:
            await lease.acquire()

    asyncio.run(run())
    assert "took job j over from another process, which is gone" in messages(caplog)


def test_connections_of_another_job_are_none_of_the_holders(valkey: Server, client: Any) -> None:
    async def run() -> None:
        async with lease_of(valkey) as gone:
            await gone.acquire()
        client.persist(KEY)
        async with connection(valkey, f"runqy-loader:j2:{gone.run.token}:0.1"), lease_of(valkey) as lease:
            await lease.acquire()
            assert lease.run.number == 2

    asyncio.run(run())


@pytest.mark.parametrize("ends", [True, False])
def test_a_holder_whose_connections_have_no_names_is_waited_for_until_its_lease_ends(
    valkey: Server, client: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    monkeypatch.setattr(module, "_GRACE_SECONDS", 0.0)
    monkeypatch.setattr(module, "LEASE_MS", 1000 * int(LONG) if ends else 0)  # for how long it is waited for
    client.set(KEY, orjson.dumps({"run": "other", "host": "far", "pid": 7, "named": False}))

    async def run() -> None:
        async with lease_of(valkey) as lease:
            taking = asyncio.ensure_future(lease.acquire())
            await until(lambda: any("for the lease of process 7 on far to end" in text for text in messages(caplog)))
            if ends:
                assert not taking.done()
                client.delete(KEY)
                await taking
                assert lease.run.number == 1
            else:
                with pytest.raises(JobBusyError, match="job j is being loaded by process 7 on far"):
                    await taking

    asyncio.run(run())


def test_where_the_server_does_not_list_connections_the_lease_is_waited_for(
    valkey: Server, client: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_GRACE_SECONDS", 0.0)
    client.execute_command("ACL", "SETUSER", "blind", "reset", "on", ">p", "~*", "&*", "+@all", "-client|list")

    async def run() -> None:
        async with lease_of(valkey) as gone:
            await gone.acquire()
        client.persist(KEY)
        async with lease_of(valkey, login="blind:p@") as lease:
            taking = asyncio.ensure_future(lease.acquire())
            await until(lambda: any("waiting up to 15 s" in text for text in messages(caplog)))
            client.delete(KEY)
            await taking
            assert lease.run.number == 2

    try:
        asyncio.run(run())
    finally:
        client.acl_deluser("blind")


def test_a_cancellation_ends_the_waiting_for_a_lease(
    valkey: Server, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_GRACE_SECONDS", LONG)

    async def run() -> None:
        async with lease_of(valkey) as one, lease_of(valkey) as two:
            await one.acquire()
            taking = asyncio.ensure_future(two.acquire())
            await asyncio.sleep(0.1)
            taking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await taking
            assert holding(client) == one.run.token

    asyncio.run(run())


def test_connections_of_a_run_that_lost_the_lease_are_closed_by_the_next_one(valkey: Server, client: Any) -> None:
    async def run() -> None:
        async with lease_of(valkey) as stalled:
            await stalled.acquire()
            name = stalled.next_connection_name()
            async with connection(valkey, name) as late, lease_of(valkey) as lease:
                client.delete(KEY)  # as it ends by itself
                await lease.acquire()
                await late.wait_closed()
                assert name not in {c["name"] for c in client.client_list()}
                with pytest.raises(JobBusyError):
                    await stalled.renew()

    asyncio.run(run())


# --- keeping it -------------------------------------------------------------------------------------------------------


def test_renewing_puts_off_the_end(valkey: Server, client: Any) -> None:
    async def run() -> None:
        async with lease_of(valkey) as lease:
            await lease.acquire()
            client.pexpire(KEY, 100_000_000)
            await lease.renew()
            assert 0 < client.pttl(KEY) <= LEASE_MS

    asyncio.run(run())


@pytest.mark.parametrize("lost", ["the lease", "all data"])
def test_a_lease_that_ended_unnoticed_is_taken_again_by_renewing_it(valkey: Server, client: Any, lost: str) -> None:
    async def run() -> None:
        async with lease_of(valkey) as lease:
            await lease.acquire()
            client.delete(KEY) if lost == "the lease" else client.flushall()
            await lease.renew()
            assert holding(client) == lease.run.token

    asyncio.run(run())


@pytest.mark.parametrize("finished", [False, True], ids=["is there", "has come and gone"])
def test_a_lease_that_another_run_has_had_meanwhile_is_not_renewed(valkey: Server, client: Any, finished: bool) -> None:
    async def run() -> None:
        async with lease_of(valkey) as slept:
            await slept.acquire()
            client.delete(KEY)  # as it ends by itself
            async with lease_of(valkey) as other:
                await other.acquire()
                if finished:
                    await other.release()
                with pytest.raises(JobBusyError, match="job j was taken over by another process") as caught:
                    await slept.renew()
                assert caught.value.hint == "Leave it to that one"

    asyncio.run(run())
    assert client.exists(KEY) == (0 if finished else 1)


def test_only_ones_own_lease_is_released(valkey: Server, client: Any) -> None:
    async def run() -> None:
        async with lease_of(valkey) as slept:
            await slept.acquire()
            client.delete(KEY)
            async with lease_of(valkey) as other:
                await other.acquire()
                await slept.release()
                assert holding(client) == other.run.token
                await other.release()
                assert holder(client) is None

    asyncio.run(run())


# --- work while it is held --------------------------------------------------------------------------------------------


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

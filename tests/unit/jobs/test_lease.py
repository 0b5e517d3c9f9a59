"""The lease on the embedded Valkey: who has it, who may take it over, and which connections are shut out."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from typing import Any

import orjson
import pytest

from loader.errors import JobBusyError
from loader.jobs import lease as module
from loader.jobs.lease import LEASE_MS
from tests.conftest import Server
from tests.unit.jobs.leases import JOB_KEY, KEY, LONG, connection, holder, holding, lease_of, messages, until

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

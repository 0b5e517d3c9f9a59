"""Which run of a shard may write: claims against a real server, in any interleaving of two runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import hiredis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loader.jobs.claims import Claims
from loader.jobs.lease import Lease, Run
from loader.jobs.ledger import QueueLedger
from loader.layouts.documented import DocumentedEncoder
from loader.servers.routing import Servers
from loader.tasks.ids import id_prefix, id_suffixes
from loader.wire.address import parse_address
from loader.wire.connection import Connection
from loader.wire.faults import ShardTakenOverError, from_reply
from loader.wire.opening import open_connection
from tests.conftest import Server

ENCODER = DocumentedEncoder("inference.default", "task", 3)
PENDING = "asynq:inference.default:pending"
PREFIX = id_prefix("job", 0, "digest")
BATCHES, TASKS = 3, 2
MARK = "taken"
"""The state of a task that a consumer has taken: the loader must never write it again."""


class ShardRun:
    """One run of shard 0 by one process: the steps of the sink, one at a time, so that a test can interleave them."""

    def __init__(self, server: Server, process: str, run: Run) -> None:
        address = parse_address(server.url)
        self.servers = Servers(address, 30.0)
        self.lease = Lease(self.servers, "job", run, process)
        self.claims = Claims(self.servers, self.lease, run.process_name(process))
        self.ledger = QueueLedger("job", ENCODER, fenced=True)
        self.connection: Connection | None = None
        self.is_over = False

    async def take(self) -> None:
        self.state = await self.claims.take(self.ledger)

    async def open(self) -> None:
        """As ``Connections.to``: named, then the claims are proved."""
        if self.connection is not None:
            self.connection.abort()
        self.connection = await open_connection(self.servers.address, self.lease.next_connection_name(), 30.0)
        await self.claims.prove(time.monotonic())

    async def write(self, batch: int) -> None:
        """The hashes of a batch: plain commands, which check nothing."""
        if self.state.is_loaded(batch):
            return
        await self._call(ENCODER.write_tasks(PREFIX, _suffixes(batch), [b"{}"] * TASKS), TASKS)

    async def commit(self, batch: int) -> None:
        if self.state.is_loaded(batch):
            return
        (reply,) = await self._call(self.ledger.commit(batch, 1, PREFIX, _suffixes(batch)), 1)
        if isinstance(reply, hiredis.ReplyError):
            raise from_reply(str(reply), "test")

    async def _call(self, commands: bytes, replies: int) -> list[Any]:
        if self.connection is None or not self.connection.is_open:
            await self.open()
        assert self.connection is not None
        return await self.connection.call(commands, replies)

    def steps(self) -> list[Callable[[], Awaitable[None]]]:
        steps: list[Callable[[], Awaitable[None]]] = [self.take, self.open]
        for batch in range(BATCHES):
            steps += [lambda batch=batch: self.write(batch), lambda batch=batch: self.commit(batch)]  # type: ignore[misc]
        return steps

    async def close(self) -> None:
        if self.connection is not None:
            self.connection.abort()
        await self.servers.aclose()
        await asyncio.sleep(0)  # for the transports to close


def _suffixes(batch: int) -> list[bytes]:
    return list(id_suffixes(batch * TASKS, TASKS))


def _consume(client: Any) -> list[bytes]:
    """A consumer takes everything, and changes the hashes as a worker does."""
    taken = list(client.rpop(PENDING, 1000) or [])
    for task_id in taken:
        client.hset(f"asynq:t:{task_id.decode()}", "state", MARK)
    return taken


async def _interleaved(server: Server, client: Any, order: list[bool]) -> tuple[list[bytes], list[ShardRun]]:
    run = Run.new(is_spread=True)
    runs = [ShardRun(server, "first", run), ShardRun(server, "second", run)]
    left = [one.steps() for one in runs]
    taken: list[bytes] = []
    # The rest in turn: each run gets to its end, or is stopped.
    for second in [*order, *[False] * 20, *[True] * 20]:
        one, steps = runs[second], left[second]
        if one.is_over or not steps:
            continue
        step = steps[0]
        try:
            await step()
        except ShardTakenOverError:
            one.is_over = True
        except Exception as error:
            if one.connection is None or one.connection.is_open:
                raise AssertionError("no connection was lost") from error
            # It was closed by the other run: the sink opens another one, which asks first.
            continue
        else:
            steps.pop(0)
        taken += _consume(client)
    for one, steps in zip(runs, left, strict=True):
        one.is_over = one.is_over or bool(steps)
        await one.close()
    return taken, runs


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.lists(st.booleans(), max_size=16))
def test_two_runs_of_a_shard_leave_each_task_once_and_rewrite_none_that_was_taken(
    order: list[bool], valkey: Server
) -> None:
    with valkey.client() as client:
        client.flushdb()

        taken, runs = asyncio.run(_interleaved(valkey, client, order))

        everything = [PREFIX + suffix for batch in range(BATCHES) for suffix in _suffixes(batch)]
        assert sorted(taken) == sorted(everything)
        for task_id in taken:
            assert client.hget(f"asynq:t:{task_id.decode()}", "state") == MARK.encode()
        assert not all(run.is_over for run in runs)


@pytest.mark.parametrize("kind", ["_valkey", "_redis"])
def test_the_run_with_the_older_claim_is_refused_and_does_nothing(kind: str, request: pytest.FixtureRequest) -> None:
    server: Server = request.getfixturevalue(kind)

    async def scenario() -> None:
        run = Run.new(is_spread=True)
        first, second = ShardRun(server, "first", run), ShardRun(server, "second", run)
        try:
            await first.take()
            await first.open()
            await first.write(0)
            await first.commit(0)
            await first.write(1)
            await second.take()

            assert second.state.is_loaded(0)
            assert second.state.is_of_this_load(0), "the first run is one of the same load"
            assert first.connection is not None and await _is_closed(first.connection)
            first.connection.abort()
            first.connection = await open_connection(first.servers.address, "", 30.0)  # as if it had not been closed
            with pytest.raises(ShardTakenOverError, match="newer claim 2"):
                await first.commit(1)
            with pytest.raises(ShardTakenOverError):
                await first.open()
            await second.write(1)
            await second.commit(1)
        finally:
            await first.close()
            await second.close()

    with server.client() as client:
        client.flushdb()
        asyncio.run(scenario())
        assert client.llen(PENDING) == 2 * TASKS


def test_a_claim_that_the_server_has_lost_is_noted_again_and_the_other_load_begins_anew(valkey: Server) -> None:
    async def scenario() -> None:
        run = Run.new(is_spread=True)
        first, later = ShardRun(valkey, "first", run), ShardRun(valkey, "later", Run.new(is_spread=True))
        try:
            await first.take()
            with valkey.client() as client:
                client.flushdb()
            await first.open()
            await first.write(0)
            await first.commit(0)
            with valkey.client() as client:
                assert client.hget(first.ledger.claim_key, "claim") == first.ledger.claim

            await later.take()
            assert later.state.is_loaded(0)
            assert not later.state.is_of_this_load(0), "another load has loaded it"
            assert first.connection is not None and first.connection.is_open, "the lease closes those of other loads"
        finally:
            await first.close()
            await later.close()

    with valkey.client() as client:
        client.flushdb()
    asyncio.run(scenario())


def test_a_shard_whose_claim_was_lost_and_noted_again_is_taken_over_within_the_load(valkey: Server) -> None:
    async def scenario() -> None:
        run = Run.new(is_spread=True)
        first, second = ShardRun(valkey, "first", run), ShardRun(valkey, "second", run)
        try:
            await first.take()
            with valkey.client() as client:
                client.flushdb()
            await first.open()
            await first.write(0)
            await first.commit(0)

            await second.take()

            assert second.state.is_loaded(0)
            assert second.state.is_of_this_load(0)
            assert first.connection is not None and await _is_closed(first.connection)
        finally:
            await first.close()
            await second.close()

    with valkey.client() as client:
        client.flushdb()
    asyncio.run(scenario())


async def _is_closed(connection: Connection) -> bool:
    """Whether the server has closed it: its next call fails."""
    try:
        await connection.call(b"*1\r\n$4\r\nPING\r\n", 1)
    except Exception:
        return True
    return False

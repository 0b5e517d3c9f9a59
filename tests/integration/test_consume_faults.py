"""``runqy-loader consume`` when the server refuses a step or is gone: no task is lost, and nobody else's is taken."""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from loader.consume.asynq_way import AsynqWay
from loader.consume.documented_way import ClusterDocumentedWay, DocumentedWay
from loader.consume.run import Consumer
from loader.consume.way import MOST_AT_ONCE, Ending, Taken, Turn, Way
from loader.errors import LoaderError
from loader.servers.session import Session, open_session
from loader.wire.address import parse_address
from tests.cli import Outcome, run
from tests.conftest import RedisServer, Server
from tests.consumers import runqy_worker
from tests.integration.consuming import (
    LAYOUTS,
    QUEUE,
    active,
    enqueue,
    list_key,
    options,
    pending,
    registered,
    task_key,
)
from tests.integration.tool import Redis, Tool

BASE = f"asynq:{{{QUEUE}}}:"
HANGS = 60
"""Seconds after which something that should end does not end at all."""


@pytest.fixture(params=["valkey", "redis"])
def target(request: pytest.FixtureRequest) -> Server:
    """Each kind of server, empty: what a script's error is differs between them."""
    found: Server = request.getfixturevalue(f"_{request.param}")
    with found.client() as client:
        client.flushall()
    return found


@contextmanager
def user(db: Redis, tool: Tool, *rights: str) -> Iterator[str]:
    """The URL of a user with these rights."""
    db.execute_command("ACL", "SETUSER", "some", "reset", "on", ">pw", *rights)
    try:
        yield tool.url.replace("redis://", "redis://some:pw@")
    finally:
        db.execute_command("ACL", "DELUSER", "some")


def consume(tool: Tool, url: str, layout: str, *arguments: str) -> Outcome:
    shared = ("-q", "q", "--layout", layout, "--redis", url, "--report", "-", "--quiet")
    return run("consume", *shared, *arguments, cwd=tool.folder)


def assert_as_before(db: Redis, layout: str, names: list[str]) -> None:
    assert pending(db, layout) == names
    assert active(db, layout) == []
    assert db.zcard(BASE + "lease") == 0 if db.type(BASE + "lease") == b"zset" else True
    for name in names:
        fields = db.hgetall(task_key(layout, name))
        if layout == "asynq":
            assert (fields[b"state"], b"pending_since" in fields) == (b"pending", True)
        else:
            assert b"state" not in fields and b"runqy-loader-consumer" not in fields


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_user_who_may_not_read_the_tasks_takes_none(tool: Tool, db: Redis, layout: str) -> None:
    names = enqueue(db, layout, 12)
    keys = ("~asynq:q.default:*", f"~{BASE}[^t]*", "~asynq:queues", "~asynq:workers*", "~asynq:servers*")
    with user(db, tool, *keys, "+@all") as url:
        outcome = consume(tool, url, layout, "--until-empty")

    assert (outcome.status, outcome.report["status"], outcome.report["unreadable"]) == (1, "failed", 0)
    assert_as_before(db, layout, names)


def test_an_id_whose_key_is_no_hash_is_dropped_in_the_documented_layout(tool: Tool, db: Redis) -> None:
    enqueue(db, "documented", 3)
    db.delete(task_key("documented", "t1"))
    db.set(task_key("documented", "t1"), "text")

    outcome = consume(tool, tool.url, "documented", "--until-empty")

    assert (outcome.status, outcome.report["done"], outcome.report["unreadable"]) == (0, 2, 1)


@pytest.mark.parametrize(
    ("layout", "missing"),
    [("asynq", "-hset"), ("asynq", "-hdel"), ("asynq", "-rpoplpush"), ("documented", "-rpoplpush")],
)
def test_a_user_who_may_not_do_each_step_takes_none(tool: Tool, db: Redis, layout: str, missing: str) -> None:
    names = enqueue(db, layout, 12)
    with user(db, tool, "~*", "+@all", missing) as url:
        outcome = consume(tool, url, layout, "--until-empty")

    assert (outcome.status, outcome.report["status"]) == (1, "failed")
    assert_as_before(db, layout, names)


@pytest.mark.parametrize(("layout", "kind"), [("asynq", "lease"), ("asynq", "active"), ("documented", "active")])
def test_a_key_of_another_type_takes_none(tool: Tool, db: Redis, layout: str, kind: str) -> None:
    names = enqueue(db, layout, 12)
    key = list_key(layout, kind)
    db.set(key, "text")

    outcome = consume(tool, tool.url, layout, "--until-empty")

    assert outcome.status == 1 and "another type" in outcome.report["error"]
    db.delete(key)
    assert_as_before(db, layout, names)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [("completed", ["--retention", "1h"]), ("retry", ["--fail-rate", "100%"]), ("archived", ["--fail-rate", "100%"])],
)
def test_an_ending_that_is_refused_leaves_its_task_active_until_it_is_put_back(
    tool: Tool, db: Redis, kind: str, arguments: list[str]
) -> None:
    names = enqueue(db, "asynq", 4, max_retry=0 if kind == "archived" else 3)
    db.set(BASE + kind, "text")

    outcome = consume(tool, tool.url, "asynq", "--count", "4", *arguments)

    report = outcome.report
    assert outcome.status == 1 and "another type" in report["error"]
    assert (report["taken"], report["put_back"], report["left_active"], report["done"], report["failed"]) == (
        4,
        4,
        0,
        0,
        0,
    )
    assert pending(db, "asynq") == names and active(db, "asynq") == []
    assert db.get(BASE + "processed") is None


def test_tasks_that_can_neither_end_nor_be_put_back_stay_active_with_their_leases(tool: Tool, db: Redis) -> None:
    enqueue(db, "asynq", 16)
    with user(db, tool, "~*", "+@all", "-zrem") as url:
        shared = ("-q", "q", "--layout", "asynq", "--redis", url, "--report", "-")
        outcome = run("consume", *shared, "--until-empty", "-c", "16", "--service-time", "50ms", cwd=tool.folder)

    report = outcome.report
    assert outcome.status == 1 and report["error"]
    assert report["taken"] == report["left_active"] == len(active(db, "asynq")) == db.zcard(BASE + "lease") > 0
    assert f"{report['left_active']} tasks could not be put back, and may stay active" in outcome.stderr
    assert len(pending(db, "asynq")) == 16 - report["taken"]


# --- what is put back --------------------------------------------------------------------------------------------


def with_ways(url: str, layout: str, step: Callable[[Way, Way], Awaitable[None]], *, cluster: bool = False) -> None:
    """Has two consumers at hand, which take tasks as told."""

    def way(session: Session) -> Way:
        if layout == "asynq":
            return AsynqWay(session, QUEUE, retry_delay=None, retention=None, consumers=1)
        kind = ClusterDocumentedWay if cluster else DocumentedWay
        return kind(session, QUEUE, retention=0, consumers=1)

    async def scenario() -> None:
        numbers = itertools.count()
        async with open_session(parse_address(url), 30.0, 10.0, lambda: f"ways.{next(numbers)}") as session:
            await step(way(session), way(session))

    asyncio.run(scenario())


@pytest.mark.parametrize(("layout", "cluster"), [("asynq", False), ("documented", False), ("documented", True)])
def test_a_consumer_knows_its_own_active_tasks(target: Server, db: Redis, layout: str, cluster: bool) -> None:
    async def step(one: Way, other: Way) -> None:
        taken = (await one.turn([], 3)).taken
        assert [task.id for task in taken] == [b"t0", b"t1", b"t2"]
        await other.turn([], 2)
        db.lmove(list_key(layout, "pending"), list_key(layout, "active"), "RIGHT", "LEFT")  # an unregistered worker
        if layout == "asynq":
            db.zadd(BASE + "lease", {"t5": int(time.time()) + 30})
            db.lmove(list_key(layout, "pending"), list_key(layout, "active"), "RIGHT", "LEFT")

        await one.beat(taken, stopping=False)
        assert await one.mine() == [b"t2", b"t1", b"t0"]
        assert await other.mine() == [b"t4", b"t3"]
        await one.turn([Ending(taken[0], "done")], 0)
        assert (await one.put_back([b"t2"])).ended == [True]
        assert await one.mine() == [b"t1"]
        await one.leave()

    enqueue(db, layout, 9)
    with_ways(target.url, layout, step, cluster=cluster)

    assert pending(db, layout)[0] == "t2"
    assert b"runqy-loader-consumer" not in db.hgetall(task_key(layout, "t2"))


def test_an_active_task_without_a_lease_is_not_put_back_and_stays(target: Server, db: Redis) -> None:
    async def step(one: Way, other: Way) -> None:
        assert (await one.put_back([b"t0"])).ended == [False]

    enqueue(db, "asynq", 1)
    db.lmove(list_key("asynq", "pending"), list_key("asynq", "active"), "RIGHT", "LEFT")
    with_ways(target.url, "asynq", step)

    assert (active(db, "asynq"), pending(db, "asynq")) == (["t0"], [])


@pytest.mark.parametrize("kind", ["pushed", "read"])
def test_on_a_cluster_what_is_refused_is_pending_again(tool: Tool, db: Redis, kind: str) -> None:
    async def step(one: Way, other: Way) -> None:
        turn = await one.turn([], 3)
        assert turn.error is not None and turn.taken == []

    names = enqueue(db, "documented", 5)
    if kind == "pushed":
        db.set(list_key("documented", "active"), "text")
        with_ways(tool.url, "documented", step, cluster=True)
        db.delete(list_key("documented", "active"))
    else:
        with user(db, tool, "~asynq:q.default:*", "+@all") as url:
            with_ways(url, "documented", step, cluster=True)

    assert (pending(db, "documented"), active(db, "documented")) == (names, [])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_an_unregistered_worker_takes_meanwhile_is_not_put_back(target: Server, db: Redis, layout: str) -> None:
    """Connections are lost, so that it is not known what the consumer has taken; a worker takes tasks meanwhile."""

    async def scenario() -> Consumer:
        consumer = Consumer(options(target.url, layout, service_time="1ms", consumers=5, grace=0))
        running = asyncio.ensure_future(consumer.run())
        while consumer.report.taken < 5:
            await asyncio.sleep(0.01)
        for _ in range(10):
            theirs.append(db.lmove(list_key(layout, "pending"), list_key(layout, "active"), "RIGHT", "LEFT").decode())
            if layout == "asynq":
                db.zadd(BASE + "lease", {theirs[-1]: int(time.time()) + 30})
            for one in db.client_list():
                if "runqy-loader:consume" in one["name"]:
                    db.client_kill_filter(_id=one["id"])
            await asyncio.sleep(0.02)
        consumer.stop()
        await running
        return consumer

    theirs: list[str] = []
    names = enqueue(db, layout, 20_000)
    consumer = asyncio.run(scenario())

    assert sorted(active(db, layout)) == sorted(theirs)
    assert len(pending(db, layout)) == len(names) - len(theirs) - consumer.report.done


# --- a server that is gone ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_tasks_left_active_are_a_failure(redis_server: Callable[..., RedisServer], layout: str) -> None:
    own = redis_server()
    url = own.start().url

    async def scenario() -> Consumer:
        consumer = Consumer(options(url, layout, service_time="1h", grace=0, retry_for=1))
        running = asyncio.ensure_future(consumer.run())
        while consumer.report.taken < 4:
            await asyncio.sleep(0.01)
        own.kill()
        consumer.stop()
        with pytest.raises(LoaderError):
            await asyncio.wait_for(running, HANGS)
        return consumer

    with own.client() as client:
        enqueue(client, layout, 4)
    report = asyncio.run(scenario()).report

    assert (report.status, report.exit_status, report.left_active) == ("failed", 1, 4)
    assert report.error is not None


@pytest.mark.parametrize("moment", ["beat", "forward"])
def test_an_end_at_once_does_not_wait_for_a_server_that_hangs(
    redis_server: Callable[..., RedisServer], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The server stops at the first registration, or when an empty queue is looked at."""
    own = redis_server()
    url = own.start().url
    assert own.process is not None
    process = own.process

    class Hanging(AsynqWay):
        async def beat(self, active: Sequence[Taken], *, stopping: bool) -> None:
            hang("beat")
            await super().beat(active, stopping=stopping)

        async def forward(self) -> int:
            hang("forward")
            return await super().forward()

    def hang(at: str) -> None:
        if at == moment:
            process.send_signal(signal.SIGSTOP)
            hangs.append(at)

    async def scenario() -> Consumer:
        consumer = Consumer(options(url, "asynq", until_empty=True, timeout=600, retry_for=600))
        running = asyncio.ensure_future(consumer.run())
        while not hangs:
            await asyncio.sleep(0.01)
        consumer.stop()
        running.cancel()
        await asyncio.wait([running], timeout=HANGS)
        assert running.cancelled()
        return consumer

    hangs: list[str] = []
    monkeypatch.setattr("loader.consume.run.AsynqWay", Hanging)
    with own.client() as client:
        enqueue(client, "asynq", 1)
    try:
        consumer = asyncio.run(scenario())
    finally:
        process.send_signal(signal.SIGCONT)

    assert (consumer.report.status, consumer.report.exit_status) == ("interrupted", 130)


def test_all_last_steps_together_wait_no_longer_than_retry_for(
    redis_server: Callable[..., RedisServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server hangs when tasks are put back; a lost connection would be noticed after ten minutes only."""
    own = redis_server()
    url = own.start().url
    assert own.process is not None
    process = own.process

    class Hanging(AsynqWay):
        async def put_back(self, ids: Sequence[bytes]) -> Turn:
            process.send_signal(signal.SIGSTOP)
            return await super().put_back(ids)

    async def scenario() -> Consumer:
        consumer = Consumer(
            options(url, "asynq", service_time="1h", duration=0.5, grace=0, timeout=600, retry_for=2, consumers=4)
        )
        with pytest.raises(LoaderError, match="did not answer"):
            await asyncio.wait_for(consumer.run(), HANGS)
        return consumer

    monkeypatch.setattr("loader.consume.run.AsynqWay", Hanging)
    with own.client() as client:
        enqueue(client, "asynq", 4)
    try:
        report = asyncio.run(scenario()).report
    finally:
        process.send_signal(signal.SIGCONT)

    assert (report.status, report.exit_status, report.left_active) == ("failed", 1, 4)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_more_tasks_than_one_round_trip_puts_back_keep_their_order(tool: Tool, db: Redis, layout: str) -> None:
    names = enqueue(db, layout, 3 * MOST_AT_ONCE)

    timing = ("--service-time", "1h", "--duration", "1s", "--grace", "0")
    outcome = consume(tool, tool.url, layout, "-c", str(2 * MOST_AT_ONCE + 500), *timing)

    assert (outcome.status, outcome.report["put_back"]) == (0, outcome.report["taken"])
    assert outcome.report["taken"] > MOST_AT_ONCE
    assert (pending(db, layout), active(db, layout)) == (names, [])


# --- registrations that nobody ends ------------------------------------------------------------------------------


@pytest.mark.parametrize("real", [False, True])
def test_a_killed_consumer_leaves_no_plain_set_for_ever(target: Server, db: Redis, real: bool) -> None:
    async def step(killed: Way, one: Way) -> None:
        await killed.beat([], stopping=False)
        await one.beat([], stopping=False)
        seconds = db.ttl("asynq:workers")
        assert seconds == -1 if real else 0 < seconds <= 30
        db.delete(f"asynq:workers:{killed.name}")  # as it expires
        await one.beat([], stopping=False)
        assert db.sismember("asynq:workers", one.name) and not db.sismember("asynq:workers", killed.name)
        await killed.beat([], stopping=False)
        db.delete(f"asynq:workers:{killed.name}")
        await one.leave()

    if real:
        runqy_worker(db, "other.default", old=True)
    with_ways(target.url, "documented", step)

    assert registered(db) == ([b"asynq:workers", b"asynq:workers:host:7"] if real else [])

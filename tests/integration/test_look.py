"""One look at queues: the counts of both layouts, and what it costs the server."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from typing import Any

import pytest

from loader.engine.queue_look import QueueLook
from loader.errors import LoaderError, SinkError
from loader.servers.routing import Servers
from loader.servers.session import open_session
from loader.stored.queue_reader import StoredQueue, stored_queue
from loader.watch.look import COMMANDS_A_LOOK, Look
from loader.watch.queue_state import QueueState
from loader.wire.address import parse_address
from tests.conftest import Server
from tests.integration.cluster import Cluster
from tests.integration.cluster import cluster as cluster
from tests.integration.stored import numbered, push, task_key

OWN = {"client", "cluster", "ping", "info", "config", "hello", "auth", "select"}
"""Commands of a connection's opening, and of the test itself."""


def look(url: str, *queues: StoredQueue, times: int = 1) -> list[QueueState]:
    """The states of the last of some looks."""

    async def read() -> list[QueueState]:
        numbers = itertools.count()
        async with open_session(parse_address(url), 10, 0, lambda: f"test:{next(numbers)}") as session:
            one = Look(session, queues)
            for _ in range(times - 1):
                await one.read()
            return await one.read()

    return asyncio.run(read())


def test_an_asynq_queue_is_counted_in_each_state(server: Server, client: Any) -> None:
    push(client, "asynq", "q.default", numbered(5))
    client.rpoplpush("asynq:{q.default}:pending", "asynq:{q.default}:active")
    for kind, count in (("scheduled", 1), ("retry", 2), ("archived", 3), ("completed", 4)):
        client.zadd(f"asynq:{{q.default}}:{kind}", {f"{kind}-{n}": n for n in range(count)})
    client.set("asynq:{q.default}:paused", "1")
    client.mset({"asynq:{q.default}:processed": 70, "asynq:{q.default}:failed": 7})
    client.hset(task_key("asynq", "q.default", "task-0000001"), "pending_since", time.time_ns() - 90 * 10**9)

    (state,) = look(server.url, stored_queue("asynq", "q.default"))

    age = state.oldest_pending_seconds
    assert age is not None and 90 <= age < 90 + 60
    counted = QueueState("q.default", 4, 1, 1, 2, 3, 4, age, layout="asynq", paused=True, processed=70, failed=7)
    assert state == counted


def test_a_task_that_a_server_has_put_back_has_no_age(server: Server, client: Any) -> None:
    push(client, "asynq", "q.default", numbered(2))
    client.hdel(task_key("asynq", "q.default", "task-0000000"), "pending_since")  # as asynq's ``requeueCmd`` leaves it

    (state,) = look(server.url, stored_queue("asynq", "q.default"))

    assert (state.pending, state.oldest_pending_seconds) == (2, None)


def test_the_age_is_that_of_a_task_behind_those_that_workers_take_meanwhile(server: Server, client: Any) -> None:
    push(client, "asynq", "q.default", numbered(10))
    for number in range(3):  # they are active, and their ids were read before that
        client.hset(task_key("asynq", "q.default", f"task-{number:07}"), mapping={"state": "active"})
        client.hdel(task_key("asynq", "q.default", f"task-{number:07}"), "pending_since")
    client.hset(task_key("asynq", "q.default", "task-0000003"), "pending_since", time.time_ns() - 90 * 10**9)

    (state,) = look(server.url, stored_queue("asynq", "q.default"))

    assert state.oldest_pending_seconds is not None and 90 <= state.oldest_pending_seconds < 90 + 60


def test_a_documented_queue_has_pending_tasks_alone(server: Server, client: Any) -> None:
    push(client, "documented", "q.default", numbered(3))

    (state,) = look(server.url, stored_queue("documented", "q.default"))

    assert state == QueueState("q.default", 3, 0, 0, 0, 0, 0, None, layout="documented")


def test_queues_come_in_their_order_and_what_is_not_there_is_empty(server: Server, client: Any) -> None:
    push(client, "asynq", "a.default", numbered(1))
    push(client, "documented", "b.default", numbered(2))
    asked = [("documented", "b.default"), ("asynq", "none"), ("asynq", "a.default")]

    states = look(server.url, *[stored_queue(layout, name) for layout, name in asked])  # type: ignore[arg-type]

    assert [(state.layout, state.queue) for state in states] == asked
    assert [state.pending for state in states] == [2, 0, 1]
    assert [state.oldest_pending_seconds is None for state in states] == [True, True, False]
    assert (states[1].processed, states[1].failed) == (None, None)


def test_counters_of_the_day_count_where_workers_keep_no_other(server: Server, client: Any) -> None:
    today = time.strftime("%Y-%m-%d", time.gmtime())
    client.mset({f"asynq:{{q}}:processed:{today}": 12, f"asynq:{{q}}:failed:{today}": 2})

    (state,) = look(server.url, stored_queue("asynq", "q"))

    assert (state.processed, state.failed) == (12, 2)


def test_a_key_of_another_type_counts_as_empty(server: Server, client: Any) -> None:
    client.set("asynq:{q}:pending", "text")
    client.set("asynq:{q}:retry", "text")

    (state,) = look(server.url, stored_queue("asynq", "q"))

    assert (state.pending, state.retry, state.oldest_pending_seconds) == (0, 0, None)


@pytest.mark.parametrize("count", [10, 20_000])
def test_the_commands_of_a_look_do_not_depend_on_how_many_tasks_there_are(
    server: Server, client: Any, count: int
) -> None:
    push(client, "asynq", "a.default", numbered(count))
    push(client, "documented", "b.default", numbered(count, first=count))
    queues = stored_queue("asynq", "a.default"), stored_queue("documented", "b.default")
    client.config_resetstat()

    look(server.url, *queues, times=5)

    sent = commands(client)
    times_asked = sum(place <= count for place in (1, 4, 16, 64))
    assert sum(sent.values()) == 5 * (12 + times_asked + COMMANDS_A_LOOK["documented"])
    assert times_asked + 12 <= COMMANDS_A_LOOK["asynq"]
    assert set(sent) == {"llen", "zcard", "exists", "get", "lrange", "hmget"}


def commands(client: Any) -> dict[str, int]:
    """How often each command was called, but for those of a connection's opening."""
    stats = client.info("commandstats")
    named = {name.removeprefix("cmdstat_").split("|")[0]: one["calls"] for name, one in stats.items()}
    return {name: calls for name, calls in named.items() if name not in OWN}


def test_a_user_who_may_only_read_can_look(server: Server, client: Any) -> None:
    push(client, "asynq", "q.default", numbered(2))
    client.execute_command("ACL", "SETUSER", "reader", "on", ">secret", "~asynq:*", "+@read", "+ping")
    try:
        url = server.url.replace("redis://", "redis://reader:secret@")
        (state,) = look(url, stored_queue("asynq", "q.default"))
    finally:
        client.execute_command("ACL", "DELUSER", "reader")

    assert state.pending == 2 and state.oldest_pending_seconds is not None


def test_a_user_who_may_not_read_is_told(server: Server, client: Any) -> None:
    client.execute_command("ACL", "SETUSER", "other", "on", ">secret", "~other:*", "+@read", "+ping")
    try:
        url = server.url.replace("redis://", "redis://other:secret@")
        with pytest.raises(SinkError, match="may not"):
            look(url, stored_queue("asynq", "q.default"))
    finally:
        client.execute_command("ACL", "DELUSER", "other")


def test_queues_on_several_nodes_of_a_cluster_are_read(cluster: Cluster) -> None:
    with cluster.client() as client:
        for number in range(6):
            push(client, "asynq", f"q{number}", numbered(number + 1))
            push(client, "documented", f"d{number}", numbered(number + 1))
    names = [(layout, f"{layout[0].replace('a', 'q')}{n}") for layout in ("asynq", "documented") for n in range(6)]

    states = look(cluster.url, *[stored_queue(layout, name) for layout, name in names])  # type: ignore[arg-type]

    assert [state.pending for state in states] == [1, 2, 3, 4, 5, 6] * 2


def test_a_look_of_a_load_finds_a_queue_again_that_the_cluster_has_moved(cluster: Cluster) -> None:
    key = "asynq:{q.default}:pending"
    with cluster.client() as client:
        client.rpush(key, "a", "b")

    async def looks() -> list[int]:
        look = QueueLook(Servers(parse_address(cluster.url), 30.0), "asynq", 30.0, "test:")
        found: list[int] = []
        try:
            before = await look(["q.default"])
            await asyncio.to_thread(cluster.move, key, cluster.next_to(cluster.owner(key)))
            for _ in range(3):
                with contextlib.suppress(LoaderError):  # the next look goes on
                    if (after := await look(["q.default"])) is not None:
                        found.append(after.pending)
        finally:
            await look.close()
        assert before is not None
        return [before.pending, *found]

    assert asyncio.run(looks())[:2] == [2, 2]

"""Tasks that are followed: how long they wait and take, in both layouts. The times of the looks are given."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from loader.layouts.task_message import encode, varint
from loader.servers.session import Session, open_session
from loader.stored.queue_reader import stored_queue
from loader.tasks.options import TaskOptions
from loader.tasks.profiles import LayoutName
from loader.watch.follow import GIVE_UP_SECONDS, NEAR_THE_END, Sample, commands
from loader.watch.times import Percentiles
from loader.wire.address import parse_address
from tests.conftest import Server
from tests.integration.stored import pending_key, push, task_key
from tests.integration.test_look import commands as sent

NOW = 1_764_400_000.0
"""The time of the first look. Tests count from it."""

COMPLETED_AT = b"\x68"
"""The tag of field 13 of a task's message, a varint."""


class Queue:
    """A queue whose tasks are moved by hand, and the sample that looks at it."""

    def __init__(self, session: Session, client: Any, layout: LayoutName, most: int) -> None:
        self.client, self.layout = client, layout
        self.sample = Sample(session, stored_queue(layout, "q"), most)

    async def look(self, at: float, entered: int | None = None) -> None:
        await self.sample.look(NOW + at, self.client.llen(pending_key(self.layout, "q")), entered)

    def push(self, *ids: str, at: float | None = None) -> None:
        push(self.client, self.layout, "q", [(task_id, b"{}") for task_id in ids])
        if at is not None:
            for task_id in ids:
                self.client.hset(self.key(task_id), "pending_since", round((NOW + at) * 1e9))

    def take(self) -> str:
        """What a worker does with the next task."""
        if self.layout == "documented":
            return str(self.client.rpop(pending_key("documented", "q")).decode())
        task_id = self.client.rpoplpush(pending_key("asynq", "q"), "asynq:{q}:active").decode()
        self.client.hset(self.key(task_id), "state", "active")
        self.client.hdel(self.key(task_id), "pending_since")
        return str(task_id)

    def key(self, task_id: str) -> str:
        return task_key(self.layout, "q", task_id)


def following(
    server: Server, layout: LayoutName, scene: Callable[[Queue], Coroutine[Any, Any, None]], most: int = 100
) -> None:
    @asynccontextmanager
    async def session() -> AsyncIterator[Session]:
        numbers = itertools.count()
        async with open_session(parse_address(server.url), 10, 0, lambda: f"test:{next(numbers)}") as opened:
            yield opened

    async def play() -> None:
        with server.client() as client:
            async with session() as opened:
                await scene(Queue(opened, client, layout, most))

    asyncio.run(play())


def shown(found: Percentiles | None) -> tuple[int, int, float, float] | None:
    """Followed tasks, tasks they stand for, the shortest time that half of them do not exceed, the longest."""
    return None if found is None else (found.sampled, found.tasks, round(found.p50, 1), round(found.max, 1))


BOTH = pytest.mark.parametrize("layout", ["asynq", "documented"])


@BOTH
def test_tasks_that_were_there_before_the_first_look_are_not_followed(valkey: Server, layout: LayoutName) -> None:
    async def scene(queue: Queue) -> None:
        queue.push("old")
        await queue.look(0)
        assert queue.sample.times.following == 0
        queue.push("new")
        await queue.look(1, entered=1)
        assert queue.sample.times.following == 1

    following(valkey, layout, scene)


def test_an_asynq_task_is_timed_from_its_own_time_to_the_looks_that_see_its_changes(valkey: Server) -> None:
    async def scene(queue: Queue) -> None:
        await queue.look(0)
        queue.push("a", at=0.5)
        await queue.look(1, entered=1)
        await queue.look(2, entered=0)
        assert queue.sample.times.in_queue is None
        queue.take()
        await queue.look(3, entered=0)
        assert shown(queue.sample.times.in_queue) == (1, 1, 2.5, 2.5)
        assert queue.sample.times.to_completion is None
        await queue.look(4, entered=0)
        queue.client.delete(queue.key("a"))  # without retention
        await queue.look(5, entered=0)
        times = queue.sample.times
        assert shown(times.in_queue) == (1, 1, 2.5, 2.5)
        assert shown(times.to_completion) == (1, 1, 4.5, 4.5)
        assert (times.following, times.failed, times.lost, times.unseen) == (0, 0, 0, 0)

    following(valkey, "asynq", scene)


@pytest.mark.parametrize("place", ["message", "field"])
def test_the_time_that_a_worker_leaves_is_better_than_a_late_look(valkey: Server, place: str) -> None:
    """asynq's workers leave whole seconds in the message, runqy's in a field."""

    async def scene(queue: Queue) -> None:
        await queue.look(0)
        queue.push("a", at=0)
        await queue.look(10, entered=1)
        queue.take()
        completed_at = int(NOW) + 13
        fields: dict[str, Any] = {"completed_at": completed_at}
        if place == "message":
            fields = {"msg": encode("q", b"{}", b"a", "q", TaskOptions()) + COMPLETED_AT + varint(completed_at)}
        queue.client.hset(queue.key("a"), mapping={"state": "completed", **fields})
        await queue.look(20, entered=0)
        assert shown(queue.sample.times.to_completion) == (1, 1, 14.0, 14.0)

    following(valkey, "asynq", scene)


def test_a_workers_clock_that_is_behind_does_not_end_a_task_before_it_was_seen_waiting(valkey: Server) -> None:
    async def scene(queue: Queue) -> None:
        await queue.look(0)
        queue.push("a", at=0)
        await queue.look(10, entered=1)
        queue.client.hset(queue.key("a"), mapping={"state": "completed", "completed_at": int(NOW) - 500})
        await queue.look(20, entered=0)
        assert shown(queue.sample.times.to_completion) == (1, 1, 10.0, 10.0)

    following(valkey, "asynq", scene)


def test_a_producers_clock_that_is_ahead_does_not_make_a_wait_shorter(valkey: Server) -> None:
    async def scene(queue: Queue) -> None:
        await queue.look(0)
        queue.push("a", at=900)
        await queue.look(1, entered=1)
        queue.take()
        await queue.look(3, entered=0)
        assert shown(queue.sample.times.in_queue) == (1, 1, 3.0, 3.0)

    following(valkey, "asynq", scene)


def test_a_retry_is_one_task_that_takes_longer(valkey: Server) -> None:
    async def scene(queue: Queue) -> None:
        await queue.look(0)
        queue.push("a", at=1)
        await queue.look(1, entered=1)
        queue.take()
        await queue.look(2, entered=0)
        queue.client.hset(queue.key("a"), "state", "retry")
        queue.client.lrem("asynq:{q}:active", 0, "a")
        await queue.look(3, entered=0)
        queue.client.lpush(pending_key("asynq", "q"), "a")
        queue.client.hset(queue.key("a"), mapping={"state": "pending", "pending_since": round((NOW + 3.5) * 1e9)})
        await queue.look(4, entered=1)
        assert queue.sample.times.following == 1
        queue.take()
        queue.client.delete(queue.key("a"))
        await queue.look(6, entered=0)
        assert shown(queue.sample.times.in_queue) == (1, 1, 1.0, 1.0)
        assert shown(queue.sample.times.to_completion) == (1, 1, 5.0, 5.0)

    following(valkey, "asynq", scene)


def test_a_task_that_is_pending_again_has_left_the_list_meanwhile(valkey: Server) -> None:
    async def scene(queue: Queue) -> None:
        await queue.look(0)
        queue.push("a", at=1)
        await queue.look(1, entered=1)
        queue.client.hset(queue.key("a"), "pending_since", round((NOW + 1.8) * 1e9))
        await queue.look(2, entered=1)
        assert shown(queue.sample.times.in_queue) == (1, 1, 1.0, 1.0)

    following(valkey, "asynq", scene)


def test_a_task_that_fails_for_good_is_counted_and_not_timed_as_completed(valkey: Server) -> None:
    async def scene(queue: Queue) -> None:
        await queue.look(0)
        queue.push("a", at=1)
        await queue.look(1, entered=1)
        queue.take()
        queue.client.hset(queue.key("a"), "state", "archived")
        await queue.look(2, entered=0)
        times = queue.sample.times
        assert (times.failed, times.following, times.to_completion) == (1, 0, None)
        assert shown(times.in_queue) == (1, 1, 1.0, 1.0)

    following(valkey, "asynq", scene)


def test_each_followed_task_stands_for_those_that_came_with_it(valkey: Server) -> None:
    async def scene(queue: Queue) -> None:
        await queue.look(0)
        queue.push(*[f"t{n}" for n in range(200)], at=1)
        await queue.look(1, entered=200)
        assert queue.sample.times.following == 10  # a tenth of the sample at each look
        for _ in range(200):
            queue.take()
        await queue.look(2, entered=0)
        assert shown(queue.sample.times.in_queue) == (10, 200, 1.0, 1.0)

    following(valkey, "asynq", scene)


def test_tasks_that_came_and_went_between_two_looks_count_as_one_interval(valkey: Server) -> None:
    async def scene(queue: Queue) -> None:
        await queue.look(0)
        queue.push("left", at=0.9)
        await queue.look(1, entered=31)  # thirty of them are gone
        times = queue.sample.times
        assert times.unseen == 30
        assert shown(times.in_queue) == (0, 30, 1.0, 1.0)

    following(valkey, "asynq", scene)


def test_without_counts_of_the_workers_what_was_not_seen_is_not_known(valkey: Server) -> None:
    async def scene(queue: Queue) -> None:
        await queue.look(0)
        queue.push("a", at=1)
        await queue.look(1, entered=None)
        times = queue.sample.times
        assert (times.unseen, times.following) == (None, 1)

    following(valkey, "asynq", scene)


def test_no_more_tasks_are_followed_than_the_sample_holds(valkey: Server) -> None:
    async def scene(queue: Queue) -> None:
        await queue.look(0)
        for second in range(1, 40):
            queue.push(*[f"t{second}-{n}" for n in range(5)], at=second)
            await queue.look(second, entered=5)
        assert queue.sample.times.following == 20

    following(valkey, "asynq", scene, most=20)


@BOTH
def test_a_task_without_a_change_is_given_up_after_a_day(valkey: Server, layout: LayoutName) -> None:
    async def scene(queue: Queue) -> None:
        await queue.look(0)
        queue.push("a")
        await queue.look(1, entered=1)
        await queue.look(2 + GIVE_UP_SECONDS, entered=0)
        assert (queue.sample.times.following, queue.sample.times.lost) == (0, 1)

    following(valkey, layout, scene)


def test_a_documented_task_has_the_time_of_the_look_before_it_was_seen(valkey: Server) -> None:
    async def scene(queue: Queue) -> None:
        await queue.look(0)
        queue.push("a", "b")
        await queue.look(1)
        queue.take()
        await queue.look(2)
        times = queue.sample.times
        assert times.unseen is None and shown(times.in_queue) == (1, 1, 2.0, 2.0)
        queue.client.set("asynq:result:a", "{}")
        await queue.look(3)
        assert shown(queue.sample.times.to_completion) == (1, 1, 3.0, 3.0)
        queue.take()
        queue.client.delete(queue.key("b"))
        await queue.look(4)
        times = queue.sample.times
        assert shown(times.in_queue) == (2, 2, 2.0, 4.0) and shown(times.to_completion) == (2, 2, 3.0, 4.0)

    following(valkey, "documented", scene)


@pytest.mark.parametrize(("state", "failed"), [("completed", 0), ("archived", 1), ("failed", 1)])
def test_a_state_that_a_worker_of_the_documented_layout_leaves_counts(valkey: Server, state: str, failed: int) -> None:
    async def scene(queue: Queue) -> None:
        await queue.look(0)
        queue.push("a")
        await queue.look(1)
        queue.take()
        queue.client.hset(queue.key("a"), "state", state)
        await queue.look(2)
        assert (queue.sample.times.failed, queue.sample.times.to_completion is None) == (failed, bool(failed))
        assert shown(queue.sample.times.in_queue) == (1, 1, 2.0, 2.0)

    following(valkey, "documented", scene)


def test_in_a_long_documented_list_a_task_waits_until_it_was_seen_near_the_end(valkey: Server) -> None:
    async def scene(queue: Queue) -> None:
        queue.push(*[f"before{n}" for n in range(NEAR_THE_END + 50)])
        await queue.look(0)
        queue.push("a")
        queue.push(*[f"after{n}" for n in range(9)])
        await queue.look(1)
        queue.push(*[f"later{n}" for n in range(2 * NEAR_THE_END)])
        await queue.look(2)  # far from both ends
        assert queue.sample.times.in_queue is None
        for _ in range(100):
            queue.take()
        await queue.look(3)
        assert queue.sample.times.in_queue is None
        for _ in range(NEAR_THE_END - 50 + 1):
            queue.take()
        await queue.look(4)
        assert shown(queue.sample.times.in_queue) == (1, 1, 4.0, 4.0)

    following(valkey, "documented", scene)


@BOTH
@pytest.mark.parametrize("count", [30, 30_000])
def test_a_look_at_a_sample_sends_a_bounded_number_of_commands_that_only_read(
    server: Server, layout: LayoutName, count: int
) -> None:
    async def scene(queue: Queue) -> None:
        await queue.look(0)
        queue.push(*[f"t{n}" for n in range(count)])
        for second in range(1, 15):
            queue.client.config_resetstat()
            await queue.look(second, entered=count if second == 1 else 0)
            found = sent(queue.client)
            found["llen"] -= 1  # the test's own
            assert sum(found.values()) <= commands(layout, 20)
            assert set(found) <= {"lrange", "hmget", "hget", "exists", "lpos", "llen"}
            queue.push(f"more{second}")

    following(server, layout, scene, most=20)


def test_a_sample_begins_anew_after_the_server_was_away(valkey: Server) -> None:
    async def scene(queue: Queue) -> None:
        await queue.look(0)
        queue.push("a", at=1)
        await queue.look(1, entered=1)
        queue.sample._session.losses += 1
        queue.client.flushall()
        await queue.look(2, entered=0)
        times = queue.sample.times
        assert (times.lost, times.following, times.to_completion) == (1, 0, None)

    following(valkey, "asynq", scene)

"""What asynq's own server and inspector do with tasks, and what they need of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.interop.asynq_peer import AsynqPeer, RefusedError
from tests.unit.task_message_oracle import decode, encode

pytestmark = pytest.mark.slow  # builds the Go program first

FAR = 4_102_444_800
"""A start time far in the future (the year 2100)."""
LOCK = "asynq:{q}:unique:mail:"
"""The lock of a unique task without a payload."""


def fields(client: Any, task_id: str) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = client.hgetall(f"asynq:{{q}}:t:{task_id}")
    return found


def test_tasks_are_executed_first_in_first_out_and_leave_no_hash(asynq_peer: AsynqPeer, client: Any) -> None:
    for number in range(5):
        asynq_peer.enqueue("q", f"type-{number}", str(number).encode(), id=f"t{number}", headers={"n": str(number)})

    executions = asynq_peer.serve("q")

    assert [execution.order for execution in executions] == [1, 2, 3, 4, 5]
    assert [execution.id for execution in executions] == [f"t{number}" for number in range(5)]
    for number, execution in enumerate(executions):
        assert (execution.type, execution.queue) == (f"type-{number}", "q")
        assert (execution.payload, execution.headers) == (str(number).encode(), {"n": str(number)})
        assert (execution.retried, execution.max_retry, execution.failed) == (0, 25, False)
    day = time.strftime("%Y-%m-%d", time.gmtime())
    left = {key for key in client.keys("*") if not key.endswith(day.encode())}
    assert left == {b"asynq:queues", b"asynq:{q}:processed"}
    assert client.get("asynq:{q}:processed") == b"5"


def test_an_absent_payload_reaches_the_handler_as_nil_even_if_it_was_empty(asynq_peer: AsynqPeer) -> None:
    asynq_peer.enqueue("q", "mail", b"")

    (execution,) = asynq_peer.serve("q")

    assert execution.payload is None


def test_the_handler_has_until_the_earlier_of_timeout_and_deadline(asynq_peer: AsynqPeer) -> None:
    asynq_peer.enqueue("q", "deadline", deadline=FAR)
    asynq_peer.enqueue("q", "both", deadline=FAR, timeout=100_000)
    asynq_peer.enqueue("q", "neither")
    asynq_peer.enqueue("q", "cut to zero", timeout=0.5)

    found = {execution.type: execution for execution in asynq_peer.serve("q")}

    assert found["deadline"].deadline == FAR
    assert 90_000 < found["both"].remaining <= 100_000
    assert 1_000 < found["neither"].remaining <= 1_800
    assert 1_000 < found["cut to zero"].remaining <= 1_800


def test_a_deadline_that_is_past_is_a_failure_without_an_execution(asynq_peer: AsynqPeer) -> None:
    asynq_peer.enqueue("q", "mail", id="a", deadline=1, max_retry=0)

    assert asynq_peer.serve("q") == []
    (task,) = asynq_peer.tasks("q", "archived")
    assert (task.id, task.last_error) == ("a", "context deadline exceeded")


def test_a_failed_task_waits_in_the_retry_set_and_its_message_says_why(asynq_peer: AsynqPeer, client: Any) -> None:
    asynq_peer.enqueue("q", "mail", b"p", id="a", max_retry=2)

    (execution,) = asynq_peer.serve("q", fail_times=1, retry_delay=86_400, until=1)

    assert execution.failed
    msg = decode(fields(client, "a")[b"msg"])
    assert (msg["retry"], msg["retried"], msg["error_msg"]) == (2, 1, "failing as told: try 1 of task a")
    assert list(fields(client, "a")) == [b"msg", b"state"]
    assert fields(client, "a")[b"state"] == b"retry"
    ((task_id, retry_at),) = client.zrange("asynq:{q}:retry", 0, -1, withscores=True)
    assert task_id == b"a"
    assert 86_300 < retry_at - int(str(msg["last_failed_at"])) <= 86_400


def test_retries_are_counted_and_the_one_too_many_is_not_made(asynq_peer: AsynqPeer, client: Any) -> None:
    asynq_peer.enqueue("q", "mail", id="good", max_retry=2, unique=600)
    asynq_peer.enqueue("q", "other", id="bad", max_retry=1, unique=600)

    executions = asynq_peer.serve("q", fail_times=2)

    assert [(e.retried, e.failed) for e in executions if e.id == "good"] == [(0, True), (1, True), (2, False)]
    assert [(e.retried, e.failed) for e in executions if e.id == "bad"] == [(0, True), (1, True)]
    (task,) = asynq_peer.tasks("q", "archived")
    assert (task.id, task.retried, task.last_error) == ("bad", 1, "failing as told: try 2 of task bad")
    assert fields(client, "bad")[b"state"] == b"archived"
    assert client.zscore("asynq:{q}:archived", "bad") == task.last_failed_at
    assert client.get("asynq:{q}:unique:other:") == b"bad", "an archived task keeps its lock"
    assert not client.exists(LOCK, "asynq:{q}:t:good")


def test_a_retained_task_keeps_its_hash_with_state_and_result(asynq_peer: AsynqPeer, client: Any) -> None:
    asynq_peer.enqueue("q", "mail", b"p", id="a", retention=86_400, unique=600)

    asynq_peer.serve("q", result='{"ok": true}')

    assert set(fields(client, "a")) == {b"msg", b"state", b"unique_key", b"result"}
    assert (fields(client, "a")[b"state"], fields(client, "a")[b"result"]) == (b"completed", b'{"ok": true}')
    (task,) = asynq_peer.tasks("q", "completed")
    assert (task.state, task.result, task.retention) == ("completed", b'{"ok": true}', 86_400)
    completed_at = decode(fields(client, "a")[b"msg"])["completed_at"]
    assert task.completed_at == completed_at
    assert client.zscore("asynq:{q}:completed", "a") == int(str(completed_at)) + 86_400
    assert client.keys("asynq:{q}:unique:*") == []


def test_the_janitor_removes_a_task_whose_retention_is_over(asynq_peer: AsynqPeer, client: Any, tmp_path: Path) -> None:
    asynq_peer.enqueue("q", "mail", id="a", retention=1)

    with asynq_peer.serving("q", folder=tmp_path) as serving:
        assert serving.execution().id == "a"
        end = time.monotonic() + 60
        while client.exists("asynq:{q}:t:a"):
            assert time.monotonic() < end, "the janitor does not come"
            time.sleep(0.05)

    assert not client.exists("asynq:{q}:completed")


def test_a_scheduled_task_is_executed_when_its_time_has_come(asynq_peer: AsynqPeer) -> None:
    asynq_peer.enqueue("q", "late", id="late", process_at=FAR)
    asynq_peer.enqueue("q", "soon", id="soon", process_in=2)
    asynq_peer.enqueue("q", "now", id="now")

    assert [execution.id for execution in asynq_peer.serve("q", until=2)] == ["now", "soon"]
    assert [task.id for task in asynq_peer.tasks("q", "scheduled")] == ["late"]


def test_a_server_that_ends_after_some_executions_puts_the_other_tasks_back(asynq_peer: AsynqPeer) -> None:
    for number in range(6):
        asynq_peer.enqueue("q", "mail", id=f"t{number}")

    first = asynq_peer.serve("q", until=2, concurrency=3)

    assert len(first) == 2
    assert asynq_peer.queue("q").pending == 4
    assert {e.id for e in first + asynq_peer.serve("q")} == {f"t{number}" for number in range(6)}


def test_several_queues_are_served_strictly_in_order_if_told_so(asynq_peer: AsynqPeer) -> None:
    for queue in ("low", "high"):
        for number in range(3):
            asynq_peer.enqueue(queue, "mail", id=f"{queue}{number}")

    executions = asynq_peer.serve("high", "low", strict=True)

    assert [execution.id for execution in executions] == ["high0", "high1", "high2", "low0", "low1", "low2"]


@pytest.mark.parametrize(("options", "state"), [({}, "pending"), ({"process_at": FAR}, "scheduled")])
def test_a_task_is_deleted_with_its_lock(
    asynq_peer: AsynqPeer, client: Any, options: dict[str, Any], state: str
) -> None:
    asynq_peer.enqueue("q", "mail", id="a", unique=600, **options)
    assert asynq_peer.task("q", "a").state == state

    asynq_peer.delete("q", "a")

    assert client.keys("*") == [b"asynq:queues"]
    with pytest.raises(RefusedError) as refused:
        asynq_peer.delete("q", "a")
    assert refused.value.kind == "task not found"


def test_only_the_field_unique_key_releases_the_lock_of_a_deleted_task(asynq_peer: AsynqPeer, client: Any) -> None:
    asynq_peer.enqueue("q", "mail", id="a", unique=600)
    client.hdel("asynq:{q}:t:a", "unique_key")

    asynq_peer.delete("q", "a")

    assert client.get(LOCK) == b"a"


def test_only_the_message_releases_the_lock_of_an_executed_task(asynq_peer: AsynqPeer, client: Any) -> None:
    asynq_peer.enqueue("q", "mail", id="a", unique=600)
    client.hset("asynq:{q}:t:a", "msg", encode(type="mail", id="a", queue="q", retry=25, timeout=1800))

    asynq_peer.serve("q")

    assert client.get(LOCK) == b"a"


@pytest.mark.parametrize("options", [{}, {"process_at": FAR}], ids=["pending", "scheduled"])
def test_a_task_is_archived_and_run_again(asynq_peer: AsynqPeer, client: Any, options: dict[str, Any]) -> None:
    asynq_peer.enqueue("q", "mail", id="a", unique=600, **options)

    asynq_peer.archive("q", "a")
    assert fields(client, "a")[b"state"] == b"archived"
    assert client.zcard("asynq:{q}:archived") == 1
    assert not client.exists("asynq:{q}:pending", "asynq:{q}:scheduled")
    assert client.get(LOCK) == b"a"

    asynq_peer.run("q", "a")
    assert fields(client, "a")[b"state"] == b"pending"
    assert client.lrange("asynq:{q}:pending", 0, -1) == [b"a"]
    with pytest.raises(RefusedError, match="already in pending state"):
        asynq_peer.run("q", "a")
    assert [execution.id for execution in asynq_peer.serve("q")] == ["a"]


def test_a_scheduled_task_that_is_run_by_hand_is_pending_since_never(asynq_peer: AsynqPeer, client: Any) -> None:
    asynq_peer.enqueue("q", "mail", id="a", process_at=FAR)

    asynq_peer.run("q", "a")

    assert set(fields(client, "a")) == {b"msg", b"state"}
    assert asynq_peer.queue("q").latency == 0


def test_a_queue_is_described_by_its_numbers(asynq_peer: AsynqPeer) -> None:
    for task_id in ("a", "b"):
        asynq_peer.enqueue("q", "mail", id=task_id)
    asynq_peer.enqueue("q", "mail", id="c", process_at=FAR)
    asynq_peer.enqueue("another", "mail")

    info = asynq_peer.queue("q")

    assert asynq_peer.queues() == {"q", "another"}
    assert (info.size, info.pending, info.scheduled) == (3, 2, 1)
    assert (info.active, info.retry, info.archived, info.completed, info.paused) == (0, 0, 0, 0, False)
    assert info.latency > 0 and info.memory > 0
    assert [task.id for task in asynq_peer.tasks("q", "pending")] == ["a", "b"], "the next to be executed comes first"


def test_a_queue_outside_of_asynqs_set_is_served_but_not_inspected(asynq_peer: AsynqPeer, client: Any) -> None:
    asynq_peer.enqueue("q", "mail", id="a")
    client.srem("asynq:queues", "q")

    for look in (asynq_peer.queue, lambda name: asynq_peer.task(name, "a"), lambda name: asynq_peer.delete(name, "a")):
        with pytest.raises(RefusedError) as refused:
            look("q")
        assert refused.value.kind == "queue not found"

    assert [execution.id for execution in asynq_peer.serve("q")] == ["a"]
    assert asynq_peer.queues() == set()

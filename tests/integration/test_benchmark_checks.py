"""What the benchmarks take for a whole and right load: a fault in any one task must show."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import loader
from benchmarks import payloads
from benchmarks.errors import WrongResultError
from benchmarks.nodes import Nodes
from benchmarks.outcome import ASYNQ, QUEUE, RUNQY, Outcome, Window
from benchmarks.payloads import ENVELOPE, PLAIN, QUEUES, WITH_ID, WITH_QUEUE, Form
from benchmarks.raw import Raw
from benchmarks.task_message import task_message
from benchmarks.verify import check_load
from tests.conftest import Server

TASKS = 40
PENDING = f"asynq:{{{QUEUE}}}:pending"
AS_ASYNQ = {"layout": "asynq", "profile": "asynq", "type": "task"}


def _load(folder: Path, server: Server, form: Form, **options: Any) -> Callable[[Outcome], int]:
    """Loads a small set; what checks it."""
    begin = time.time_ns()
    dataset = payloads.write(folder / "input.jsonl", 110, tasks=TASKS, form=form)
    asyncio.run(loader.load([str(dataset.path)], queue=QUEUE, redis=server.url, **options))
    window = Window(begin, time.time_ns())

    def check(outcome: Outcome) -> int:
        with Nodes([Raw(server.port)]) as nodes:
            return check_load(nodes, dataset.content, outcome, window)

    return check


@pytest.mark.parametrize(
    ("form", "options", "outcome"),
    [
        pytest.param(PLAIN, {}, Outcome(), id="documented"),
        pytest.param(PLAIN, {"layout": "asynq"}, Outcome(RUNQY), id="asynq for runqy"),
        pytest.param(PLAIN, AS_ASYNQ, Outcome(ASYNQ), id="asynq"),
        pytest.param(WITH_ID, {"id_field": "id"}, Outcome(id_field="id"), id="own ids"),
        pytest.param(ENVELOPE, {**AS_ASYNQ, "envelope": True}, Outcome(ASYNQ), id="envelopes"),
        pytest.param(
            WITH_QUEUE,
            {**AS_ASYNQ, "queue_field": "queue"},
            Outcome(ASYNQ, queues=QUEUES, queue_field="queue"),
            id="own queues",
        ),
    ],
)
def test_what_the_loader_leaves_is_right(
    tmp_path: Path, valkey: Server, form: Form, options: dict[str, Any], outcome: Outcome
) -> None:
    check = _load(tmp_path, valkey, form, **options)
    check(outcome)


def _retry_once_more(client: Any, key: str) -> None:
    message = task_message().FromString(client.hget(key, "msg"))
    message.retry += 1
    client.hset(key, "msg", message.SerializeToString())


def _other_payload(client: Any, key: str) -> None:
    message = task_message().FromString(client.hget(key, "msg"))
    message.payload = message.payload.replace(b"seed", b"sEed")
    client.hset(key, "msg", message.SerializeToString())


def _pushed_twice(client: Any, key: str) -> None:
    client.rpop(PENDING)
    client.rpush(PENDING, client.lindex(PENDING, 0))


def _of_another_task(client: Any, key: str) -> None:
    other = client.lindex(PENDING, 1).decode()
    client.hset(key, "msg", client.hget(f"asynq:{{{QUEUE}}}:t:{other}", "msg"))


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda client, key: client.delete(key), id="hash missing"),
        pytest.param(lambda client, key: client.rpop(PENDING), id="not pushed"),
        pytest.param(_pushed_twice, id="pushed twice"),
        pytest.param(lambda client, key: client.hset(key, "retry", "0"), id="field too many"),
        pytest.param(lambda client, key: client.hset(key, "state", "active"), id="other state"),
        pytest.param(lambda client, key: client.hset(key, "pending_since", "1"), id="pending too long"),
        pytest.param(lambda client, key: client.hset(key, "pending_since", "soon"), id="pending since no time"),
        pytest.param(lambda client, key: client.hset(key, "msg", b"\xff"), id="no message"),
        pytest.param(
            lambda client, key: client.hset(key, "msg", client.hget(key, "msg") + b"\x80\x01\x01"), id="unknown field"
        ),
        pytest.param(_retry_once_more, id="other options"),
        pytest.param(_other_payload, id="other payload"),
        pytest.param(_of_another_task, id="message of another task"),
        pytest.param(lambda client, key: client.delete(f"asynq:t:{key[-36:]}"), id="no look-up"),
        pytest.param(lambda client, key: client.hset(f"asynq:t:{key[-36:]}", "queue", "a.b"), id="wrong look-up"),
        pytest.param(lambda client, key: client.delete("asynq:queues"), id="queue not listed"),
        pytest.param(lambda client, key: client.sadd("asynq:queues", "a.b"), id="other queue listed"),
        pytest.param(lambda client, key: client.hset("asynq:{a.b}:t:x", "msg", "x"), id="key too many"),
    ],
)
def test_a_fault_in_one_task_shows(tmp_path: Path, valkey: Server, spoil: Callable[[Any, str], object]) -> None:
    check = _load(tmp_path, valkey, PLAIN, layout="asynq")
    check(Outcome(RUNQY))
    with valkey.client() as client:
        spoil(client, f"asynq:{{{QUEUE}}}:t:{client.lindex(PENDING, 0).decode()}")
    with pytest.raises(WrongResultError):
        check(Outcome(RUNQY))


def test_ids_and_queues_are_those_of_the_records(tmp_path: Path, valkey: Server) -> None:
    check = _load(tmp_path, valkey, WITH_ID)
    with pytest.raises(WrongResultError, match="should have the id"):
        check(Outcome(id_field="id"))

"""What the benchmarks take for a whole and right load: a fault in any one task must show."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import loader
from benchmarks import payloads
from benchmarks.encode import batches, encoder
from benchmarks.errors import WrongResultError
from benchmarks.nodes import Nodes
from benchmarks.outcome import ASYNQ, DOCUMENTED, QUEUE, QUEUES_KEY, RUNQY, Outcome, Window
from benchmarks.payloads import ENVELOPE, PLAIN, QUEUES, WITH_ID, WITH_QUEUE, Form
from benchmarks.raw import Raw
from benchmarks.task_message import task_message
from benchmarks.verify import check_load
from loader.layouts.dump import hash_dump
from tests.conftest import RedisServer, Server

TASKS = 40
PENDING_OF_GUIDE = f"asynq:{QUEUE}:pending"
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


def _by_restore(folder: Path, server: Server, layout: str) -> Callable[[Outcome], int]:
    """Writes a small set as dumps; what checks it."""
    begin = time.time_ns()
    dataset = payloads.write(folder / "input.jsonl", 110, tasks=TASKS, form=PLAIN)
    stored = DOCUMENTED if layout == "documented" else ASYNQ
    kind = encoder(layout, "listpack")
    with socket.create_connection(("127.0.0.1", server.port)) as connection, connection.makefile("rb") as replies:
        for prefix, suffixes, lines in batches(dataset.path):
            connection.sendall(kind.write_tasks(prefix, suffixes, lines))
            assert [replies.readline() for _ in lines] == [b"+OK\r\n"] * TASKS
            with server.client() as client:
                client.lpush(stored.pending_key(QUEUE), *(prefix + suffix for suffix in suffixes))
    with server.client() as client:
        if stored.lists_queues:
            client.sadd(QUEUES_KEY, QUEUE)
    window = Window(begin, time.time_ns())

    def check(outcome: Outcome) -> int:
        with Nodes([Raw(server.port)]) as nodes:
            return check_load(nodes, dataset.content, outcome, window)

    return check


@pytest.mark.parametrize(("layout", "outcome"), [("documented", Outcome()), ("asynq", Outcome(ASYNQ))])
def test_tasks_by_restore_are_right(tmp_path: Path, server: Server, layout: str, outcome: Outcome) -> None:
    check = _by_restore(tmp_path, server, layout)
    check(outcome)


def _dump(client: Any, key: str, *further: tuple[bytes, bytes]) -> bytes:
    return hash_dump([*client.hgetall(key).items(), *further])


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(
            lambda client, key: client.restore(key, 3_600_000, _dump(client, key), replace=True),
            "1 keys have a time to live",
            id="expires",
        ),
        pytest.param(lambda client, key: client.pexpire(PENDING_OF_GUIDE, 10**7), "time to live", id="list expires"),
        pytest.param(
            lambda client, key: client.restore(key, 0, _dump(client, key, (b"more", b"0")), replace=True),
            "is stored with the fields",
            id="field too many",
        ),
        pytest.param(lambda client, key: client.delete(key), "is stored with the fields", id="not restored"),
    ],
)
def test_a_fault_in_one_dump_shows(
    tmp_path: Path, valkey: Server, spoil: Callable[[Any, str], object], reason: str
) -> None:
    check = _by_restore(tmp_path, valkey, "documented")
    check(Outcome())
    with valkey.client() as client:
        spoil(client, f"asynq:t:{client.lindex(PENDING_OF_GUIDE, 0).decode()}")
    with pytest.raises(WrongResultError, match=reason):
        check(Outcome())


def test_a_field_twice_in_a_dump_shows(tmp_path: Path, redis_server: Callable[..., RedisServer]) -> None:
    server = redis_server("--sanitize-dump-payload", "no").start()  # the default; Valkey 9.1 refuses such a dump
    check = _by_restore(tmp_path, server, "documented")
    with server.client() as client:
        key = f"asynq:t:{client.lindex(PENDING_OF_GUIDE, 0).decode()}"
        client.restore(key, 0, _dump(client, key, (b"retry", b"0")), replace=True)
    with pytest.raises(WrongResultError, match="a field more than once"):
        check(Outcome())


def test_ids_and_queues_are_those_of_the_records(tmp_path: Path, valkey: Server) -> None:
    check = _load(tmp_path, valkey, WITH_ID)
    with pytest.raises(WrongResultError, match="should have the id"):
        check(Outcome(id_field="id"))

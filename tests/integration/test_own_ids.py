"""Ids that are taken from the records."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Server
from tests.integration.tool import (
    Redis,
    Tool,
    assert_error,
    assert_fine,
    counts,
    rejects,
)


@pytest.fixture
def target(server: Server) -> Server:
    """Each kind of server in turn."""
    return server


def test_an_id_field_names_the_task(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", '{"id": "my-task-id"}\n{"id": 7}\n{"id": "mit Leerzeichen, ü"}\n')

    done = tool.load("in.jsonl", "-q", "q", "-w", "1", "--id-field", "id")

    assert_fine(done)
    ids = ["my-task-id", "7", "mit Leerzeichen, ü"]
    assert [i.decode() for i in db.lrange("asynq:q.default:pending", 0, -1)] == ids[::-1]
    assert all(db.exists(f"asynq:t:{task_id}") for task_id in ids)


def test_a_record_without_a_usable_id_is_rejected(tool: Tool, db: Redis) -> None:
    lines = ['{"id":1.5}', '{"id":null}', '{"id":""}', '{"no":1}', "[1]", '{"id":true}', '{"id":{}}', '{"id":"a\\nb"}']
    tool.write("in.jsonl", "\n".join([*lines, json.dumps({"id": "x" * 600}), '{"id":"good"}']))

    done = tool.load("in.jsonl", "-q", "q", "--id-field", "id")

    assert_fine(done, 3)
    assert counts(done) == (10, 1, 0, 9)
    assert db.lrange("asynq:q.default:pending", 0, -1) == [b"good"]
    found = rejects(tool, done)
    assert [reject["record"] for reject in found[:8]] == lines
    assert all("id" in reject["reason"] for reject in found)


@pytest.mark.parametrize(("mode", "status"), [("fail", 3), ("skip", 0)])
def test_an_id_that_is_a_task_already_is_never_overwritten(tool: Tool, db: Redis, mode: str, status: int) -> None:
    db.hset("asynq:t:taken", mapping={"type": "task", "payload": "the worker's own"})
    tool.write(
        "in.jsonl",
        '{"id":"a","n":1}\n{"id":"a","n":2}\n{"id":"taken"}\n{"id":"b"}\n' + '{"id":"c"}\n{"id":"a","n":3}\n',
    )
    arguments = ("in.jsonl", "-q", "q", "-w", "1", "-b", "4", "--id-field", "id", "--on-conflict", mode)

    first, again = tool.load(*arguments), tool.load(*arguments)

    assert_fine(first, status)
    assert_fine(again, status)
    assert counts(first) == ((6, 3, 0, 3) if mode == "fail" else (6, 3, 3, 0))
    assert counts(again) == ((6, 0, 3, 3) if mode == "fail" else (6, 0, 6, 0))
    assert db.lrange("asynq:q.default:pending", 0, -1) == [b"c", b"b", b"a"]
    assert db.hget("asynq:t:a", "payload") == b'{"id":"a","n":1}'
    assert db.hgetall("asynq:t:taken") == {b"type": b"task", b"payload": b"the worker's own"}
    if mode == "fail":
        found = rejects(tool, again)
        assert sorted(reject["line"] for reject in found) == [2, 3, 6]
        assert {reject["reason"] for reject in found} == {"its task id is a task already"}


def test_a_taken_id_over_max_errors_stops_the_load_and_the_report_counts_what_is_in(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", '{"id":"a"}\n{"id":"a"}\n{"id":"b"}\n')

    done = tool.load("in.jsonl", "-q", "q", "--id-field", "id", "--max-errors", "0")

    assert_error(done, 1, "in.jsonl:2", "--max-errors 0")
    assert done.report["loaded"] == db.llen("asynq:q.default:pending")

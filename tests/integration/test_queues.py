"""Queues: from the records, checked against those that exist."""

from __future__ import annotations

import json

import pytest

from tests.integration.tool import (
    QUEUES,
    Redis,
    Tool,
    assert_error,
    assert_fine,
    counts,
    payloads,
    rejects,
)


def test_a_queue_field_sends_each_record_to_its_own_queue(tool: Tool, db: Redis) -> None:
    lines = ['{"to":"inference.high"}', '{"to":"inference"}', '{"n":1}', "[2]", '{"to":"inference.high","n":3}']
    bad = ['{"to":5}', '{"to":null}', '{"to":"a..b"}', '{"to":""}', '{"to":"a{b}"}']
    tool.write("in.jsonl", "\n".join([*lines, *bad]))

    done = tool.load("in.jsonl", "-q", "fallback", "--queue-field", "to", "-w", "1")

    assert_fine(done, 3)
    assert counts(done) == (10, 5, 0, 5)
    assert done.report["queues"] == {"inference.high": 2, "inference.default": 1, "fallback.default": 2}
    assert payloads(db, "inference.high") == [lines[0].encode(), lines[4].encode()]
    assert payloads(db, "inference.default") == [lines[1].encode()]
    assert payloads(db, "fallback.default") == [lines[2].encode(), lines[3].encode()]
    for queue in done.report["queues"]:
        ids = db.lrange(f"asynq:{queue}:pending", 0, -1)
        assert {db.hget(b"asynq:t:" + task_id, "queue") for task_id in ids} == {queue.encode()}
    assert [reject["record"] for reject in rejects(tool, done)] == bad


def test_without_a_fallback_a_record_must_name_its_queue(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", '{"to":"a"}\n{"n":1}\n[2]\n')

    done = tool.load("in.jsonl", "--queue-field", "to")

    assert_fine(done, 3)
    assert counts(done) == (3, 1, 0, 2)
    assert [reject["line"] for reject in rejects(tool, done)] == [2, 3]


@pytest.mark.parametrize("form", ["file", "directory", "server"])
def test_a_record_whose_queue_does_not_exist_is_rejected(tool: Tool, db: Redis, form: str) -> None:
    check: tuple[str, ...] = ("--queues-file", "queues.yaml")
    tool.write("queues.yaml", QUEUES)
    if form == "directory":
        tool.write("conf/one.yaml", QUEUES.replace("simple", "other"))
        tool.write("conf/two.yml", "queues: {simple: {priority: 1}}")
        tool.write("conf/three.txt", "not read: [")
        check = ("--queues-file", "conf")
    elif form == "server":
        db.sadd("asynq:queues", "inference.premium", "inference.standard", "simple.default")
        check = ("--queue-check", "redis")
    tool.write("in.jsonl", '{"to":"simple"}\n{"to":"inference"}\n{"to":"inference.premium"}\n{"to":"nope.x"}\n{}\n')

    done = tool.load("in.jsonl", "-q", "inference.standard", "--queue-field", "to", *check)

    assert_fine(done, 3)
    assert counts(done) == (5, 3, 0, 2)
    assert set(done.report["queues"]) == {"simple.default", "inference.premium", "inference.standard"}
    assert [(r["line"], r["reason"]) for r in rejects(tool, done)] == [
        (2, "queue 'inference.default' does not exist"),
        (4, "queue 'nope.x' does not exist"),
    ]


@pytest.mark.parametrize("check", [("--queues-file", "queues.yaml"), ("--queue-check", "redis")])
def test_a_queue_that_does_not_exist_stops_the_load_before_the_first_write(
    tool: Tool, db: Redis, check: tuple[str, str]
) -> None:
    tool.write("in.jsonl", b"1\n")
    tool.write("queues.yaml", QUEUES)
    db.sadd("asynq:queues", "inference.premium", "simple.default")
    before = set(db.keys())

    done = tool.load("in.jsonl", "-q", "inference", *check)

    assert_error(done, 1, "inference.default", "does not exist", "inference.premium")
    assert set(db.keys()) == before


@pytest.mark.parametrize(
    "content",
    ["queues: [", "other: {}", "queues: [a]", "queues: {a: {sub_queues: 5}}", "queues: {a: {sub_queues: [x]}}", ""],
)
def test_a_queues_file_in_another_form_is_refused(tool: Tool, content: str) -> None:
    tool.write("queues.yaml", content)
    tool.write("in.jsonl", b"1\n")

    done = tool.load("in.jsonl", "-q", "simple", "--queues-file", "queues.yaml")

    assert_error(done, 2, "queues.yaml")


def test_two_queues_from_one_file_resume_to_every_record_once(tool: Tool, db: Redis) -> None:
    lines = [json.dumps({"to": "ab"[n % 2], "n": n}) for n in range(200)]
    lines[101] = "bad"
    tool.write("in.jsonl", "\n".join(lines))
    arguments = ("in.jsonl", "--queue-field", "to", "-b", "10", "--job", "j")

    first = tool.load(*arguments, "--max-errors", "0")
    again = tool.load(*arguments, "-w", "3")

    assert_error(first, 1, "in.jsonl:102")
    assert counts(first)[1] == 100
    assert_fine(again, 3)
    assert counts(again) == (200, 99, 100, 1)
    del lines[101]
    loaded = payloads(db, "a.default") + payloads(db, "b.default")
    assert sorted(loaded) == sorted(line.encode() for line in lines)
    assert db.llen("asynq:a.default:pending") == 100

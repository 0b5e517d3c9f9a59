"""Inspect: what is on a server, for people and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli import run
from tests.conftest import Server
from tests.integration.stored import numbered, push, task_key


@pytest.fixture
def busy(server: Server, client: Any, tmp_path: Path) -> Server:
    """A server with queues of both layouts and a finished job."""
    push(client, "documented", "old.default", numbered(1200))
    push(client, "asynq", "new.high", numbered(3, first=5000))
    client.rpoplpush("asynq:{new.high}:pending", "asynq:{new.high}:active")
    client.zadd("asynq:{new.high}:archived", {"a": 1, "b": 2})
    client.set("asynq:{new.high}:paused", "1")
    client.sadd("asynq:queues", "idle.default")
    (tmp_path / "in.jsonl").write_text("1\n2\nbad\n")
    run(
        "load",
        "in.jsonl",
        "-q",
        "loaded",
        "--layout",
        "documented",
        "--force-layout",
        "--job",
        "mine",
        "--redis",
        server.url,
        cwd=tmp_path,
    )
    return server


def inspect(server: Server, folder: Path, *arguments: str) -> Any:
    done = run("inspect", "--redis", server.url, "--json", *arguments, cwd=folder)
    assert (done.status, done.stderr) == (0, ""), done
    return json.loads(done.stdout)


def test_queues_of_both_layouts_are_listed_with_their_counts(busy: Server, tmp_path: Path) -> None:
    found = inspect(busy, tmp_path)

    nothing = dict.fromkeys(("pending", "active", "aggregating", "scheduled", "retry", "archived", "completed"), 0)
    assert found["queues"] == [
        {"queue": "loaded.default", "layout": "documented", **nothing, "pending": 2, "paused": False},
        {"queue": "old.default", "layout": "documented", **nothing, "pending": 1200, "paused": False},
        {"queue": "idle.default", "layout": "asynq", **nothing, "paused": False},
        {"queue": "new.high", "layout": "asynq", **nothing, "pending": 2, "active": 1, "archived": 2, "paused": True},
    ]


def test_tasks_that_wait_in_groups_are_counted_and_shown(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        push(client, "asynq", "q.default", numbered(2))
        for number in range(2500):
            client.sadd("asynq:{q.default}:groups", f"g{number}")
        client.zadd("asynq:{q.default}:g:g7", {"a": 5, "b": 6, "c": 7})
        client.zadd("asynq:{q.default}:g:g2400", {"d": 5})
        fields = client.hgetall(task_key("asynq", "q.default", "task-0000000"))
        own = {**fields, b"state": b"aggregating", b"group": b"g7", b"ttl_completed": b"0"}
        client.hset("asynq:{q.default}:t:b", mapping=own)

    for arguments in ((), ("-q", "q")):
        (queue,) = inspect(valkey, tmp_path, *arguments)["queues"]
        assert (queue["pending"], queue["aggregating"]) == (2, 4)
    (task,) = inspect(valkey, tmp_path, "--task", "b", "-q", "q")
    assert (task["state"], task["in_group_since"], task["ahead"]) == ("aggregating", 6, None)
    assert (task["fields"]["group"], task["fields"]["ttl_completed"]) == ("g7", "0")
    shown = run("inspect", "--redis", valkey.url, "-q", "q", cwd=tmp_path)
    assert "aggregating" in shown.stdout and shown.stdout.split()[-1] == "4"


def test_a_queue_with_nothing_but_groups_is_found(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        client.sadd("asynq:{q.default}:groups", "g")
        client.zadd("asynq:{q.default}:g:g", {"a": 5})
    (queue,) = inspect(valkey, tmp_path, "-q", "q")["queues"]
    assert (queue["layout"], queue["aggregating"]) == ("asynq", 1)


def test_jobs_are_listed_with_state_and_progress(busy: Server, client: Any, tmp_path: Path) -> None:
    client.hset("runqy-loader:{begun}:job", mapping={"manifest": "{}", "state": "loading", "created": "1.5"})
    client.setbit("{asynq:q.default:pending}:runqy-loader:begun:0:batches", 7, 1)
    client.setbit("{asynq:q.default:pending}:runqy-loader:begun:1:batches", 3, 1)
    client.set("runqy-loader:{live}:lease", '{"run": "x", "host": "here", "pid": 7}')
    client.hset("runqy-loader:{live}:job", mapping={"manifest": "{}", "state": "loading"})
    client.rpush("{q.default}:runqy-loader:lost:moving", "a", "b")

    jobs = {job["job"]: job for job in inspect(busy, tmp_path)["jobs"]}

    assert set(jobs) == {"mine", "begun", "live", "lost"}
    assert (jobs["mine"]["state"], jobs["mine"]["batches"], jobs["mine"]["report"]["loaded"]) == ("done", 1, 2)
    assert (jobs["begun"]["state"], jobs["begun"]["batches"], jobs["begun"]["created"]) == ("stopped", 2, 1.5)
    assert (jobs["live"]["state"], jobs["live"]["holder"]) == ("running", "process 7 on here")
    assert (jobs["lost"]["kind"], jobs["lost"]["held"]) == ("migrate", 2)
    alone = inspect(busy, tmp_path, "--job", "mine")
    assert alone["jobs"] == [jobs["mine"]] and alone["queues"] == []


def test_one_queue_may_be_named_as_runqy_does(busy: Server, tmp_path: Path) -> None:
    assert [queue["queue"] for queue in inspect(busy, tmp_path, "-q", "old")["queues"]] == ["old.default"]


def test_a_documented_task_is_shown_in_full(busy: Server, client: Any, tmp_path: Path) -> None:
    client.set("asynq:result:task-0000002", '{"done": true}')
    (task,) = inspect(busy, tmp_path, "--task", "task-0000002")

    assert task == {
        "id": "task-0000002",
        "layout": "documented",
        "queue": "old.default",
        "state": "pending",
        "ahead": 2,
        "fields": {"type": "task", "retry": "0", "max_retry": "3", "queue": "old.default"},
        "payload": {"n": 2, "text": "é"},
        "result": '{"done": true}',
    }


def test_an_asynq_task_is_shown_in_full(busy: Server, client: Any, tmp_path: Path) -> None:
    (task,) = inspect(busy, tmp_path, "--task", "task-0005002")

    assert (task["layout"], task["queue"], task["state"], task["ahead"]) == ("asynq", "new.high", "pending", 1)
    assert task["message"] == {
        "type": "new.high",
        "id": "task-0005002",
        "queue": "new.high",
        "max_retry": 7,
        "timeout": 45,
        "retention": 600,
        "headers": {"trace": "é"},
    }
    assert task["payload"] == {"n": 5002, "text": "é"}
    assert task["fields"]["state"] == "pending"


def test_a_task_is_found_by_runqys_look_up_where_its_queue_is_not_listed(
    busy: Server, client: Any, tmp_path: Path
) -> None:
    client.srem("asynq:queues", "new.high")
    client.hset("asynq:t:task-0005002", "queue", "new.high")
    (task,) = inspect(busy, tmp_path, "--task", "task-0005002")
    assert task["queue"] == "new.high"


def test_payloads_that_are_no_json_are_shown_all_the_same(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        push(client, "documented", "q.default", [("text", b"plain"), ("bytes", b"\xff\x00")])
        push(client, "asynq", "q.default", [("torn", b"1")])
        client.hset(task_key("asynq", "q.default", "torn"), "msg", b"\x0a\xff")

    assert inspect(valkey, tmp_path, "--task", "text")[0]["payload_text"] == "plain"
    assert inspect(valkey, tmp_path, "--task", "bytes")[0]["payload_base64"] == "/wA="
    assert "unreadable" in inspect(valkey, tmp_path, "--task", "torn")[0]


def test_people_see_tables(busy: Server, tmp_path: Path) -> None:
    done = run("inspect", "--redis", busy.url, cwd=tmp_path)

    assert done.status == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["old.default", "documented", "1,200"] in lines
    assert ["new.high", "asynq", "2", "1", "2", "paused"] in lines
    assert lines[0] == ["queue", "layout", "pending", "active", "archived"]
    (job,) = [line for line in lines if line[:1] == ["mine"]]
    assert job[1:3] == ["load", "done"] and job[-3:] == ["2", "tasks", "in.jsonl"]


def test_a_name_of_a_queue_cannot_give_the_terminal_orders(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        push(client, "asynq", "q\x1b[2J.default", numbered(1))

    done = run("inspect", "--redis", valkey.url, cwd=tmp_path)

    assert r"q\x1b[2J.default" in done.stdout
    assert "\x1b" not in done.stdout


def test_an_empty_server_has_no_queues(valkey: Server, tmp_path: Path) -> None:
    done = run("inspect", "--redis", valkey.url, cwd=tmp_path)
    assert (done.status, done.stderr) == (0, "")
    assert "no queues" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--task", "none"), 1, ("no task 'none'",)),
        (("--job", "none"), 1, ("no job 'none'",)),
        (("--queue", "none"), 1, ("no queue 'none'",)),
        (("--job", "a", "--task", "b"), 2, ("--job",)),
        (("--redis", "http://x"), 2, ("URL",)),
        (("--redis", "redis://127.0.0.1:1"), 1, ("connection refused",)),
    ],
)
def test_what_is_not_there_is_said_in_one_line(
    valkey: Server, tmp_path: Path, arguments: tuple[str, ...], status: int, words: tuple[str, ...]
) -> None:
    done = run("inspect", *arguments, cwd=tmp_path, env={"REDIS_URL": valkey.url})

    assert done.status == status
    assert len(done.stderr.splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("--queue", "old"), ("--queue", "new.high"), ("--queue", "idle.default"), ("--job", "mine"), ("--queue", "none")],
    ids=" ".join,
)
def test_what_is_named_is_looked_up_without_a_walk_over_the_keys(
    busy: Server, client: Any, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    client.config_resetstat()

    run("inspect", "--redis", busy.url, *arguments, cwd=tmp_path)

    asked = client.info("commandstats")
    assert "cmdstat_scan" not in asked and "cmdstat_keys" not in asked
    assert "cmdstat_cluster|slots" in asked or "cmdstat_cluster" in asked


@pytest.mark.parametrize("layout", ["documented", "asynq"])
@pytest.mark.parametrize("own_queues", [False, True], ids=["one queue", "queues from records"])
def test_a_job_that_is_looked_up_is_the_one_that_a_walk_finds(
    server: Server, client: Any, tmp_path: Path, layout: str, own_queues: bool
) -> None:
    (tmp_path / "in.jsonl").write_text("".join(f'{{"q": "q{n % 3}"}}\n' for n in range(300)))
    client.sadd("asynq:queues", "q0.default", "q1.default", "q2.default")
    which = ("--queue-field", "q") if own_queues else ("-q", "q0")
    load = ("load", "in.jsonl", *which, "--layout", layout, "-b", "50", "--job", "mine", "--force-layout")
    run(*load, "--redis", server.url, cwd=tmp_path)

    (walked,) = inspect(server, tmp_path)["jobs"]
    (looked_up,) = inspect(server, tmp_path, "--job", "mine")["jobs"]

    assert walked["batches"] == (18 if own_queues else 6)
    assert looked_up == walked


def test_a_migration_that_is_looked_up_is_the_one_that_a_walk_finds(
    server: Server, client: Any, tmp_path: Path
) -> None:
    push(client, "documented", "old.default", numbered(100))
    move = ("migrate", "--from-queue", "old", "--to-layout", "asynq", "--move", "--job", "mine", "--force-layout")
    done = run(*move, cwd=tmp_path, env={"REDIS_URL": server.url})
    assert done.status == 0, done.stderr
    # What a move that was killed leaves behind.
    client.rpush("{asynq:old.default:pending}:runqy-loader:mine:moving", "a", "b")
    client.rpush("{asynq:old.default:pending}:runqy-loader:mine:aside", "c")
    client.sadd("{old.default}:runqy-loader:mine:migrated", "d", "e", "f", "g")

    (walked,) = inspect(server, tmp_path)["jobs"]
    (looked_up,) = inspect(server, tmp_path, "--job", "mine")["jobs"]

    assert (walked["kind"], walked["held"], walked["remembered"]) == ("migrate", 3, 4)
    assert looked_up == walked

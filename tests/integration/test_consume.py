"""``runqy-loader consume``: what it takes, how tasks end, when it ends, and what it refuses."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from loader.consume.run import Consumer
from loader.errors import LoaderError
from tests.cli import Outcome, command, environment, run
from tests.conftest import Server
from tests.consumers import asynq_server, runqy_worker
from tests.integration.consuming import (
    LAYOUTS,
    QUEUE,
    active,
    assert_left_in_order,
    enqueue,
    list_key,
    options,
    pending,
    registered,
    task_key,
)
from tests.integration.tool import Redis, Tool, assert_error
from tests.unit.task_message_oracle import decode


def consume(tool: Tool, *arguments: str) -> Outcome:
    """A quiet run with its report on standard output."""
    shared = ("-q", "q", "--redis", tool.url, "--report", "-", "--quiet")
    return run("consume", *shared, *arguments, cwd=tool.folder)


def consumed(tool: Tool, *arguments: str) -> dict[str, Any]:
    """The report of a run that has ended as it was told to."""
    outcome = consume(tool, *arguments)
    assert (outcome.status, outcome.stderr) == (0, "")
    return outcome.report


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_queue_is_emptied_in_the_layout_that_holds_its_tasks(tool: Tool, db: Redis, layout: str) -> None:
    names = enqueue(db, layout, 50)

    report = consumed(tool, "--until-empty")

    assert (report["layout"], report["queue"], report["status"]) == (layout, QUEUE, "completed")
    assert (report["taken"], report["done"], report["failed"]) == (50, 50, 0)
    assert_left_in_order(db, layout, report, names)
    assert pending(db, layout) == []


def test_tasks_of_a_load_are_taken_whatever_way_they_were_written(tool: Tool, db: Redis) -> None:
    for layout in LAYOUTS:
        for compact in ("always", "never"):
            tool.write("in.jsonl", f'{{"n": "{layout} {compact}"}}\n' * 10)
            loaded = tool.load("in.jsonl", "-q", "q", "--layout", layout, "--compact", compact)
            assert loaded.status == 0, loaded.stderr
            assert consumed(tool, "--layout", layout, "--until-empty")["done"] == 10


@pytest.mark.parametrize("layout", LAYOUTS)
def test_count_ends_after_so_many_executions_and_takes_the_oldest_tasks(tool: Tool, db: Redis, layout: str) -> None:
    names = enqueue(db, layout, 20)

    report = consumed(tool, "--count", "13", "--service-time", "1ms", "--consumers", "5")

    assert (report["taken"], report["done"]) == (13, 13)
    assert pending(db, layout) == names[13:]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_in_service_at_the_end_of_the_duration_is_put_back_in_its_order(
    tool: Tool, db: Redis, layout: str
) -> None:
    names = enqueue(db, layout, 6)

    report = consumed(tool, "--duration", "0.5", "--grace", "0", "--service-time", "1h", "--consumers", "4")

    assert (report["taken"], report["put_back"]) == (4, 4)
    assert pending(db, layout) == names
    assert_left_in_order(db, layout, report, names)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_ends_within_the_grace_is_not_put_back(tool: Tool, db: Redis, layout: str) -> None:
    enqueue(db, layout, 4)

    report = consumed(tool, "--duration", "0.2", "--grace", "60", "--service-time", "1s", "--consumers", "4")

    assert (report["taken"], report["done"], report["put_back"]) == (4, 4, 0)


def test_failures_follow_from_the_seed_and_the_task(tool: Tool, db: Redis) -> None:
    def failed(*arguments: str) -> set[str]:
        db.flushall()
        enqueue(db, "asynq", 200)
        report = consumed(tool, "--until-empty", "--fail-rate", "20%", "--retry-delay", "1h", *arguments)
        waiting = {name.decode() for name in db.zrange(f"asynq:{{{QUEUE}}}:retry", 0, -1)}
        assert len(waiting) == report["retried"] == report["failed"]
        return waiting

    first = failed("--consumers", "3")
    assert 15 <= len(first) <= 70
    assert failed("--consumers", "50", "--service-time", "exponential(1ms)") == first
    assert failed("--seed", "2") != first


def test_retries_that_are_due_are_taken_again_until_tasks_are_archived(tool: Tool, db: Redis) -> None:
    enqueue(db, "asynq", 5, max_retry=2)

    report = consumed(tool, "--until-empty", "--fail-rate", "100%", "--retry-delay", "0")

    assert (report["taken"], report["retried"], report["archived"]) == (15, 10, 5)
    assert db.zcard(f"asynq:{{{QUEUE}}}:archived") == 5
    message = decode(db.hget(task_key("asynq", "t0"), "msg"))
    assert (message["retried"], message["error_msg"]) == (2, "failed by runqy-loader consume")
    assert db.get(f"asynq:{{{QUEUE}}}:failed") == b"15" == db.get(f"asynq:{{{QUEUE}}}:processed")


def test_a_failed_task_of_the_documented_layout_is_pending_at_once_and_then_archived(tool: Tool, db: Redis) -> None:
    enqueue(db, "documented", 5, max_retry=2)

    report = consumed(tool, "--until-empty", "--fail-rate", "100%")

    assert (report["taken"], report["retried"], report["archived"]) == (15, 10, 5)
    assert active(db, "documented") == pending(db, "documented") == []
    fields = db.hgetall(task_key("documented", "t3"))
    assert fields == {
        b"type": b"task",
        b"payload": b"{}",
        b"retry": b"2",
        b"max_retry": b"2",
        b"queue": QUEUE.encode(),
        b"state": b"archived",
        b"error_msg": b"failed by runqy-loader consume",
    }


@pytest.mark.parametrize("layout", LAYOUTS)
def test_wait_finds_what_became_of_tasks_that_are_kept(tool: Tool, db: Redis, layout: str) -> None:
    names = enqueue(db, layout, 10, max_retry=0)
    tool.write("ids", "".join(f"{name}\t{QUEUE}\n" for name in names))

    report = consumed(tool, "--until-empty", "--fail-rate", "50%", "--retention", "1h")
    waited = run(
        "wait", "--ids", "ids", "--layout", layout, "--redis", tool.url, "--timeout", "0", "--out", "-", cwd=tool.folder
    )

    results = [json.loads(line) for line in waited.stdout.splitlines()]
    status = [result["status"] for result in results]
    assert (status.count("completed"), status.count("failed")) == (report["done"], report["archived"])
    assert report["done"] and report["archived"] and report["done"] + report["archived"] == 10
    assert {result["error"] for result in results if result["status"] == "failed"} == {"failed by runqy-loader consume"}
    done = next(result["id"] for result in results if result["status"] == "completed")
    assert 3500 < db.ttl(task_key(layout, done)) <= 3600 if layout == "documented" else True


def test_the_retention_of_a_task_counts_unless_the_option_says_otherwise(tool: Tool, db: Redis) -> None:
    enqueue(db, "asynq", 3, retention=600)
    consumed(tool, "--until-empty")
    assert db.zcard(f"asynq:{{{QUEUE}}}:completed") == 3

    enqueue(db, "asynq", 3, first=3, retention=600)
    consumed(tool, "--until-empty", "--retention", "0")
    assert db.zcard(f"asynq:{{{QUEUE}}}:completed") == 3


def test_due_tasks_are_forwarded_and_expired_ones_are_cleaned_away(tool: Tool, db: Redis) -> None:
    enqueue(db, "asynq", 2)
    base = f"asynq:{{{QUEUE}}}:"
    db.delete(base + "pending")
    db.zadd(base + "scheduled", {"t0": 1, "t1": 4_102_444_800})

    report = consumed(tool, "--until-empty")

    assert report["done"] == 1
    assert db.zrange(base + "scheduled", 0, -1) == [b"t1"]


def test_tasks_of_consumers_that_are_gone_are_recovered_as_asynqs_servers_do(tool: Tool, db: Redis) -> None:
    enqueue(db, "asynq", 3)
    base = f"asynq:{{{QUEUE}}}:"
    for task, lease in (("t0", time.time() - 60), ("t1", time.time() - 10)):
        db.lrem(base + "pending", 0, task)
        db.lpush(base + "active", task)
        db.zadd(base + "lease", {task: lease})

    report = consumed(tool, "--duration", "1s", "--layout", "asynq")

    assert (report["recovered"], report["done"]) == (1, 1)
    assert db.zrange(base + "retry", 0, -1) == [b"t0"]
    assert decode(db.hget(task_key("asynq", "t0"), "msg"))["error_msg"] == "asynq: task lease expired"
    assert active(db, "asynq") == ["t1"], "within 30 seconds after its lease, its consumer may still be there"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_ids_without_a_task_are_told(tool: Tool, db: Redis, layout: str) -> None:
    enqueue(db, layout, 5)
    db.delete(task_key(layout, "t2"))

    report = consumed(tool, "--until-empty", "--layout", layout)

    assert (report["done"], report["unreadable"]) == (4, 1)


def test_a_paused_queue_is_not_served(tool: Tool, db: Redis) -> None:
    names = enqueue(db, "asynq", 3)
    db.set(f"asynq:{{{QUEUE}}}:paused", 1)

    outcome = run(
        "consume", "-q", "q", "--redis", tool.url, "--until-empty", "--duration", "1s", "--report", "-", cwd=tool.folder
    )

    assert (outcome.status, outcome.report["taken"]) == (0, 0)
    assert outcome.stderr.count("queue q.default is paused") == 1, "it polls many times, and says it once"
    assert pending(db, "asynq") == names


def test_the_time_in_queue_is_told_where_it_is_known(tool: Tool, db: Redis) -> None:
    enqueue(db, "documented", 3)
    assert consumed(tool, "--until-empty")["time_in_queue"] is None

    enqueue(db, "asynq", 3)
    db.hset(task_key("asynq", "t1"), "pending_since", time.time_ns() - 60 * 10**9)
    found = consumed(tool, "--until-empty")["time_in_queue"]
    assert (found["unit"], found["count"]) == ("ms", 3)
    assert found["max"] > 59_000 > found["p50"]

    enqueue(db, "documented", 1)
    db.hset(task_key("documented", "t0"), "enqueued_at", str(time.time() - 60))
    assert consumed(tool, "--until-empty")["time_in_queue"]["min"] > 59_000


def test_the_capacity_is_the_number_of_consumers_by_the_service_time(tool: Tool, db: Redis) -> None:
    enqueue(db, "asynq", 400)

    report = consumed(tool, "--until-empty", "--consumers", "10", "--service-time", "100ms")

    assert report["capacity"] == 100.0
    assert 0 < report["achieved_capacity"] <= 101.0


# --- what it refuses ---------------------------------------------------------------------------------------------


def test_a_queue_that_asynqs_servers_serve_is_refused_unless_told_so(tool: Tool, db: Redis) -> None:
    enqueue(db, "asynq", 3)
    asynq_server(db, QUEUE)

    assert_error(consume(tool, "--until-empty"), 1, "a worker serves queue q.default: host:1", "--with-workers")
    assert len(pending(db, "asynq")) == 3

    assert consumed(tool, "--until-empty", "--with-workers")["done"] == 3


@pytest.mark.parametrize(("layout", "old"), [("documented", True), ("asynq", False)])
def test_a_queue_that_runqys_workers_serve_is_refused(tool: Tool, db: Redis, layout: str, old: bool) -> None:
    enqueue(db, layout, 3)
    runqy_worker(db, QUEUE, old=old)

    assert_error(consume(tool, "--until-empty"), 1, "a worker serves queue q.default: host:7")


def test_workers_of_other_queues_and_workers_that_are_gone_do_not_matter(tool: Tool, db: Redis) -> None:
    enqueue(db, "asynq", 3)
    asynq_server(db, "other.default")
    asynq_server(db, QUEUE, number=2, living=False)

    assert consumed(tool, "--until-empty")["done"] == 3


def test_a_worker_that_comes_later_ends_it(target: Server, db: Redis) -> None:
    async def scenario() -> Consumer:
        consumer = Consumer(options(target.url, "asynq", service_time="1h", grace=0))
        running = asyncio.ensure_future(consumer.run())
        while consumer.report.taken < 3:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(asynq_server, db, QUEUE)
        with pytest.raises(LoaderError, match=r"a worker serves queue q\.default: host:1"):
            await running
        return consumer

    names = enqueue(db, "asynq", 3)
    consumer = asyncio.run(scenario())

    assert (consumer.report.status, consumer.report.put_back) == ("failed", 3)
    assert pending(db, "asynq") == names
    assert [key for key in registered(db) if b"consume" in key] == []


def test_a_user_who_may_not_see_workers_is_refused(tool: Tool, db: Redis) -> None:
    enqueue(db, "asynq", 3)
    db.execute_command("ACL", "SETUSER", "blind", "on", ">pw", "~asynq:{*", "~asynq:queues", "+@all")
    url = tool.url.replace("redis://", "redis://blind:pw@")
    try:
        outcome = run("consume", "-q", "q", "--layout", "asynq", "--redis", url, "--until-empty", cwd=tool.folder)
    finally:
        db.execute_command("ACL", "DELUSER", "blind")

    assert_error(outcome, 1, "cannot be told whether real workers serve", "--with-workers")


def test_several_consumers_serve_one_queue_together(target: Server, db: Redis) -> None:
    async def scenario() -> list[dict[str, Any]]:
        made = [Consumer(options(target.url, "asynq", until_empty=True, service_time="1ms")) for _ in range(3)]
        return [report.to_dict() for report in await asyncio.gather(*(consumer.run() for consumer in made))]

    enqueue(db, "asynq", 300)
    reports = asyncio.run(scenario())

    assert sum(report["done"] for report in reports) == 300
    assert registered(db) == [] and active(db, "asynq") == []


def test_doctor_sees_it_and_a_load_writes_the_layout_that_it_reads(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", '{"n": 1}\n')
    for layout in LAYOUTS:
        db.flushall()
        process = subprocess.Popen(
            command("consume", "-q", "q", "--layout", layout, "--redis", tool.url, "--quiet", "--report", "-"),
            cwd=tool.folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            while not registered(db):
                assert process.poll() is None
                time.sleep(0.02)
            loaded = tool.load("in.jsonl", "-q", "q", "--job", f"j-{layout}")
            assert (loaded.status, loaded.report["layout"]) == (0, layout)
            seen = run("doctor", "-q", "q", "--redis", tool.url, cwd=tool.folder)
            assert "consumer" in seen.stdout or "worker" in seen.stdout, seen.stdout
            while db.llen(list_key(layout, "pending")) or db.llen(list_key(layout, "active")):
                time.sleep(0.02)
            process.terminate()
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
            process.communicate()
        assert (process.returncode, err) == (0, b"")
        assert json.loads(out)["done"] == 1


def test_until_empty_does_not_wait_for_a_queue_that_does_not_exist(tool: Tool, db: Redis) -> None:
    enqueue(db, "asynq", 1)
    outcome = run("consume", "-q", "qq", "--redis", tool.url, "--until-empty", "--layout", "asynq", cwd=tool.folder)

    assert outcome.status == 0
    assert "there is no queue qq.default" in outcome.stderr and "; there is nothing to do. " in outcome.stderr
    assert "waiting" not in outcome.stderr


def test_a_queue_that_does_not_exist_is_waited_for_and_told(tool: Tool, db: Redis) -> None:
    enqueue(db, "asynq", 1)
    outcome = run("consume", "-q", "qq", "--redis", tool.url, "--duration", "0.3", "--layout", "asynq", cwd=tool.folder)

    assert outcome.status == 0
    assert "there is no queue qq.default" in outcome.stderr and "waiting for its tasks" in outcome.stderr
    assert "Did you mean q.default?" in outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--service-time", "fast"), "--service-time must be a duration such as 50ms"),
        (("--service-time", "uniform(-1s, 1s)"), "values could be below 0"),
        (("--fail-rate", "101%"), "--fail-rate must be a share such as 1%"),
        (("--layout", "documented", "--retry-delay", "5s"), "--retry-delay needs --layout asynq"),
        (("--consumers", "0"), "--consumers must be between 1 and 100000"),
        (("--consumers", "100001"), "--consumers must be between 1 and 100000"),
        (("--retention", "500ms"), "--retention must be whole seconds"),
    ],
)
def test_wrong_options_are_told_in_one_line(tool: Tool, arguments: tuple[str, ...], words: str) -> None:
    assert_error(consume(tool, *arguments), 2, words)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_rights_of_the_reference_page_suffice(tool: Tool, db: Redis, layout: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference.md").read_text()
    told = re.search(r"`runqy-loader consume` needs (.*?)load-testing.md", page, re.DOTALL)
    assert told is not None
    shared, asynq, documented = re.split(r"In the asynq layout|in the documented layout", told[1])
    rights = re.findall(r"\+[a-z|]+", shared + (asynq if layout == "asynq" else documented.split("on a cluster")[0]))
    db.execute_command("ACL", "SETUSER", "consumer", "reset", "on", ">pw", "~asynq:*", *rights)
    url = tool.url.replace("redis://", "redis://consumer:pw@")
    enqueue(db, layout, 30, max_retry=1)
    settings = ["--fail-rate", "50%", "--retention", "1h", "--until-empty", "--layout", layout]
    if layout == "asynq":
        enqueue(db, layout, 5, first=30, unique_key=f"asynq:{{{QUEUE}}}:unique:x")
        settings += ["--retry-delay", "0"]
    try:
        done = run("consume", "-q", "q", "--redis", url, *settings, "--quiet", "--report", "-", cwd=tool.folder)
        names = enqueue(db, layout, 8, first=100)
        ended = ("--service-time", "1h", "--duration", "0.3", "--grace", "0", "--layout", layout)
        back = run("consume", "-q", "q", "--redis", url, *ended, "--quiet", "--report", "-", cwd=tool.folder)
    finally:
        db.execute_command("ACL", "DELUSER", "consumer")

    assert (done.status, done.stderr) == (0, "") == (back.status, back.stderr)
    assert done.report["archived"] and done.report["retried"] and done.report["done"]
    assert back.report["put_back"] == 8 and pending(db, layout) == names


def everything(db: Redis) -> dict[bytes, Any]:
    """All keys of tasks with what they hold."""
    found: dict[bytes, Any] = {}
    for key in db.keys("*"):
        kind = db.type(key)
        found[key] = db.hgetall(key) if kind == b"hash" else db.lrange(key, 0, -1) if kind == b"list" else db.get(key)
    return found


def test_the_keys_of_each_ending_in_the_documented_layout(tool: Tool, db: Redis) -> None:
    guide = {b"type": b"task", b"payload": b"{}", b"retry": b"0", b"max_retry": b"3", b"queue": QUEUE.encode()}
    enqueue(db, "documented", 1)
    consumed(tool, "--until-empty")
    assert everything(db) == {}, "done: nothing is left"

    enqueue(db, "documented", 1)
    consumed(tool, "--until-empty", "--retention", "1h")
    assert everything(db) == {
        b"asynq:t:t0": {**guide, b"state": b"completed"},
        b"asynq:result:t0": b'{"consumed_by":"runqy-loader"}',
    }
    assert all(3500 < db.ttl(key) <= 3600 for key in db.keys("*"))

    db.flushall()
    enqueue(db, "documented", 2)
    consumed(tool, "--count", "1", "--fail-rate", "100%")
    assert everything(db) == {
        b"asynq:t:t0": {**guide, b"retry": b"1", b"state": b"pending"},
        b"asynq:t:t1": guide,
        b"asynq:q.default:pending": [b"t0", b"t1"],
    }, "to be retried: pending behind all others"

    db.flushall()
    enqueue(db, "documented", 2)
    before = everything(db)
    consumed(tool, "--service-time", "1h", "--duration", "0.2", "--grace", "0", "-c", "1")
    assert everything(db) == before, "put back: as it was"


def test_what_a_registered_worker_of_the_guides_keys_leaves_while_it_runs(target: Server, db: Redis) -> None:
    async def scenario() -> tuple[dict[bytes, bytes], bytes, list[int]]:
        consumer = Consumer(options(target.url, "documented", service_time="1h", grace=0, consumers=1))
        running = asyncio.ensure_future(consumer.run())
        while not consumer.report.taken:
            await asyncio.sleep(0.01)
        (member,) = db.smembers("asynq:workers")
        worker, state = db.hgetall(b"asynq:workers:" + member), db.hget(task_key("documented", "t0"), "state")
        ends = [db.ttl("asynq:workers"), db.ttl(b"asynq:workers:" + member)]
        consumer.stop()
        await running
        return worker, state, ends

    enqueue(db, "documented", 1)
    worker, state, ends = asyncio.run(scenario())

    assert state == b"active"
    assert (worker[b"queues"], worker[b"status"], worker[b"concurrency"]) == (b"map[q.default:1]", b"running", b"1")
    assert all(0 < end <= 30 for end in ends), "a consumer that is killed keeps no asynq server from registering"
    assert registered(db) == []

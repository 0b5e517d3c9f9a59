"""Migrate: copies and moves between layouts, servers and queues, with workers on both sides, kills and conflicts."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loader.layouts.task_message import decode, encode
from loader.tasks.options import Past, TaskOptions
from tests.cli import Outcome, command, environment, read_until, run
from tests.conftest import RedisServer, Server
from tests.faults.proxy import Link, Proxy, Verdict, from_nth
from tests.integration.stored import (
    Consumer,
    Producer,
    numbered,
    payload_of,
    pending_key,
    push,
    stored,
    task_key,
    until,
)

LAYOUTS = ("documented", "asynq")
PAIRS = [(one, other) for one in LAYOUTS for other in LAYOUTS]
Q = "q.default"
INSERT = b"local placed"
"""Words of the script that puts tasks into the target."""


@pytest.fixture
def other(redis_server: Callable[..., RedisServer]) -> Iterator[Server]:
    """A second server: Debian's Redis."""
    process = redis_server()
    yield process.start()
    process.kill()


@pytest.fixture
def there(other: Server) -> Iterator[Any]:
    with other.client() as client:
        yield client


def arguments(
    source: Server, target: Server | Proxy, layouts: tuple[str, str], *more: str, queue: str = "q"
) -> list[str]:
    return [
        "migrate", "--from-redis", source.url, "--to-redis", target.url, "--from-layout", layouts[0],
        "--to-layout", layouts[1], "--from-queue", queue, "--report", "-", "--quiet", *more,
    ]  # fmt: skip


def own_keys(client: Any) -> list[str]:
    """What a job has left behind but for its record, and its name in the list of jobs."""
    keys = [key.decode() for key in client.scan_iter(match="*runqy-loader*", count=1000)]
    return [key for key in keys if not key.endswith(":job") and key != "runqy-loader:jobs"]


def counts(outcome: Outcome) -> dict[str, int]:
    return {
        name: outcome.report[name] for name in ("migrated", "already", "rejected", "missing") if outcome.report[name]
    }


def tasks(client: Any, layout: str, queue: str = Q) -> list[tuple[str, bytes]]:
    return [(task_id, payload_of(fields)) for task_id, fields in stored(client, layout, queue)]


# --- what becomes of a queue ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("layouts", PAIRS)
def test_a_move_to_another_server_leaves_nothing_behind(
    valkey: Server, other: Server, there: Any, tmp_path: Path, layouts: tuple[str, str]
) -> None:
    with valkey.client() as here:
        push(here, layouts[0], Q, numbered(2500))
        if layouts[0] == "asynq":
            for task_id, _ in numbered(2500):
                here.hset(f"asynq:t:{task_id}", "queue", Q)

        done = run(*arguments(valkey, other, layouts, "--move"), cwd=tmp_path)

        assert (done.status, done.stderr) == (0, ""), done
        assert counts(done) == {"migrated": 2500}
        assert tasks(there, layouts[1]) == numbered(2500)
        left = {key.decode() for key in here.keys("*")}
        assert left <= {"asynq:queues", f"runqy-loader:{{{done.report['job']}}}:job"}
        assert own_keys(there) == []
        assert (there.smembers("asynq:queues") == {Q.encode()}) is (layouts[1] == "asynq")


@pytest.mark.parametrize("layouts", PAIRS)
def test_a_copy_leaves_the_source_as_it_is_and_again_copies_what_is_new(
    valkey: Server, other: Server, there: Any, tmp_path: Path, layouts: tuple[str, str]
) -> None:
    with valkey.client() as here:
        push(here, layouts[0], Q, numbered(1500))
        dump = {key: here.dump(key) for key in here.keys("*")}

        first = run(*arguments(valkey, other, layouts), cwd=tmp_path)

        assert (first.status, counts(first)) == (0, {"migrated": 1500}), first
        assert {key: here.dump(key) for key in here.keys("*")} == dump
        assert tasks(there, layouts[1]) == numbered(1500)

        with Consumer(other, layouts[1], Q):
            pass  # the target's workers have run everything
        push(here, layouts[0], Q, numbered(3, first=9000))
        again = run(*arguments(valkey, other, layouts), cwd=tmp_path)

        assert (again.status, counts(again)) == (0, {"migrated": 3, "already": 1500}), again
        assert tasks(there, layouts[1]) == numbered(3, first=9000)


@pytest.mark.parametrize("move", [True, False], ids=["move", "copy"])
def test_an_asynq_task_keeps_all_that_it_has(
    valkey: Server, other: Server, there: Any, tmp_path: Path, move: bool
) -> None:
    options = TaskOptions(
        type="email:send", max_retry=0, timeout=0, deadline=4102444800, retention=77, headers=(("a", "b"), ("c", "d"))
    )
    key, lock = task_key("asynq", Q, "one"), "asynq:{q.default}:unique:email:send:0cc175b9c0f1b6a831c399e269772661"
    message = encode("email:send", b"a", b"one", Q, options, lock.encode()) + b"\x30\x02\x3a\x05oops!"
    with valkey.client() as here:
        fields = {"msg": message, "state": "pending", "pending_since": "1", "unique_key": lock, "ttl_completed": "60"}
        here.hset(key, mapping={**fields, "own": b"\xff"})
        here.lpush(pending_key("asynq", Q), "one")
        here.set(lock, "one", ex=1000)

        done = run(
            *arguments(valkey, other, ("asynq", "asynq"), "--to-queue", "r", *(["--move"] if move else [])),
            cwd=tmp_path,
        )

        assert done.status == 0, done
        assert here.exists(key, lock) == (0 if move else 2)
    ((_, found),) = stored(there, "asynq", "r.default")
    new_lock = lock.replace(Q, "r.default")
    after = decode(found[b"msg"])
    expected = decode(message)
    expected.queue, expected.unique_key = "r.default", new_lock
    assert after == expected and (after.retried, after.error_msg) == (2, "oops!")
    assert (found[b"ttl_completed"], found[b"own"], found[b"unique_key"]) == (b"60", b"\xff", new_lock.encode())
    assert there.get(new_lock) == b"one" and 900 < there.ttl(new_lock) <= 1000


FURTHER = {
    b"tenant": b"acme",
    b"x\xff": b"\0",
    b"ttl_completed": b"0",
    b"active_timeout": b"60",
    b"ttl_archived": b"-1",
}


@pytest.mark.parametrize("move", [True, False], ids=["move", "copy"])
@pytest.mark.parametrize("layouts", PAIRS)
def test_further_fields_of_a_task_and_zeros_are_kept_in_each_layout(
    valkey: Server, other: Server, there: Any, tmp_path: Path, layouts: tuple[str, str], move: bool
) -> None:
    with valkey.client() as here:
        push(here, layouts[0], Q, numbered(2))
        here.hset(task_key(layouts[0], Q, "task-0000000"), mapping=FURTHER)

        done = run(*arguments(valkey, other, layouts, *(["--move"] if move else [])), cwd=tmp_path)

    assert done.status == 0, done
    (_, found), (_, plain) = stored(there, layouts[1], Q)
    assert {name: value for name, value in found.items() if name not in plain} == FURTHER


def test_a_pending_task_of_a_group_stays_one(valkey: Server, other: Server, there: Any, tmp_path: Path) -> None:
    options = TaskOptions(type="mail", group="g")
    with valkey.client() as here:
        fields = {
            "msg": encode("mail", b"1", b"one", Q, options),
            "state": "pending",
            "pending_since": "1",
            "group": "g",
        }
        here.hset(task_key("asynq", Q, "one"), mapping=fields)
        here.lpush(pending_key("asynq", Q), "one")

        done = run(*arguments(valkey, other, ("asynq", "asynq"), "--move"), cwd=tmp_path)

    assert (done.status, done.report["lost"]) == (0, {})
    ((_, found),) = stored(there, "asynq", Q)
    assert (decode(found[b"msg"]).group_key, found[b"group"], found[b"state"]) == ("g", b"g", b"pending")
    assert not there.exists("asynq:{q.default}:groups")


def test_what_the_documented_layout_cannot_hold_is_counted_and_told(
    valkey: Server, other: Server, there: Any, tmp_path: Path
) -> None:
    with valkey.client() as here:
        push(here, "asynq", Q, numbered(3))  # with a timeout, a retention and headers
        full = TaskOptions(deadline=9, group="g", past=Past(retried=2, last_error="oops"))
        key = task_key("asynq", Q, "task-0000000")
        here.hset(key, mapping={"msg": encode("t", b"1", b"task-0000000", Q, full, b"lock"), "group": "g"})
        here.zadd("asynq:{q.default}:scheduled", {"later": 1})

        given = arguments(valkey, other, ("asynq", "documented"), "--move")
        done = run(*given[:-4], "--report", "r", "--move", cwd=tmp_path)

    assert done.status == 0, done
    report = json.loads((tmp_path / "r").read_text())
    once = dict.fromkeys(("deadline", "group", "last error", "lock"), 1)
    assert report["lost"] == {"timeout": 2, "retention": 2, "headers": 2, **once}
    assert report["other_states"] == {"scheduled": 1}
    assert "cannot hold it: deadline (1 task), group (1 task)" in done.stderr
    assert "left in the source: 1 scheduled" in done.stderr
    assert there.hget("asynq:t:task-0000000", "retry") == b"2"


def test_a_documented_task_becomes_one_of_runqys_by_the_profiles_rules_and_back(
    valkey: Server, other: Server, there: Any, tmp_path: Path
) -> None:
    with valkey.client() as here:
        push(here, "documented", Q, [("one", b'{"a":  1}')])
        here.hset("asynq:t:one", mapping={"max_retry": "9", "retry": "4"})
        before = here.hgetall("asynq:t:one")

        run(*arguments(valkey, other, ("documented", "asynq"), "--to-queue", "r", "--move"), cwd=tmp_path)
        ((_, found),) = stored(there, "asynq", "r.default")
        message = decode(found[b"msg"])
        assert (message.type, message.queue, message.payload) == ("r.default", "r.default", b'{"a":  1}')
        assert (message.max_retry, message.retried, message.timeout, message.retention) == (9, 4, 30, 86_400)
        assert there.hgetall("asynq:t:one") == {b"queue": b"r.default"}

        back = run(
            *arguments(other, valkey, ("asynq", "documented"), "--to-queue", "q", "--move", queue="r"),
            cwd=tmp_path,
        )
        assert back.status == 0, back
        assert here.hgetall("asynq:t:one") == before
        assert not there.exists("asynq:t:one")


def test_plain_asynq_needs_a_type_for_documented_tasks(
    valkey: Server, other: Server, there: Any, tmp_path: Path
) -> None:
    with valkey.client() as here:
        push(here, "documented", Q, numbered(1))
    given = arguments(valkey, other, ("documented", "asynq"), "--profile", "asynq", "--to-queue", "critical")

    refused = run(*given, cwd=tmp_path)
    done = run(*given, "--type", "email:send", cwd=tmp_path)

    assert refused.status == 2 and "--type" in refused.stderr
    assert done.status == 0
    ((_, found),) = stored(there, "asynq", "critical")
    assert (decode(found[b"msg"]).type, decode(found[b"msg"]).timeout) == ("email:send", 1800)


# --- on one server -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to_queue", ["q", "r"])
@pytest.mark.parametrize("move", [True, False], ids=["move", "copy"])
def test_documented_to_asynq_on_one_server_keeps_both_meanings_of_the_shared_key_apart(
    server: Server, client: Any, tmp_path: Path, to_queue: str, move: bool
) -> None:
    push(client, "documented", Q, numbered(700))
    given = arguments(server, server, ("documented", "asynq"), "--to-queue", to_queue)

    done = run(*given, *(["--move"] if move else []), cwd=tmp_path)

    assert (done.status, counts(done)) == (0, {"migrated": 700}), done
    name = f"{to_queue}.default"
    assert tasks(client, "asynq", name) == numbered(700)
    if move:
        # runqy's look-up stands where the task was.
        assert client.llen(pending_key("documented", Q)) == 0
        assert client.hgetall("asynq:t:task-0000005") == {b"queue": name.encode()}
    else:
        assert tasks(client, "documented") == numbered(700)
        assert client.hget("asynq:t:task-0000005", "queue") == Q.encode()


@pytest.mark.parametrize("to_queue", ["q", "r"])
@pytest.mark.parametrize("move", [True, False], ids=["move", "copy"])
def test_asynq_to_documented_on_one_server_takes_the_look_up_for_no_task(
    server: Server, client: Any, tmp_path: Path, to_queue: str, move: bool
) -> None:
    push(client, "asynq", Q, numbered(700))
    for task_id, _ in numbered(700):
        client.hset(f"asynq:t:{task_id}", "queue", Q)
    given = arguments(server, server, ("asynq", "documented"), "--to-queue", to_queue)

    done = run(*given, *(["--move"] if move else []), cwd=tmp_path)

    assert (done.status, counts(done)) == (0, {"migrated": 700}), done
    assert tasks(client, "documented", f"{to_queue}.default") == numbered(700)
    assert len(tasks(client, "asynq")) == (0 if move else 700)
    assert len(client.keys("asynq:{q.default}:t:*")) == (0 if move else 700)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_queue_moves_to_another_name_on_one_server(server: Server, client: Any, tmp_path: Path, layout: str) -> None:
    push(client, layout, Q, numbered(700))

    done = run(*arguments(server, server, (layout, layout), "--to-queue", "r", "--move"), cwd=tmp_path)

    assert (done.status, counts(done)) == (0, {"migrated": 700}), done
    assert tasks(client, layout, "r.default") == numbered(700)
    assert tasks(client, layout) == []
    hashes = [key for key in client.keys("asynq:*") if b":t:" in key]
    if layout == "documented":
        assert len(hashes) == 700
        assert client.hget("asynq:t:task-0000001", "queue") == b"r.default"
    else:
        assert client.hgetall("asynq:t:task-0000001") == {b"queue": b"r.default"}
    assert own_keys(client) == []


def test_one_server_is_known_by_any_of_its_addresses(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        push(client, "documented", Q, numbered(3))
    alias = Server("alias", valkey.port)
    url = valkey.url.replace("127.0.0.1", "localhost")

    same = run(
        "migrate", "--from-redis", valkey.url, "--to-redis", url, "--from-queue", "q", "--move", "--quiet", cwd=tmp_path
    )

    assert alias.url == valkey.url
    assert (same.status, "are the same" in same.stderr) == (2, True), same
    with valkey.client() as client:
        assert tasks(client, "documented") == numbered(3)
        assert own_keys(client) == []


# --- beside workers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layouts", PAIRS)
def test_beside_workers_and_a_producer_each_task_runs_once(
    valkey: Server, other: Server, tmp_path: Path, layouts: tuple[str, str]
) -> None:
    with valkey.client() as here:
        push(here, layouts[0], Q, numbered(8000))
    extra = numbered(400, first=100_000)
    with Consumer(other, layouts[1], Q) as at_target, Consumer(valkey, layouts[0], Q, pause=0.002) as at_source:
        with Producer(valkey, layouts[0], Q, extra) as producer:
            done = run(*arguments(valkey, other, layouts, "--move", "-b", "200"), cwd=tmp_path)
            until(lambda: len(producer.pushed) == 400, "all is produced")
        again = run(*arguments(valkey, other, layouts, "--move"), cwd=tmp_path)
        at_source.finish()
        at_target.finish()

    assert (done.status, again.status) == (0, 0), (done, again)
    assert at_source.hollow == at_target.hollow == []
    assert Counter(at_source.done + at_target.done) == Counter(numbered(8000) + extra)
    assert at_source.done and len(at_target.done) == done.report["migrated"] + again.report["migrated"]
    for consumer in (at_source, at_target):
        old = [task_id for task_id, _ in consumer.done if int(task_id[5:]) < 100_000]
        assert old == sorted(old)


@pytest.mark.parametrize("layouts", [("documented", "asynq"), ("asynq", "documented"), ("documented", "documented")])
def test_on_one_server_beside_workers_each_task_runs_once(
    valkey: Server, tmp_path: Path, layouts: tuple[str, str]
) -> None:
    with valkey.client() as client:
        push(client, layouts[0], Q, numbered(6000))
        with Consumer(valkey, layouts[1], "r.default") as new, Consumer(valkey, layouts[0], Q, pause=0.002) as old:
            done = run(*arguments(valkey, valkey, layouts, "--to-queue", "r", "--move", "-b", "100"), cwd=tmp_path)
            old.finish()
            new.finish()

        assert done.status == 0, done
        assert old.hollow == new.hollow == []
        assert Counter(old.done + new.done) == Counter(numbered(6000))
        assert [key for key in own_keys(client) if "moving" in key] == []


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("where", ["other server", "same server"])
@pytest.mark.parametrize("layouts", [("documented", "asynq"), ("asynq", "documented"), ("documented", "documented")])
def test_killed_again_and_again_each_task_runs_once_in_order(
    valkey: Server, other: Server, tmp_path: Path, layouts: tuple[str, str], where: str, seed: int
) -> None:
    target = other if where == "other server" else valkey
    chance = random.Random(f"{seed} {where} {layouts}")
    with valkey.client() as here:
        push(here, layouts[0], Q, numbered(6000))
        given = arguments(valkey, target, layouts, "--to-queue", "r", "--move", "-b", "150")
        with Consumer(target, layouts[1], "r.default") as at_target:
            for _ in range(4):
                moving = subprocess.Popen(
                    command(*given), cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
                )
                goal = len(at_target.done) + chance.randrange(0, 1200)
                while moving.poll() is None and len(at_target.done) < goal:
                    time.sleep(0.001)
                time.sleep(chance.random() * 0.02)
                moving.send_signal(chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
                _, stderr = moving.communicate()
                assert moving.returncode in (-9, -15, 130, 0) and b"Traceback" not in stderr, stderr
            with Consumer(valkey, layouts[0], Q, pause=0.001) as at_source:
                done = run(*given, cwd=tmp_path)
                at_source.finish()
            at_target.finish()

        assert done.status == 0, done
        assert at_source.hollow == at_target.hollow == []
        assert Counter(at_source.done + at_target.done) == Counter(numbered(6000))
        assert at_target.done == sorted(at_target.done)
        assert tasks(here, layouts[0]) == []
        assert [key for key in own_keys(here) if not key.endswith(":lease")] == []


@pytest.mark.parametrize("seed", range(2))
def test_a_copy_that_is_killed_goes_on_and_gives_each_task_once(
    valkey: Server, other: Server, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    with valkey.client() as here:
        push(here, "asynq", Q, numbered(5000))
    given = arguments(valkey, other, ("asynq", "asynq"), "-b", "100")
    with Consumer(other, "asynq", Q) as worker:
        for _ in range(3):
            copying = subprocess.Popen(
                command(*given), cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            goal = len(worker.done) + chance.randrange(0, 1000)
            while copying.poll() is None and len(worker.done) < goal:
                time.sleep(0.001)
            copying.kill()
            copying.wait()
        done = run(*given, cwd=tmp_path)
        worker.finish()

    assert done.status == 0, done
    assert done.report["migrated"] + done.report["already"] == 5000
    assert worker.done == numbered(5000)


def test_a_finished_move_whose_queue_has_more_is_not_finished_when_it_is_killed(
    valkey: Server, other: Server, there: Any, tmp_path: Path
) -> None:
    def states() -> list[str]:
        found = [json.loads(run("jobs", "--json", "--redis", one.url, cwd=tmp_path).stdout) for one in (valkey, other)]
        return [job["state"] for jobs in found for job in jobs]

    with valkey.client() as here, Proxy(other.port) as target:
        push(here, "documented", Q, numbered(100))
        given = arguments(valkey, target, ("documented", "asynq"), "--move", "-b", "10")
        assert run(*given, cwd=tmp_path).status == 0
        before = states()
        assert set(before) == {"finished"}
        push(here, "documented", Q, numbered(200)[100:])
        target.rule = from_nth(INSERT, 3, Verdict.WAIT)
        moving = subprocess.Popen(
            command(*given), cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        until(lambda: target.waiting or moving.poll() is not None, "some are moved")
        moving.kill()
        moving.communicate()
        target.rule = None
        target.let_pass()
        until(lambda: "running" not in states(), "the servers see that it is gone")
        assert states() == ["interrupted"] * len(before)

        assert run(*given, cwd=tmp_path).status == 0
        assert states() == before
        assert tasks(there, "asynq") == numbered(200)


def test_an_interrupted_move_gives_back_what_it_has_claimed_in_order(
    valkey: Server, other: Server, there: Any, tmp_path: Path
) -> None:
    with valkey.client() as here, Proxy(other.port) as target:
        push(here, "documented", Q, numbered(30_000))
        given = arguments(valkey, target, ("documented", "asynq"), "--move", "-b", "50")
        target.rule = from_nth(INSERT, 12, Verdict.WAIT)
        moving = subprocess.Popen(
            command(*given), cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        until(lambda: target.waiting or moving.poll() is not None, "some are moved")
        moving.send_signal(signal.SIGINT)
        target.rule = from_nth(INSERT, 500, Verdict.WAIT)  # it must have stopped by then
        target.let_pass()
        until(lambda: target.waiting or moving.poll() is not None, "it has stopped")
        stdout, stderr = moving.communicate(timeout=60)
        report = json.loads(stdout)

        assert (moving.returncode, stderr) == (130, b"")
        assert (report["status"], report["held"]) == ("interrupted", 0)
        assert 500 < report["migrated"] < 30_000
        assert tasks(there, "asynq") + tasks(here, "documented") == numbered(30_000)
        assert own_keys(here) == own_keys(there) == []

        target.go_on()
        done = run(*given, cwd=tmp_path)
        assert (done.status, done.report["resumed"]) == (0, True)
        assert tasks(there, "asynq") == numbered(30_000)


def test_a_task_that_comes_back_under_its_old_id_is_moved_again(valkey: Server, other: Server, tmp_path: Path) -> None:
    with valkey.client() as here, other.client() as there:
        push(here, "asynq", Q, numbered(300))
        for source, target in ((valkey, other), (other, valkey), (valkey, other)):
            done = run(*arguments(source, target, ("asynq", "asynq"), "--move"), cwd=tmp_path)
            assert (done.status, counts(done)) == (0, {"migrated": 300}), done
        assert tasks(here, "asynq") == []
        assert tasks(there, "asynq") == numbered(300)


# --- what cannot be moved ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layouts", PAIRS)
def test_an_id_that_is_a_task_in_the_target_is_rejected_and_stays(
    valkey: Server, other: Server, there: Any, tmp_path: Path, layouts: tuple[str, str]
) -> None:
    taken = [("task-0000003", b"theirs"), ("task-0000150", b"theirs")]
    with valkey.client() as here:
        push(here, layouts[0], Q, numbered(200))
        push(there, layouts[1], "r.default", taken)

        done = run(*arguments(valkey, other, layouts, "--move", "--to-queue", "r"), cwd=tmp_path)

        assert (done.status, counts(done)) == (3, {"migrated": 198, "rejected": 2}), done
        assert done.report["put_back"] == 2
        ours = dict(numbered(200))
        assert tasks(here, layouts[0]) == [(task_id, ours[task_id]) for task_id, _ in taken]
        assert [task for task in tasks(there, layouts[1], "r.default") if task[0] in dict(taken)] == taken
        rejects = [json.loads(line) for line in (tmp_path / done.report["rejects_file"]).read_text().splitlines()]
        assert [(reject["id"], reject["reason"]) for reject in rejects] == [
            (task_id, "its task id is a task already") for task_id, _ in taken
        ]

        skipping = run(*arguments(valkey, other, layouts, "--move", "--to-queue", "r", "--on-conflict", "skip"),
                       cwd=tmp_path)  # fmt: skip
        assert (skipping.status, counts(skipping)) == (0, {"already": 2}), skipping
        assert tasks(here, layouts[0]) == []


def test_unreadable_and_missing_tasks_do_not_hold_up_the_others(
    valkey: Server, other: Server, there: Any, tmp_path: Path
) -> None:
    with valkey.client() as here:
        push(here, "asynq", Q, numbered(20))
        here.delete(task_key("asynq", Q, "task-0000004"))
        here.hset(task_key("asynq", Q, "task-0000005"), "msg", b"\x0a\xff")
        here.delete(task_key("asynq", Q, "task-0000006"))
        here.set(task_key("asynq", Q, "task-0000006"), "text")

        done = run(*arguments(valkey, other, ("asynq", "documented"), "--move"), cwd=tmp_path)

        assert (done.status, counts(done)) == (3, {"migrated": 17, "rejected": 2, "missing": 1}), done
        assert here.lrange(pending_key("asynq", Q), 0, -1) == [b"task-0000006", b"task-0000005"]
        assert len(tasks(there, "documented")) == 17


def test_too_many_rejects_stop_a_move_with_everything_in_its_place(
    valkey: Server, other: Server, there: Any, tmp_path: Path
) -> None:
    with valkey.client() as here:
        push(here, "documented", Q, numbered(500))
        push(there, "documented", Q, [("task-0000060", b"theirs")])

        done = run(*arguments(valkey, other, ("documented", "documented"), "--move", "--max-errors", "0", "-b", "20"),
                   cwd=tmp_path)  # fmt: skip

        assert done.status == 1 and "--max-errors 0" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        moved = [task for task in tasks(there, "documented") if task[1] != b"theirs"]
        assert sorted(moved + tasks(here, "documented")) == numbered(500)
        assert own_keys(here) == []


@pytest.mark.parametrize(("limit", "status"), [("50%", 1), ("60%", 3), ("none", 3)])
def test_a_share_of_rejects_is_judged_at_the_end_of_a_small_move(
    valkey: Server, other: Server, there: Any, tmp_path: Path, limit: str, status: int
) -> None:
    with valkey.client() as here:
        push(here, "documented", Q, numbered(100))
        push(there, "documented", Q, [(f"task-{number:07}", b"theirs") for number in range(60)])

        done = run(
            *arguments(valkey, other, ("documented", "documented"), "--move", "--max-errors", limit), cwd=tmp_path
        )

        assert done.status == status
        assert ("60 of 100 tasks were rejected, more than --max-errors 50%" in done.stderr) == (status == 1)
        assert done.report["rejected_examples"][0]["count"] == 60
        assert done.report["rejected_examples"][0]["place"] == "task task-0000000"
        assert len(tasks(here, "documented")) == 60


def test_a_target_that_refuses_leaves_everything_in_the_source(
    valkey: Server, redis_server: Callable[..., RedisServer], tmp_path: Path
) -> None:
    small = redis_server("--maxmemory", "3mb").start()
    with valkey.client() as here, small.client() as there:
        push(here, "documented", Q, [(f"{n:05}", b'"%b"' % (b"x" * 2000)) for n in range(3000)])
        given = arguments(valkey, small, ("documented", "asynq"), "--move")

        failed = run(*given, cwd=tmp_path)

        assert failed.status == 1 and "memory limit" in failed.stderr, failed
        assert failed.report["held"] == 0
        assert own_keys(here) == []
        moved, left = tasks(there, "asynq"), tasks(here, "documented")
        assert [task_id for task_id, _ in moved + left] == [f"{n:05}" for n in range(3000)]

        there.config_set("maxmemory", 0)
        assert run(*given, cwd=tmp_path).status == 0
        assert len(tasks(there, "asynq")) == 3000


@pytest.mark.parametrize("more", [(), ("--move",)], ids=["copy", "move"])
def test_compact_always_is_refused_before_anything_is_written(
    valkey: Server, redis_server: Callable[..., RedisServer], tmp_path: Path, more: tuple[str, ...]
) -> None:
    without = redis_server("--rename-command", "RESTORE", "").start()
    with valkey.client() as here, without.client() as there:
        push(here, "documented", Q, numbered(5))
        before = sorted(here.keys())
        given = arguments(valkey, without, ("documented", "asynq"), *more)

        refused = run(*given, "--compact", "always", cwd=tmp_path)

        assert refused.status == 1
        assert "--compact always cannot be: the server has no command RESTORE" in refused.stderr
        assert (there.keys(), sorted(here.keys())) == ([], before)
        assert run(*given, cwd=tmp_path).report["migrated"] == 5


# --- one job at a time, and the same job ---------------------------------------------------------------------------


def test_what_a_job_holds_is_not_moved_to_another_target(
    valkey: Server, other: Server, redis_server: Callable[..., RedisServer], tmp_path: Path
) -> None:
    third = redis_server().start()
    with valkey.client() as here:
        push(here, "documented", Q, numbered(5))
        run(*arguments(valkey, other, ("documented", "documented"), "--move", "--job", "j"), cwd=tmp_path)
        push(here, "documented", Q, numbered(5, first=50))
        here.rpoplpush(pending_key("documented", Q), "{asynq:q.default:pending}:runqy-loader:j:moving")

        refused = run(*arguments(valkey, third, ("documented", "documented"), "--move", "--job", "j"), cwd=tmp_path)
        done = run(*arguments(valkey, other, ("documented", "documented"), "--move", "--job", "j"), cwd=tmp_path)

        assert refused.status == 1 and "another target" in refused.stderr
        assert counts(done) == {"migrated": 5}


def test_a_job_goes_on_with_the_same_options_only(valkey: Server, other: Server, tmp_path: Path) -> None:
    with valkey.client() as here:
        push(here, "documented", Q, numbered(1))
    first = run(*arguments(valkey, other, ("documented", "asynq"), "--job", "j"), cwd=tmp_path)
    changed = run(*arguments(valkey, other, ("documented", "asynq"), "--job", "j", "--move"), cwd=tmp_path)

    assert first.status == 0
    assert changed.status == 1 and "--move False, not True" in changed.stderr


def test_a_second_process_on_the_same_job_is_refused(valkey: Server, other: Server, tmp_path: Path) -> None:
    with valkey.client() as here:
        push(here, "documented", Q, numbered(600))
    with Proxy(other.port) as target:
        given = arguments(valkey, target, ("documented", "documented"), "--move", "-b", "5")
        target.rule = from_nth(INSERT, 2, Verdict.WAIT)
        moving = subprocess.Popen(
            command(*given), cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        until(lambda: target.waiting or moving.poll() is not None, "it moves")
        second = run(*given, cwd=tmp_path)
        assert moving.poll() is None
        moving.send_signal(signal.SIGTERM)
        target.go_on()
        moving.communicate(timeout=60)

    assert second.status == 1 and "process" in second.stderr
    assert moving.returncode == 130


@pytest.mark.parametrize(
    ("more", "status", "words"),
    [
        (("--batch-size", "0"), 2, ("--batch-size",)),
        (("--to-queue", "a..b"), 2, ("empty part",)),
        (("--to-queue", "a.b.c"), 2, ("more than one dot",)),
        (("--to-redis", "http://x"), 2, ("URL",)),
        (("--to-redis", "redis://127.0.0.1:1"), 1, ("127.0.0.1:1", "connection refused")),
        (("--job", "a b"), 2, ("--job",)),
        (("--to-queue", "q"), 2, ("are the same",)),
        (("--to-queue", "r"), 2, ("--move",)),
        (("--profile", "asynq"), 2, ("--profile asynq",)),
    ],
)
def test_what_cannot_work_is_said_in_one_line(
    valkey: Server, tmp_path: Path, more: tuple[str, ...], status: int, words: tuple[str, ...]
) -> None:
    done = run("migrate", "--from-queue", "q", "--from-redis", valkey.url, *more, "--no-progress", cwd=tmp_path)

    assert done.status == status, done
    errors = [line for line in done.stderr.splitlines() if line.startswith("runqy-loader: error: ")]
    assert len(errors) == 1 and "Traceback" not in done.stderr
    for word in words:
        assert word in errors[0]


def test_a_person_sees_what_was_done(valkey: Server, other: Server, tmp_path: Path) -> None:
    with valkey.client() as here:
        push(here, "documented", Q, numbered(30))
    (tmp_path / "c.toml").write_text('[migrate]\nfrom-queue = "q"\nto-layout = "asynq"\nmove = true\n')

    done = run("migrate", "--config", "c.toml", "--from-redis", valkey.url, "--to-redis", other.url, cwd=tmp_path)

    assert done.status == 0, done.stderr
    assert "completed" in done.stderr and f"on {other.url[8:]}" in done.stderr
    assert ["moved", "30"] in [line.split()[:2] for line in done.stderr.splitlines()]


def test_a_type_of_the_guides_layout_is_kept_unless_it_is_the_guides_own(
    valkey: Server, other: Server, there: Any, tmp_path: Path
) -> None:
    with valkey.client() as here:
        push(here, "documented", Q, numbered(2))
        here.hset("asynq:t:task-0000001", "type", "resize")

        done = run(*arguments(valkey, other, ("documented", "asynq"), "--move"), cwd=tmp_path)

    assert done.status == 0, done.stderr
    found = [decode(there.hget(f"asynq:{{{Q}}}:t:task-000000{n}", "msg")).type for n in range(2)]
    assert found == [Q, "resize"]


def test_a_queue_that_is_in_the_other_layout_is_told(valkey: Server, other: Server, tmp_path: Path) -> None:
    with valkey.client() as here:
        push(here, "asynq", Q, numbered(3))

    urls = ("--from-redis", valkey.url, "--to-redis", other.url)
    done = run(
        "migrate", *urls, "--from-queue", "q", "--from-layout", "documented", "--move", "--no-progress", cwd=tmp_path
    )

    assert done.status == 1, done.stderr
    assert "In the other layout it has 3 pending tasks: give --from-layout asynq" in done.stderr


def test_a_second_signal_tells_what_is_held(
    valkey: Server, redis_server: Callable[..., RedisServer], tmp_path: Path
) -> None:
    stuck = threading.Event()

    def rule(link: Link, chunk: bytes) -> Verdict | None:
        if INSERT not in chunk:
            return None
        stuck.set()
        return Verdict.WAIT

    with valkey.client() as here, Proxy(redis_server().start().port) as target:
        target.rule = rule
        push(here, "documented", Q, numbered(300))
        given = (
            "--from-redis",
            valkey.url,
            "--to-redis",
            target.url,
            "--from-queue",
            "q",
            "-b",
            "100",
            "--report",
            "-",
        )
        moving = subprocess.Popen(
            command("migrate", *given, "--move"), cwd=tmp_path, env=environment(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert stuck.wait(60)
        moving.send_signal(signal.SIGTERM)
        assert moving.stderr is not None
        read_until(moving.stderr.fileno(), "stopping")
        moving.send_signal(signal.SIGTERM)
        stdout, _ = moving.communicate(timeout=60)

        assert moving.returncode == 130
        assert json.loads(stdout)["held"] == here.llen(next(here.scan_iter(match="*:moving", count=10_000))) > 0

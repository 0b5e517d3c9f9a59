"""Tasks that the loader puts in are executed, listed and managed by the asynq library itself."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.cli import COMPACT, Outcome, run
from tests.conftest import Server
from tests.interop.asynq_peer import AsynqPeer, RefusedError
from tests.unit.task_message_oracle import decode, encode

pytestmark = pytest.mark.slow  # builds the Go program first

EITHER_WAY = pytest.mark.usefixtures("way")
"""With compact tasks, and with tasks by HSET."""
FAR = 4_102_444_800
"""A start time far in the future (the year 2100)."""
LONGEST_BY_HSET = 64
"""Bytes of a value beyond which HSET makes a hash table."""


def load(
    server: Server, folder: Path, records: Sequence[bytes], *arguments: str, status: int = 0, groups: bool = False
) -> Outcome:
    """Loads records in the asynq layout; checks the exit status, and that tasks are compact unless a test says 'never'.

    Args:
        groups: Whether the tasks wait in groups: these are always written by HSET.
    """
    by_hset = groups or os.environ.get(COMPACT) == "never"
    with server.client() as client:
        before = task_keys(client)
    (folder / "in.jsonl").write_bytes(b"".join(record + b"\n" for record in records))
    done = run(
        *("load", "in.jsonl", "--layout", "asynq", "--redis", server.url, "--report", "-", "--no-progress"),
        *arguments,
        cwd=folder,
    )
    assert done.status == status, done.stderr
    assert done.report["compact"] == (0 if by_hset else done.report["loaded"])
    with server.client() as client:
        made = task_keys(client) - before
        assert len(made) == done.report["loaded"]
        for key in made:
            long = max(map(len, client.hvals(key))) > LONGEST_BY_HSET
            assert client.object("encoding", key) == (b"hashtable" if long and by_hset else b"listpack")
    return done


def task_keys(client: Any) -> set[bytes]:
    return set(client.scan_iter(match="asynq:{*}:t:*", count=1000))


def as_asynq(
    server: Server, folder: Path, records: Sequence[bytes], *arguments: str, status: int = 0, groups: bool = False
) -> Outcome:
    shared = ("--profile", "asynq", "-q", "q", "--type", "mail")
    return load(server, folder, records, *shared, *arguments, status=status, groups=groups)


def envelope(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def stored(client: Any, queue: str, task_id: str) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = client.hgetall(f"asynq:{{{queue}}}:t:{task_id}")
    return found


# --- execution -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", ["1", "3"])
@EITHER_WAY
def test_all_tasks_are_executed_with_their_payloads(
    server: Server, asynq_peer: AsynqPeer, tmp_path: Path, workers: str
) -> None:
    payloads = [b'{"n":%d, "text": "%s"}' % (n, b"\xc3\xa9" * (n % 300)) for n in range(3000)]
    as_asynq(server, tmp_path, payloads, "--batch-size", "70", "--workers", workers)

    executed = asynq_peer.serve("q")

    assert sorted(task.payload or b"" for task in executed) == sorted(payloads)
    assert {task.type for task in executed} == {"mail"}
    assert len({task.id for task in executed}) == len(payloads)
    info = asynq_peer.queue("q")
    assert (info.size, info.processed, info.failed) == (0, 3000, 0)


def test_one_worker_executes_them_in_the_order_of_the_file(
    server: Server, asynq_peer: AsynqPeer, tmp_path: Path
) -> None:
    payloads = [b"%d" % n for n in range(2000)]
    as_asynq(server, tmp_path, payloads, "--batch-size", "70", "--workers", "1")
    assert [task.payload for task in asynq_peer.serve("q", concurrency=1)] == payloads


@EITHER_WAY
def test_options_reach_the_handler(server: Server, asynq_peer: AsynqPeer, tmp_path: Path) -> None:
    as_asynq(
        *(server, tmp_path, [b"1"], "--task-timeout", "90s", "--max-retry", "7"),
        *("--header", "trace=a=b", "--header", "lang=é"),
    )
    (task,) = asynq_peer.serve("q")
    assert (task.headers, task.max_retry, task.retried) == ({"trace": "a=b", "lang": "é"}, 7, 0)
    assert 80 <= task.remaining <= 90


@EITHER_WAY
def test_a_deadline_bounds_the_execution(server: Server, asynq_peer: AsynqPeer, tmp_path: Path) -> None:
    deadline = int(time.time()) + 5000
    as_asynq(server, tmp_path, [b"1"], "--deadline", str(deadline))
    (task,) = asynq_peer.serve("q")
    assert task.deadline == deadline


@EITHER_WAY
def test_options_of_a_record_reach_the_handler(server: Server, asynq_peer: AsynqPeer, tmp_path: Path) -> None:
    records = [
        envelope(payload={"n": 1}, id="a", type="post", max_retry=2, timeout=50, headers={"h": "1"}),
        envelope(payload_base64=base64.b64encode(b"\x00\xffraw").decode(), queue="other", id=7),
    ]
    as_asynq(server, tmp_path, records, "--envelope")

    (first,) = asynq_peer.serve("q")
    (second,) = asynq_peer.serve("other")

    assert (first.id, first.type, first.payload, first.max_retry) == ("a", "post", b'{"n": 1}', 2)
    assert first.headers == {"h": "1"} and 40 <= first.remaining <= 50
    assert (second.id, second.type, second.payload, second.queue) == ("7", "mail", b"\x00\xffraw", "other")


@EITHER_WAY
def test_a_task_that_fails_is_tried_again_and_then_archived(
    server: Server, asynq_peer: AsynqPeer, tmp_path: Path
) -> None:
    as_asynq(server, tmp_path, [envelope(payload=1, id="a", max_retry=1)], "--envelope")

    executed = asynq_peer.serve("q", fail_times=9)

    assert [(task.id, task.retried, task.failed) for task in executed] == [("a", 0, True), ("a", 1, True)]
    task = asynq_peer.task("q", "a")
    assert (task.state, task.retried, task.max_retry) == ("archived", 1, 1)


@EITHER_WAY
def test_retention_keeps_a_completed_task_and_its_result(server: Server, asynq_peer: AsynqPeer, tmp_path: Path) -> None:
    as_asynq(server, tmp_path, [envelope(payload=1, id="a")], "--envelope", "--retention", "1h")

    asynq_peer.serve("q", result="done")

    task = asynq_peer.task("q", "a")
    assert (task.state, task.result, task.retention) == ("completed", b"done", 3600)


def test_a_completed_task_is_not_loaded_again(server: Server, asynq_peer: AsynqPeer, tmp_path: Path) -> None:
    payloads = [b"%d" % n for n in range(500)]
    as_asynq(server, tmp_path, payloads)
    assert len(asynq_peer.serve("q")) == 500

    again = as_asynq(server, tmp_path, payloads)

    assert (again.report["loaded"], again.report["already_loaded"]) == (0, 500)
    assert asynq_peer.serve("q") == []


# --- scheduled and unique ------------------------------------------------------------------------------------------


def test_a_scheduled_task_waits_for_its_time(server: Server, asynq_peer: AsynqPeer, tmp_path: Path) -> None:
    as_asynq(server, tmp_path, [b"1", b"2"], "--process-at", "2100-01-01T00:00:00Z")

    assert asynq_peer.serve("q", idle=2) == []

    tasks = asynq_peer.tasks("q", "scheduled")
    assert [(task.payload, task.next_process_at) for task in tasks] == [(b"1", FAR), (b"2", FAR)]


@EITHER_WAY
def test_a_scheduled_task_is_executed_when_its_time_has_come(
    server: Server, asynq_peer: AsynqPeer, tmp_path: Path
) -> None:
    as_asynq(server, tmp_path, [b"1"], "--process-in", "2s")
    assert asynq_peer.queue("q").scheduled == 1
    (task,) = asynq_peer.serve("q", until=1)
    assert task.payload == b"1"


def test_a_unique_task_keeps_asynqs_own_client_out(server: Server, asynq_peer: AsynqPeer, tmp_path: Path) -> None:
    as_asynq(server, tmp_path, [b"1"], "--unique-ttl", "1h")

    with pytest.raises(RefusedError) as refused:
        asynq_peer.enqueue("q", "mail", b"1", unique=60)

    assert refused.value.kind == "duplicate"
    asynq_peer.enqueue("q", "mail", b"2", unique=60)


def test_the_lock_of_asynqs_own_client_keeps_a_record_out(
    server: Server, asynq_peer: AsynqPeer, tmp_path: Path
) -> None:
    asynq_peer.enqueue("q", "mail", b"1", unique=600)

    done = as_asynq(server, tmp_path, [b"1", b"2"], "--unique-ttl", "1h", status=3)

    assert (done.report["loaded"], done.report["rejected"]) == (1, 1)
    rejects = (tmp_path / done.report["rejects_file"]).read_text()
    assert "a unique task of this type and payload is there already" in rejects


@EITHER_WAY
def test_a_locks_end_is_the_execution_of_its_task(server: Server, asynq_peer: AsynqPeer, tmp_path: Path) -> None:
    as_asynq(server, tmp_path, [b"1"], "--unique-ttl", "1h")
    asynq_peer.serve("q")
    asynq_peer.enqueue("q", "mail", b"1", unique=60)


def test_duplicates_may_count_as_loaded(server: Server, tmp_path: Path) -> None:
    done = as_asynq(server, tmp_path, [b"1", b"1", b"2"], "--unique-ttl", "1h", "--on-conflict", "skip")
    assert (done.report["loaded"], done.report["already_loaded"], done.report["rejected"]) == (2, 1, 0)


# --- the inspector -------------------------------------------------------------------------------------------------


@EITHER_WAY
def test_the_inspector_lists_queues_counts_and_details(server: Server, asynq_peer: AsynqPeer, tmp_path: Path) -> None:
    as_asynq(server, tmp_path, [b"1", b"2", b"3"], "--retention", "60", "--header", "h=1")

    assert asynq_peer.queues() == {"q"}
    info = asynq_peer.queue("q")
    assert (info.size, info.pending, info.scheduled) == (3, 3, 0)
    assert 0 <= info.latency < 60
    tasks = asynq_peer.tasks("q", "pending")
    assert [task.payload for task in tasks] == [b"1", b"2", b"3"]
    assert {(task.type, task.state, task.max_retry, task.timeout, task.retention) for task in tasks} == {
        ("mail", "pending", 25, 1800.0, 60.0)
    }
    assert tasks[0].headers == {"h": "1"}


@EITHER_WAY
def test_tasks_of_the_loader_can_be_deleted_archived_and_run_again(
    server: Server, asynq_peer: AsynqPeer, tmp_path: Path
) -> None:
    records = [envelope(payload=n, id=name) for n, name in enumerate("abc")]
    records.append(envelope(payload=9, id="later", process_at=FAR))
    as_asynq(server, tmp_path, records, "--envelope")

    asynq_peer.delete("q", "a")
    asynq_peer.archive("q", "b")
    asynq_peer.run("q", "later")
    assert [task.id for task in asynq_peer.tasks("q", "archived")] == ["b"]
    asynq_peer.run("q", "b")

    assert [task.id for task in asynq_peer.serve("q")] == ["c", "later", "b"]


@EITHER_WAY
def test_deleting_a_unique_task_frees_its_lock(server: Server, asynq_peer: AsynqPeer, tmp_path: Path) -> None:
    as_asynq(server, tmp_path, [envelope(payload=1, id="a", unique_ttl=900)], "--envelope")
    asynq_peer.delete("q", "a")
    asynq_peer.enqueue("q", "mail", b"1", unique=60)


# --- the same bytes ------------------------------------------------------------------------------------------------

OPTIONS: list[dict[str, Any]] = [
    {},
    {"max_retry": 0},
    {"timeout": 77},
    {"deadline": FAR},
    {"timeout": 5, "deadline": FAR},
    {"retention": 3600},
    {"headers": {"trace": "1"}},
    {"max_retry": 9, "timeout": 1, "retention": 2, "headers": {"": ""}},
]


@pytest.mark.parametrize("payload", [b"1", b'{"text": "%s"}' % (b"x" * 200)], ids=["short", "long"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_task_is_what_asynqs_own_client_writes(
    server: Server, asynq_peer: AsynqPeer, client: Any, tmp_path: Path, options: dict[str, Any], payload: bytes
) -> None:
    asynq_peer.enqueue("q", "mail", payload, id="a", **options)
    theirs, pushed = stored(client, "q", "a"), client.lrange("asynq:{q}:pending", 0, -1)
    client.flushall()

    record = b'{"id": "a", "payload": %b, %b' % (payload, json.dumps({**options, "queue": "q"})[1:].encode())
    as_asynq(server, tmp_path, [record], "--envelope")

    ours = stored(client, "q", "a")
    assert ours.keys() == theirs.keys()
    assert ours[b"msg"] == theirs[b"msg"]
    assert ours[b"state"] == theirs[b"state"]
    assert len(ours[b"pending_since"]) == len(theirs[b"pending_since"])
    assert client.lrange("asynq:{q}:pending", 0, -1) == pushed
    assert client.smembers("asynq:queues") == {b"q"}


@EITHER_WAY
def test_a_plain_task_of_the_hot_path_is_what_asynqs_own_client_writes(
    server: Server, asynq_peer: AsynqPeer, client: Any, tmp_path: Path
) -> None:
    as_asynq(server, tmp_path, [b'{"a": 1}'], "--header", "h=1", "--retention", "5")
    (task_id,) = (task.decode() for task in client.lrange("asynq:{q}:pending", 0, -1))
    ours, kinds = stored(client, "q", task_id), {key: client.type(key) for key in client.keys("asynq:*")}
    client.flushall()

    asynq_peer.enqueue("q", "mail", b'{"a": 1}', id=task_id, headers={"h": "1"}, retention=5)

    theirs = stored(client, "q", task_id)
    assert (ours[b"msg"], ours.keys()) == (theirs[b"msg"], theirs.keys())
    assert kinds == {key: client.type(key) for key in client.keys("asynq:*")}


@EITHER_WAY
def test_scheduled_and_unique_tasks_are_what_asynqs_own_client_writes(
    server: Server, asynq_peer: AsynqPeer, client: Any, tmp_path: Path
) -> None:
    asynq_peer.enqueue("q", "mail", b"1", id="a", process_at=FAR, unique=60)
    theirs = stored(client, "q", "a"), client.zrange("asynq:{q}:scheduled", 0, -1, withscores=True)
    keys = {key: client.ttl(key) // 10 for key in client.keys("*")}
    client.flushall()

    as_asynq(server, tmp_path, [envelope(payload=1, id="a", process_at=FAR, unique_ttl=60)], "--envelope")

    assert (stored(client, "q", "a"), client.zrange("asynq:{q}:scheduled", 0, -1, withscores=True)) == theirs
    ours = {key: client.ttl(key) // 10 for key in client.keys("asynq:*")}
    assert ours.keys() == keys.keys()
    assert all(abs(ours[key] - keys[key]) <= 6 for key in keys), "a minute's difference at most"


# --- groups ----


def everything(client: Any) -> dict[bytes, Any]:
    """The content of each of asynq's keys, but for times."""
    read = {
        b"hash": lambda key: {name: value for name, value in client.hgetall(key).items() if name != b"pending_since"},
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"string": client.get,
    }
    return {key: read[client.type(key)](key) for key in client.keys("asynq:*")}


def test_tasks_of_groups_are_what_asynqs_own_client_writes(
    server: Server, asynq_peer: AsynqPeer, client: Any, tmp_path: Path
) -> None:
    asynq_peer.enqueue("q", "mail", b"1", id="a", group="g:1", headers={"h": "1"}, retention=5, unique=600)
    theirs, keys = stored(client, "q", "a"), {key: client.type(key) for key in client.keys("*")}
    client.flushall()

    own = envelope(payload=1, id="a", group="g:1", headers={"h": "1"}, retention=5, unique_ttl=600)
    as_asynq(server, tmp_path, [own], "--envelope", groups=True)

    assert stored(client, "q", "a") == theirs
    assert {key: client.type(key) for key in client.keys("asynq:*")} == keys
    task = asynq_peer.task("q", "a")
    assert (task.state, asynq_peer.queue("q").size) == ("aggregating", 1)


def test_an_asynq_server_aggregates_groups_that_were_loaded(
    server: Server, asynq_peer: AsynqPeer, tmp_path: Path
) -> None:
    records = [envelope(payload=number, group=f"group-{number % 2}") for number in range(6)]
    as_asynq(server, tmp_path, records, "--envelope", groups=True)

    executed = asynq_peer.serve("q", until=2, aggregate=True)

    found = {task.type: sorted((task.payload or b"").split(b"\n")) for task in executed}
    assert found == {"group-0": [b"0", b"2", b"4"], "group-1": [b"1", b"3", b"5"]}


@EITHER_WAY
def test_an_export_of_groups_loaded_again_is_the_same(
    server: Server, asynq_peer: AsynqPeer, client: Any, tmp_path: Path
) -> None:
    for number in range(4):
        asynq_peer.enqueue("q", "mail", b"%d" % number, id=f"t{number}", group=f"g{number % 3}", headers={"h": "1"})
    asynq_peer.run("q", "t0")  # out of its group: pending, but a retry puts it back
    client.hset("asynq:{q}:t:t1", mapping={b"own": b"\xff", b"ttl_completed": b"0"})
    before = everything(client)
    shared = ("--layout", "asynq", "--profile", "asynq", "--redis", server.url, "--quiet")

    for state in ("pending", "aggregating"):
        done = run("export", "-q", "q", "--state", state, "-o", f"{state}.jsonl", *shared, cwd=tmp_path)
        assert done.status == 0, done.stderr
    client.flushall()
    back = run("load", "pending.jsonl", "aggregating.jsonl", "--envelope", *shared, cwd=tmp_path)

    assert back.status == 0, back.stderr
    after = everything(client)
    assert after == before
    assert after[b"asynq:{q}:t:t0"][b"group"] == b"g0"
    assert asynq_peer.task("q", "t0").state == "pending"


@EITHER_WAY
def test_a_task_that_failed_and_is_pending_again_keeps_its_past(
    server: Server, asynq_peer: AsynqPeer, client: Any, tmp_path: Path
) -> None:
    asynq_peer.enqueue("q", "mail", b"1", id="a", max_retry=5)
    asynq_peer.serve("q", fail_times=1, until=1, retry_delay=3600)
    asynq_peer.run("q", "a")
    before = stored(client, "q", "a")
    shared = ("--layout", "asynq", "--profile", "asynq", "--redis", server.url, "--quiet")
    run("export", "-q", "q", "-o", "q.jsonl", *shared, cwd=tmp_path)
    client.flushall()
    run("load", "q.jsonl", "--envelope", *shared, cwd=tmp_path)

    after = stored(client, "q", "a")
    assert after.pop(b"pending_since") and before.pop(b"pending_since", b"") == b"", "asynq itself writes no time here"
    assert after == before
    (task,) = asynq_peer.serve("q")
    assert (task.retried, task.max_retry) == (1, 5)


# --- runqy's profile -----------------------------------------------------------------------------------------------


@EITHER_WAY
def test_the_profile_of_runqy_writes_what_the_runqy_server_writes(
    server: Server, asynq_peer: AsynqPeer, client: Any, tmp_path: Path
) -> None:
    load(server, tmp_path, [b'{"prompt": "x"}'], "--queue", "inference")

    (task_id,) = (task.decode() for task in client.lrange("asynq:{inference.default}:pending", 0, -1))
    message = stored(client, "inference.default", task_id)[b"msg"]
    assert message == encode(
        type="inference.default",
        payload=b'{"prompt": "x"}',
        id=task_id,
        queue="inference.default",
        retry=3,
        timeout=30,
        retention=86_400,
    )
    assert client.hgetall(f"asynq:t:{task_id}") == {b"queue": b"inference.default"}
    assert client.smembers("asynq:queues") == {b"inference.default"}
    (task,) = asynq_peer.serve("inference.default")
    assert (task.type, task.remaining) == ("inference.default", 30)


def test_fields_for_runqys_workers_stand_in_the_hash(server: Server, client: Any, tmp_path: Path) -> None:
    load(server, tmp_path, [b"1"], "--queue", "a.b", "--ttl-completed", "1h", "--pending-timeout", "30")
    (task_id,) = (task.decode() for task in client.lrange("asynq:{a.b}:pending", 0, -1))
    found = stored(client, "a.b", task_id)
    assert (found[b"ttl_completed"], found[b"pending_timeout"]) == (b"3600", b"30")
    assert decode(found[b"msg"])["queue"] == "a.b"


@EITHER_WAY
def test_results_of_an_asynq_server_are_waited_for(asynq_peer: AsynqPeer, server: Server, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("1\n2\n")
    (tmp_path / "bad.jsonl").write_text("3\n")
    load = ("load", "--layout", "asynq", "--profile", "asynq", "--type", "mail", "--redis", server.url, "-q")
    loads = (
        run(*load, "kept", "in.jsonl", "--retention", "1h", "--ids-out", "kept", cwd=tmp_path),
        run(*load, "deleted", "in.jsonl", "--ids-out", "deleted", cwd=tmp_path),
        run(*load, "failing", "bad.jsonl", "--max-retry", "0", "--ids-out", "failing", cwd=tmp_path),
    )
    assert [done.status for done in loads] == [0, 0, 0]
    asynq_peer.serve("kept", "deleted", result='{"ok": true}')
    asynq_peer.serve("failing", fail_times=1)

    wait = ("wait", "--redis", server.url, "--timeout", "60", "--out", "-", "--quiet", "--ids")
    kept, deleted, failing = (run(*wait, name, cwd=tmp_path) for name in ("kept", "deleted", "failing"))

    assert (kept.status, deleted.status, failing.status) == (0, 3, 3), failing.stderr
    found = [json.loads(line) for line in kept.stdout.splitlines()]
    assert [(line["status"], line["result"]) for line in found] == [("completed", {"ok": True})] * 2
    assert [json.loads(line)["status"] for line in deleted.stdout.splitlines()] == ["expired"] * 2
    (line,) = map(json.loads, failing.stdout.splitlines())
    assert line["status"] == "failed" and line["error"]

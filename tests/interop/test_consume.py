"""``runqy-loader consume`` beside asynq's own server: the same keys are left, and asynq's inspector sees it."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli import command, environment, run
from tests.conftest import Server
from tests.interop.asynq_peer import AsynqPeer
from tests.unit.task_message_oracle import decode

pytestmark = pytest.mark.slow  # builds the Go program first

FAILED = "failed by runqy-loader consume"


def consume(server: Server, folder: Path, *arguments: str) -> dict[str, Any]:
    """The report of a run."""
    shared = ("consume", "-q", "q", "--profile", "asynq", "--redis", server.url, "--report", "-", "--quiet")
    outcome = run(*shared, *arguments, cwd=folder)
    assert outcome.status == 0, outcome.stderr
    return outcome.report


def keyspace(db: Any, began: int) -> dict[str, Any]:
    """All keys with what they hold. Times that depend on when it was written are told as a number of seconds."""

    def text(value: bytes) -> Any:
        return value.decode()

    def since(moment: float) -> int:
        """Seconds after the beginning, to the nearest minute."""
        return round((moment - began) / 60)

    found: dict[str, Any] = {}
    for key in sorted(db.keys("*")):
        kind, name = db.type(key), re.sub(r":\d{4}-\d\d-\d\d$", ":DAY", key.decode())
        if kind == b"hash":
            fields = {text(field): value for field, value in db.hgetall(key).items()}
            message = dict(decode(fields.pop("msg")))
            for field in ("last_failed_at", "completed_at"):
                message[field] = since(float(str(message[field]))) if message.get(field) else None
            message["error_msg"] = "an error" if message.get("error_msg") else None
            fields.pop("pending_since", None)
            found[name] = ({field: text(value) for field, value in fields.items()}, message)
        elif kind == b"zset":
            found[name] = [(text(member), since(score)) for member, score in db.zrange(key, 0, -1, withscores=True)]
        elif kind == b"list":
            found[name] = [text(member) for member in db.lrange(key, 0, -1)]
        elif kind == b"set":
            found[name] = sorted(map(text, db.smembers(key)))
        else:
            expires = db.ttl(key)
            found[name] = (text(db.get(key)), round(expires / 86_400) if expires > 0 else expires)
    return found


def tasks(peer: AsynqPeer) -> None:
    """Tasks for every ending."""
    peer.enqueue("q", "mail", b"plain", id="plain", max_retry=2)
    peer.enqueue("q", "mail", b"locked", id="locked", unique=600, max_retry=2)
    peer.enqueue("q", "mail", b"kept", id="kept", retention=86_400, headers={"a": "b"}, max_retry=2)
    peer.enqueue("q", "mail", b"kept, locked", id="kept-locked", retention=3600, unique=600, max_retry=2)
    peer.enqueue("q", "mail", b"last try", id="last", max_retry=0)
    peer.enqueue("q", "mail", b"last try, locked", id="last-locked", max_retry=0, unique=600, timeout=30)
    peer.enqueue("q", "mail", None, id="empty", max_retry=3, deadline=4_102_444_800)
    peer.enqueue("q", "mail", b"later", id="later", process_at=4_102_444_800)


@pytest.mark.parametrize("fails", [False, True], ids=["done", "failed"])
def test_every_ending_leaves_the_keys_that_asynqs_server_leaves(
    asynq_peer: AsynqPeer, client: Any, server: Server, tmp_path: Path, fails: bool
) -> None:
    tasks(asynq_peer)
    executed = asynq_peer.serve("q", fail_times=int(fails), retry_delay=7200, until=7)
    assert len(executed) == 7
    expected = keyspace(client, int(time.time()))
    client.flushall()

    tasks(asynq_peer)
    rate = "100%" if fails else "0%"
    report = consume(server, tmp_path, "--fail-rate", rate, "--retry-delay", "2h", "--until-empty")

    assert (report["taken"], report["done"]) == (7, 0 if fails else 7)
    assert (report["retried"], report["archived"]) == ((5, 2) if fails else (0, 0))
    assert keyspace(client, int(time.time())) == expected


def test_what_is_put_back_is_as_asynqs_server_puts_it_back(
    asynq_peer: AsynqPeer, client: Any, server: Server, tmp_path: Path
) -> None:
    def enqueue() -> None:
        for number in range(4):
            asynq_peer.enqueue("q", "mail", b"%d" % number, id=f"t{number}", unique=600)

    enqueue()
    with asynq_peer.serving("q", folder=tmp_path, hold=600) as serving:
        assert serving.execution().id == "t0"
        serving.stop()
    expected = keyspace(client, int(time.time()))
    client.flushall()

    enqueue()
    report = consume(server, tmp_path, "--service-time", "10m", "--duration", "1s", "--grace", "0", "--consumers", "1")

    assert (report["taken"], report["put_back"]) == (1, 1)
    assert keyspace(client, int(time.time())) == expected


def test_a_task_that_takes_longer_than_its_timeout_fails_as_with_asynqs_server(
    asynq_peer: AsynqPeer, server: Server, tmp_path: Path
) -> None:
    asynq_peer.enqueue("q", "mail", id="slow", timeout=1, max_retry=0)
    asynq_peer.enqueue("q", "mail", id="late", deadline=1, max_retry=0)

    report = consume(server, tmp_path, "--service-time", "1h", "--until-empty")

    assert report["archived"] == 2
    archived = asynq_peer.tasks("q", "archived")
    assert {(task.id, task.last_error) for task in archived} == {
        ("slow", "context deadline exceeded"),
        ("late", "context deadline exceeded"),
    }


def test_a_retry_is_due_when_asynqs_server_would_have_it_due(
    asynq_peer: AsynqPeer, server: Server, tmp_path: Path
) -> None:
    asynq_peer.enqueue("q", "mail", id="a", max_retry=3)

    consume(server, tmp_path, "--fail-rate", "100%", "--until-empty")

    (task,) = asynq_peer.tasks("q", "retry")
    assert (task.retried, task.last_error) == (1, FAILED)
    assert task.next_process_at is not None and task.last_failed_at is not None
    assert 15 <= task.next_process_at - task.last_failed_at <= 45


@contextmanager
def running(server: Server, folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A consumer that runs during the block."""
    shared = ("consume", "-q", "q", "--profile", "asynq", "--redis", server.url, "--report", "-")
    process = subprocess.Popen(
        command(*shared, *arguments), cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_asynqs_inspector_sees_the_consumer_and_what_it_has_in_service(
    asynq_peer: AsynqPeer, client: Any, server: Server, tmp_path: Path
) -> None:
    for number in range(3):
        asynq_peer.enqueue("q", "mail", b"p", id=f"t{number}")

    with running(server, tmp_path, "--consumers", "2", "--service-time", "10m", "--grace", "0") as process:
        end = time.monotonic() + 60
        while not (seen := asynq_peer.servers()) or len(seen[0].active) < 2:
            assert time.monotonic() < end, "the consumer does not say what it does"
            assert process.poll() is None
            time.sleep(0.1)
        (info,) = seen
        assert (info.pid, info.queues, info.concurrency, info.status) == (process.pid, {"q": 1}, 2, "active")
        assert info.id.startswith("runqy-loader-consume-") and sorted(info.active) == ["t0", "t1"]
        active = asynq_peer.tasks("q", "active")
        assert sorted(task.id for task in active) == ["t0", "t1"] and not any(task.orphaned for task in active)

        process.terminate()
        out, err = process.communicate(timeout=60)

    assert process.returncode == 0, err.decode()
    assert json.loads(out)["put_back"] == 2
    assert asynq_peer.servers() == []
    assert [task.id for task in asynq_peer.tasks("q", "pending")] == ["t0", "t1", "t2"]
    assert client.keys("asynq:servers*") == client.keys("asynq:workers*") == []


def test_a_queue_of_a_real_server_is_refused(asynq_peer: AsynqPeer, server: Server, tmp_path: Path) -> None:
    with asynq_peer.serving("q", folder=tmp_path):
        asynq_peer.enqueue("another", "mail", id="a")
        arguments = ("consume", "--profile", "asynq", "--redis", server.url, "--until-empty", "--quiet")

        refused = run(*arguments, "-q", "q", "--layout", "asynq", cwd=tmp_path)
        taken = run(*arguments, "-q", "another", cwd=tmp_path)

    assert refused.status == 1
    assert "a worker serves queue q" in refused.stderr and "--with-workers" in refused.stderr
    assert (taken.status, taken.stderr) == (0, "")

"""A rollback beside asynq's own server, and what asynq's inspector says after it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli import run
from tests.conftest import Server
from tests.interop.asynq_peer import AsynqPeer

pytestmark = pytest.mark.slow  # builds the Go program first

TASKS = 20_000
ASYNQ = ("--layout", "asynq", "--profile", "asynq", "--type", "mail", "-q", "q")


def load(server: Server, folder: Path, *more: str, count: int = TASKS) -> str:
    lines = "".join(
        json.dumps({"payload": {"n": n}, **({"id": f"own-{n}"} if n % 2 else {})}) + "\n" for n in range(count)
    )
    (folder / "in.jsonl").write_text(lines)
    done = run(
        *("load", "in.jsonl", "--envelope", *ASYNQ, "--redis", server.url, "--quiet", "--report", "-"),
        *("--ids-out", "ids.tsv", *more),
        cwd=folder,
    )
    assert done.status == 0, done.stderr
    return str(done.report["job"])


def rollback(server: Server, job: str, folder: Path) -> dict[str, Any]:
    done = run("rollback", job, "--redis", server.url, "--quiet", "--report", "-", cwd=folder)
    assert done.status == 0, done.stderr
    return done.report


def test_beside_a_server_each_task_is_executed_or_taken_back(
    asynq_peer: AsynqPeer, server: Server, client: Any, tmp_path: Path
) -> None:
    job = load(server, tmp_path)
    with asynq_peer.serving("q", folder=tmp_path, concurrency=4) as serving:
        first = serving.execution()
        report = rollback(server, job, tmp_path)
        executions = [first, *serving.stop()]

    ids = [execution.id for execution in executions]
    back = client.llen("asynq:{q}:pending")  # what the server gives back when it stops
    assert len(set(ids)) == len(ids)
    assert report["removed"] + len(ids) + back == TASKS
    assert report["left"] == len(ids) + back
    assert client.keys("asynq:{q}:t:*") == client.keys("asynq:{q}:unique:*") == [] or back
    assert asynq_peer.queue("q").pending == back


def test_the_inspector_finds_a_whole_queue_after_it(
    asynq_peer: AsynqPeer, server: Server, client: Any, tmp_path: Path
) -> None:
    for number in range(3):
        asynq_peer.enqueue("q", "mail", id=f"theirs-{number}")
    asynq_peer.enqueue("q", "mail", id="grouped", group="g")
    asynq_peer.enqueue("q", "mail", id="later", process_in=3600)
    before = {key: client.dump(key) for key in client.keys("asynq:*")}
    job = load(server, tmp_path, "--unique-ttl", "1h", "--force-schedule", count=500)

    rollback(server, job, tmp_path)

    assert {key: client.dump(key) for key in client.keys("asynq:*")} == before
    assert [task.id for task in asynq_peer.tasks("q", "pending")] == ["theirs-0", "theirs-1", "theirs-2"]
    assert asynq_peer.queue("q").scheduled == 1
    assert [execution.id for execution in asynq_peer.serve("q")] == ["theirs-0", "theirs-1", "theirs-2"]


def test_a_unique_task_can_be_enqueued_again_after_it(asynq_peer: AsynqPeer, server: Server, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"n":1}\n')
    done = run(
        *("load", "in.jsonl", *ASYNQ, "--unique-ttl", "1h", "--redis", server.url, "--quiet", "--report", "-"),
        cwd=tmp_path,
    )

    rollback(server, done.report["job"], tmp_path)

    assert asynq_peer.enqueue("q", "mail", b'{"n":1}', unique=3600).state == "pending"

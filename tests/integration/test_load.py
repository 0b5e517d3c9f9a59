"""The main path: files in, tasks in the queue, on both servers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.cli import run
from tests.conftest import Server


def test_every_record_becomes_a_task_with_the_payload_as_it_stood(server: Server, client: Any, tmp_path: Path) -> None:
    lines = [b'{"n":  %d}' % n for n in range(2500)]
    (tmp_path / "in.jsonl").write_bytes(b"\r\n".join(lines))

    done = run("load", "in.jsonl", "--queue", "inference", "--redis", server.url, "--report", "-", cwd=tmp_path)

    assert done.status == 0, done.stderr
    assert done.report["loaded"] == done.report["records_read"] == 2500
    ids = client.lrange("asynq:inference.default:pending", 0, -1)
    assert len(set(ids)) == 2500
    payloads = [client.hget(f"asynq:t:{i.decode()}", "payload") for i in ids]
    assert sorted(payloads) == sorted(lines)


def test_one_worker_keeps_the_order_of_the_file(server: Server, client: Any, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("".join(f"{n}\n" for n in range(5000)))

    done = run("load", "in.jsonl", "-q", "a.b", "--redis", server.url, "-w", "1", "-b", "64", cwd=tmp_path)

    assert done.status == 0, done.stderr
    popped = [client.rpop("asynq:a.b:pending") for _ in range(5000)]
    payloads = [json.loads(client.hget(f"asynq:t:{i.decode()}", "payload")) for i in popped if isinstance(i, bytes)]
    assert payloads == list(range(5000))


def test_the_same_command_again_loads_nothing_twice(server: Server, client: Any, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("".join(f"{n}\n" for n in range(3000)) + "bad\n")
    command = ("load", "in.jsonl", "--queue", "q", "--redis", server.url, "--report", "-")

    first, second = run(*command, cwd=tmp_path), run(*command, cwd=tmp_path)

    assert (first.status, second.status) == (3, 3)
    assert (first.report["loaded"], first.report["already_loaded"], first.report["rejected"]) == (3000, 0, 1)
    assert (second.report["loaded"], second.report["already_loaded"], second.report["rejected"]) == (0, 3000, 1)
    assert client.llen("asynq:q.default:pending") == 3000
    rejects = Path(tmp_path / second.report["rejects_file"]).read_text().splitlines()
    assert len(rejects) == 1

"""What a plan predicts, beside what real servers say after a real load of so many tasks.

The lengths of payloads are none of those that were measured, and the load is an ordinary one, with a queue and a job of
its own, into a server with an append-only file and a replica.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from benchmarks.payloads import payloads
from loader.planning.figures import known_servers, short_name
from tests.cli import run
from tests.conftest import RedisServer, Server

TASKS = 40_000
QUEUE = "plan-12345678"
"""A queue's name is a part of its tasks' keys in layout asynq: it is as long as when the figures were measured."""

ASYNQ = ("--layout", "asynq", "--profile", "asynq")
KINDS: list[tuple[int, tuple[str, ...], str]] = [
    (180, (), "auto"),
    (180, (), "never"),
    (700, (), "auto"),
    (180, ("--layout", "asynq"), "auto"),
    (180, ASYNQ, "auto"),
    (700, ASYNQ, "never"),
    (4000, ASYNQ, "auto"),
]


@dataclass(frozen=True, slots=True)
class Followed:
    """A server with an append-only file, and its replica."""

    server: Server
    name: str


@pytest.fixture(scope="module", params=["redis", "valkey"])
def followed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    kind = request.param
    primary = RedisServer(
        tmp_path_factory.mktemp("primary"), "--appendonly", "yes", "--auto-aof-rewrite-percentage", "0", kind=kind
    )
    server = primary.start()
    replica = RedisServer(tmp_path_factory.mktemp("replica"), "--replicaof", f"127.0.0.1 {server.port}", kind=kind)
    replica.start()
    try:
        with server.client() as client:
            _wait(lambda: client.info()["connected_slaves"] == 1 and client.info()["slave0"]["state"] == "online")
            info = client.info()
        make = "valkey" if "valkey_version" in info else "redis"
        yield Followed(server, short_name(f"{make} {info[f'{make}_version']}"))
    finally:
        replica.stop()
        primary.stop()


@pytest.mark.parametrize(("size", "layout", "compact"), KINDS)
def test_memory_stream_and_files_are_as_planned(
    tmp_path: Path, followed: Followed, size: int, layout: tuple[str, ...], compact: str
) -> None:
    assert followed.name in known_servers(), "measure it: python -m benchmarks.planning"
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(islice(payloads(size), TASKS)) + b"\n")
    asked = ("plan", "in.jsonl", *layout, "--compact", compact, "--server", followed.name, "--servers", "1", "--json")
    planned = run(*asked, cwd=tmp_path)
    assert planned.status == 0, planned.stderr
    figures: dict[str, Any] = json.loads(planned.stdout)["figures"]
    kind = ("--type", "task") if "--profile" in layout else ()
    with followed.server.client() as client:
        client.flushall()
        _wait(lambda: client.info()["slave0"]["state"] == "online")
        before = _seen(client)
        load = ("load", "in.jsonl", "-q", QUEUE, *layout, *kind, "--compact", compact, "--quiet")
        outcome = run(*load, "--redis", followed.server.url, cwd=tmp_path)
        assert outcome.status == 0, outcome.stderr
        after = _seen(client)
        client.bgrewriteaof()
        _wait(lambda: not client.info()["aof_rewrite_in_progress"] and not client.info()["aof_rewrite_scheduled"])
        rewritten = client.info()["aof_base_size"]
        keys = client.dbsize()

    def planned_at(name: str) -> float:
        return float(figures[name]["value"])

    # A sample gives the mean length of all payloads to a few percent; its own error is part of the plan's.
    assert after["memory"] - before["memory"] == pytest.approx(planned_at("used_memory"), rel=0.1)
    assert after["replicated"] - before["replicated"] == pytest.approx(
        TASKS * planned_at("task_replicated_bytes"), rel=0.05
    )
    assert after["aof"] - before["aof"] == pytest.approx(planned_at("aof_growth"), rel=0.05)
    assert rewritten == pytest.approx(planned_at("snapshot_bytes"), rel=0.1)
    keys_a_task = 2 if layout == ("--layout", "asynq") else 1  # of runqy's tasks, each has its look-up
    assert keys == pytest.approx(TASKS * keys_a_task, abs=200)  # those of the job are besides
    assert after["received"] - before["received"] == pytest.approx(TASKS * planned_at("task_sent_bytes"), rel=0.05)


def _seen(client: Any) -> dict[str, int]:
    """Memory without the buffers of clients, replicas and the file; bytes to replicas, of the file, and received.

    When the server has come to rest: the file has all that was written, and no buffer of a client grows or is freed.
    """
    memory = -1

    def is_at_rest() -> bool:
        nonlocal memory
        before, now = memory, client.info()
        memory = now["used_memory"]
        return abs(memory - before) < 4096 and not now.get("aof_buffer_length")

    _wait(is_at_rest)
    info = client.info()
    buffers = ("mem_clients_normal", "mem_clients_slaves", "mem_aof_buffer", "mem_total_replication_buffers")
    return {
        "memory": info["used_memory"] - sum(info.get(name, 0) for name in buffers),
        "replicated": info["master_repl_offset"],
        "aof": info["aof_current_size"],
        "received": info["total_net_input_bytes"],
    }


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not until():
        assert time.monotonic() < deadline, "the server does not get there"
        time.sleep(0.1)

"""Loads into a server with replicas: what --wait-replicas, --wait-fsync and --max-replica-lag promise."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli import command, environment, run
from tests.conftest import RedisServer

Servers = Callable[..., RedisServer]
KINDS = pytest.mark.parametrize("kind", ["valkey", "redis"])


def until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)


def with_replica(redis_server: Servers, kind: str, *options: str) -> tuple[RedisServer, RedisServer]:
    """A primary and a replica that follows it."""
    primary = redis_server("--repl-diskless-sync-delay", "0", *options, kind=kind)
    primary.start()
    replica = redis_server("--replicaof", "127.0.0.1", str(primary.port), *options, kind=kind)
    replica.start()
    with replica_client(replica) as client:
        until(lambda: client.info("replication")["master_link_status"] == "up", "the replica follows")
    return primary, replica


def replica_client(server: RedisServer) -> Any:
    import redis

    return redis.Redis(port=server.port)


def url(server: RedisServer) -> str:
    return f"redis://127.0.0.1:{server.port}/0"


def write(path: Path, count: int = 5000) -> None:
    path.write_text("".join(f'{{"n":{n},"text":"{"x" * 400}"}}\n' for n in range(count)))


def paused_load(primary: RedisServer, folder: Path) -> subprocess.Popen[bytes]:
    """A load of ``in.jsonl`` that waits for a replica: it is too far behind."""
    arguments = ("load", "in.jsonl", "-q", "q", "--redis", url(primary), "--max-replica-lag", "1000000")
    loading = subprocess.Popen(
        command(*arguments, "--no-progress"), cwd=folder, env=environment(), stderr=subprocess.PIPE
    )
    assert loading.stderr is not None
    said = b""
    while b"waiting until it has no more than 1.0 MB left" not in said:
        line = loading.stderr.readline()
        assert line, said
        said += line
    return loading


@KINDS
@pytest.mark.parametrize("layout", ["documented", "asynq"])
def test_what_counts_as_loaded_is_on_the_replica(redis_server: Servers, tmp_path: Path, kind: str, layout: str) -> None:
    primary, replica = with_replica(redis_server, kind)
    write(tmp_path / "in.jsonl")

    done = run(
        "load", "in.jsonl", "-q", "q", "--redis", url(primary), "--layout", layout, "--wait-replicas", "1",
        "--report", "-", cwd=tmp_path,
    )  # fmt: skip

    primary.kill()
    assert done.status == 0, done.stderr
    pending = "asynq:q.default:pending" if layout == "documented" else "asynq:{q.default}:pending"
    with replica_client(replica) as client:
        assert client.llen(pending) == done.report["loaded"] == 5000


@KINDS
def test_a_load_that_waits_for_more_replicas_than_there_are_does_not_begin(
    redis_server: Servers, tmp_path: Path, kind: str
) -> None:
    primary, _ = with_replica(redis_server, kind)
    write(tmp_path / "in.jsonl")

    done = run("load", "in.jsonl", "-q", "q", "--redis", url(primary), "--wait-replicas", "2", cwd=tmp_path)

    assert done.status == 1
    assert "1 replica online, and --wait-replicas waits for 2" in done.stderr
    with replica_client(primary) as client:
        assert client.dbsize() == 0


@KINDS
def test_a_replica_that_hangs_ends_the_load_and_a_later_run_completes_it(
    redis_server: Servers, tmp_path: Path, kind: str
) -> None:
    primary, replica = with_replica(redis_server, kind)
    write(tmp_path / "in.jsonl")
    arguments = (
        "load", "in.jsonl", "-q", "q", "--redis", url(primary), "--wait-replicas", "1", "--retry-for", "2",
        "--report", "-",
    )  # fmt: skip
    assert replica.process is not None
    replica.process.send_signal(signal.SIGSTOP)

    hung = run(*arguments, cwd=tmp_path)

    assert hung.status == 1
    assert "only 0 of 1 replicas have what was written" in hung.stderr
    assert hung.report["loaded"] == 0
    replica.process.send_signal(signal.SIGCONT)
    after = run(*arguments, cwd=tmp_path)
    assert after.status == 0, after.stderr
    assert after.report["loaded"] + after.report["already_loaded"] == 5000
    with replica_client(primary) as client:
        assert client.llen("asynq:q.default:pending") == 5000


@KINDS
def test_a_load_pauses_while_a_replica_is_too_far_behind(redis_server: Servers, tmp_path: Path, kind: str) -> None:
    primary, replica = with_replica(redis_server, kind)
    write(tmp_path / "in.jsonl", 20_000)
    assert replica.process is not None
    replica.process.send_signal(signal.SIGSTOP)

    loading = paused_load(primary, tmp_path)
    with replica_client(primary) as client:
        paused_at = client.llen("asynq:q.default:pending")
        time.sleep(1)
        assert client.llen("asynq:q.default:pending") <= paused_at + 8000  # what was read or in flight already
        assert client.llen("asynq:q.default:pending") < 20_000
    replica.process.send_signal(signal.SIGCONT)

    _, rest = loading.communicate(timeout=120)

    assert loading.returncode == 0, rest
    assert b"the replicas have caught up" in rest
    with replica_client(replica) as client:
        until(lambda: client.llen("asynq:q.default:pending") == 20_000, "all tasks on the replica")


def test_what_counts_as_loaded_is_on_disk(redis_server: Servers, tmp_path: Path) -> None:
    server = redis_server("--appendonly", "yes", "--appendfsync", "everysec", kind="valkey")
    server.start()
    write(tmp_path / "in.jsonl")

    done = run("load", "in.jsonl", "-q", "q", "--redis", url(server), "--wait-fsync", "--report", "-", cwd=tmp_path)

    assert done.status == 0, done.stderr
    server.kill()
    server.start()
    with replica_client(server) as client:
        until(lambda: client.ping(), "it has read its file")
        assert client.llen("asynq:q.default:pending") == done.report["loaded"] == 5000


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("valkey", (), "the server keeps no append-only file"),
        ("redis", ("--appendonly", "yes"), "has no command WAITAOF, which came with 7.2"),
    ],
)
def test_a_server_without_waitaof_is_refused(
    redis_server: Servers, tmp_path: Path, kind: str, options: tuple[str, ...], said: str
) -> None:
    server = redis_server(*options, kind=kind)
    server.start()
    with replica_client(server) as client:
        if kind == "redis" and tuple(map(int, client.info()["redis_version"].split(".")[:2])) >= (7, 2):
            pytest.skip("this Redis has WAITAOF")
    write(tmp_path / "in.jsonl", 10)

    done = run("load", "in.jsonl", "-q", "q", "--redis", url(server), "--wait-fsync", cwd=tmp_path)

    assert done.status == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@KINDS
def test_a_load_that_waits_for_a_replica_can_be_stopped(redis_server: Servers, tmp_path: Path, kind: str) -> None:
    primary, replica = with_replica(redis_server, kind)
    write(tmp_path / "in.jsonl", 20_000)
    assert replica.process is not None
    replica.process.send_signal(signal.SIGSTOP)
    loading = paused_load(primary, tmp_path)

    loading.send_signal(signal.SIGTERM)
    _, rest = loading.communicate(timeout=60)

    assert loading.returncode == 130, rest
    assert b"go on with" in rest
    with replica_client(replica) as client:
        replica.process.send_signal(signal.SIGCONT)
        assert client.ping()


def test_what_nothing_can_keep_is_not_waited_for(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", 10)

    embedded = run("load", "in.jsonl", "-q", "q", "--redis", "embedded", "--wait-replicas", "1", cwd=tmp_path)
    discarded = run("load", "in.jsonl", "-q", "q", "--redis", "discard", "--wait-replicas", "1", cwd=tmp_path)

    assert (embedded.status, "0 replicas online" in embedded.stderr) == (1, True), embedded.stderr
    assert (discarded.status, "--wait-replicas" in discarded.stderr) == (2, True), discarded.stderr

"""Tasks that are longer than the target's server accepts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli import Outcome, run
from tests.conftest import RedisServer, Server
from tests.faults.helpers import payload

MakeServer = Callable[..., RedisServer]


@pytest.fixture
def source(redis_server: MakeServer, tmp_path: Path) -> Server:
    """A server whose queue has five tasks, of which the third is long."""
    server = redis_server().start()
    lines = [payload(n, 1_200_000 if n == 2 else 10) + b"\n" for n in range(5)]
    (tmp_path / "in.jsonl").write_bytes(b"".join(lines))
    assert run("load", "in.jsonl", "-q", "q", "--redis", server.url, "--quiet", cwd=tmp_path).status == 0
    return server


def migrate(source: Server, target: str, folder: Path, *more: str) -> Outcome:
    ends = ("--from-redis", source.url, "--to-redis", target, "--from-queue", "q")
    return run("migrate", *ends, "--report", "-", *more, cwd=folder)


def pending(server: Server) -> int:
    with server.client() as client:
        return int(client.llen("asynq:q.default:pending"))


@pytest.mark.parametrize("setting", ["proto-max-bulk-len", "client-query-buffer-limit"])
@pytest.mark.parametrize("move", [("--move",), ()], ids=["move", "copy"])
def test_a_task_that_is_too_long_for_the_target_is_rejected_and_stays_in_the_source(
    source: Server, redis_server: MakeServer, tmp_path: Path, setting: str, move: tuple[str, ...]
) -> None:
    target = redis_server(f"--{setting}", "1mb").start()

    done = migrate(source, target.url, tmp_path, *move)

    assert done.status == 3, done.stderr
    assert (done.report["migrated"], done.report["rejected_by_code"]) == (4, {"too_large": 1})
    limit = 2**20 if setting == "proto-max-bulk-len" else 2**20 - 2**16  # loader/servers/value_limit.py
    text = (tmp_path / done.report["rejects_file"]).read_text()
    assert f"over {limit} bytes, which the server's {setting} allows" in text
    assert pending(target) == 4
    with source.client() as client:
        assert len(client.keys("asynq:t:*")) == (1 if move else 5)


def test_a_target_that_does_not_tell_has_the_longest_task_named(
    source: Server, redis_server: MakeServer, tmp_path: Path
) -> None:
    target = redis_server("--proto-max-bulk-len", "1mb").start()
    with target.client() as client:
        client.execute_command("ACL", "SETUSER", "loader", "on", ">secret", "~*", "&*", "+@all", "-config")

    failed = migrate(source, f"redis://loader:secret@127.0.0.1:{target.port}/0", tmp_path, "--move")

    line = failed.stderr.splitlines()[-1]
    assert failed.status == 1
    assert "invalid bulk length" in line and "the longest task is " in line and "(1,200,0" in line
    assert "--max-record-bytes" not in line
    assert pending(source) == 5, "what was taken is put back"

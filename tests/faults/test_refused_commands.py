"""Servers without some commands, as proxies and hosted services are: what is done without each. docs/servers.md has
the table of this."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli import run
from tests.conftest import RedisServer
from tests.faults.helpers import Load, assert_each_once, numbered
from tests.faults.proxy import Proxy

PENDING = "asynq:q.default:pending"

REFUSED = (
    *("CLIENT", "CONFIG", "SCRIPT", "INFO", "SELECT", "ACL", "CLUSTER", "COMMAND", "MEMORY", "TIME", "SCAN"),
    *("DBSIZE", "RESTORE", "DUMP", "EVALSHA", "OBJECT", "ROLE", "ECHO", "WAIT", "SLOWLOG", "DEBUG", "MONITOR"),
)
CASES = [*((name,) for name in REFUSED), REFUSED]


def _options(commands: tuple[str, ...]) -> list[str]:
    return [word for name in commands for word in ("--rename-command", name, "")]


def _arguments(port: int) -> tuple[str, ...]:
    url = f"redis://127.0.0.1:{port}/0"
    return ("in.jsonl", "-q", "q", "--layout", "documented", "--redis", url, "--report", "-", "-b", "12")


@pytest.mark.parametrize("commands", CASES, ids=[names[0] if len(names) == 1 else "all" for names in CASES])
def test_a_load_and_its_resume_after_a_kill_work_without(
    redis_server: Callable[..., RedisServer], tmp_path: Path, commands: tuple[str, ...]
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 3000)
    server = redis_server(*_options(commands)).start()

    with Proxy(server.port) as proxy, server.client() as client:
        proxy.halt_after(25)
        with Load(*_arguments(proxy.port), cwd=tmp_path) as running:
            running.until(lambda: proxy.waiting, "commits wait at the proxy")
            running.kill()
        assert 0 < client.llen(PENDING) < 3000
        proxy.go_on()
    done = run("load", *_arguments(server.port), cwd=tmp_path)

    assert done.status == 0, done.stderr
    assert done.report["already_loaded"] > 0
    with server.client() as client:
        _assert_each_once(client, lines, commands)


def _assert_each_once(client: Any, lines: list[bytes], commands: tuple[str, ...]) -> None:
    if "SCAN" not in commands:
        assert_each_once(client, lines)
        return
    ids = client.lrange(PENDING, 0, -1)
    assert sorted(client.hget(b"asynq:t:" + task, "payload") for task in ids) == sorted(lines)


SAID = {
    "CLIENT": "the server has no command CLIENT (renamed or disabled), which a load can do without",
    "RESTORE": "tasks are written by HSET: the server has no command RESTORE",
    "INFO": "the server does not tell (INFO is refused)",
    "TIME": "the server does not tell (TIME is refused)",
    "ACL": "the server does not tell (ACL DRYRUN needs version 7 and the right to it)",
}


@pytest.mark.parametrize("command", SAID)
def test_doctor_says_what_the_lack_of_a_command_means(
    redis_server: Callable[..., RedisServer], tmp_path: Path, command: str
) -> None:
    server = redis_server(*_options((command,))).start()

    done = run("doctor", "-q", "q", "--layout", "documented", "--redis", server.url, cwd=tmp_path)

    assert done.status == 0, done.stdout
    assert SAID[command] in done.stdout


def test_a_killed_job_is_taken_over_when_its_lease_ends_where_connections_are_not_listed(
    redis_server: Callable[..., RedisServer], tmp_path: Path
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 3000)
    server = redis_server(*_options(("CLIENT",))).start()
    with Proxy(server.port) as proxy:
        proxy.halt_after(25)
        with Load(*_arguments(proxy.port), cwd=tmp_path) as running:
            running.until(lambda: proxy.waiting, "commits wait at the proxy")
            running.kill()
        proxy.go_on()

    done = run("load", *_arguments(server.port), cwd=tmp_path)

    assert done.status == 0, done.stderr
    assert "waiting up to 15 s for the lease of process" in done.stderr
    with server.client() as client:
        assert_each_once(client, lines)

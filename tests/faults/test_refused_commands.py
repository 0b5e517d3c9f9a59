"""Servers without some commands, as proxies and hosted services are: what is done without each. docs/servers.md has
the table of this."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli import Outcome, run
from tests.conftest import RedisServer
from tests.faults.helpers import Load, assert_each_once, numbered
from tests.faults.proxy import Proxy

PENDING = "asynq:q.default:pending"

REFUSED = ("CLIENT", "CONFIG", "SCRIPT", "INFO", "SELECT", "ACL", "CLUSTER", "COMMAND", "MEMORY", "TIME", "SCAN")
REFUSED += ("DBSIZE", "RESTORE", "DUMP", "EVALSHA", "OBJECT", "ROLE", "ECHO", "WAIT", "SLOWLOG", "DEBUG", "MONITOR")
CASES = [*((name,) for name in REFUSED), REFUSED]


def _options(commands: tuple[str, ...]) -> list[str]:
    return [word for name in commands for word in ("--rename-command", name, "")]


def _load(folder: Path, port: int, *more: str) -> Outcome:
    arguments = ("-q", "q", "--layout", "documented", "--redis", f"redis://127.0.0.1:{port}/0", "--report", "-")
    return run("load", "in.jsonl", *arguments, "-b", "12", *more, cwd=folder)


@pytest.mark.parametrize("commands", CASES, ids=[names[0] if len(names) == 1 else "all" for names in CASES])
def test_a_load_and_its_resume_after_a_kill_work_without(
    redis_server: Callable[..., RedisServer], tmp_path: Path, commands: tuple[str, ...]
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 3000)
    server = redis_server(*_options(commands)).start()

    with Proxy(server.port) as proxy, server.client() as client:
        proxy.halt_after(25)
        arguments = ("-q", "q", "--layout", "documented", "--report", "-", "-b", "12")
        with Load(
            "in.jsonl", *arguments, "--redis", f"redis://127.0.0.1:{proxy.port}/0", cwd=tmp_path
        ) as running:
            running.until(lambda: proxy.waiting, "commits wait at the proxy")
            running.kill()
        assert 0 < client.llen(PENDING) < 3000
        proxy.go_on()
    done = _load(tmp_path, server.port)

    assert done.status == 0, done.stderr
    assert done.report["already_loaded"] > 0
    with _scanning(server.client(), commands) as client:
        _assert_each_once(client, lines, commands)


def _scanning(client: Any, commands: tuple[str, ...]) -> Any:
    return client


def _assert_each_once(client: Any, lines: list[bytes], commands: tuple[str, ...]) -> None:
    if "SCAN" not in commands:
        assert_each_once(client, lines)
        return
    ids = client.lrange(PENDING, 0, -1)
    assert sorted(client.hget(b"asynq:t:" + task, "payload") for task in ids) == sorted(lines)


SAYS = {
    ("CLIENT",): "waiting up to 15 s for the lease of",
    ("RESTORE",): "tasks are written by HSET",
    ("INFO",): "INFO",
}


@pytest.mark.parametrize("commands", SAYS, ids=[names[0] for names in SAYS])
def test_what_is_done_without_a_command_is_said(
    redis_server: Callable[..., RedisServer], tmp_path: Path, commands: tuple[str, ...]
) -> None:
    numbered(tmp_path / "in.jsonl", 100)
    server = redis_server(*_options(commands)).start()

    done = run(
        *("doctor", "-q", "q", "--layout", "documented", "--redis", f"redis://127.0.0.1:{server.port}/0"), cwd=tmp_path
    )

    print(done.stdout)
    assert done.status == 0, done.stdout

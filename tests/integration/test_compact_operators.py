"""What who runs the server sees of compact tasks: events, commands, rights, statistics, the log."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli import run
from tests.conftest import RedisServer, Server
from tests.integration.compact import EACH_LOAD, LOADS, QUEUE, RECORDS, encodings, load, payloads

FEW = RECORDS[:100]


class Events:
    """Counts keyspace events of tasks during a ``with`` block.

    Attributes:
        counts: How often each event was told.
    """

    def __init__(self, db: Any) -> None:
        self.counts: Counter[bytes] = Counter()
        self._db = db
        self._of_tasks = db.pubsub()
        self._of_tasks.psubscribe("__keyspace@0__:asynq:*")

    def __enter__(self) -> Events:
        self._db.config_set("notify-keyspace-events", "KA")
        return self

    def __exit__(self, *failure: object) -> None:
        self._db.config_set("notify-keyspace-events", "")
        while (told := self._of_tasks.get_message(timeout=1)) is not None:
            if told["type"] == "pmessage" and b":t:" in told["channel"]:
                self.counts[told["data"]] += 1
        self._of_tasks.close()


@pytest.mark.parametrize(
    ("kind", "compact", "expected"),
    [
        ("documented", "always", {b"restore": 100}),
        ("documented", "never", {b"hset": 100}),
        ("asynq", "always", {b"restore": 100}),
        ("asynq", "never", {b"hset": 100}),
        ("runqy", "always", {b"restore": 100, b"hset": 100}),  # the look-up keys are short, and written by HSET
        ("runqy", "never", {b"hset": 200}),
    ],
)
def test_a_compact_task_is_told_as_restore_and_another_as_hset(
    server: Server, client: Any, tmp_path: Path, kind: str, compact: str, expected: dict[bytes, int]
) -> None:
    with Events(client) as events:
        load(server.url, tmp_path, kind, lines=FEW, compact=compact)

    # Before a load, one scratch task is restored and deleted; its name is no task's.
    assert events.counts == expected


@EACH_LOAD
def test_statistics_of_commands_count_restores(server: Server, client: Any, tmp_path: Path, kind: str) -> None:
    client.config_resetstat()
    load(server.url, tmp_path, kind, lines=FEW)
    found = client.info("commandstats")

    assert found["cmdstat_restore"]["calls"] == len(FEW) + 2, "and the scratch task in either form"
    client.config_resetstat()
    load(server.url, tmp_path, kind, "--job", "again", "--again", lines=FEW, compact="never")
    found = client.info("commandstats")
    assert "cmdstat_restore" not in found
    assert found["cmdstat_hset"]["calls"] >= len(FEW)


def test_own_ids_are_restored_by_scripts_which_count_as_well(server: Server, client: Any, tmp_path: Path) -> None:
    client.config_resetstat()
    lines = [b'{"id": "%d"}' % number for number in range(100)]

    load(server.url, tmp_path, "asynq", "--id-field", "id", lines=lines)

    assert client.info("commandstats")["cmdstat_restore"]["calls"] == len(lines) + 2, (
        "and the scratch task in either form"
    )


def test_monitor_shows_dumps(server: Server, client: Any, tmp_path: Path) -> None:
    """A dump is bytes: payloads are in it as they are, but what is no text is escaped, as in any value."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as watching:
        watching.sendall(b"MONITOR\r\n")
        lines = watching.makefile("rb")
        assert next(lines) == b"+OK\r\n"
        load(server.url, tmp_path, "documented", lines=[b'{"n": %d}' % number for number in range(100)])
        client.echo("the end")
        shown = []
        while b'"ECHO"' not in (line := next(lines)):
            shown.append(line)

    dumped = [line for line in shown if b'"RESTORE" "asynq:t:' in line]
    assert len(dumped) == 100
    assert sum(rb"{\"n\": 7}" in line and rb"\x" in line for line in dumped) == 1


@pytest.fixture
def logged(redis_server: Callable[..., RedisServer], tmp_path: Path) -> tuple[Server, Callable[[], bytes]]:
    """A server that logs commands, and how to read its log."""
    process = redis_server("--appendonly", "yes", "--appendfsync", "always")
    server = process.start()

    def log() -> bytes:
        return b"".join(path.read_bytes() for path in sorted(tmp_path.rglob("*.incr.aof")))

    return server, log


def test_the_log_has_restores(logged: tuple[Server, Callable[[], bytes]], tmp_path: Path) -> None:
    server, log = logged
    load(server.url, tmp_path, "documented", lines=FEW)

    assert log().count(b"\r\nRESTORE\r\n") == len(FEW) + 1, "and the scratch task"
    assert b"\r\nHSET\r\n$" not in log().split(b"\r\nRESTORE\r\n", 2)[2].split(b"LPUSH")[0]


# --- rights --------------------------------------------------------------------------------------------------------


@pytest.fixture
def url(server: Server, client: Any) -> Iterator[str]:
    """For a user who may do everything that is not dangerous, and what a load needs of that."""
    client.execute_command(
        "ACL", "SETUSER", "loader", "reset", "on", ">secret", "~*", "&*", "+@all", "-@dangerous",
        "+info", "+keys", "+client",
    )  # fmt: skip
    yield f"redis://loader:secret@127.0.0.1:{server.port}/0"
    client.acl_deluser("loader")


def test_restore_is_dangerous(client: Any) -> None:
    assert b"restore" in client.execute_command("ACL", "CAT", "dangerous")
    assert b"hset" not in client.execute_command("ACL", "CAT", "dangerous")


@EACH_LOAD
def test_without_the_right_tasks_are_written_by_hset_and_with_it_they_are_compact(
    url: str, client: Any, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(FEW) + b"\n")
    arguments = ("load", "in.jsonl", *LOADS[kind], "--redis", url, "--report", "-", "--no-progress", "--workers", "1")

    refused = run(*arguments, "--compact", "always", cwd=tmp_path)
    without = run(*arguments, cwd=tmp_path)
    assert payloads(client, kind, QUEUE) == FEW
    assert b"hashtable" in encodings(client)
    client.flushall()
    client.execute_command("ACL", "SETUSER", "loader", "+restore")
    given = run(*arguments, "--compact", "always", cwd=tmp_path)

    assert refused.status == 1
    assert "--compact always cannot be: this user may not run RESTORE" in refused.stderr
    assert (without.status, without.report["loaded"], without.report["compact"]) == (0, len(FEW), 0)
    assert "tasks are written by HSET: this user may not run RESTORE" in without.stderr
    assert "+restore" in without.stderr
    assert (given.status, given.report["compact"]) == (0, len(FEW)), given.stderr
    assert payloads(client, kind, QUEUE) == FEW
    assert encodings(client) == {b"listpack"}


def test_doctor_says_how_tasks_would_be_written(url: str, tmp_path: Path) -> None:
    done = run("doctor", "--redis", url, "--queue", QUEUE, "--layout", "documented", cwd=tmp_path)

    assert "tasks are written by HSET: this user may not run RESTORE" in " ".join(done.stdout.split())

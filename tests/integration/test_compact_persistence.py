"""Compact tasks are the same after a restart, in a rewritten log, and on a replica.

Also how they are kept is the same, with one exception: a log that is rewritten without an RDB file in front holds
commands (HMSET), so after a restart the server keeps the tasks as if HSET had made them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RedisServer, Server
from tests.integration.compact import EACH_LOAD, RECORDS, Key, assert_compact, encodings, load, payloads, seen

DEBUG = ("--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0")
AOF = ("--appendonly", "yes", "--auto-aof-rewrite-percentage", "0")

Start = Callable[..., RedisServer]


@pytest.fixture(params=["valkey", "redis"])
def own(request: pytest.FixtureRequest, redis_server: Start) -> Start:
    """Makes servers of each kind in turn, whose DEBUG command is allowed."""
    return lambda *options: redis_server(*DEBUG, *options, kind=request.param)


def until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, f"not within a minute: {what}"
        time.sleep(0.02)


def loaded(server: Server, folder: Path, kind: str) -> dict[bytes, Key]:
    """Loads compact tasks; all that readers see then."""
    load(server.url, folder, kind, "--workers", "1")
    with server.client() as db:
        assert_compact(db)
        assert payloads(db, kind) == RECORDS
        return seen(db)


def restarted(process: RedisServer) -> Any:
    """A client of the server after SIGKILL and a new start."""
    process.kill()
    return process.start().client()


def rewrite(db: Any) -> None:
    """Has the server rewrite its log, and waits for the end."""
    db.bgrewriteaof()

    def is_over() -> bool:
        info = db.info("persistence")
        return not info["aof_rewrite_in_progress"] and not info["aof_rewrite_scheduled"]

    until(is_over, "the log is rewritten")
    assert db.info("persistence")["aof_last_bgrewrite_status"] == "ok"


def replicate(primary: Server, replica: Any) -> None:
    """Makes a server a replica, and waits until it has had all that the primary has."""
    replica.replicaof("127.0.0.1", primary.port)
    until(lambda: replica.info("replication")["master_link_status"] == "up", "the replica is linked")


def until_in_step(db: Any, replica: Any) -> None:
    def is_in_step() -> bool:
        behind = replica.info("replication")["slave_repl_offset"]
        return bool(behind >= db.info("replication")["master_repl_offset"])

    until(is_in_step, "the replica has had everything")


@EACH_LOAD
def test_a_snapshot_keeps_compact_tasks(own: Start, tmp_path: Path, kind: str) -> None:
    process = own()
    server = process.start()
    before = loaded(server, tmp_path, kind)
    with server.client() as db:
        db.save()

    with restarted(process) as db:
        assert seen(db) == before
        assert_compact(db)


@pytest.mark.parametrize("preamble", ["yes", "no"])
@EACH_LOAD
def test_the_log_of_commands_keeps_compact_tasks_and_so_does_a_rewritten_one(
    own: Start, tmp_path: Path, kind: str, preamble: str
) -> None:
    process = own(*AOF, "--aof-use-rdb-preamble", preamble)
    before = loaded(process.start(), tmp_path, kind)

    with restarted(process) as db:
        assert seen(db) == before
        assert_compact(db)
        rewrite(db)
        assert seen(db) == before

    with restarted(process) as db:
        assert seen(db) == before
        if preamble == "yes":
            assert_compact(db)
        else:  # long values are in hash tables, as HSET makes them
            assert b"hashtable" in encodings(db)


@EACH_LOAD
def test_replicas_have_compact_tasks_from_the_stream_of_commands_and_from_a_full_copy(
    own: Start, tmp_path: Path, kind: str
) -> None:
    primary = own().start()
    with primary.client() as db, own().start().client() as first, own().start().client() as second:
        replicate(primary, first)

        before = loaded(primary, tmp_path, kind)

        until_in_step(db, first)
        assert db.info("stats")["sync_full"] == 1, "all came as commands"
        replicate(primary, second)
        assert db.info("stats")["sync_full"] == 2
        for replica in (first, second):
            assert seen(replica) == before
            assert_compact(replica)


def test_a_replica_that_takes_over_goes_on_with_compact_tasks(own: Start, tmp_path: Path) -> None:
    """The loader writes to the new primary; workers there change the tasks of the old one."""
    process, second = own(), own().start()
    primary = process.start()
    with second.client() as replica, primary.client() as db:
        replicate(primary, replica)
        loaded(primary, tmp_path, "asynq")
        until_in_step(db, replica)
        process.kill()
        replica.replicaof("NO", "ONE")

        load(second.url, tmp_path, "asynq", lines=[b'"new"', b'"newer"'], name="more.jsonl")

        assert payloads(replica, "asynq") == [*RECORDS, b'"new"', b'"newer"']
        assert_compact(replica, len(RECORDS) + 2)


@pytest.mark.parametrize("settings", [(), ("--appendonly", "yes")], ids=["snapshot", "log"])
def test_what_workers_make_of_compact_tasks_is_kept_as_well(
    own: Start, tmp_path: Path, settings: tuple[str, ...]
) -> None:
    process = own(*settings)
    server = process.start()
    loaded(server, tmp_path, "asynq")
    with server.client() as db:
        for number, key in enumerate(sorted(key for key in db.scan_iter(match="asynq:*:t:*", count=1000))[:300]):
            db.hset(key, "state", "active")
            db.hdel(key, "pending_since")
            if number % 2:
                db.hset(key, "result", b"r" * (number * 20))
            if number % 3 == 0:
                db.expire(key, 1000)
        expected = {key: found.fields for key, found in seen(db).items()}
        expiring = {key for key, found in seen(db).items() if found.ttl > 0}
        if not settings:
            db.save()

    with restarted(process) as db:
        after = seen(db)
        assert {key: found.fields for key, found in after.items()} == expected
        assert {key for key, found in after.items() if found.ttl > 0} == expiring
        assert len(expiring) == 100

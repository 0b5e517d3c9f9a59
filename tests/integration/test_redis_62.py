"""Redis 6.2 takes compact tasks as ziplists: what reads, keeps and moves them there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli import run
from tests.conftest import RedisServer, Server
from tests.integration.compact import EACH_LOAD, LOADS, QUEUE, RECORDS, assert_compact, load, payloads
from tests.integration.stored import Consumer, stored

Start = Callable[..., RedisServer]
ZIPLIST = b"ziplist"
LAYOUTS = {"documented": "documented", "runqy": "asynq", "asynq": "asynq"}


@pytest.fixture
def old(redis_62: Server) -> Iterator[Any]:
    with redis_62.client() as client:
        yield client


def tasks(db: Any, kind: str) -> list[tuple[str, dict[bytes, bytes]]]:
    """The pending tasks, in their order, without the time at which they came."""
    found = stored(db, LAYOUTS[kind], QUEUE)
    for _, fields in found:
        fields.pop(b"pending_since", None)
    return found


@EACH_LOAD
def test_what_reads_tasks_sees_no_difference(redis_62: Server, old: Any, tmp_path: Path, kind: str) -> None:
    seen: dict[str, Any] = {}
    shared = ("--redis", redis_62.url, "--quiet")
    for compact in ("always", "never"):
        old.flushall()
        load(redis_62.url, tmp_path, kind, "--job", "j", "--workers", "1", compact=compact)
        if compact == "always":
            assert_compact(old, form=ZIPLIST)
        assert payloads(old, kind) == RECORDS
        exported = run(
            "export", "-q", QUEUE, "-o", f"{compact}.jsonl", "--layout", LAYOUTS[kind], *shared, cwd=tmp_path
        )
        looked = run("inspect", "--redis", redis_62.url, "--json", "-q", QUEUE, cwd=tmp_path)
        assert (exported.status, looked.status) == (0, 0), exported.stderr + looked.stderr
        lines = (tmp_path / f"{compact}.jsonl").read_bytes()
        seen[compact] = tasks(old, kind), lines, json.loads(looked.stdout)["queues"]
    assert seen["always"] == seen["never"]
    assert len(seen["always"][1].splitlines()) == len(RECORDS)

    with Consumer(redis_62, LAYOUTS[kind], QUEUE) as consumer:
        pass
    assert [payload for _, payload in consumer.done] == RECORDS
    assert consumer.hollow == []


@EACH_LOAD
@pytest.mark.parametrize("options", [("--appendonly", "yes"), ("--save", "3600 1")], ids=["log", "snapshot"])
def test_what_keeps_tasks_keeps_them_compact(
    redis_server: Start, tmp_path: Path, kind: str, options: tuple[str, ...]
) -> None:
    process = redis_server(*options, kind="redis-6.2")
    server = process.start()
    load(server.url, tmp_path, kind, "--workers", "1")
    with server.client() as db:
        before = tasks(db, kind)
        if options[0] == "--save":
            db.save()
    process.kill()

    with process.start().client() as db:
        assert tasks(db, kind) == before
        assert_compact(db, form=ZIPLIST)


@EACH_LOAD
def test_a_newer_replica_keeps_them_compact(redis_server: Start, redis_62: Server, tmp_path: Path, kind: str) -> None:
    """As in an upgrade: Redis 7.0 gets the tasks that are there, and then those that come."""
    load(redis_62.url, tmp_path, kind, "--workers", "1")
    with redis_server().start().client() as newer, redis_62.client() as older:
        newer.replicaof("127.0.0.1", redis_62.port)
        load(redis_62.url, tmp_path, kind, "--workers", "1", "--again", "--job", "more")
        assert older.wait(1, 30_000) == 1
        assert tasks(newer, kind) == tasks(older, kind)
        assert_compact(newer, 2 * len(RECORDS))


@EACH_LOAD
def test_migrate_writes_in_the_form_of_each_server(redis_server: Start, redis_62: Server, old: Any, tmp_path: Path,
                                                   kind: str) -> None:  # fmt: skip
    newer = redis_server().start()
    load(redis_62.url, tmp_path, kind, "--workers", "1")
    before = tasks(old, kind)
    given = LOADS[kind][2:4] if kind != "documented" else ()
    layouts = ("--from-layout", LAYOUTS[kind], "--to-layout", LAYOUTS[kind], "--from-queue", QUEUE, "--quiet")
    with newer.client() as there:
        for source, target in ((redis_62, newer), (newer, redis_62)):
            ends = ("--from-redis", source.url, "--to-redis", target.url)
            done = run("migrate", *ends, *layouts, *given, "--move", "--compact", "always", cwd=tmp_path)
            assert (done.status, done.stderr) == (0, "")
            if target is newer:
                assert tasks(there, kind) == before
                assert_compact(there)
    assert tasks(old, kind) == before
    assert_compact(old, form=ZIPLIST)


def test_a_server_that_keeps_few_fields_in_a_ziplist_gets_hsets(redis_server: Start, tmp_path: Path) -> None:
    server = redis_server("--hash-max-ziplist-entries", "4", kind="redis-6.2").start()
    (tmp_path / "in.jsonl").write_text("1\n2\n")

    done = run("load", "in.jsonl", *LOADS["documented"], "--redis", server.url, "--report", "-", cwd=tmp_path)

    assert (done.status, done.report["loaded"], done.report["compact"]) == (0, 2, 0)
    assert "the server makes a hash table of 12 fields" in done.stderr
    assert "Set the server's hash-max-ziplist-entries to 128 or more" in done.stderr

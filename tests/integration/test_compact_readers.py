"""What reads tasks does not tell a compact one from another: export, migrate, wait, inspect."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli import Outcome, run
from tests.conftest import RedisServer, Server
from tests.integration.compact import (
    EACH_LOAD,
    EACH_WAY,
    LOADS,
    QUEUE,
    RECORDS,
    assert_compact,
    encodings,
    hashes,
    load,
    payloads,
    task_keys,
)
from tests.integration.stored import Consumer, payload_of, stored

LAYOUTS = {"documented": "documented", "runqy": "asynq", "asynq": "asynq"}
FEW = RECORDS[:200]


def without_time(fields: dict[bytes, bytes]) -> dict[bytes, bytes]:
    return {name: value for name, value in fields.items() if name != b"pending_since"}


def everything(db: Any) -> dict[bytes, dict[bytes, bytes]]:
    """All hashes, without the time at which they came."""
    return {key: without_time(fields) for key, fields in hashes(db).items()}


@pytest.fixture
def other(redis_server: Callable[..., RedisServer]) -> Server:
    """A second server."""
    return redis_server().start()


@pytest.fixture
def there(other: Server) -> Iterator[Any]:
    with other.client() as client:
        yield client


@EACH_LOAD
def test_a_compact_load_and_one_by_hset_are_the_same_tasks(
    server: Server, client: Any, tmp_path: Path, kind: str
) -> None:
    load(server.url, tmp_path, kind, "--workers", "1", "--job", "j")
    assert_compact(client)
    compact, order = everything(client), payloads(client, kind)
    client.flushall()

    load(server.url, tmp_path, kind, "--workers", "1", "--job", "j", compact="never")

    assert b"hashtable" in encodings(client)
    assert everything(client) == compact
    assert payloads(client, kind) == order == RECORDS


@EACH_LOAD
def test_an_export_has_equal_lines(valkey: Server, db: Any, tmp_path: Path, kind: str) -> None:
    lines = {}
    for compact in ("always", "never"):
        db.flushall()
        load(valkey.url, tmp_path, kind, "--job", "j", "--workers", "1", compact=compact)
        out = ("--layout", LAYOUTS[kind], "--redis", valkey.url, "--quiet")
        done = run("export", "-q", QUEUE, "-o", f"{compact}.jsonl", *out, cwd=tmp_path)
        assert (done.status, done.stderr) == (0, "")
        lines[compact] = (tmp_path / f"{compact}.jsonl").read_bytes().splitlines()

    assert lines["always"] == lines["never"]
    assert len(lines["always"]) == len(RECORDS)


@EACH_LOAD
def test_an_export_of_compact_tasks_is_loaded_compact_again(
    server: Server, client: Any, tmp_path: Path, kind: str
) -> None:
    load(server.url, tmp_path, kind, "--workers", "1")
    before = everything(client)
    shared = ("--redis", server.url, "--quiet", "--layout", LAYOUTS[kind])
    run("export", "-q", QUEUE, "-o", "out.jsonl", *shared, cwd=tmp_path)
    client.flushall()

    back = run("load", "out.jsonl", *LOADS[kind], "--envelope", "--compact", "always", "--redis", server.url,
               "--report", "-", "--quiet", "--workers", "1", cwd=tmp_path)  # fmt: skip

    assert (back.status, back.report["compact"]) == (0, len(RECORDS)), back
    assert_compact(client)
    assert everything(client) == before
    assert payloads(client, kind) == RECORDS


# --- migrate -------------------------------------------------------------------------------------------------------


def migrate(source: Server, target: Server, folder: Path, kinds: tuple[str, str], *more: str) -> Outcome:
    kind = LOADS[kinds[1]]
    given = {name: kind[kind.index(name) + 1] for name in ("--profile", "--type") if name in kind}
    done = run(
        *("migrate", "--from-redis", source.url, "--to-redis", target.url, "--from-queue", QUEUE),
        *("--from-layout", LAYOUTS[kinds[0]], "--to-layout", LAYOUTS[kinds[1]], "--report", "-", "--quiet"),
        *(part for option in given.items() for part in option),
        *more,
        cwd=folder,
    )
    assert (done.status, done.stderr) == (0, ""), done
    assert done.report["migrated"] == len(RECORDS)
    return done


PAIRS = [("documented", "runqy"), ("runqy", "documented"), ("asynq", "asynq"), ("documented", "documented")]
MOVE_OR_COPY = pytest.mark.parametrize("how", [("--move",), ()], ids=["move", "copy"])


@MOVE_OR_COPY
@EACH_WAY
@pytest.mark.parametrize("kinds", PAIRS, ids="-".join)
def test_migrate_writes_compact_tasks_whatever_the_source_has(
    valkey: Server, other: Server, there: Any, tmp_path: Path,
    kinds: tuple[str, str], compact: str, how: tuple[str, ...],
) -> None:  # fmt: skip
    load(valkey.url, tmp_path, kinds[0], "--workers", "1", compact=compact)
    with valkey.client() as here:
        before = everything(here)

        migrate(valkey, other, tmp_path, kinds, "--compact", "always", *how)

        assert_compact(there)
        assert payloads(there, kinds[1]) == RECORDS
        if kinds[0] == kinds[1]:
            assert everything(there) == before
        assert everything(here) == ({} if how else before)


@MOVE_OR_COPY
@EACH_WAY
@pytest.mark.parametrize("kinds", [("documented", "runqy"), ("runqy", "documented"), ("asynq", "asynq")], ids="-".join)
def test_migrate_to_another_queue_of_one_server(
    other: Server, there: Any, tmp_path: Path, kinds: tuple[str, str], compact: str, how: tuple[str, ...]
) -> None:
    load(other.url, tmp_path, kinds[0], "--workers", "1", compact=compact)
    before = {payload_of(fields): fields for fields in everything(there).values() if fields.keys() != {b"queue"}}

    migrate(other, other, tmp_path, kinds, "--to-queue", "other.default", "--compact", "always", *how)

    layout = LAYOUTS[kinds[1]]
    moved = stored(there, layout, "other.default")
    assert [payload_of(fields) for _, fields in moved] == RECORDS
    prefix = "asynq:t:" if layout == "documented" else "asynq:{other.default}:t:"
    assert encodings(there, [f"{prefix}{task_id}".encode() for task_id, _ in moved]) == {b"listpack"}
    if kinds == ("asynq", "asynq"):  # but for the queue, a message says the same
        for _, fields in moved:
            own = before[payload_of(fields)]
            assert fields[b"msg"] == own[b"msg"].replace(b"\x11inference.default", b"\x0dother.default")
    assert payloads(there, kinds[0]) == ([] if how else RECORDS)


def test_what_migrate_moves_is_consumed_by_workers(valkey: Server, other: Server, there: Any, tmp_path: Path) -> None:
    load(valkey.url, tmp_path, "documented", "--workers", "1")
    migrate(valkey, other, tmp_path, ("documented", "runqy"), "--move", "--compact", "always")
    assert_compact(there)

    with Consumer(other, "asynq", QUEUE) as consumer:
        pass

    assert [payload for _, payload in consumer.done] == RECORDS
    assert consumer.hollow == []


def test_migrate_by_hset_if_told_so(valkey: Server, other: Server, there: Any, tmp_path: Path) -> None:
    load(valkey.url, tmp_path, "asynq", "--workers", "1")

    migrate(valkey, other, tmp_path, ("asynq", "asynq"), "--compact", "never")

    assert b"hashtable" in encodings(there)
    assert payloads(there, "asynq") == RECORDS


# --- wait, inspect -------------------------------------------------------------------------------------------------


def work(db: Any, kind: str) -> dict[str, str]:
    """Ends a task in each way in which its layout's workers do; the status of each by id."""
    ids = [key.decode().rpartition(":")[2] for key in sorted(task_keys(db))]
    done, failed, active, waiting = ids[:4]
    keys = {key.decode().rpartition(":")[2]: key for key in task_keys(db)}
    if kind == "documented":
        db.set(f"asynq:result:{done}", '{"ok": true}')
        db.delete(keys[done])
        db.hset(keys[failed], mapping={"state": "archived", "error_msg": "no such model"})
    else:
        db.hset(keys[done], mapping={"state": "completed", "result": '{"ok": true}'})
        db.hset(keys[failed], mapping={"state": "archived", "error_msg": "no such model"})
    db.hset(keys[active], "state", "active")
    for task_id in ids[4:]:
        db.delete(keys[task_id])
    return {done: "completed", failed: "failed", active: "pending", waiting: "pending"}


@EACH_WAY
@EACH_LOAD
def test_wait_and_results(valkey: Server, db: Any, tmp_path: Path, kind: str, compact: str) -> None:
    load(valkey.url, tmp_path, kind, "--ids-out", "ids", lines=FEW, compact=compact)
    if compact == "always":
        assert_compact(db, len(FEW))
    expected = work(db, kind)

    done = run(
        "wait", "--redis", valkey.url, "--ids", "ids", "--out", "out", "--timeout", "0.3", "--quiet", cwd=tmp_path
    )

    assert done.status == 4, done.stderr
    found = [*map(json.loads, (tmp_path / "out").read_text().splitlines())]
    missing = [*map(json.loads, (tmp_path / "out.missing.jsonl").read_text().splitlines())]
    by_id = {line["id"]: line for line in found + missing}
    assert {task_id: by_id[task_id]["status"] for task_id in expected} == expected
    assert {line["status"] for task_id, line in by_id.items() if task_id not in expected} == {"expired"}
    (result,) = (line["result"] for line in found if line["status"] == "completed")
    assert result == {"ok": True}
    (error,) = (line["error"] for line in found if line["status"] == "failed")
    assert error == "no such model"


@EACH_LOAD
def test_inspect_shows_the_same(valkey: Server, db: Any, tmp_path: Path, kind: str) -> None:
    shown = []
    for compact in ("always", "never"):
        db.flushall()
        load(valkey.url, tmp_path, kind, "--job", "j", "--workers", "1", lines=FEW, compact=compact)
        key = max(task_keys(db), key=lambda key: sum(map(len, db.hvals(key))))
        assert db.object("encoding", key) == (b"listpack" if compact == "always" else b"hashtable")
        task_id = key.decode().rpartition(":")[2]
        looked = run("inspect", "--redis", valkey.url, "--json", "--task", task_id, "-q", QUEUE, cwd=tmp_path)
        queues = run("inspect", "--redis", valkey.url, "--json", "-q", QUEUE, cwd=tmp_path)
        assert (looked.status, queues.status) == (0, 0), looked.stderr + queues.stderr
        (task,) = json.loads(looked.stdout)
        for part in (task, task["fields"]):
            part.pop("pending_since", None)
        shown.append((task, json.loads(queues.stdout)["queues"]))

    assert shown[0] == shown[1]
    assert shown[0][1][0]["pending"] == len(FEW)

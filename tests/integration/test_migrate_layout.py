"""Migrate refuses a layout that the target's consumers never see; what it takes away itself is no sign of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli import Outcome, run
from tests.conftest import Server
from tests.consumers import asynq_server, runqy_worker
from tests.integration.stored import numbered, pending_key, push

Q = "q.default"
MOVE_OR_COPY = pytest.mark.parametrize("how", [("--move",), ()], ids=["move", "copy"])


@pytest.fixture
def db(valkey: Server) -> Any:
    with valkey.client() as client:
        yield client


def migrate(server: Server, folder: Path, source: str, target: str, *more: str, to: str | None = None) -> Outcome:
    """Migrates queue ``q`` of a server, to the same server or that of another URL."""
    where = ("--from-redis", server.url, *(("--to-redis", to) if to else ()))
    layouts = ("--from-layout", source, "--to-layout", target)
    return run("migrate", "--from-queue", "q", *where, *layouts, "--quiet", "--report", "-", *more, cwd=folder)


def assert_refused(done: Outcome, db: Any, source: str, *words: str) -> None:
    assert done.status == 1, done
    (line,) = done.stderr.splitlines()
    for word in (*words, "--force-layout"):
        assert word in line
    assert db.keys("*runqy-loader*") == []
    assert db.llen(pending_key(source, Q)) == 10


def assert_migrated(done: Outcome, db: Any, target: str) -> None:
    assert (done.status, done.stderr) == (0, ""), done
    assert db.llen(pending_key(target, Q)) == 10


@MOVE_OR_COPY
def test_a_queue_that_the_targets_workers_would_not_see_is_refused(
    valkey: Server, db: Any, tmp_path: Path, how: tuple[str, ...]
) -> None:
    push(db, "asynq", Q, numbered(10))
    asynq_server(db, Q)

    refused = migrate(valkey, tmp_path, "asynq", "documented", *how)
    forced = migrate(valkey, tmp_path, "asynq", "documented", "--force-layout", *how)

    assert refused.report["status"] == "failed"
    assert refused.report["migrated"] == 0
    assert "served by 1 worker of the asynq layout (host:1)" in refused.stderr
    assert "First start workers that read the documented layout, or give --force-layout" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert_migrated(forced, db, "documented")


def test_nothing_is_left_of_a_refused_migration(valkey: Server, db: Any, tmp_path: Path) -> None:
    push(db, "documented", Q, numbered(10))
    runqy_worker(db, Q, old=True)

    refused = migrate(valkey, tmp_path, "documented", "asynq", "--move")

    assert_refused(
        refused, db, "documented", "worker of the documented layout", "First start workers that read the asynq"
    )


def test_a_person_is_told_why_and_not_to_run_it_again(valkey: Server, db: Any, tmp_path: Path) -> None:
    push(db, "asynq", Q, numbered(10))
    asynq_server(db, Q)

    done = run(
        *("migrate", "--from-queue", "q", "--from-redis", valkey.url, "--from-layout", "asynq", "--to-queue", "r"),
        *("--to-layout", "documented"),
        cwd=tmp_path,
    )

    (line,) = done.stderr.splitlines()
    assert done.status == 1 and line.startswith("runqy-loader: error: ")
    assert "other queues are served by 1 worker of the asynq layout (host:1), not r.default" in line
    assert "Use --to-layout asynq, or give --force-layout" in line


def test_a_job_that_is_under_way_stays_when_it_is_refused(valkey: Server, db: Any, tmp_path: Path) -> None:
    push(db, "asynq", Q, numbered(10))
    assert_migrated(migrate(valkey, tmp_path, "asynq", "documented"), db, "documented")
    asynq_server(db, Q)

    refused = migrate(valkey, tmp_path, "asynq", "documented")

    assert refused.status == 1 and "worker of the asynq layout" in refused.stderr
    (job,) = db.keys("runqy-loader:*:job")
    assert db.hget(job, "state") == b"done"


@MOVE_OR_COPY
@pytest.mark.parametrize("source", ["documented", "asynq"])
def test_the_keys_that_it_takes_tasks_from_are_no_sign(
    valkey: Server, db: Any, tmp_path: Path, source: str, how: tuple[str, ...]
) -> None:
    target = "asynq" if source == "documented" else "documented"
    push(db, source, Q, numbered(10))
    alias = valkey.url.replace("127.0.0.1", "localhost")

    done = migrate(valkey, tmp_path, source, target, *how, to=alias)

    assert_migrated(done, db, target)


def test_such_keys_on_another_server_are_one(valkey: Server, db: Any, redis_server: Any, tmp_path: Path) -> None:
    push(db, "documented", Q, numbered(10))
    other = redis_server().start()
    with other.client() as there:
        push(there, "asynq", Q, [("there-before", b"1")])

        refused = migrate(valkey, tmp_path, "documented", "documented", "--move", to=other.url)
        assert_refused(refused, db, "documented", "has keys of the asynq layout", "Use --to-layout asynq")
        assert there.keys("*runqy-loader*") == []

        done = migrate(valkey, tmp_path, "documented", "asynq", "--move", to=other.url)
        assert (done.status, done.stderr, there.llen(pending_key("asynq", Q))) == (0, "", 11), done

"""Migrate refuses a layout that the target's consumers never see; what it takes away itself is no sign of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli import Outcome, run
from tests.conftest import Server
from tests.consumers import asynq_server, runqy_worker
from tests.integration.stored import numbered, pending_key, push, stored
from tests.integration.tool import assert_error

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


# --- --from-layout auto --------------------------------------------------------------------------------------------


def auto(server: Server, folder: Path, *more: str) -> Outcome:
    where = ("--from-redis", server.url, "--from-queue", "q")
    return run("migrate", *where, *more, "--quiet", "--report", "-", cwd=folder)


@pytest.mark.parametrize("layout", ["documented", "asynq"])
def test_tasks_are_taken_from_the_layout_that_holds_them(valkey: Server, db: Any, tmp_path: Path, layout: str) -> None:
    push(db, layout, Q, numbered(10))

    done = auto(valkey, tmp_path, "--to-queue", "r", "--move")

    assert (done.status, done.report["migrated"]) == (0, 10), done
    assert done.report["source"].startswith(f"q.default ({layout}) on ")
    assert done.report["target"].startswith(f"r.default ({layout}) on ")
    assert len(stored(db, layout, "r.default")) == 10


def test_tasks_in_both_layouts_are_refused(valkey: Server, db: Any, tmp_path: Path) -> None:
    push(db, "documented", Q, numbered(2))
    push(db, "asynq", Q, numbered(3, first=100))

    refused = auto(valkey, tmp_path, "--to-queue", "r", "--move")

    assert (refused.status, refused.report["error_code"]) == (1, "layout_mismatch")
    assert "--from-layout documented or --from-layout asynq" in refused.stderr
    assert db.keys("*runqy-loader*") == []


def test_names_of_plain_asynq_are_looked_for_in_each_layout(valkey: Server, db: Any, tmp_path: Path) -> None:
    push(db, "asynq", "q", numbered(4))

    done = auto(valkey, tmp_path, "--to-queue", "r", "--profile", "asynq", "--move")

    assert (done.status, done.report["migrated"]) == (0, 4), done
    assert len(stored(db, "asynq", "r")) == 4


def test_a_job_that_was_begun_keeps_its_layout_although_the_keys_tell_another(
    valkey: Server, db: Any, tmp_path: Path
) -> None:
    push(db, "documented", Q, numbered(5))
    first = auto(valkey, tmp_path, "--to-queue", "r", "--move")
    db.set("asynq:{q.default}:processed", 1)
    push(db, "documented", Q, numbered(2, first=50))
    db.rename(f"asynq:{Q}:pending", "aside")  # as if all were claimed: no task is pending any more

    again = auto(valkey, tmp_path, "--to-queue", "r", "--move")

    assert (first.status, first.report["migrated"]) == (0, 5)
    assert again.status == 0, again
    assert again.report["job"] == first.report["job"] and again.report["resumed"] is True
    assert again.report["source"].startswith("q.default (documented)")


def test_a_job_that_was_begun_with_its_layout_given_goes_on_without(valkey: Server, db: Any, tmp_path: Path) -> None:
    push(db, "documented", Q, numbered(5))
    copy = ("--to-layout", "asynq", "--to-queue", "r")
    given = auto(valkey, tmp_path, *copy, "--from-layout", "documented")

    again = auto(valkey, tmp_path, *copy, "--from-layout", "documented")
    left_out = auto(valkey, tmp_path, *copy)

    assert (given.status, given.report["migrated"]) == (0, 5), given
    for done in (again, left_out):
        assert (done.status, done.report["already"], done.report["migrated"]) == (0, 5, 0), done
        assert done.report["job"] == given.report["job"] and done.report["resumed"] is True


def test_a_job_that_is_done_says_nothing_about_later_tasks_of_the_other_layout(
    valkey: Server, db: Any, tmp_path: Path
) -> None:
    push(db, "documented", Q, numbered(5))
    first = auto(valkey, tmp_path, "--to-queue", "r", "--move", "--from-layout", "documented")
    db.delete(pending_key("documented", "r.default"))
    push(db, "asynq", Q, numbered(3, first=50))

    second = auto(valkey, tmp_path, "--to-queue", "r", "--move")

    assert (first.status, first.report["migrated"]) == (0, 5), first
    assert (second.status, second.report["migrated"]) == (0, 3), second
    assert second.report["source"].startswith("q.default (asynq)")


@pytest.mark.parametrize("fault", ["no right", "another type"])
def test_a_record_that_cannot_be_read_is_an_error(valkey: Server, db: Any, tmp_path: Path, fault: str) -> None:
    push(db, "documented", Q, numbered(3))
    if fault == "no right":
        db.execute_command("ACL", "SETUSER", "reader", "reset", "on", ">secret", "~*", "+@all", "-hget")
        url, told = valkey.url.replace("//", "//reader:secret@"), "this user may not run a command that is needed"
    else:
        db.set("runqy-loader:{j}:job", "x")
        url, told = valkey.url, "a key holds another type than a task queue needs"

    given = ("--from-queue", "q", "--to-queue", "r", "--move", "--job", "j", "--quiet")
    done = run("migrate", "--from-redis", url, *given, cwd=tmp_path)

    db.execute_command("ACL", "DELUSER", "reader")
    assert_error(done, 1, told, "key runqy-loader:{j}:job")
    assert db.llen(pending_key("documented", Q)) == 3


def test_a_name_that_workers_know_without_runqys_rule_is_refused(valkey: Server, db: Any, tmp_path: Path) -> None:
    push(db, "documented", Q, numbered(3))
    asynq_server(db, "q")

    refused = auto(valkey, tmp_path, "--to-layout", "asynq", "--move")
    meant = run("migrate", "--from-redis", valkey.url, "--from-queue", Q, "--to-layout", "asynq", "--move", "--quiet",
                cwd=tmp_path)  # fmt: skip

    assert (refused.status, refused.report["error_code"]) == (1, "unknown_queue")
    assert "--profile asynq if q is the whole name, or write q.default" in refused.stderr
    assert meant.status == 0, meant

"""``runqy-loader jobs``: which jobs there are, how far they are, and when their records end."""

from __future__ import annotations

import json
import shlex
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loader.layouts.task_message import decode
from tests.cli import Outcome, run
from tests.conftest import Server
from tests.faults.helpers import Load
from tests.faults.proxy import Proxy
from tests.integration.cluster import Cluster
from tests.integration.cluster import cluster as cluster
from tests.integration.stored import as_if_killed, pending_key, push
from tests.integration.test_rollback import all_keys, as_of_an_earlier_version, lines, own_keys
from tests.integration.tool import Redis, Tool, assert_error, assert_fine

DAY_MS = 86_400_000


@pytest.fixture
def target(server: Server) -> Server:
    """Each kind of server in turn."""
    return server


def jobs(tool: Tool, *words: str | Path) -> Outcome:
    return run("jobs", *words, "--redis", tool.url, cwd=tool.folder)


def found(tool: Tool, *words: str | Path) -> Any:
    """What the command says as JSON."""
    done = jobs(tool, *words, "--json")
    assert_fine(done)
    return json.loads(done.stdout)


def load(tool: Tool, *more: str | Path, count: int = 3000) -> Outcome:
    tool.write("in.jsonl", lines(count))
    done = tool.load("in.jsonl", "-q", "q", "--layout", "documented", *more)
    assert_fine(done)
    return done


def test_the_list_has_state_progress_and_end_of_each_job_without_a_search(tool: Tool, db: Redis) -> None:
    load(tool, "--job", "done")
    load(tool, "--job", "killed", "--again")
    as_if_killed(db, "killed", orphans=1000)
    load(tool, "--job", "back", "--again")
    db.lpop("asynq:q.default:pending")
    run("rollback", "back", "--redis", tool.url, "--quiet", cwd=tool.folder)
    db.config_resetstat()

    views = {one["job"]: one for one in found(tool)}

    assert "cmdstat_scan" not in db.info("commandstats")
    assert list(views) == ["done", "killed", "back"], "in the order in which they were begun"
    assert {name: (one["state"], one["tasks"], one["left"]) for name, one in views.items()} == {
        "done": ("finished", 3000, None),
        "killed": ("interrupted", 2000, None),
        "back": ("rolled back", 0, 1),
    }
    assert views["done"]["expires"] == pytest.approx(time.time() + 30 * 86400, abs=600)
    assert views["killed"]["expires"] is None
    assert views["killed"]["go_on"] == (
        f"runqy-loader load in.jsonl --queue q.default --layout documented --job killed --redis {tool.url}"
    )
    assert views["killed"]["rejects"] == str(tool.folder / "killed.rejects.jsonl")
    table = jobs(tool).stdout
    assert "interrupted" in table and "see jobs show JOB" in table


@pytest.mark.parametrize("database", [0, 1])
def test_a_running_job_is_shown_with_its_process_and_a_killed_one_is_not(
    tool: Tool, server: Server, database: int
) -> None:
    tool.write("in.jsonl", lines(20_000))
    tool = replace(tool, url=tool.url.removesuffix("/0") + f"/{database}")
    with Proxy(server.port) as proxy:
        proxy.halt_after(2)
        url = f"redis://127.0.0.1:{proxy.port}/{database}"
        with Load("in.jsonl", "-q", "q", "--job", "j", "--redis", url, "--ids-out", "ids", cwd=tool.folder) as running:
            running.until(lambda: proxy.waiting, "commits wait at the proxy")
            view = found(tool, "show", "j")
            text = jobs(tool, "show", "j").stdout
            refused = jobs(tool, "forget", "j", "--yes")
            running.process.kill()
            running.process.wait()
        proxy.cut()
        after = found(tool, "show", "j")

    assert (view["state"], view["pid"], view["go_on"]) == ("running", running.pid, "")
    assert view["since"] == pytest.approx(time.time(), abs=120)
    assert view["ids"] == str(tool.folder / "ids")
    assert f"process {running.pid} on" in text
    assert_error(refused, 1, f"process {running.pid}", "works on job j, so it is not forgotten")
    assert (after["state"], after["pid"]) == ("interrupted", None)
    assert "--job j" in after["go_on"]


def test_a_forgotten_job_leaves_its_tasks_and_no_key_and_is_loaded_anew(tool: Tool, db: Redis) -> None:
    load(tool, "--job", "j")

    asked, dry = jobs(tool, "forget", "j"), jobs(tool, "forget", "j", "--dry-run", "--yes")
    assert asked.status == 2 and "loaded a second time" in asked.stdout and "--yes" in asked.stderr
    assert dry.status == 0 and "would be forgotten" in dry.stdout
    assert db.exists("runqy-loader:{j}:job")
    assert jobs(tool, "forget", "j", "--yes").status == 0

    assert own_keys(db) == {}
    assert db.llen("asynq:q.default:pending") == 3000
    assert_error(jobs(tool, "show", "j"), 1, "there is no job j on")
    assert load(tool, "--job", "j").report["loaded"] == 3000


def test_a_job_that_is_being_rolled_back_is_not_forgotten(tool: Tool, db: Redis) -> None:
    load(tool, "--job", "j")
    db.hset("runqy-loader:{j}:job", mapping={"state": "undoing", "undone": '{"was":"done"}'})

    assert_error(jobs(tool, "forget", "j", "--yes"), 1, "is being rolled back", "runqy-loader rollback j")
    assert found(tool, "show", "j")["go_on"] == f"runqy-loader rollback j --redis {tool.url}"


def ends(db: Redis) -> set[int]:
    """In how many days, rounded, the keys of jobs end; -1 for those that stay."""
    keys = [key for key in db.keys("*runqy-loader:*") if key != b"runqy-loader:jobs"]
    assert len(keys) >= 5
    return {left if left < 0 else round(left / DAY_MS) for left in map(db.pttl, keys)}


def test_the_keys_of_a_finished_job_end_together_and_a_resume_takes_the_end_away_first(tool: Tool, db: Redis) -> None:
    load(tool, "--job", "j")
    assert ends(db) == {30}
    assert load(tool, "--job", "j", "--keep-job", "7d").report["already_loaded"] == 3000
    assert ends(db) == {7}
    assert load(tool, "--job", "j", "--keep-job", "forever").report["already_loaded"] == 3000
    assert ends(db) == {-1}
    assert jobs(tool, "expire", "j", "2d").status == 0
    assert ends(db) == {2}
    assert jobs(tool, "expire", "j", "forever").status == 0
    assert ends(db) == {-1}


def test_a_job_that_is_not_finished_has_no_end(tool: Tool, db: Redis) -> None:
    load(tool, "--job", "j")
    as_if_killed(db, "j", orphans=1000)

    assert_error(jobs(tool, "expire", "j", "1d"), 1, "job j is not finished, so its record must stay")
    assert ends(db) == {-1}


def test_the_note_of_a_source_stays_while_a_job_needs_it(tool: Tool, db: Redis) -> None:
    load(tool, "--job", "first", "--keep-job", "forever")
    load(tool, "--job", "second", "--again", "--keep-job", "1d")

    (note,) = db.keys("*:source:*")
    assert db.pttl(note) == -1
    jobs(tool, "expire", "first", "3d")
    assert round(db.pttl(note) / DAY_MS) == 3


def test_a_record_whose_time_is_over_is_not_taken_for_the_one_of_a_new_load(tool: Tool, db: Redis) -> None:
    """As the record ends an hour after the ledgers: it is there, and a part of them."""
    load(tool, "--job", "j", "--processes", "1")
    db.hset("runqy-loader:{j}:job", "expires", int(time.time() * 1000) - 1)
    for key in db.keys("*:batches"):
        db.delete(key)
    assert found(tool) == []

    again = load(tool, "--job", "j")

    assert (again.report["loaded"], again.report["resumed"]) == (3000, False)
    assert ends(db) == {30}


def test_a_ledger_that_is_gone_too_early_is_no_reason_to_load_all_again(tool: Tool, db: Redis) -> None:
    load(tool, "--job", "j")
    for key in db.keys("*:batches"):
        db.delete(key)

    refused = tool.load("in.jsonl", "-q", "q", "--layout", "documented", "--job", "j")

    assert_error(refused, 1, "the ledger of job j is not whole", "runqy-loader jobs forget j")
    assert db.llen("asynq:q.default:pending") == 3000
    assert jobs(tool, "forget", "j", "--yes").status == 0
    assert load(tool, "--job", "j").report["loaded"] == 3000


def test_a_ledger_without_a_record_is_said(tool: Tool, db: Redis) -> None:
    load(tool, "--job", "j")
    db.delete("runqy-loader:{j}:job")

    said = run("load", "in.jsonl", "-q", "q", "--job", "j", "--redis", tool.url, "--no-progress", cwd=tool.folder)

    assert said.status == 0
    assert "job j has no record, but a ledger that has 3 batches as loaded" in said.stderr
    assert db.llen("asynq:q.default:pending") == 3000


@pytest.mark.parametrize("layout", ["documented", "asynq"])
def test_clean_deletes_what_was_never_pushed_and_nothing_else(tool: Tool, db: Redis, layout: str) -> None:
    push(db, layout, "q.default", [("other", b"1")])
    tool.write("in.jsonl", lines(3000))
    job = tool.load("in.jsonl", "-q", "q", "--layout", layout, "-w", "1", "--job", "j").report["job"]
    key = pending_key(layout, "q.default")
    db.rpop(key, 5)  # consumers run these, and their hashes are there
    db.ltrim(key, 1000, -1)
    (bitmap,) = db.keys("*:batches")
    db.setbit(bitmap, 2, 0)
    db.hset(f"runqy-loader:{{{job}}}:job", mapping={"state": "loading", "expires": 0})
    before = set(db.keys("*:t:*"))

    dry = found(tool, "clean", "--dry-run")
    assert set(db.keys("*:t:*")) == before
    done = found(tool, "clean")

    # In layout asynq, each has a look-up.
    assert done == dry == [{"job": "j", "deleted": 1000 * (1 if layout == "documented" else 2), "passed_over": ""}]
    assert len(before) - len(db.keys("*:t:*")) == done[0]["deleted"]
    resumed = tool.load("in.jsonl", "-q", "q", "--layout", layout, "--job", "j")
    assert (resumed.status, resumed.report["loaded"], resumed.report["already_loaded"]) == (0, 1000, 2000)
    assert jobs(tool, "clean").stdout == "no unfinished jobs\n"


def test_jobs_of_earlier_versions_are_found_by_a_search(tool: Tool, db: Redis) -> None:
    load(tool, "--job", "old")
    as_of_an_earlier_version(db, "old")
    assert found(tool) == []

    (view,) = found(tool, "--scan")

    assert (view["job"], view["state"], view["tasks"], view["expires"]) == ("old", "finished", 3000, None)
    assert found(tool) == [view]


def test_clean_says_where_an_earlier_version_keeps_it_from_knowing(tool: Tool, db: Redis) -> None:
    load(tool, "--job", "old")
    as_if_killed(db, "old", orphans=1000)
    as_of_an_earlier_version(db, "old")
    keys = set(db.keys("*:t:*"))

    (cleaned,) = found(tool, "clean", "--scan")

    assert cleaned["deleted"] == 0 and "an earlier version" in cleaned["passed_over"]
    assert set(db.keys("*:t:*")) == keys


def test_a_migration_is_listed_and_ends(tool: Tool, db: Redis) -> None:
    push(db, "documented", "q.default", [(f"t{n}", b"1") for n in range(5)])
    migrate = ("migrate", "--from-queue", "q", "--to-layout", "asynq", "--move", "--job", "m", "--from-redis", tool.url)
    assert run(*migrate, cwd=tool.folder).status == 0

    (view,) = found(tool)
    assert (view["kind"], view["state"], view["tasks"]) == ("migrate", "finished", 5)
    assert {round(db.pttl(key) / DAY_MS) for key in db.keys("*runqy-loader:*m*:job")} == {30}
    assert run(*migrate, "--keep-job", "forever", cwd=tool.folder).status == 0
    assert {db.pttl(key) for key in db.keys("*runqy-loader:*m*:job")} == {-1}


def test_in_a_cluster_jobs_are_listed_and_cleaned_up_after(cluster: Cluster, tmp_path: Path) -> None:
    tool = Tool(tmp_path, cluster.url)
    job = load(tool, "--job", "j", "-w", "1").report["job"]
    with cluster.client() as db:
        db.ltrim("asynq:q.default:pending", 1000, -1)
        (bitmap,) = all_keys(db, "*:batches")
        db.setbit(bitmap, 2, 0)
        db.hset(f"runqy-loader:{{{job}}}:job", mapping={"state": "loading", "expires": 0})

        assert [(one["state"], one["tasks"]) for one in found(tool)] == [("interrupted", 2000)]
        assert found(tool, "clean")[0]["deleted"] == 1000
        assert len(all_keys(db, "asynq:t:*")) == 2000
        assert jobs(tool, "forget", "j", "--yes").status == 0
        assert own_keys(db) == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("frob",), "jobs frob is none of its forms"),
        (("show",), "it is written: jobs show JOB"),
        (("expire", "j"), "it is written: jobs expire JOB DURATION"),
        (("expire", "j", "soon"), "must be a duration such as 30d, or forever"),
        (("expire", "j", "0"), "must be longer than 0"),
        (("show", "a b"), "'a b' is no name of a job"),
    ],
)
def test_wrong_use_is_one_line(tool: Tool, words: tuple[str, ...], said: str) -> None:
    assert_error(jobs(tool, *words), 2, said)


@pytest.mark.parametrize(
    "options",
    [
        ("--type", "email", "--max-retry", "9"),
        ("--max-retry", "0", "--rejects", "my.jsonl"),
        ("--layout", "asynq", "--task-timeout", "0", "--header", "a=b c", "--header", "d=", "--retention", "2h"),
        (
            "--layout",
            "asynq",
            "--profile",
            "asynq",
            "--type",
            "t",
            "--deadline",
            "2040-01-01T00:00:00Z",
            "--unique-ttl",
            "90s",
        ),
        ("--ttl-completed", "60s", "--ids-out", "ids.txt"),
    ],
)
def test_the_command_to_go_on_makes_the_tasks_that_the_load_was_begun_with(
    tool: Tool, db: Redis, options: tuple[str, ...]
) -> None:
    tool.write("in.jsonl", lines(30) + b"{\n" + b"".join(b'{"n": %d}\n' % n for n in range(30, 40)))
    begun = tool.load("in.jsonl", "-q", "q", "--job", "j", "-b", "5", "--max-errors", "0", *options)
    assert begun.status == 1, begun
    (view,) = found(tool)
    program, *words = shlex.split(view["go_on"])
    assert program == "runqy-loader"
    done = run(*words, cwd=tool.folder)
    assert done.status == 3, done
    assert "those before have" not in done.stderr
    with_fields = [db.hgetall(key) for key in db.scan_iter("asynq:*") if db.type(key) == b"hash" and b":t:" in key]
    with_fields = [fields for fields in with_fields if fields.keys() != {b"queue"}]  # not look-ups
    kinds = {_kind(fields) for fields in with_fields}
    assert len(with_fields) == 40
    assert len(kinds) == 1
    if "--rejects" in options:
        assert len((tool.folder / "my.jsonl").read_bytes().splitlines()) == 1
        assert not (tool.folder / "j.rejects.jsonl").exists()


def _kind(fields: dict[bytes, bytes]) -> tuple[Any, ...]:
    """What a task has beside its id, payload and times."""
    own = {b"id", b"payload", b"pending_since", b"unique_key", b"msg"}
    kept = sorted((name, value) for name, value in fields.items() if name not in own)
    if b"msg" not in fields:
        return tuple(kept)
    message = decode(fields[b"msg"])
    options = (message.type, message.max_retry, message.timeout, message.deadline, message.retention)
    return (*kept, options, repr(message.headers))

"""``runqy-loader jobs pause``, ``resume`` and ``rate``: what a running load does, and what it says."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

import runqy_loader
from runqy_loader import LoaderError, UsageError
from tests.cli import run
from tests.conftest import Server
from tests.faults.helpers import Load, assert_each_once, numbered, payload
from tests.integration.test_jobs_command import found, jobs
from tests.integration.tool import Redis, Tool, assert_error, assert_fine

PENDING = "asynq:q.default:pending"
FIXED = ("-q", "q", "--layout", "documented", "--no-progress", "--job", "j")


@pytest.fixture
def target(server: Server) -> Server:
    """Each kind of server in turn."""
    return server


def ordered(tool: Tool, *words: str) -> str:
    done = jobs(tool, *words)
    assert_fine(done)
    return done.stdout


def lines_of(first: int, count: int) -> bytes:
    return b"".join(payload(number) + b"\n" for number in range(first, first + count))


def test_a_load_without_options_pauses_and_goes_on(tool: Tool, db: Redis) -> None:
    own = ("-b", "100", "--max-errors", "none", "--report", "report.json")
    with Load("-", *FIXED, *own, "--redis", tool.url, cwd=tool.folder, stdin=subprocess.PIPE) as load:
        load.feed(lines_of(0, 1000))
        load.until(lambda: db.llen(PENDING) == 1000, "the first records are in")
        assert "job j is paused: process " in ordered(tool, "pause", "j")
        load.until_it_says("paused since ")
        load.feed(lines_of(1000, 500))
        time.sleep(0.5)
        assert db.llen(PENDING) == 1000
        (listed,) = found(tool)
        assert listed["state"] == "running"
        assert listed["paused"] == pytest.approx(time.time(), abs=120)
        assert "paused, process " in ordered(tool)
        assert "jobs resume j lets it go on" in ordered(tool, "show", "j")

        assert "job j goes on: process " in ordered(tool, "resume", "j")
        load.until_it_says("going on after ")
        load.until(lambda: db.llen(PENDING) == 1500, "the others are in")
        assert load.process.stdin is not None
        load.process.stdin.close()
        load.process.stdin = None
        assert load.wait().status == 0

    assert_each_once(db, [payload(number) for number in range(1500)])
    held = json.loads((tool.folder / "report.json").read_text())["pace"]["held_seconds"]
    assert held["pause"] >= 0.5
    assert db.hmget("runqy-loader:{j}:job", "paused", "rate") == [b"", b""]


def test_a_finished_job_whose_input_has_more_goes_on_like_any_other(tool: Tool, db: Redis) -> None:
    def load() -> Load:
        return Load("-", *FIXED, "-b", "100", "-w", "1", "--redis", tool.url, cwd=tool.folder, stdin=subprocess.PIPE)

    def state() -> str:
        (listed,) = found(tool)
        return str(listed["state"])

    with load() as first:
        first.feed(lines_of(0, 1000))
        first.process.stdin.close()  # type: ignore[union-attr]
        first.process.stdin = None
        assert first.wait().status == 0
    assert state() == "finished"
    with load() as running:
        running.feed(lines_of(0, 1500))
        running.until(lambda: db.llen(PENDING) == 1500, "what is new is in")
        assert "job j is paused: process " in ordered(tool, "pause", "j")
        running.until_it_says("paused since ")
        ordered(tool, "resume", "j")
        running.signal(signal.SIGKILL)
        running.wait()
    assert state() == "interrupted"

    (bitmap,) = db.keys("*:batches")
    db.setbit(bitmap, 14, 0)  # as if its last batch had been written, and not pushed
    db.ltrim(PENDING, 100, -1)
    assert_fine(run("rollback", "j", "--redis", tool.url, "--quiet", cwd=tool.folder))
    assert db.keys("asynq:t:*") == []


def test_a_rate_is_followed_by_a_running_load_and_by_the_next_run(tool: Tool, db: Redis) -> None:
    lines = numbered(tool.folder / "in.jsonl", 4000)
    with Load("in.jsonl", *FIXED, "--rate", "10/s", "-b", "10", "--redis", tool.url, cwd=tool.folder) as load:
        load.until(lambda: db.llen(PENDING), "it loads")
        assert "is loaded at 500 tasks/s" in ordered(tool, "rate", "j", "500/s")
        load.until_it_says("loading at 500 tasks/s")
        load.signal(signal.SIGINT)
        assert load.wait().status == 130
    assert "at 500/s, see jobs show JOB" in ordered(tool)

    with Load("in.jsonl", *FIXED, "--redis", tool.url, cwd=tool.folder) as load:
        load.until_it_says("loading at 500 tasks/s")
        assert "as its own options say" in ordered(tool, "rate", "j", "none")
        load.until_it_says("the rate is again as the options of this load say")
        assert load.wait().status == 0
    assert_each_once(db, lines)


def test_a_pause_outlives_the_run_and_holds_several_processes(tool: Tool, db: Redis) -> None:
    lines = numbered(tool.folder / "in.jsonl", 9000, width=6000)  # four shards
    with Load("in.jsonl", *FIXED, "--max-pending", "500", "--redis", tool.url, cwd=tool.folder) as load:
        load.until_it_says("waiting for room")
        load.signal(signal.SIGINT)
        assert load.wait().status == 130
    assert "job j is paused: nobody loads it now" in ordered(tool, "pause", "j")
    before = db.llen(PENDING)

    shared = ("--processes", "3", "--report", "report.json", "--redis", tool.url)
    with Load("in.jsonl", *FIXED, *shared, cwd=tool.folder) as load:
        load.until_it_says("paused since ")
        time.sleep(1.0)
        assert db.llen(PENDING) == before
        ordered(tool, "rate", "j", "1000000/s")
        load.until_it_says("loading at 1,000,000 tasks/s")
        ordered(tool, "resume", "j")
        assert load.wait().status == 0

    assert_each_once(db, lines)
    report = json.loads((tool.folder / "report.json").read_text())
    assert report["processes"] == 3
    assert report["pace"]["held_seconds"]["pause"] >= 1.0


def test_ctrl_c_ends_a_paused_load(tool: Tool, db: Redis) -> None:
    lines = numbered(tool.folder / "in.jsonl", 2000)
    with Load("in.jsonl", *FIXED, "--max-pending", "1", "--redis", tool.url, cwd=tool.folder) as load:
        load.until_it_says("waiting for room")
        ordered(tool, "pause", "j")
        load.until_it_says("paused since ")
        load.signal(signal.SIGINT)
        outcome = load.wait()
        assert outcome.status == 130
        assert "the job stays paused: runqy-loader jobs resume j, with the --redis of this load, lets" in outcome.stderr

    ordered(tool, "resume", "j")
    assert_fine(tool.load("in.jsonl", *FIXED))
    assert_each_once(db, lines)


def test_a_job_that_does_not_go_on_takes_no_orders(tool: Tool, db: Redis) -> None:
    numbered(tool.folder / "in.jsonl", 10)
    assert_fine(tool.load("in.jsonl", *FIXED))

    for words in (("pause", "j"), ("resume", "j"), ("rate", "j", "5/s")):
        assert_error(jobs(tool, *words), 1, "job j is finished", "runqy-loader jobs")
    assert_error(jobs(tool, "pause", "nobody"), 1, "there is no job nobody", "over HTTP")
    assert_error(jobs(tool, "rate", "j", "much"), 2, "'much' is no rate", "write none")
    assert_error(jobs(tool, "rate", "j", "0"), 2, "a rate must be above 0", "jobs pause JOB")
    assert_error(jobs(tool, "pause"), 2, "it is written: jobs pause JOB")


def test_a_migration_takes_no_orders(tool: Tool, db: Redis) -> None:
    numbered(tool.folder / "in.jsonl", 10)
    assert_fine(tool.load("in.jsonl", *FIXED))
    moving = ("--from-queue", "q", "--to-layout", "asynq", "--move", "--from-redis", tool.url)
    done = run("migrate", *moving, "--job", "m", "--quiet", cwd=tool.folder)
    assert done.status == 0, done.stderr

    assert_error(jobs(tool, "pause", "m"), 1, "is a migration, which takes no orders")


def test_orders_end_with_the_record(tool: Tool, db: Redis) -> None:
    numbered(tool.folder / "in.jsonl", 2000)
    with Load("in.jsonl", *FIXED, "--max-pending", "1", "--redis", tool.url, cwd=tool.folder) as load:
        load.until_it_says("waiting for room")
        load.signal(signal.SIGINT)
        load.wait()
    ordered(tool, "pause", "j")

    assert jobs(tool, "forget", "j", "--yes").status == 0

    assert db.hkeys("runqy-loader:{j}:job") == [b"runs"]


def test_from_python(tool: Tool, db: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tool.folder)

    async def records() -> Any:
        for number in range(2000):
            yield {"n": number}

    async def load_beside() -> None:
        work = asyncio.create_task(
            runqy_loader.load(records(), queue="q", redis=tool.url, job="j", rate="100/s", layout="documented")
        )
        while not db.llen(PENDING):
            await asyncio.sleep(0.01)
        assert (await runqy_loader.pause_job("j", redis=tool.url)).paused is not None
        assert (await runqy_loader.change_job_rate("j", 0.00001, redis=tool.url)).rate == 0.00001
        assert (await runqy_loader.change_job_rate("j", "50k/s", redis=tool.url)).rate == 50_000
        assert (await runqy_loader.resume_job("j", redis=tool.url)).paused is None
        report = await work
        assert report.loaded == 2000
        with pytest.raises(UsageError, match="no rate"):
            await runqy_loader.change_job_rate("j", "much", redis=tool.url)
        for stopped in (0, 0.0, "0", "0/h", "0." + 400 * "0" + "1"):
            with pytest.raises(UsageError, match="a rate must be above 0"):
                await runqy_loader.change_job_rate("j", stopped, redis=tool.url)
        with pytest.raises(LoaderError, match="job j is finished"):
            await runqy_loader.pause_job("j", redis=tool.url)

    asyncio.run(load_beside())


def test_the_file_of_a_paused_job_is_not_lost_to_another_run(tool: Tool, db: Redis, tmp_path: Path) -> None:
    """A paused load holds its lease: a second one is refused."""
    numbered(tool.folder / "in.jsonl", 2000)
    with Load("in.jsonl", *FIXED, "--max-pending", "1", "--redis", tool.url, cwd=tool.folder) as load:
        load.until_it_says("waiting for room")
        ordered(tool, "pause", "j")
        load.until_it_says("paused since ")
        assert_error(tool.load("in.jsonl", *FIXED), 1, "job j is being loaded by process")
        load.signal(signal.SIGINT)
        load.wait()

"""What keeps a load from disturbing others: it waits for room, for memory and for hours, and slows down."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RedisServer, Server
from tests.faults.helpers import HANG, Load, assert_each_once, numbered, until
from tests.integration.cluster import Cluster
from tests.integration.cluster import cluster as cluster
from tests.integration.tool import Redis, Tool, assert_error, assert_fine

PENDING = "asynq:q.default:pending"
FIXED = ("-q", "q", "--layout", "documented", "--no-progress")


@pytest.fixture
def target(server: Server) -> Server:
    """Each kind of server in turn."""
    return server


def begin(tool: Tool, *more: str | Path) -> Load:
    return Load("in.jsonl", *FIXED, "--redis", tool.url, "--report", "report.json", *more, cwd=tool.folder)


def report(tool: Tool) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((tool.folder / "report.json").read_text())
    return found


def interrupt(load: Load) -> None:
    """Ctrl-C, once: a load that waits ends well."""
    load.signal(signal.SIGINT)
    assert load.wait().status == 130


def test_a_load_waits_while_its_queue_is_long_and_goes_on_as_it_is_consumed(tool: Tool, db: Redis) -> None:
    lines = numbered(tool.folder / "in.jsonl", 5000)
    longest = taken = 0
    kept: list[bytes] = []

    with begin(tool, "--max-pending", "500", "-b", "100") as load:
        load.until_it_says("waiting for room: q.default had ")
        while len(kept) < len(lines):
            longest = max(longest, db.llen(PENDING))
            taken += 1
            kept += db.rpop(PENDING, 50) or []
            assert taken < 100_000
        outcome = load.wait()

    assert outcome.status == 0
    assert 400 < longest < 600
    assert outcome.stderr.count("waiting for room") == 1, "it is told once"
    db.lpush(PENDING, *kept)
    assert_each_once(db, lines)
    held = report(tool)["pace"]["held_seconds"]
    assert list(held) == ["max-pending"]
    assert held["max-pending"] > 0


def test_ctrl_c_ends_a_load_that_waits_and_the_same_command_goes_on(tool: Tool, db: Redis) -> None:
    lines = numbered(tool.folder / "in.jsonl", 3000)

    with begin(tool, "--max-pending", "1", "--job", "j") as load:
        load.until_it_says("waiting for room")
        interrupt(load)

    assert db.llen(PENDING) == 1000
    assert db.exists("runqy-loader:{j}:lease") == 0
    assert report(tool)["pace"]["sent"] == 1000
    assert_fine(tool.load("in.jsonl", *FIXED, "--job", "j"))
    assert_each_once(db, lines)


def test_a_load_that_waits_keeps_its_lease(tool: Tool, db: Redis) -> None:
    numbered(tool.folder / "in.jsonl", 3000)

    with begin(tool, "--max-pending", "1", "--job", "j") as load:
        load.until_it_says("waiting for room")
        db.pexpire("runqy-loader:{j}:lease", 9_000)
        load.until(lambda: db.pttl("runqy-loader:{j}:lease") > 10_000, "it is renewed")
        interrupt(load)


def test_outside_of_its_hours_a_load_says_until_when_it_waits(tool: Tool, db: Redis) -> None:
    numbered(tool.folder / "in.jsonl", 10)
    opens = datetime.now(UTC) + timedelta(hours=3)
    hours = f"{opens:%H}:00-{opens + timedelta(hours=1):%H}:00 UTC"

    with begin(tool, "--only-between", hours) as load:
        load.until_it_says(f"waiting until {opens:%Y-%m-%d %H}:00 UTC (--only-between {hours})")
        assert db.llen(PENDING) == 0
        interrupt(load)

    assert_fine(tool.load("in.jsonl", *FIXED, "--only-between", "00:00-24:00 UTC"))
    assert db.llen(PENDING) == 10


def test_hours_hold_a_load_that_goes_nowhere_too(tmp_path: Path) -> None:
    numbered(tmp_path / "in.jsonl", 10)
    opens = datetime.now(UTC) + timedelta(hours=3)
    hours = f"{opens:%H}:00-{opens + timedelta(hours=1):%H}:00 UTC"

    with Load("in.jsonl", "-q", "q", "--redis", "discard", "--only-between", hours, cwd=tmp_path) as load:
        load.until_it_says("waiting until ")
        interrupt(load)


def test_a_slow_server_slows_a_load_down_and_does_not_stop_it(tool: Tool, db: Redis) -> None:
    lines = numbered(tool.folder / "in.jsonl", 8000)

    with begin(tool, "--max-latency", "1us") as load:
        outcome = load.wait()

    assert outcome.status == 0
    assert "slowing down: Redis took " in outcome.stderr
    assert outcome.stderr.count("the load is at its lowest rate, 1,000/s") == 1
    assert_each_once(db, lines)
    assert report(tool)["pace"]["held_seconds"]["max-latency"] > 1
    assert report(tool)["processes"] == 1


def test_the_process_that_measures_ends_with_a_load_that_is_killed(tool: Tool, db: Redis) -> None:
    numbered(tool.folder / "in.jsonl", 50_000)

    def measures() -> bool:
        return any(one["name"] == "runqy-loader-probe" for one in db.client_list())

    with begin(tool, "--max-latency", "1us") as load:
        load.until(measures, "the latency is measured")
        load.kill()
    until(lambda: not measures(), "nothing is measured any more")


def test_a_silent_server_is_waited_for_under_all_limits(tool: Tool, db: Redis) -> None:
    """Also the questions of limits are repeated when the server answers again."""
    lines = numbered(tool.folder / "in.jsonl", 6000)

    with begin(tool, "--max-pending", "100000", "--max-latency", "1us", "--timeout", "1") as load:
        load.until(lambda: db.llen(PENDING) > 500, "it loads")
        db.client_kill_filter(_type="normal", skipme=True)
        outcome = load.wait()

    assert outcome.status == 0, outcome.stderr
    assert_each_once(db, lines)


def test_a_load_that_was_held_beyond_the_idle_timeout_of_the_server_goes_on(
    tmp_path: Path, redis_server: Callable[..., RedisServer]
) -> None:
    server = redis_server("--timeout", "1").start()
    tool, db = Tool(tmp_path, server.url), server.client()
    lines = numbered(tool.folder / "in.jsonl", 3000)

    with begin(tool, "--max-pending", "1000", "--workers", "1") as load:
        load.until_it_says("waiting for room")
        open_ones = len(db.client_list())
        load.until(lambda: len(db.client_list()) < open_ones, "the idle connection of the worker is closed")
        kept = db.rpop(PENDING, 1000)
        load.until(lambda: db.llen(PENDING) >= 1000, "it goes on")
        kept += db.rpop(PENDING, 1000)
        assert load.wait().status == 0
    db.lpush(PENDING, *kept)
    assert_each_once(db, lines)
    db.close()


@pytest.fixture
def small(redis_server: Callable[..., RedisServer]) -> Server:
    """A server with 32 MB below its limit."""
    return redis_server("--maxmemory", "32mb", "--maxmemory-policy", "noeviction").start()


def test_a_load_waits_for_memory_and_goes_on_when_there_is_some(tmp_path: Path, small: Server) -> None:
    tool, db = Tool(tmp_path, small.url), small.client()
    lines = numbered(tool.folder / "in.jsonl", 3000)
    pieces = [f"ballast:{number}" for number in range(160)]
    for piece in pieces:
        db.set(piece, b"x" * 100_000)

    with begin(tool, "--memory-headroom", "50%") as load:
        load.until_it_says("waiting for memory: ")
        assert db.llen(PENDING) == 0
        db.delete(*pieces)
        until(lambda: db.info("memory")["used_memory"] < 16_000_000, "the server has freed it")
        assert load.wait().status == 0

    assert_each_once(db, lines)
    assert report(tool)["pace"]["held_seconds"]["memory-headroom"] > 0
    db.close()


def test_a_load_larger_than_the_memory_is_loaded_as_consumers_make_room(tmp_path: Path, small: Server) -> None:
    tool, db = Tool(tmp_path, small.url), small.client()
    count = 2000
    numbered(tool.folder / "in.jsonl", count, width=40_000)  # 80 MB
    done = 0

    with begin(tool, "--memory-headroom", "8MB", "-b", "20") as load:
        load.until_it_says("waiting for memory: ")
        deadline = time.monotonic() + HANG
        while done < count and time.monotonic() < deadline:
            if (task := db.rpop(PENDING)) is not None:
                db.delete(b"asynq:t:" + task)
                done += 1
        assert load.wait().status == 0

    assert done == count
    db.close()


def test_a_headroom_needs_a_limit_that_is_larger(tool: Tool, tmp_path: Path, small: Server) -> None:
    numbered(tool.folder / "in.jsonl", 10)

    assert_error(tool.load("in.jsonl", *FIXED, "--memory-headroom", "10%"), 2, "maxmemory, and the server has none")
    refused = Tool(tmp_path, small.url).load("in.jsonl", *FIXED, "--memory-headroom", "1GB")
    assert_error(refused, 2, "as much as the server's maxmemory", "raise maxmemory")


def test_on_a_cluster_each_queue_has_its_own_limit(tmp_path: Path, cluster: Cluster) -> None:
    tool = Tool(tmp_path, cluster.url)
    lines = [b'{"n":%d,"queue":"q%d"}' % (number, number % 3) for number in range(3000)]
    tool.write("in.jsonl", b"\n".join(lines))

    done = tool.load(
        "in.jsonl", "--queue-field", "queue", "--layout", "documented", "--max-pending", "5000", "--max-latency", "1s"
    )

    assert_fine(done)
    assert done.report["loaded"] == 3000
    assert done.report["processes"] == 1

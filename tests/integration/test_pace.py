"""Paced loads: tasks are sent when they are due, and what a slow server does to them is told."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli import Outcome, command, environment, read_until, run
from tests.conftest import RedisServer, Server
from tests.faults.helpers import HANG, until
from tests.integration.tool import Redis, Tool, assert_error, assert_fine, counts, payloads
from tests.runqy_api import KEY, RunqyApi

PENDING = "asynq:q.default:pending"


def numbers(count: int) -> bytes:
    return b"".join(b"%d\n" % number for number in range(count))


def begun(tool: Tool, *arguments: str) -> subprocess.Popen[bytes]:
    """A quiet run that goes on, with its report on standard output."""
    return subprocess.Popen(
        command("load", *arguments, "--redis", tool.url, "--report", "-", "--quiet"),
        cwd=tool.folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def ended(process: subprocess.Popen[bytes]) -> Outcome:
    stdout, stderr = process.communicate(timeout=60)
    return Outcome(process.returncode, stdout.decode(), stderr.decode())


@pytest.mark.parametrize("layout", ["documented", "asynq"])
def test_a_rate_is_held_in_both_layouts_and_the_report_tells_it(tool: Tool, db: Redis, layout: str) -> None:
    tool.write("in.jsonl", numbers(300))

    done = tool.load("in.jsonl", "-q", "q", "--layout", layout, "--rate", "200/s")

    assert_fine(done)
    report = done.report
    assert counts(done) == (300, 300, 0, 0)
    assert report["seconds"] >= 299 / 200
    assert report["batches"] == 300
    pace, latency = report["pace"], report["latency"]
    assert (pace["profile"], pace["intended"], pace["sent"], pace["held_seconds"]) == ("200/s", 300, 300, {})
    assert pace["worst_second_error"] is not None
    assert pace["jitter"]["p50"] <= pace["jitter"]["p99"] <= pace["jitter"]["max"]
    assert (latency["unit"], latency["count"]) == ("ms", 300)
    order = [latency[name] for name in ("min", "p50", "p90", "p99", "p99_9", "max")]
    assert order == sorted(order) and order[0] > 0


def test_a_load_without_a_pace_has_neither(tool: Tool) -> None:
    tool.write("in.jsonl", numbers(3))
    done = tool.load("in.jsonl", "-q", "q")
    assert_fine(done)
    assert (done.report["pace"], done.report["latency"]) == (None, None)


@pytest.mark.parametrize(
    ("profile", "seconds"),
    [("ramp(50/s, 250/s, 1s)", 1.0), ("steps(50/s, 200/s, 1s)", 1.4), ("sine(0, 300/s, 1s)", 0.9)],
)
def test_a_profile_takes_as_long_as_it_says(tool: Tool, profile: str, seconds: float) -> None:
    tool.write("in.jsonl", numbers(151))
    done = tool.load("in.jsonl", "-q", "q", "--rate", profile)
    assert_fine(done)
    assert done.report["pace"]["profile"] == profile
    assert done.report["seconds"] >= seconds * 0.99


def test_a_rate_file_is_followed(tool: Tool) -> None:
    tool.write("in.jsonl", numbers(51))
    tool.write("rates.csv", "time,rate\n0,0\n1s,100/s\n")
    done = tool.load("in.jsonl", "-q", "q", "--rate-file", "rates.csv")
    assert_fine(done)
    assert done.report["pace"]["profile"] == "rates of rates.csv"
    assert done.report["seconds"] >= 0.99


def test_a_server_that_stalls_shows_in_the_latencies_of_all_that_was_due(
    redis_server: Callable[..., RedisServer], tmp_path: Path
) -> None:
    own = redis_server()
    tool = Tool(tmp_path, own.start().url)
    tool.write("in.jsonl", numbers(500))
    loading = begun(tool, "in.jsonl", "-q", "q", "--rate", "100/s")
    with own.client() as client:
        until(lambda: client.llen(PENDING) > 50, "some tasks are in")
    assert own.process is not None
    own.process.send_signal(signal.SIGSTOP)
    time.sleep(1.0)
    own.process.send_signal(signal.SIGCONT)

    done = ended(loading)

    assert_fine(done)
    latency = done.report["latency"]
    assert latency["count"] == 500
    assert latency["max"] >= 900
    assert latency["p99"] >= 800  # not only the tasks that were on their way when it began
    assert done.report["pace"]["worst_second_error"] > 0.1
    assert done.report["seconds"] >= 499 / 100


@pytest.mark.parametrize("again", [("--rate", "20000/s"), (), ("--rate", "1000/s", "-b", "7")])
def test_an_interrupted_load_is_resumed_at_another_rate_or_at_none(tool: Tool, db: Redis, again: Any) -> None:
    tool.write("in.jsonl", numbers(2000))
    loading = begun(tool, "in.jsonl", "-q", "q", "--rate", "100/s")
    until(lambda: db.llen(PENDING) > 5, "some tasks are in")
    loading.send_signal(signal.SIGINT)
    stopped = ended(loading)
    assert stopped.status == 130, stopped.stderr
    before = stopped.report["loaded"]
    assert 5 < before < 2000
    assert before <= stopped.report["pace"]["intended"]

    done = tool.load("in.jsonl", "-q", "q", *again)

    assert_fine(done)
    assert done.report["resumed"]
    assert counts(done) == (2000, 2000 - before, before, 0)
    assert done.report["batches"] == done.report["loaded"]  # the job began with one task a batch
    assert sorted(map(int, payloads(db, "q.default"))) == list(range(2000))


def test_a_job_that_began_without_a_rate_keeps_its_batches_with_one(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b"".join([numbers(3000), b"bad\n", numbers(500)]))
    assert_error(tool.load("in.jsonl", "-q", "q", "--job", "j", "--max-errors", "0"), 1, "in.jsonl:3001")

    done = tool.load("in.jsonl", "-q", "q", "--job", "j", "--rate", "2000/s")

    assert_fine(done, 3)
    assert done.report["batches"] == 1
    assert done.report["pace"]["sent"] == done.report["loaded"] == 500


@pytest.mark.parametrize(("batch", "warns"), [("1", False), ("10", False), ("100", True)])
def test_batches_that_are_large_for_the_rate_are_told(valkey: Server, tmp_path: Path, batch: str, warns: bool) -> None:
    (tmp_path / "in.jsonl").write_bytes(numbers(10))
    done = run(*("load", "in.jsonl", "-q", "q", "--redis", valkey.url, "--rate", "500/s", "-b", batch), cwd=tmp_path)
    assert done.status == 0, done.stderr
    told = "batches of 100 tasks are large for this pace: at 500/s, one is sent every 0.2 s" in done.stderr
    assert told == warns


@pytest.mark.parametrize("option", [("--dry-run",), ("--preview", "10")])
def test_what_writes_nothing_waits_for_nothing(tool: Tool, option: tuple[str, ...]) -> None:
    tool.write("in.jsonl", numbers(10))
    done = run(
        "load", "in.jsonl", "-q", "q", *option, "--rate", "1/h", "--layout", "asynq", cwd=tool.folder, timeout=60
    )
    assert done.status == 0, done.stderr


def test_what_is_in_already_is_not_paced(tool: Tool) -> None:
    tool.write("in.jsonl", numbers(500))
    assert_fine(tool.load("in.jsonl", "-q", "q", "-b", "1"))
    done = tool.load("in.jsonl", "-q", "q", "--rate", "1/h")
    assert_fine(done)
    assert counts(done) == (500, 0, 500, 0)
    assert done.report["latency"]["count"] == done.report["pace"]["sent"] == 0


def test_an_interrupt_wakes_a_load_that_waits_for_an_hour(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", numbers(100))
    loading = begun(tool, "in.jsonl", "-q", "q", "--rate", "1/h")
    until(lambda: db.llen(PENDING) == 1, "the first task is in")
    loading.send_signal(signal.SIGINT)
    stopped = ended(loading)
    assert stopped.status == 130, stopped.stderr
    assert stopped.report["loaded"] == stopped.report["pace"]["intended"] == 1


def test_the_time_before_a_task_is_due_is_no_part_of_retry_for(
    redis_server: Callable[..., RedisServer], tmp_path: Path
) -> None:
    own = redis_server("--appendonly", "yes", "--appendfsync", "always")
    tool = Tool(tmp_path, own.start().url)
    tool.write("in.jsonl", numbers(2))
    loading = begun(tool, "in.jsonl", "-q", "q", "--rate", "12/min", "--retry-for", "4s")
    with own.client() as client:
        until(lambda: client.llen(PENDING) == 1, "the first task is in")
    time.sleep(4.3)  # longer than a fault is retried; the second task is due soon
    own.kill()
    time.sleep(1.2)
    own.start()
    done = ended(loading)
    assert done.status == 0, done.stderr
    assert counts(done) == (2, 2, 0, 0)


def test_generated_records_are_paced(tool: Tool) -> None:
    tool.write("t.json", '{"n": "{{ sequence }}"}')
    done = tool.load("--generate", "t.json", "--count", "100", "-q", "q", "--rate", "100/s")
    assert_fine(done)
    assert counts(done) == (100, 100, 0, 0)
    assert done.report["seconds"] >= 99 / 100


def test_a_pace_means_one_process(tool: Tool) -> None:
    tool.write("in.jsonl", numbers(50))
    given = ("load", "in.jsonl", "-q", "q", "--redis", tool.url, "--rate", "1000", "--processes", "4")
    done = run(*given, "--report", "-", cwd=tool.folder)
    assert (done.status, done.report["processes"]) == (0, 1)
    assert "--processes 4 is not used: a load with --rate is sent by one process" in done.stderr


@pytest.mark.parametrize(
    ("times", "speed", "seconds"),
    [
        (["2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", "2026-01-01T00:00:00Z"], "1x", 1.0),
        ([1767225600_000, 1767225604_000, None], "4x", 1.0),
    ],
)
def test_a_replay_keeps_the_gaps(tool: Tool, db: Redis, times: list[Any], speed: str, seconds: float) -> None:
    tool.write("in.jsonl", "".join(json.dumps({"at": {"sent": time}}) + "\n" for time in times))
    done = tool.load("in.jsonl", "-q", "q", "-w", "1", "--replay", "at.sent", "--speed", speed, "--set", "n=`1`")
    assert done.status == 0, done.stderr
    assert done.report["seconds"] >= seconds
    assert done.report["pace"]["profile"] == f"times in at.sent at {speed}"
    assert [json.loads(payload)["at"]["sent"] for payload in payloads(db, "q.default")] == times


def test_a_replay_of_records_without_the_field_sends_nothing(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", '{"at": 1767225600}\n{"at": 1767225601}\n')
    done = tool.load("in.jsonl", "-q", "q", "--replay", "sent")
    assert_error(done, 2, "--replay sent: the first record to send has no time in this field")
    assert db.llen(PENDING) == 0


@pytest.fixture
def api() -> Iterator[RunqyApi]:
    with RunqyApi() as api:
        yield api


@pytest.mark.parametrize("mode", ["batch", "single"])
def test_a_load_over_http_is_paced_as_well(api: RunqyApi, tmp_path: Path, mode: str) -> None:
    (tmp_path / "in.jsonl").write_bytes(numbers(50))
    done = run(
        *("load", "in.jsonl", "--to", api.url, "-q", "q", "--http-mode", mode, "--rate", "100", "--report", "-"),
        cwd=tmp_path,
        env={"RUNQY_API_KEY": KEY},
    )
    assert done.status == 0, done.stderr
    assert done.report["seconds"] >= 49 / 100
    assert (done.report["latency"]["count"], done.report["pace"]["sent"], len(api.tasks)) == (50, 50, 50)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--rate", "fast"), "--rate must be a rate or a profile ('fast' is no rate"),
        (("--rate", "0"), "must be above 0"),
        (("--rate", "ramp(1/s, 2/s)"), "write ramp(FROM, TO, DURATION)"),
        (("--rate", "5", "--replay", "at"), "--rate and --replay contradict each other"),
        (("--rate", "5", "--rate-file", "r.csv"), "--rate and --rate-file contradict each other"),
        (("--speed", "2x"), "--speed needs --replay"),
        (("--replay", "at", "--speed", "soon"), "--speed must be a number above 0"),
        (("--rate-file", "missing.csv"), "--rate-file missing.csv cannot be read"),
    ],
)
def test_a_wrong_pace_is_refused_before_anything_is_written(
    tool: Tool, db: Redis, arguments: tuple[str, ...], words: str
) -> None:
    tool.write("in.jsonl", numbers(3))
    assert_error(tool.load("in.jsonl", "-q", "q", *arguments), 2, words)
    assert db.keys() == []


def test_the_parts_of_the_closing_lines_fit_a_terminal(valkey: Server, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(numbers(300))
    given = ("load", "in.jsonl", "-q", "q", "--redis", valkey.url, "--rate", "ramp(100/s, 300/s, 1s)")
    done = run(*given, cwd=tmp_path)
    said = {line.split()[0]: line for line in done.stderr.splitlines() if line.startswith("  ")}
    assert {"due", "off", "latency"} <= said.keys()
    assert max(map(len, said.values())) <= 80


def test_progress_is_told_although_the_server_does_not_answer(
    redis_server: Callable[..., RedisServer], tmp_path: Path
) -> None:
    own = redis_server()
    url = own.start().url
    assert own.process is not None
    (tmp_path / "in.jsonl").write_text("1\n" * 100_000)
    patient = ("--timeout", "3600", "--retry-for", "3600")
    arguments = command("load", "in.jsonl", "-q", "q", "--rate", "100/s", "--redis", url, *patient)
    with subprocess.Popen(arguments, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE) as running:
        assert running.stderr is not None
        try:
            said = read_until(running.stderr.fileno(), " pending\n")
            own.process.send_signal(signal.SIGSTOP)
            told = said.count(b" loaded ")
            said = read_until(running.stderr.fileno(), " loaded ", said, times=told + 3, seconds=HANG)
        finally:
            own.process.send_signal(signal.SIGCONT)
            running.kill()

    assert running.returncode == -signal.SIGKILL, said.decode()  # it had not ended

"""``runqy-loader plan``: what it prints, from figures and from a measurement."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from loader.planning.figures import own_figures
from tests.cli import Outcome, command, environment, run
from tests.conftest import Server

BILLION = ("plan", "--tasks", "1e9", "--payload", "300")


def _plan(folder: Path, *arguments: str) -> dict[str, Any]:
    outcome = run(*arguments, "--json", cwd=folder)
    assert outcome.status == 0, outcome.stderr
    found: dict[str, Any] = json.loads(outcome.stdout)
    return found


def _value(found: dict[str, Any], name: str) -> float:
    value: float = found["figures"][name]["value"]
    return value


@pytest.mark.parametrize(
    "more",
    [
        (),
        ("--memory", "64GB", "--hours", "1", "--network", "10Gbit", "--workers-rate", "20000/s", "--replicas", "2"),
        ("--layout", "asynq", "--server", "valkey-9.1", "--persistence", "rdb", "--servers", "7", "--cores", "3"),
        ("--layout", "asynq", "--profile", "asynq", "--persistence", "aof-always", "--compact", "never"),
        ("--persistence", "none", "--replicas", "0", "--server", "redis-7.0"),
    ],
)
def test_a_plan_fits_a_terminal_of_80_columns(tmp_path: Path, more: tuple[str, ...]) -> None:
    outcome = run(*BILLION, *more, cwd=tmp_path)
    assert (outcome.status, outcome.stderr) == (0, "")
    assert max(map(len, outcome.stdout.splitlines())) <= 80
    assert "1,000,000,000" in outcome.stdout
    # Each measured figure has the letter of a measurement, and that is told at the end.
    for letter in re.findall(r"(?:measured|interpolated|extrapolated) \[(.)\]", outcome.stdout):
        assert f"\n  [{letter}] " in outcome.stdout


def test_json_has_the_same_plan(tmp_path: Path) -> None:
    more = ("--memory", "64GB", "--hours", "2")
    found = _plan(tmp_path, *BILLION, *more)
    text = run(*BILLION, *more, cwd=tmp_path).stdout
    assert f"{_value(found, 'servers'):,.0f}" in text
    assert f"CONFIG SET maxmemory {found['settings']['maxmemory']['value']}" in text
    assert _value(found, "seconds") <= 7200
    assert _value(found, "machine_memory") <= 64e9


def test_a_sample_gives_number_and_length(tmp_path: Path) -> None:
    lines = [json.dumps({"n": number, "text": "x" * (number % 200)}) for number in range(5000)]
    (tmp_path / "in.jsonl").write_text("\n".join(lines) + "\n")
    found = _plan(tmp_path, "plan", "in.jsonl")
    assert found["figures"]["tasks"] == {
        "value": 5000,
        "unit": "tasks",
        "how": "measured",
        "basis": "counted",
        "source": "",
    }
    mean = sum(map(len, lines)) / len(lines)
    assert _value(found, "payload_bytes") == pytest.approx(mean, rel=0.1)
    assert _value(found, "input_bytes") == pytest.approx((tmp_path / "in.jsonl").stat().st_size, rel=0.001)
    more = _plan(tmp_path, "plan", "in.jsonl", "--tasks", "1e9")
    assert _value(more, "tasks") == 10**9
    assert _value(more, "input_bytes") == pytest.approx(200_000 * (tmp_path / "in.jsonl").stat().st_size, rel=0.001)


@pytest.mark.parametrize("layout", ["documented", "asynq"])
def test_a_measurement_leaves_no_key_behind(tmp_path: Path, server: Server, layout: str) -> None:
    with server.client() as client:
        client.set("mine", "1")
        client.sadd("asynq:queues", "inference.default")
        client.rpush("asynq:inference.default:pending", "a")
        before = {key: client.dump(key) for key in client.keys("*")}
        found = _plan(
            tmp_path,
            "plan",
            "--tasks",
            "1e6",
            "--payload",
            "3KB",
            "--measure",
            "--redis",
            server.url,
            "--layout",
            layout,
        )
        assert {key: client.dump(key) for key in client.keys("*")} == before
    memory = found["figures"]["task_memory_bytes"]
    assert (memory["how"], memory["source"]) == ("measured", "t")
    assert memory["value"] > 3000
    assert "measured just now" in found["sources"]["t"]


def test_a_measurement_needs_no_server(tmp_path: Path) -> None:
    found = _plan(tmp_path, "plan", "--tasks", "1e6", "--payload", "20KB", "--measure")
    assert found["sources"]["t"].startswith("valkey ")
    assert _value(found, "task_sent_bytes") > 20_000


def test_a_measurement_that_fails_removes_its_tasks(tmp_path: Path, server: Server) -> None:
    with server.client() as client:
        client.config_set("maxmemory", client.info()["used_memory"] + 12_000_000)
        try:
            asked = ("--tasks", "1e6", "--payload", "5KB", "--compact", "never")
            outcome = run("plan", *asked, "--measure", "--redis", server.url, cwd=tmp_path)
        finally:
            client.config_set("maxmemory", 0)
        assert outcome.status == 1
        assert "maxmemory" in outcome.stderr
        assert client.keys("*") == []


def test_a_measurement_that_is_interrupted_removes_its_tasks(tmp_path: Path, server: Server) -> None:
    asked = ("--tasks", "1e6", "--payload", "2KB", "--measure", "--redis", server.url)
    with server.client() as client:
        process = subprocess.Popen(command("plan", *asked), cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not client.keys("asynq:*"):
            assert time.monotonic() < deadline, "no scratch task is seen"
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert client.keys("*") == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--tasks", "1e9"), "--payload"),
        ((), "--tasks and --payload"),
        (("--tasks", "0", "--payload", "3"), "--tasks must be"),
        (("--tasks", "1e9", "--payload", "1TB"), "--payload must not be above 512MB"),
        (("--tasks", "1e9", "--payload", "3", "--memory", "64"), "unit"),
        (("--tasks", "1e9", "--payload", "3", "--network", "10"), "--network must be"),
        (("--tasks", "1e9", "--payload", "3", "--workers-rate", "0"), "--workers-rate must be"),
        (("--tasks", "1e9", "--payload", "3", "--servers", "3", "--hours", "1"), "--servers and --hours"),
        (("--tasks", "1e9", "--payload", "3", "--redis", "redis://localhost"), "--redis needs --measure"),
        (("--tasks", "1e9", "--payload", "3", "--measure", "--server", "redis-7.0"), "--measure"),
        (("--tasks", "1e9", "--payload", "3", "--server", "redis-1.0"), "redis-8.2"),
        (("--tasks", "1e9", "--payload", "3", "--profile", "asynq"), "--layout asynq"),
        (("--tasks", "1e12", "--payload", "300", "--memory", "1GB"), "not even 10,000 servers"),
        (("-",), "standard input cannot be sampled"),
    ],
)
def test_what_cannot_be_planned_is_one_line(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    outcome: Outcome = run("plan", *arguments, cwd=tmp_path, stdin=b"{}\n")
    assert outcome.status != 0
    assert told in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1


def test_an_empty_file_is_no_sample(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("")
    outcome = run("plan", "in.jsonl", cwd=tmp_path)
    assert outcome.status == 1
    assert "no record in in.jsonl" in outcome.stderr


def test_the_figures_of_the_project_have_each_kind_of_task() -> None:
    found = own_figures()
    assert {"redis-7.0", "redis-8.2", "valkey-9.1"} <= set(found.servers)
    kinds = {(one.server, one.layout, one.profile, one.compact, one.replicas) for one in found.points}
    assert len(kinds) == len(found.servers) * 3 * 2 * 2
    for one in found.points:
        assert one.client_us > 0
        assert one.server_us > 0
        if not one.replicas:  # a plan takes memory from these, which have no buffers for others
            assert one.memory_bytes > one.payload_bytes
        else:
            assert one.aof_bytes is not None
            assert one.replicated_bytes is not None
            assert one.file_bytes is not None

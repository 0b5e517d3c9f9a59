"""--log-format json: whatever a command tells on standard error is one JSON object a line."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cli import Outcome, command, environment, read_rest, read_until, run, running
from tests.conftest import RedisServer, Server

QUEUE = "inference"


@pytest.fixture
def payloads(tmp_path: Path) -> Path:
    path = tmp_path / "payloads.jsonl"
    path.write_text("".join(f'{{"n": {number}}}\n' for number in range(50)) + "broken\n")
    return path


def lines(outcome: Outcome) -> list[dict[str, Any]]:
    """All lines of standard error, which must be JSON, with the fields that each has."""
    found = [json.loads(line) for line in outcome.stderr.splitlines()]
    assert found, outcome
    for line in found:
        assert datetime.fromisoformat(line["time"]).utcoffset() is not None
        assert line["level"] in ("debug", "info", "warning", "error")
        assert not line["message"].startswith("runqy-loader")
    return found


def test_a_load(server: Server, payloads: Path) -> None:
    outcome = run(
        "load", payloads, "--queue", QUEUE, "--redis", server.url, "--log-format", "json", "--json", cwd=payloads.parent
    )
    assert outcome.status == 3
    *others, end = lines(outcome)
    assert {line["command"] for line in [*others, end]} == {"load"}
    assert (end["event"], end["level"], end["status"]) == ("end", "info", "completed")
    assert (end["loaded"], end["rejected"], end["rejected_by_code"]) == (50, 1, {"invalid_json": 1})
    assert end["job"] == outcome.report["job"]
    assert "broken" not in outcome.stderr  # records of users are not logged
    assert any("layout documented" in line["message"] for line in others)


def every_command(url: str, payloads: Path) -> list[tuple[str | Path, ...]]:
    """Commands that end by themselves, each of which says something."""
    template = payloads.with_name("template.json")
    template.write_text('{"n": 1}')
    report = payloads.with_name("report.json")
    return [
        ("load", payloads, "--queue", QUEUE, "--job", "a", "--report", report, "--redis", url),
        ("verify", "a", "--redis", url),
        ("export", "--queue", QUEUE, "--output", "out.jsonl", "--redis", url),
        ("migrate", "--from-queue", QUEUE, "--to-queue", "other", "--from-redis", url, "--to-redis", url),
        ("consume", "--queue", QUEUE, "--count", "1", "--redis", url),
        ("rollback", "a", "--redis", url),
        ("generate", template, "--count", "2", "--output", "made.jsonl"),
        ("generate", "--like", payloads),
        ("wait", "--ids", "ids.tsv", "--out", "results.jsonl", "--timeout", "1s", "--redis", url),
        ("compare", report, report, "--fail-if", "rejected<=1"),
        ("compare", report, payloads),
        ("doctor", "--queue", QUEUE, "--redis", "no-url"),
        ("inspect", "--redis", "redis://127.0.0.1:1"),
        ("jobs", "forget", "a", "--redis", url),
        ("watch", "--redis", "redis://127.0.0.1:1", "--count", "1"),
        ("plan",),
        ("serve", "--redis", "redis://127.0.0.1:1", "--no-auth", "--retry-for", "1s"),
        ("load", "missing.jsonl", "--queue", QUEUE, "--redis", url),
        ("load", payloads, "--queue", QUEUE, "--redis", "redis://127.0.0.1:1"),
        ("load", payloads, "--queue", QUEUE, "--nonsense"),
        ("load", payloads, "--queue", QUEUE, "--batch-size", "0"),
        ("load", payloads, "--queue", QUEUE, "--batch-size", "0", "--debug"),
        ("nonsense",),
    ]


def test_every_command_and_every_kind_of_error(valkey: Server, payloads: Path) -> None:
    (payloads.parent / "ids.tsv").write_text("an-id\tinference.default\n")
    told = set()
    for arguments in every_command(valkey.url, payloads):
        outcome = run(*arguments, "--log-format", "json", cwd=payloads.parent)
        found = lines(outcome)
        if outcome.status in (1, 2) and arguments[:2] != ("jobs", "forget"):
            assert found[-1]["level"] == "error", arguments
            assert found[-1]["exit_status"] == outcome.status
            assert found[-1]["code"] != "unexpected", found[-1]
            assert ("Traceback" in found[-1].get("traceback", "")) == ("--debug" in arguments)
        told.add(arguments[0])
    assert len(told) == 16


def test_the_variable_and_the_file_set_it_too(valkey: Server, payloads: Path) -> None:
    usual = ("load", payloads, "--queue", QUEUE, "--redis", valkey.url)
    env = {"RUNQY_LOADER_LOG_FORMAT": "json", "RUNQY_LOADER_BATCHSIZE": "7"}
    first, *_ = lines(run(*usual, cwd=payloads.parent, env=env))
    assert first["level"] == "warning"
    assert "RUNQY_LOADER_BATCHSIZE sets no option" in first["message"]
    config = payloads.with_name("config.toml")
    config.write_text('[load]\nlog_format = "json"\n')
    assert lines(run(*usual, "--config", config, cwd=payloads.parent))[-1]["event"] == "end"
    # What comes after -- is no option.
    outcome = run("load", "--queue", QUEUE, "--redis", valkey.url, "--", "--log-format", "json", cwd=payloads.parent)
    assert outcome.stderr.startswith("runqy-loader: error: none of the 2 inputs can be loaded:\n")


def test_quiet_leaves_the_error_alone(valkey: Server, payloads: Path) -> None:
    usual = ("--queue", QUEUE, "--redis", valkey.url, "--log-format=json", "--quiet")
    assert run("load", payloads, *usual, cwd=payloads.parent).stderr == ""
    (error,) = lines(run("load", "missing.jsonl", *usual, cwd=payloads.parent))
    assert (error["code"], error["exit_status"]) == ("source_failed", 1)


def test_progress_has_the_figures_also_on_a_terminal(valkey: Server, payloads: Path) -> None:
    """Nothing is drawn: a program reads the lines."""
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        command("load", payloads, "--queue", QUEUE, "--redis", valkey.url, "--rate", "5/s", "--log-format", "json"),
        cwd=payloads.parent,
        env=environment(TERM="xterm-256color"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=terminal,
    )
    try:
        said = read_until(main, '"event":"progress"')
        process.send_signal(signal.SIGTERM)
        said = read_until(main, '"event":"end"', said)
        while not said.endswith(b"\n"):
            said += os.read(main, 4096)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
        os.close(main)
        os.close(terminal)
    found = lines(Outcome(0, "", said.decode()))
    progress = next(line for line in found if line.get("event") == "progress")
    assert progress["loaded"] + progress["rejected"] <= 51
    assert progress["loaded"] > 0
    assert progress["bytes"] == payloads.stat().st_size
    assert progress["pending"] >= 0
    assert found[-1]["status"] == "interrupted"


def test_a_server_that_is_waited_for(redis_server: Callable[..., RedisServer], payloads: Path) -> None:
    """A line when it is away, and one when it answers again."""
    redis = redis_server("--appendonly", "yes", "--appendfsync", "always")
    url = redis.start().url
    arguments = ("--queue", QUEUE, "--redis", url, "--rate", "10/s", "--log-format", "json")
    with running("load", payloads, *arguments, cwd=payloads.parent) as (process, messages):
        said = read_until(messages, "tasks are written")
        redis.kill()
        said = read_until(messages, '"event":"waiting"', said)
        redis.start()
        said = read_until(messages, '"event":"end"', said)
        said += read_rest(messages)
        assert process.wait(60) == 3
    found = lines(Outcome(0, "", said.decode()))
    events = [line["event"] for line in found if line.get("event") in ("waiting", "reached", "end")]
    assert events[0] == "waiting"
    assert events[-2:] == ["reached", "end"]
    assert found[-1]["loaded"] == 50


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_log_whose_disk_is_full_does_not_stop_the_load(valkey: Server, payloads: Path, form: str) -> None:
    with Path("/dev/full").open("wb") as full:
        process = subprocess.run(
            command("load", payloads, "--queue", QUEUE, "--redis", valkey.url, "--log-format", form, "--json"),
            cwd=payloads.parent,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=full,
            timeout=60,
            check=False,
        )
    assert process.returncode == 3
    assert json.loads(process.stdout)["loaded"] == 50

"""The gateway's log as JSON, with one process and with several."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import httpx
import pytest

from tests.cli import read_rest, read_until, running
from tests.conftest import Server
from tests.gateway.helpers import Gateway


@pytest.mark.parametrize("workers", [1, 2])
def test_each_line_is_json_and_an_answer_has_its_fields(valkey: Server, tmp_path: Path, workers: int) -> None:
    options = ("--log-format", "json", "--access-log", "--workers", str(workers))
    with Gateway("--redis", valkey.url, "--no-auth", *options, cwd=tmp_path) as gateway:
        gateway.add("inference", {"n": 1})
        assert gateway.get("/queue/no%22such?x=1").status == 404
        assert gateway.stop().status == 0
    lines = [json.loads(line) for line in gateway.said]
    assert {line["command"] for line in lines} == {"serve"}
    assert any(line["message"].startswith("serving documented tasks") for line in lines)
    first, second = (line for line in lines if line.get("event") == "access")
    assert (first["method"], first["path"], first["status"]) == ("POST", "/queue/add", 200)
    assert (second["method"], second["path"], second["status"]) == ("GET", "/queue/no%22such?x=1", 404)
    assert first["client"].startswith("127.0.0.1:")
    assert first["http_version"] == "1.1"


def test_a_long_path_is_cut_in_every_field(valkey: Server, tmp_path: Path) -> None:
    """A line of a worker has a bound, and the path may be in it twice."""
    options = ("--log-format", "json", "--access-log", "--workers", "2")
    path = "/queue/" + "%F0%9F%98%80" * 4000
    with Gateway("--redis", valkey.url, "--no-auth", *options, cwd=tmp_path) as gateway:
        assert gateway.get(path).status in (400, 404)
        gateway.add("inference", {"n": 1})
        assert gateway.stop().status == 0
    found = [json.loads(line) for line in gateway.said]
    answers = [line for line in found if line.get("event") == "access"]
    assert [line["method"] for line in answers] == ["GET", "POST"]
    assert path.startswith(answers[0]["path"])


@pytest.mark.parametrize("workers", [1, 2])
def test_a_log_that_nobody_reads_holds_up_neither_requests_nor_signals(
    valkey: Server, tmp_path: Path, workers: int
) -> None:
    """The pipe is full, and its reader is there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ("--no-auth", "--access-log", "--log-format", "json", "--port", str(port), "--workers", str(workers))
    with running("serve", "--redis", valkey.url, *options, cwd=tmp_path) as (process, messages):
        said = read_until(messages, "serving ")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            for number in range(1000):  # some 200 KB of log; a pipe holds 64 KB
                path = "/health" if number % 10 else f"/health?{'x' * 6000}"
                assert client.get(path).status_code == 200
            said += read_until(messages, '"event":"access"')
            # Once it is read again, it goes on, and says what is missing.
            answers = 0
            while b"left_out" not in said:
                assert client.get("/health").status_code == 200
                answers += 1
                said += os.read(messages, 65536)
                assert answers < 1000
        process.send_signal(signal.SIGTERM)
        said += read_rest(messages)
        assert process.wait(60) == 0
    lines = [json.loads(line) for line in said.decode().splitlines() if line.endswith("}")]
    left_out = sum(line.get("left_out", 0) for line in lines)
    shown = sum(line.get("event") == "access" for line in lines)
    assert left_out > 0
    assert shown + left_out >= 1000 + answers  # a line that was cut counts as left out

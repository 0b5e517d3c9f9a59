"""The gateway's log as JSON, with one process and with several."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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

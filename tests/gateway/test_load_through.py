"""The loader's own way in over HTTP, through the gateway: what is loaded, what a resume sends, and the results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli import Outcome, run
from tests.conftest import Server
from tests.gateway.conftest import Start
from tests.gateway.helpers import KEY, Gateway, asynq, documented


def load(gateway: Gateway, folder: Path, *arguments: str) -> Outcome:
    given = ("load", "in.jsonl", "--to", gateway.url, "-q", "inference", "--report", "-", "--quiet")
    return run(*given, *arguments, cwd=folder, env={"RUNQY_API_KEY": KEY})


@pytest.mark.parametrize("mode", ["batch", "single"])
def test_payloads_arrive_byte_for_byte_and_once(gateway: Gateway, client: Any, tmp_path: Path, mode: str) -> None:
    lines = [b'{"n":  %d, "big": 1.50, "\\u00e4": "\xc3\xa4"}' % n for n in range(400)]
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(lines))

    first = load(gateway, tmp_path, "--http-mode", mode)
    second = load(gateway, tmp_path, "--http-mode", mode)

    assert (first.status, first.report["loaded"], first.report["in_doubt"]) == (0, 400, []), first.stderr
    assert (second.report["loaded"], second.report["already_loaded"]) == (0, 400)
    assert sorted(fields[b"payload"] for _, fields in documented(client, "inference.default")) == sorted(lines)


def test_results_of_what_went_through_the_gateway_are_waited_for(
    asynq_gateway: Gateway, server: Server, client: Any, tmp_path: Path
) -> None:
    (tmp_path / "in.jsonl").write_text("".join(f"{n}\n" for n in range(250)))

    done = load(asynq_gateway, tmp_path, "--ids-out", "ids")
    ids = [task_id for task_id, _ in asynq(client, "inference.default")]
    for task_id in ids:
        client.hset(f"asynq:{{inference.default}}:t:{task_id}", mapping={"state": "completed", "result": "true"})
    waited = run(
        "wait", "--ids", "ids", "--layout", "asynq", "--redis", server.url, "--out", "out", "--quiet", cwd=tmp_path
    )

    assert (done.status, waited.status) == (0, 0), waited.stderr
    results = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert sorted(line["id"] for line in results) == sorted(ids)
    assert {(line["status"], line["result"]) for line in results} == {("completed", True)}


def test_a_batch_over_the_gateways_limits_is_sent_in_parts(valkey: Server, start: Start, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"n": n, "f": "x" * 100 * n}) + "\n" for n in range(40)))
    gateway = start(valkey.url, "--max-jobs", "7", "--max-body-bytes", "3500")

    done = load(gateway, tmp_path)

    assert done.status == 3, done.stderr
    assert done.report["in_doubt"] == []
    with valkey.client() as client:
        found = [json.loads(fields[b"payload"])["n"] for _, fields in documented(client, "inference.default")]
    assert sorted(found) == list(range(len(found)))
    assert len(found) + done.report["rejected"] == 40 and 0 < done.report["rejected"] < 10


def test_a_queue_that_the_gateway_does_not_know_and_a_wrong_key_are_named(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("1\n")
    arguments = ("load", "in.jsonl", "--to", gateway.url, "--quiet", "-q")

    unknown = run(*arguments, "nope", cwd=tmp_path, env={"RUNQY_API_KEY": KEY})
    refused = run(*arguments, "inference", cwd=tmp_path, env={"RUNQY_API_KEY": "wrong"})

    assert unknown.status == 1 and "queue nope.default does not exist" in unknown.stderr
    assert refused.status == 1 and "refuses the API key" in refused.stderr

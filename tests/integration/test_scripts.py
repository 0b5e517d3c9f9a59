"""Servers run the scripts of tests/unit/golden, and no others."""

from __future__ import annotations

from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest

from loader.layouts.lua import as_sent
from tests.cli import run
from tests.conftest import Server
from tests.integration.tool import Tool, assert_fine
from tests.unit.test_scripts import SCRIPTS, golden

RECORDS = "".join(f'{{"id": "task-{number}", "n": {number}}}\n' for number in range(50))
QUEUE = "inference.default"
ASYNQ = ["--profile", "asynq", "--type", "t"]
LOADS = [
    ([], {"ledger-commit"}),
    (["--id-field", "id"], {"ledger-insert-documented"}),
    (["--layout", "asynq", "--id-field", "id"], {"ledger-insert-asynq-look-up"}),
    (["--layout", "asynq", *ASYNQ, "--id-field", "id"], {"ledger-insert-asynq"}),
]
COMPACT_LOADS = [
    ([], {"ledger-commit"}),
    (["--id-field", "id"], {"ledger-insert-documented-compact"}),
    (["--layout", "asynq", "--id-field", "id"], {"ledger-insert-asynq-compact-ids-look-up"}),
    (["--layout", "asynq", *ASYNQ, "--id-field", "id"], {"ledger-insert-asynq-compact-ids"}),
]
LEASE = {"lease-acquire", "lease-release"}
INDEX = {"source-index", "source-index-expire"}
MOVE = {"migrate-claim", "migrate-trim"}
FURTHER = {"migrate-place-documented-further-fields"}
COMPACT_MOVES: list[tuple[str, str, str, list[str], set[str]]] = [
    (QUEUE, "documented", "asynq", [], {"migrate-place-asynq-compact", "migrate-settle-documented-look-up"}),
    (QUEUE, "asynq", "documented", [], {"migrate-place-documented-compact", "migrate-settle-asynq"}),
]
MOVES: list[tuple[str, str, str, list[str], set[str]]] = [
    (QUEUE, "documented", "asynq", [], {"migrate-place-asynq", "migrate-settle-documented-look-up"}),
    (QUEUE, "documented", "asynq", ASYNQ, {"migrate-place-asynq", "migrate-settle-documented"}),
    (
        "other.default",
        "documented",
        "documented",
        [],
        FURTHER | {"migrate-settle-documented-kept"},
    ),
    (QUEUE, "asynq", "documented", [], FURTHER | {"migrate-settle-asynq"}),
]
SOMETIMES = {"lease-renew", "migrate-put-back"}
"""Run where a load takes seconds, or a worker comes between."""


def run_by(client: Any) -> set[str]:
    """The golden scripts that the server has run; it has run no other."""
    digests = {name: sha1(as_sent(golden(name)), usedforsecurity=False).hexdigest() for name in SCRIPTS}
    known = dict(zip(digests, client.script_exists(*digests.values()), strict=True))
    found = {name for name, is_there in known.items() if is_there}
    assert client.info("memory")["number_of_cached_scripts"] == len(found)
    return found


@pytest.mark.parametrize(
    ("options", "expected"),
    [(["--compact", "never", *options], expected) for options, expected in LOADS] + COMPACT_LOADS,
)
def test_a_load_runs_golden_scripts_alone(
    server: Server, client: Any, tmp_path: Path, options: list[str], expected: set[str]
) -> None:
    tool = Tool(tmp_path, server.url)
    tool.write("in.jsonl", RECORDS)
    client.script_flush()

    done = tool.load("in.jsonl", "--queue", QUEUE, *options)

    assert_fine(done)
    assert run_by(client) - SOMETIMES == expected | LEASE | INDEX


@pytest.mark.parametrize(
    ("queue", "source", "target", "options", "expected"),
    [
        (queue, source, target, ["--compact", "never", *options], expected)
        for queue, source, target, options, expected in MOVES
    ]
    + COMPACT_MOVES,
)
def test_a_move_runs_golden_scripts_alone(
    server: Server, client: Any, tmp_path: Path, queue: str, source: str, target: str, options: list[str],
    expected: set[str],
) -> None:  # fmt: skip
    tool = Tool(tmp_path, server.url)
    tool.write("in.jsonl", RECORDS)
    assert_fine(tool.load("in.jsonl", "--queue", queue, "--layout", source))
    client.script_flush()

    ways = ("--from-layout", source, "--to-layout", target, "--from-queue", queue, "--to-queue", QUEUE)
    done = run("migrate", "--from-redis", server.url, *ways, "--move", "--quiet", *options, cwd=tmp_path)

    assert done.status == 0, done
    assert run_by(client) - SOMETIMES == expected | LEASE | MOVE

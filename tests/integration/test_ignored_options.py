"""Options of tasks that the workers of a profile ignore are told before a load, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli import Outcome, run
from tests.conftest import Server
from tests.consumers import asynq_server, runqy_worker

IGNORED = {
    "--task-timeout": "9",
    "--deadline": "2100-01-01T00:00:00Z",
    "--retention": "0",
    "--header": "a=b",
    "--pending-timeout": "0",
}
HONOURED = {"--ttl-completed": "0", "--ttl-archived": "1h", "--active-timeout": "0", "--max-retry": "0", "--type": "t"}


def load(server: Server, folder: Path, *arguments: str, layout: tuple[str, ...] = ("--layout", "asynq")) -> Outcome:
    (folder / "in.jsonl").write_text("1\n2\n")
    shared = ("load", "in.jsonl", "-q", "q", "--redis", server.url, "--no-progress", *layout)
    return run(*shared, *arguments, cwd=folder)


def told(done: Outcome) -> list[str]:
    assert done.status == 0, done.stderr
    return [line for line in done.stderr.splitlines() if "ignore" in line]


@pytest.mark.parametrize("option", IGNORED)
def test_an_option_that_runqys_workers_ignore_is_told(valkey: Server, tmp_path: Path, option: str) -> None:
    (line,) = told(load(valkey, tmp_path, option, IGNORED[option]))
    assert f"(runqy-worker, June 2026) ignore {option}." in line and "docs/layouts.md" in line


def test_all_are_told_in_one_line_with_what_to_use_instead(valkey: Server, tmp_path: Path) -> None:
    (line,) = told(load(valkey, tmp_path, "--task-timeout", "9", "--retention", "1h", "--header", "a=b"))
    assert "ignore --task-timeout, --retention, --header." in line
    assert "Give --active-timeout in place of --task-timeout, --ttl-completed in place of --retention" in line


def test_what_they_honour_is_not_told(valkey: Server, tmp_path: Path) -> None:
    assert told(load(valkey, tmp_path, *(part for pair in HONOURED.items() for part in pair))) == []
    both = ("--task-timeout", "9", "--active-timeout", "9", "--retention", "1h", "--ttl-completed", "0")
    assert told(load(valkey, tmp_path, *both, "--job", "both", "--again")) == []


def test_asynqs_workers_honour_them(valkey: Server, tmp_path: Path) -> None:
    asynq = ("--layout", "asynq", "--profile", "asynq", "--type", "t")
    assert told(load(valkey, tmp_path, "--retention", "1h", "--header", "a=b", layout=asynq)) == []


def test_nothing_is_told_where_an_asynq_server_may_take_them(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        asynq_server(client, "q.default")
    assert told(load(valkey, tmp_path, "--retention", "1h")) == []


def test_it_is_told_beside_a_worker_of_runqys_and_by_doctor(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        runqy_worker(client, "q.default")
    assert len(told(load(valkey, tmp_path, "--retention", "1h"))) == 1
    arguments = ("doctor", "-q", "q", "--layout", "asynq", "--retention", "1h", "--redis", valkey.url)
    done = run(*arguments, cwd=tmp_path)
    assert done.status == 0 and "ignore --retention" in done.stdout + done.stderr


def test_defaults_are_not_told(valkey: Server, tmp_path: Path) -> None:
    assert told(load(valkey, tmp_path)) == []

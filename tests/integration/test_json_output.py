"""Each command that tells something tells it as JSON too, with ``--json``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from loader.cli.commands import COMMANDS, command
from loader.settings.option import declared
from tests.cli import run
from tests.commands import commands
from tests.conftest import Server

WITHOUT = {"completion", "serve"}
"""These tell nothing: one prints a script, the other serves until it is stopped."""


def test_each_command_that_tells_something_has_the_option() -> None:
    has = {
        name for name in COMMANDS if any(one.name == "json" for kind in command(name).options for one in declared(kind))
    }
    assert set(COMMANDS) - has == WITHOUT


def with_json(url: str) -> Iterator[tuple[str, ...]]:
    """Commands as users write them, with the option, and with a file for what would be standard output otherwise."""
    yield ("load", "in.jsonl", "-q", "q", "--redis", url, "--layout", "asynq", "--explain", "--json")
    for line in commands(url):
        files = {"export": ("-o", "out.jsonl"), "wait": ("--out", "results.jsonl")}
        given = [word for word in line if not (line[0] == "wait" and word in ("--out", "-"))]
        yield (*given, *files.get(line[0], ()), "--json")
    yield ("load", "in.jsonl", "-q", "r", "--redis", url, "--json", "--dry-run")
    yield ("load", "in.jsonl", "-q", "m", "--redis", url, "--json", "--job", "m", "--layout", "asynq")
    move = ("--from-queue", "m", "--from-layout", "asynq", "--to-queue", "n", "--to-layout", "asynq")
    yield ("migrate", *move, "--from-redis", url, "--to-redis", url, "--json")
    yield ("generate", "template.json", "--count", "3", "-o", "made.jsonl", "--json")
    yield ("generate", "--like", "in.jsonl", "--json")
    yield ("compare", "report.json", "report.json", "--json")
    yield ("plan", "--tasks", "1e6", "--payload", "300", "--json")


def test_what_it_prints_is_one_json_value_and_nothing_else(tmp_path: Path, valkey: Server) -> None:
    (tmp_path / "in.jsonl").write_text('{"n": 1}\n{"n": 2}\n')
    (tmp_path / "template.json").write_text('{"n": "{{ int(1, 5) }}"}')
    report = ("--report", "report.json", "--series", "1s", "--redis", valkey.url)
    assert run("load", "in.jsonl", "-q", "other", *report, cwd=tmp_path).status == 0
    with valkey.client() as client:
        client.flushall()

    seen = set()
    for line in with_json(valkey.url):
        done = run(*line, cwd=tmp_path)
        assert done.status == (4 if line[0] == "wait" else 0), (line, done)
        assert isinstance(json.loads(done.stdout), dict | list), line
        seen.add(line[0])
    assert seen == set(COMMANDS) - WITHOUT


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("load", "in.jsonl", "-q", "q", "--json", "--report", "-"), "--json and --report contradict each other"),
        (("load", "in.jsonl", "-q", "q", "--json", "--preview", "1"), "--preview and --json cannot both be standard"),
        (("export", "-q", "q", "--json"), "--output and --json cannot both be standard output"),
        (("generate", "t.json", "--count", "1", "--json"), "--output and --json cannot both be standard output"),
        (("wait", "--ids", "i", "--out", "-", "--json"), "--out and --json cannot both be standard output"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_two_things_cannot_be_standard_output(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    (tmp_path / "in.jsonl").write_text("1\n")
    (tmp_path / "t.json").write_text("{}")
    (tmp_path / "i").write_text("")
    done = run(*arguments, cwd=tmp_path)
    (line,) = done.stderr.splitlines()
    assert (done.status, done.stdout) == (2, "")
    assert told in line

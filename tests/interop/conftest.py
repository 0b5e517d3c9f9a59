"""Programs that enqueue as the guide's examples do; each is installed or built once a session, outside the tree."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.cli import COMPACT
from tests.conftest import redis_binary
from tests.interop.asynq_peer import asynq_peer as asynq_peer
from tests.interop.asynq_peer import asynq_program as asynq_program
from tests.interop.installing import PEERS, go_program, install, tool

Task = tuple[str, str]
"""A task's id, and its payload as JSON text."""


@pytest.fixture(params=["always", "never"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The loads of a test write tasks compact, or by HSET."""
    monkeypatch.setenv(COMPACT, request.param)
    return str(request.param)


@dataclass(frozen=True, slots=True)
class Peer:
    """One of the guide's ways of enqueueing.

    Attributes:
        command: The program; gets URL, queue and max_retry as arguments.
        stdin_of: What it reads for a queue, a max_retry and tasks.
        spell: JSON text as this way's own serialiser writes it.
        ordered: Whether it sends the fields in the order in which the guide names them (a Go map has no order).
        takes_arguments: Whether queue and max_retry go onto the command line.
    """

    name: str
    command: Sequence[str]
    stdin_of: Callable[[str, int, Sequence[Task]], bytes]
    spell: Callable[[Any], str]
    ordered: bool = True
    takes_arguments: bool = True

    def enqueue(self, url: str, queue: str, max_retry: int, tasks: Sequence[Task]) -> None:
        """Enqueues the tasks, the first of them first."""
        where = [url, queue, str(max_retry)] if self.takes_arguments else ["-u", url]
        done = subprocess.run(
            [*self.command, *where],
            input=self.stdin_of(queue, max_retry, tasks),
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()


def _tabbed(queue: str, max_retry: int, tasks: Sequence[Task]) -> bytes:
    return "".join(f"{task_id}\t{payload}\n" for task_id, payload in tasks).encode()


def _redis_cli_session(queue: str, max_retry: int, tasks: Sequence[Task]) -> bytes:
    """The guide's two commands a task, as one types them: within single quotes, redis-cli knows no escape but \\'."""
    lines = []
    for task_id, payload in tasks:
        quoted = "'" + payload.replace("'", "\\'") + "'"
        lines += [
            f"HSET asynq:t:{task_id} type task payload {quoted} retry 0 max_retry {max_retry} queue {queue}\n",
            f"LPUSH asynq:{queue}:pending {task_id}\n",
        ]
    return "".join(lines).encode()


def _as_json_stringify(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _as_go(value: Any) -> str:
    """As encoding/json: keys sorted; what HTML and JavaScript could trip over is escaped."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _spaced(value: Any) -> str:
    return json.dumps(value, separators=(" , ", "  : "), ensure_ascii=False)


@pytest.fixture(scope="session")
def _python() -> Peer:
    return Peer("python", [sys.executable, str(PEERS / "python.py")], _tabbed, json.dumps)


@pytest.fixture(scope="session")
def _redis_cli() -> Peer:
    binary = redis_binary("redis-cli")
    return Peer("redis-cli", [binary], _redis_cli_session, _spaced, takes_arguments=False)


@pytest.fixture(scope="session")
def _node(tmp_path_factory: pytest.TempPathFactory) -> Peer:
    node, npm = tool("node", "the guide's Node.js example"), tool("npm", "the guide's Node.js example")
    folder = tmp_path_factory.mktemp("peers") / "node"
    shutil.copytree(PEERS / "node", folder, ignore=shutil.ignore_patterns("node_modules"))
    install([npm, "ci", "--ignore-scripts", "--fetch-retries=3", "--fetch-retry-mintimeout=1000"], folder)
    return Peer("node", [node, str(folder / "enqueue.mjs")], _tabbed, _as_json_stringify)


@pytest.fixture(scope="session")
def _go(tmp_path_factory: pytest.TempPathFactory) -> Peer:
    program = go_program("go", "the guide's Go example", tmp_path_factory)
    return Peer("go", [str(program)], _tabbed, _as_go, ordered=False)


@pytest.fixture(
    params=[
        pytest.param("_python", id="python"),
        pytest.param("_node", id="node", marks=pytest.mark.slow),
        pytest.param("_go", id="go", marks=pytest.mark.slow),
        pytest.param("_redis_cli", id="redis-cli"),
    ]
)
def peer(request: pytest.FixtureRequest) -> Peer:
    """Each of the guide's ways in turn."""
    found: Peer = request.getfixturevalue(request.param)
    return found

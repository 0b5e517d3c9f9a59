"""``migrate --from-system``: jobs that the real libraries of other systems have enqueued."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from loader.layouts.task_message import decode
from tests.cli import Outcome, run
from tests.conftest import RedisServer, Server
from tests.interop.installing import PEERS, install, python_with, tool

JOBS = PEERS / "jobs"
GUIDE = Path(__file__).parents[2] / "docs" / "other-systems.md"
BIG = "12345678901234567890"
CALL = f'{{"args":["\\u00e4", 1.1],"kwargs":{{"to": "ann@example.org", "big": {BIG}}}}}'
HOUR = 3600
UNKNOWN = 3
"""What runqy's profile gives a task whose maximum of retries only the other system's code knows."""


@dataclass(frozen=True)
class Task:
    """What becomes of a job.

    Attributes:
        at: Its place among the ids that were printed.
        later: Whether it must not run for an hour.
        timeout: In seconds; 30 is what runqy's profile gives a task without.
    """

    at: int
    payload: str
    type: str
    max_retry: int = UNKNOWN
    later: bool = False
    timeout: int = 30


@dataclass(frozen=True)
class System:
    """A system, and what becomes of the jobs that its peer enqueues.

    Attributes:
        tasks: In the order in which its workers would take them; those for later are last.
        lost: What the report says.
        staying: What the report says, the texts by their beginnings.
        refused: The number of jobs that are pickles.
    """

    name: str
    peer: str
    tasks: list[Task]
    lost: dict[str, int] = field(default_factory=dict)
    staying: dict[str, int] = field(default_factory=dict)
    refused: int = 0


def call(number: int) -> str:
    return f'{{"args":[{number}],"kwargs":{{}}}}'


SYSTEMS = [
    System(
        "celery",
        "python",
        [
            Task(0, CALL, "shop.send"),
            Task(2, call(3), "shop.send"),
            Task(4, call(5), "shop.send", timeout=91),
            Task(1, call(2), "shop.send"),
            Task(3, call(4), "shop.send", later=True),
        ],
        lost={"chain": 1, "priority": 1},
        refused=1,
    ),
    System(
        "rq",
        "python",
        [
            Task(2, call(3), "shop.send", 0, timeout=180),
            Task(0, CALL, "shop.send", 0, timeout=180),
            Task(1, call(2), "shop.send", 4, timeout=77),
            Task(3, call(4), "shop.send", 0, later=True, timeout=180),
        ],
        lost={"ttl": 1},
        staying={"waiting for other jobs": 1},
        refused=1,
    ),
    System(
        "dramatiq",
        "python",
        [
            Task(0, CALL.replace(", 1.1", ",1.1").replace('": ', '":').replace(', "', ',"'), "send"),
            Task(1, call(2), "send", 4, timeout=78),
            Task(2, call(3), "send"),
            Task(3, call(4), "send", later=True),
        ],
        lost={"pipeline": 1},
    ),
    System(
        "saq",
        "python",
        [
            Task(0, f'{{"at": ["\\u00e4", 1.1], "to": "ann@example.org", "big": {BIG}}}', "send", 0, timeout=10),
            Task(1, '{"n": 2}', "send", 4, timeout=77),
            Task(2, "{}", "send", 0, timeout=10),
            Task(3, '{"n": 4}', "send", 0, later=True, timeout=10),
        ],
        lost={"retry delay": 1},
    ),
    *[
        System(
            name,
            "python",
            [Task(0, CALL, "send"), Task(1, call(2), "send", 4), Task(2, call(3), "send")],
            lost={"label tenant": 1},
        )
        for name in ("taskiq", "taskiq-stream")
    ],
    System(
        "bullmq",
        "node",
        [
            Task(4, '{"n":5}', "send", 0),
            Task(0, '{"to":"ä","n":1.1}', "send", 0),
            Task(1, '{"n":2}', "send", 4),
            Task(2, '{"n":3}', "send", 0),
            Task(3, '{"n":4}', "send", 0, later=True),
        ],
        lost={"backoff": 1, "lifo": 1, "priority": 1},
        staying={"waiting for their children": 1},
    ),
    System(
        "bee-queue",
        "node",
        [
            Task(0, '{"to":"ä","n":1.1}', "mail.default", 0),
            Task(1, '{"n":2}', "mail.default", 4, timeout=77),
            Task(2, '{"n":4}', "mail.default", 0, later=True),
        ],
        lost={"backoff": 1},
    ),
    System(
        "sidekiq",
        "ruby",
        [
            Task(0, f'["ä",1.1,{BIG}]', "Send", 25),
            Task(1, "[2]", "Send", 4),
            Task(2, "[3]", "Send", 0),
            Task(3, "[4]", "Send", 25, later=True),
        ],
    ),
]

Enqueue = Callable[[str, str, str], list[str]]
"""Enqueues with a system's name, the server's URL and the queue's name. Returns the ids."""


def _printed(command: list[str]) -> list[str]:
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    ids: list[str] = json.loads(done.stdout)
    return ids


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Enqueue:
    program = str(python_with(JOBS / "requirements.lock", tmp_path_factory.mktemp("jobs") / "venv"))
    return lambda system, url, queue: _printed([program, str(JOBS / "enqueue.py"), system, url, queue])


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Enqueue:
    program, npm = tool("node", "BullMQ and bee-queue"), tool("npm", "BullMQ and bee-queue")
    folder = tmp_path_factory.mktemp("jobs") / "node"
    shutil.copytree(JOBS, folder, ignore=shutil.ignore_patterns("node_modules"))
    install([npm, "ci", "--ignore-scripts", "--fetch-retries=3", "--fetch-retry-mintimeout=1000"], folder)
    return lambda system, url, queue: _printed([program, str(folder / "enqueue.mjs"), system, url, queue])


@pytest.fixture(scope="session")
def ruby() -> Enqueue:
    program = tool("ruby", "Sidekiq")
    if subprocess.run([program, "-e", "require 'sidekiq'"], capture_output=True, check=False).returncode != 0:
        pytest.skip("Sidekiq is not installed (Debian: apt-get install ruby-sidekiq)")
    return lambda _, url, queue: _printed([program, str(JOBS / "enqueue.rb"), url, queue])


@pytest.fixture
def server(redis_server: Callable[..., RedisServer]) -> Iterator[Server]:
    process = redis_server()
    yield process.start()
    process.kill()


@pytest.fixture(params=[pytest.param(one, id=one.name, marks=pytest.mark.slow) for one in SYSTEMS])
def system(request: pytest.FixtureRequest) -> System:
    found: System = request.param
    return found


@pytest.fixture
def enqueue(system: System, request: pytest.FixtureRequest) -> Enqueue:
    found: Enqueue = request.getfixturevalue(system.peer)
    return found


def migrate(server: Server, system: System, folder: Path, *more: str) -> Outcome:
    """Reads as a user who has the rights of the guide and no others."""
    (rights,) = re.findall(r"ACL SETUSER reader on >secret (~[^`]*)```", GUIDE.read_text())
    with server.client() as client:
        given = rights.replace("~<prefix>* ~runqy-loader:*", "~*").split()
        client.execute_command("ACL", "SETUSER", "reader", "reset", "on", ">secret", *given)
    source = f"redis://reader:secret@127.0.0.1:{server.port}/0"
    given = ["--from-system", system.name.removesuffix("-stream"), "--from-queue", "mail", "--from-redis", source]
    return run("migrate", *given, "--to-redis", server.url, "--report", "-", *more, cwd=folder)


def contents(client: Any) -> dict[bytes, bytes]:
    """The keys of the other system, dumped."""
    keys = [key for key in client.scan_iter() if b"runqy-loader:" not in key and not key.startswith(b"asynq:")]
    return {key: client.dump(key) for key in keys}


def inspected(server: Server, folder: Path) -> list[dict[str, Any]]:
    found = run("inspect", "--redis", server.url, "--json", cwd=folder)
    assert found.status == 0, found.stderr
    others: list[dict[str, Any]] = json.loads(found.stdout)["other_systems"]
    return others


def test_jobs_become_tasks(server: Server, system: System, enqueue: Enqueue, tmp_path: Path) -> None:
    ids = enqueue(system.name, server.url, "mail")
    now = time.time()
    with server.client() as client:
        before = contents(client)
        if not system.name.startswith("taskiq"):  # whose key has no other sign than its default name
            (found,) = [one for one in inspected(server, tmp_path) if one["queue"] == "mail"]
            assert (found["system"], found["waiting"] >= len(system.tasks)) == (system.name, True)
        outcome = migrate(server, system, tmp_path, "--to-layout", "asynq", "--force-schedule")
        assert outcome.status == (3 if system.refused else 0), outcome.stderr
        report = outcome.report
        assert report["migrated"] == len(system.tasks)
        assert report["lost"] == system.lost
        assert report["other_states"] == system.staying
        assert report["rejected_by_code"] == ({"unreadable_job": system.refused} if system.refused else {})
        assert contents(client) == before

        pending = [one.decode() for one in reversed(client.lrange("asynq:{mail.default}:pending", 0, -1))]
        scheduled = {
            one.decode(): score
            for one, score in client.zrange("asynq:{mail.default}:scheduled", 0, -1, withscores=True)
        }
        assert pending == [ids[task.at] for task in system.tasks if not task.later]
        assert set(scheduled) == {ids[task.at] for task in system.tasks if task.later}
        assert all(abs(score - now - HOUR) < 60 for score in scheduled.values())
        for task in system.tasks:
            message = decode(client.hget(f"asynq:{{mail.default}}:t:{ids[task.at]}", "msg"))
            got = (message.payload.decode(), message.type, message.max_retry, message.timeout)
            assert got == (task.payload, task.type, task.max_retry, task.timeout)

        again = migrate(server, system, tmp_path, "--to-layout", "asynq", "--force-schedule").report
        assert (again["migrated"], again["already"]) == (0, len(system.tasks))
        assert client.llen("asynq:{mail.default}:pending") == len(pending)


def test_the_whole_job_as_payload(server: Server, system: System, enqueue: Enqueue, tmp_path: Path) -> None:
    ids = enqueue(system.name, server.url, "mail")
    outcome = migrate(server, system, tmp_path, "--to-layout", "documented", "--payload", "envelope")
    later = sum(task.later for task in system.tasks)
    assert outcome.status == (3 if later or system.refused else 0), outcome.stderr
    assert outcome.report["migrated"] == len(system.tasks) - later
    assert outcome.report["rejected_by_code"].get("bad_envelope", 0) == later  # this layout has no start times
    with server.client() as client:
        for task in system.tasks:
            fields = client.hgetall(f"asynq:t:{ids[task.at]}")
            if task.later:
                assert fields == {}
                continue
            whole = json.loads(fields[b"payload"])
            assert isinstance(whole, dict)
            assert fields[b"max_retry"].decode() == str(task.max_retry)
            assert any(part in json.dumps(whole) for part in (ids[task.at], '"data"'))

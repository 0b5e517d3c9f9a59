"""Servers that Sentinel watches: every command finds the primary, also after a failover in the middle of its work."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from loader import Loader
from tests.cli import Outcome, run
from tests.commands import commands
from tests.conftest import RedisServer, Server, free_port
from tests.faults.helpers import ID_KINDS, Load, assert_each_once, assert_one_error, numbered, until
from tests.faults.scene import PENDING
from tests.faults.sentinels import Watched, watched
from tests.gateway.helpers import KEY_ENV, QUEUES, Gateway
from tests.integration.stored import payload_of, stored

MakeServer = Callable[..., RedisServer]


@pytest.fixture(params=["redis", "valkey"])
def sentinel(request: pytest.FixtureRequest, tmp_path: Path, redis_server: MakeServer) -> Iterator[Watched]:
    with watched(tmp_path, redis_server, request.param) as found:
        yield found


@pytest.mark.parametrize("fault", ["fail_over", "kill_primary"])
@ID_KINDS
def test_a_failover_during_a_load_loses_and_doubles_nothing(
    sentinel: Watched, tmp_path: Path, fault: str, extra: tuple[str, ...]
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 20_000)
    arguments = ("-q", "q", "--redis", sentinel.url, "--report", "-", "-b", "100", "--job", "j", *extra)

    with Load("-", *arguments, cwd=tmp_path, stdin=subprocess.PIPE) as running:
        running.feed(b"".join(line + b"\n" for line in lines[:10_000]))
        with sentinel.client_of_primary() as client:
            running.until(lambda: client.llen(PENDING) > 5000, "a part is in")
        getattr(sentinel, fault)()
        done = _fed_to_its_end(running, lines[10_000:])

    _assert_loaded(sentinel, done, lines, ("-", *arguments), tmp_path)


@pytest.mark.slow
def test_several_processes_follow_a_failover(sentinel: Watched, tmp_path: Path) -> None:
    lines = numbered(tmp_path / "in.jsonl", 300_000, width=110)  # three shards
    arguments = ("in.jsonl", "-q", "q", "--redis", sentinel.url, "--report", "-", "-b", "4", "-p", "2", "-w", "1")

    with Load(*arguments, cwd=tmp_path) as running:
        with sentinel.client_of_primary() as client:
            running.until(lambda: client.llen(PENDING) > 100, "a part is in")
        sentinel.fail_over()
        assert running.process.poll() is None, "the load has ended before the failover"
        done = running.wait()

    assert done.status != 0 or done.report["processes"] == 2
    _assert_loaded(sentinel, done, lines, arguments, tmp_path)


def _fed_to_its_end(running: Load, lines: list[bytes]) -> Outcome:
    assert running.process.stdin is not None
    running.feed(b"".join(line + b"\n" for line in lines))
    running.process.stdin.close()
    running.process.stdin = None
    return running.wait()


def _assert_loaded(
    sentinel: Watched, done: Outcome, lines: list[bytes], arguments: tuple[str, ...], folder: Path
) -> None:
    if done.status != 0:  # the old primary had taken some that it could not hand on: this is told, and loaded again
        assert_one_error(done, "has lost")
        done = run("load", *arguments, cwd=folder, stdin=b"".join(line + b"\n" for line in lines))
    assert done.status == 0, done.stderr
    with sentinel.client_of_replica() as client:
        assert_each_once(client, lines)


def test_every_command_finds_the_primary(sentinel: Watched, tmp_path: Path) -> None:
    numbered(tmp_path / "in.jsonl", 10)
    sentinel.fail_over()

    url = sentinel.url
    migrate = ("migrate", "--from-redis", url, "--to-redis", url, "--from-queue", "q", "--to-queue", "r")
    for arguments in (*commands(url), migrate):
        done = run(*arguments, cwd=tmp_path)
        assert done.status in ((4,) if arguments[0] == "wait" else (0,)), (arguments, done.stderr)
    with sentinel.client_of_replica() as client:
        assert client.llen("asynq:{r.default}:pending") == 10


def test_the_python_api_takes_such_a_url(sentinel: Watched) -> None:
    async def load() -> int:
        async with Loader(queue="q", redis=sentinel.url, job="j") as loader:
            return (await loader.load([{"n": n} for n in range(10)])).loaded

    assert asyncio.run(load()) == 10


def test_logins_of_servers_and_of_sentinels_are_separate(tmp_path: Path, redis_server: MakeServer) -> None:
    numbered(tmp_path / "in.jsonl", 10)
    with watched(tmp_path, redis_server, "redis", password="of-servers", own_password="of-sentinel") as sentinel:
        url = sentinel.url
        refused = run("load", "in.jsonl", "-q", "q", "--redis", url, "--quiet", cwd=tmp_path)
        done = run("load", "in.jsonl", "-q", "q", "--redis", f"{url}?sentinel_password=of-sentinel", cwd=tmp_path)

    line = assert_one_error(refused, "Sentinel 127.0.0.1:", "sentinel_password=PASSWORD")
    assert "of-servers" not in line
    assert done.status == 0, done.stderr


# --- what is wrong is told --------------------------------------------------------------------------------------------


def _fails(folder: Path, url: str, *words: str, status: int = 1) -> None:
    numbered(folder / "in.jsonl", 10)
    failed = run("load", "in.jsonl", "-q", "q", "--redis", url, "--quiet", cwd=folder)
    assert_one_error(failed, *words, status=status)


def test_sentinels_that_do_not_answer_are_named(tmp_path: Path) -> None:
    one, two = free_port(), free_port()

    _fails(
        tmp_path,
        f"redis+sentinel://127.0.0.1:{one},127.0.0.1:{two}/tasks",
        "no Sentinel of tasks answers",
        f"127.0.0.1:{one}: connection refused; 127.0.0.1:{two}: connection refused",
    )


def test_a_service_that_sentinel_does_not_know_is_told_with_those_that_it_knows(
    sentinel: Watched, tmp_path: Path
) -> None:
    _fails(tmp_path, f"redis+sentinel://127.0.0.1:{sentinel.port}/other", "no service 'other'; it knows tasks")


def test_a_server_that_is_no_sentinel_is_told(server: Server, tmp_path: Path) -> None:
    _fails(tmp_path, f"redis+sentinel://127.0.0.1:{server.port}/tasks", "is no Sentinel", "Use redis://")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis+sentinel://h:1", "names no service"),
        ("redis+sentinel:///tasks", "needs hosts"),
        ("redis+sentinel://h:1,/tasks", "needs hosts"),
        ("redis+sentinel://h:1/tasks/x", "not a database number"),
        ("redis+sentinel://h:1/tasks?sentinel_ssl=perhaps", "sentinel_ssl must be true or false"),
        ("redis+sentinel://h:1/tasks?colour=red", "unknown parameter"),
        ("redis-sentinel://h:1?master=tasks", "begins with redis+sentinel://"),
        ("sentinel://h:1", "begins with redis+sentinel://"),
    ],
)
def test_a_url_that_is_not_complete_is_refused_with_its_form(tmp_path: Path, url: str, words: str) -> None:
    _fails(tmp_path, url, words, status=2)


def test_an_export_after_a_failover_reads_the_new_primary(sentinel: Watched, tmp_path: Path) -> None:
    numbered(tmp_path / "in.jsonl", 1000)
    assert run("load", "in.jsonl", "-q", "q", "--redis", sentinel.url, cwd=tmp_path).status == 0
    sentinel.kill_primary()

    done = run("export", "-q", "q", "--redis", sentinel.url, "--format", "payload", cwd=tmp_path)

    assert [json.loads(line)["n"] for line in done.stdout.splitlines()] == list(range(1000))


# --- a gateway --------------------------------------------------------------------------------------------------------


class Clients:
    """Clients of a gateway, each of which repeats a request until it is accepted, always with the request's own key.

    Attributes:
        accepted: Keys of accepted requests.
        repeated: How many requests were sent once more.
    """

    def __init__(self, gateway: Gateway) -> None:
        self.accepted: list[str] = []
        self.repeated = 0
        self._gateway = gateway
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(4)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def send(self, key: str) -> bool:
        """Enqueues two tasks. Whether this was accepted."""
        content = {"queue": "simple", "jobs": [{"data": f"{key} a"}, {"data": f"{key} b"}]}
        try:
            return self._gateway.post("/queue/add-batch", content, headers={"Idempotency-Key": key}).status == 200
        except (OSError, http.client.HTTPException):
            return False

    def _run(self, number: int) -> None:
        for count in itertools.count():
            if self._ending.is_set():
                return
            key = f"{number}-{count}"
            while not self.send(key):
                self.repeated += 1
                time.sleep(0.02)
            self.accepted.append(key)


@pytest.mark.parametrize("layout", ["documented", "asynq"])
@pytest.mark.parametrize("fault", ["fail_over", "kill_primary"])
def test_a_gateway_follows_a_failover_and_requests_with_keys_are_in_once(
    sentinel: Watched, tmp_path: Path, fault: str, layout: str
) -> None:
    (tmp_path / "queues.yaml").write_text(QUEUES)
    arguments = ("--redis", sentinel.url, "--api-key-env", KEY_ENV, "--queues-file", "queues.yaml", "--layout", layout)

    with Gateway(*arguments, "--timeout", "2", cwd=tmp_path) as gateway, Clients(gateway) as clients:
        until(lambda: len(clients.accepted) > 100, "some requests are accepted")
        with sentinel.client_of_primary() as client:  # as FAILOVER of Redis does: nothing is answered and then lost
            client.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
            getattr(sentinel, fault)()
        before = len(clients.accepted)
        until(lambda: len(clients.accepted) > before + 100, "requests are accepted again")
        again = [key for key in clients.accepted[:200] if not clients.send(key)]

    assert again == []
    assert clients.repeated > 0
    expected = Counter(f'"{key} {part}"'.encode() for key in clients.accepted for part in "ab")
    with sentinel.client_of_replica() as client:
        tasks = stored(client, layout, "simple.default")
    assert Counter(payload_of(fields) for _, fields in tasks) == expected

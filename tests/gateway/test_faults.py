"""Signals, kills and a Redis that goes away: an answered request is in Redis, and what is not in was not answered."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.conftest import RedisServer, Server
from tests.faults.proxy import Proxy, Verdict
from tests.gateway.conftest import Start
from tests.gateway.helpers import KEY, Gateway, Reply, asynq, documented

CLIENTS = 8


class Load:
    """Clients that enqueue as fast as they are answered, in batches and one by one.

    Attributes:
        answered: Ids of answered tasks.
        refused: Answers that were not 200.
        unanswered: How many requests got no answer.
    """

    def __init__(self, gateway: Gateway) -> None:
        self.answered: list[str] = []
        self.refused: list[Reply] = []
        self.unanswered = 0
        self._gateway = gateway
        self._ending = False
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(CLIENTS)]

    @contextmanager
    def running(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._ending = True
            for thread in self._threads:
                thread.join(60)

    def until(self, count: int) -> None:
        """Waits until so many more tasks were answered."""
        goal = len(self.answered) + count
        deadline = time.monotonic() + 60
        while len(self.answered) < goal:
            assert time.monotonic() < deadline, (
                f"{len(self.answered)} of {goal} tasks were answered: {self.refused[:3]}"
            )
            time.sleep(0.005)

    def _run(self, number: int) -> None:
        connection = self._gateway.connect()
        rounds = 0
        while not self._ending:
            rounds += 1
            jobs = [{"data": [number, rounds, n]} for n in range(50)]
            try:
                if number % 2:
                    reply = self._gateway.post("/queue/add-batch", {"queue": "simple", "jobs": jobs}, over=connection)
                else:
                    reply = self._gateway.post("/queue/add", {"queue": "simple", "data": rounds}, over=connection)
            except (OSError, http.client.HTTPException):
                connection.close()
                with self._lock:
                    self.unanswered += 1
                if self._gateway.process.poll() is not None:
                    return
                continue
            with self._lock:
                if reply.status != 200:
                    self.refused.append(reply)
                else:
                    self.answered += reply.json["task_ids"] if number % 2 else [reply.json["info"]["id"]]
        connection.close()


Stored = Callable[[Any, str], list[tuple[str, dict[bytes, bytes]]]]


def assert_answered_are_in_once(client: Any, stored: Stored, answered: list[str]) -> list[str]:
    """All answered tasks are in the list once, with their hashes; the ids that are in besides."""
    tasks = stored(client, "simple.default")
    times = Counter(task_id for task_id, _ in tasks)
    assert [task_id for task_id, count in times.items() if count > 1] == []
    assert len(set(answered)) == len(answered)
    assert [task_id for task_id in answered if task_id not in times] == []
    assert [task_id for task_id, fields in tasks if not fields] == []
    return sorted(set(times) - set(answered))


@pytest.mark.parametrize("layout", ["documented", "asynq"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_under_load_loses_nothing(server: Server, start: Start, client: Any, layout: str, number: int) -> None:
    gateway = start(server.url, "--layout", layout)
    load = Load(gateway)
    with load.running():
        load.until(2000)
        gateway.process.send_signal(number)
        outcome = gateway.wait()
    assert outcome.status == 0, outcome.stderr
    assert outcome.stderr.splitlines()[-1].startswith("runqy-loader: stopping")
    assert load.refused == []
    # Whoever was accepted was answered: nothing is in that nobody was told of.
    assert assert_answered_are_in_once(client, documented if layout == "documented" else asynq, load.answered) == []


@pytest.mark.parametrize("layout", ["documented", "asynq"])
def test_what_a_killed_gateway_has_answered_is_in(server: Server, start: Start, client: Any, layout: str) -> None:
    gateway = start(server.url, "--layout", layout)
    load = Load(gateway)
    with load.running():
        load.until(2000)
        gateway.process.kill()
        assert gateway.wait().status == -9
    assert_answered_are_in_once(client, documented if layout == "documented" else asynq, load.answered)


@pytest.mark.parametrize("layout", ["documented", "asynq"])
@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}], ids=["without a key", "with a key"])
def test_tasks_that_redis_loses_before_they_are_pushed_are_refused(
    server: Server, start: Start, client: Any, layout: str, headers: dict[str, str]
) -> None:
    stored = documented if layout == "documented" else asynq
    with Proxy(server.port) as proxy:
        gateway = start(proxy.url, "--layout", layout)
        proxy.rule = lambda link, chunk: Verdict.WAIT if b"'LPUSH'" in chunk else None
        replies: list[Reply] = []
        jobs = {"queue": "simple", "jobs": [{"data": n} for n in range(5)]}

        def ask() -> None:
            replies.append(gateway.post("/queue/add-batch", jobs, headers=headers))

        asking = threading.Thread(target=ask)
        asking.start()
        while not proxy.waiting:
            time.sleep(0.005)
        client.flushall()
        proxy.go_on()
        asking.join(60)
        ask()

    refused, accepted = replies
    assert (refused.status, accepted.status) == (503, 200), (refused, accepted)
    assert assert_answered_are_in_once(client, stored, accepted.json["task_ids"]) == []


@pytest.mark.slow
def test_requests_with_keys_are_in_once_however_often_the_gateway_is_killed(
    server: Server, start: Start, client: Any
) -> None:
    expected = 0
    for round_number in range(3):
        gateway = start(server.url)
        killer = threading.Timer(0.15 + 0.1 * round_number, gateway.process.kill)
        killer.start()
        pending = [f"{round_number}-{n}" for n in range(400)]
        unsure: list[str] = []
        for key in pending:
            try:
                assert send_with_key(gateway, key).status == 200
            except (OSError, http.client.HTTPException):
                unsure.append(key)
        killer.join()
        gateway.wait()
        again = start(server.url)
        for key in (*unsure, *pending[:20]):
            assert send_with_key(again, key).status == 200
        expected += len(pending)
        again.stop()
    found = Counter(json.loads(fields[b"payload"]) for _, fields in documented(client, "simple.default"))
    assert set(found.values()) == {2}  # each request has two jobs with its key as the payload
    assert len(found) == expected


def send_with_key(gateway: Gateway, key: str) -> Reply:
    content = {"queue": "simple", "jobs": [{"data": key}, {"data": key}]}
    return gateway.post("/queue/add-batch", content, headers={"Idempotency-Key": key})


def test_a_second_signal_ends_it_at_once(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url)
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as never_ending:
        never_ending.sendall(head(100) + b"{")
        until(lambda: "runqy_loader_http_buffered_bytes 1.0" in metrics(gateway), "the request to arrive")
        gateway.process.terminate()
        until(lambda: "stopping" in gateway.said[-1], "it to say that it stops")
        assert gateway.process.poll() is None
        gateway.process.terminate()
        assert gateway.wait().status == 130


def test_who_waits_for_a_task_does_not_keep_it_from_stopping(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url)
    task_id = gateway.add("simple", 1)
    connection = gateway.connect()
    connection.request("GET", f"/queue/{task_id}?wait=true", headers={"Authorization": f"Bearer {KEY}"})
    until(lambda: "runqy_loader_http_requests_waiting 1.0" in metrics(gateway), "the request to wait")
    assert gateway.stop().status == 0
    assert connection.getresponse().status == 503
    connection.close()


def test_who_is_not_done_after_the_time_to_stop_is_told(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url, "--shutdown-timeout", "0.3")
    body = b'{"queue": "simple", "data": 1}'
    with (
        valkey.client() as client,
        socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as unsure,
        socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as unfinished,
    ):
        client.client_pause(60_000, all=False)
        unsure.sendall(head(len(body)) + body)
        unfinished.sendall(head(100) + b"{")
        until(lambda: f"runqy_loader_http_buffered_bytes {len(body) + 1}.0" in metrics(gateway), "both to arrive")
        gateway.process.terminate()
        for connection, words in (
            (unsure, b"the gateway stops; it is not known whether this was enqueued"),
            (unfinished, b"the gateway stops; nothing was done"),
        ):
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            assert (answer.status, words in answer.read()) == (503, True)
        client.client_unpause()
        assert gateway.wait().status == 0


# --- Redis goes away ------------------------------------------------------------------------------------------------


def test_without_redis_it_says_so_and_goes_on_when_it_is_back(
    start: Start, redis_server: Callable[..., RedisServer]
) -> None:
    redis = redis_server("--appendonly", "yes", "--appendfsync", "always")
    gateway = start(redis.start().url, "--timeout", "5")
    before = gateway.add("simple", 1)
    redis.kill()
    until(lambda: gateway.get("/healthz", key=None).status == 503, "healthz to notice")
    for reply in (
        gateway.post("/queue/add", {"queue": "simple", "data": 1}),
        gateway.post("/queue/add-batch", {"queue": "simple", "jobs": [{"data": 1}]}),
        gateway.post("/queue/add", {"queue": "simple", "data": 1}, headers={"Idempotency-Key": "k"}),
        gateway.get(f"/queue/{before}"),
        gateway.get(f"/queue/{before}?wait=true"),
    ):
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert len(reply.errors) == 1
    assert gateway.post("/queue/add", {"queue": "nope", "data": 1}).status == 404  # needs no Redis
    assert 'runqy_loader_redis_up{command="serve",job_name=""} 0.0' in gateway.get("/metrics").body.decode()
    server = redis.start()
    until(lambda: gateway.get("/healthz", key=None).status == 200, "healthz to recover")
    until(lambda: gateway.post("/queue/add", {"queue": "simple", "data": 2}).status == 200, "a task to get in")
    with server.client() as client:
        payloads = [fields[b"payload"] for _, fields in documented(client, "simple.default")]
    assert payloads == [b"1", b"2"]


def test_a_redis_killed_under_load_takes_no_answered_task_with_it(
    start: Start, redis_server: Callable[..., RedisServer]
) -> None:
    redis = redis_server("--appendonly", "yes", "--appendfsync", "always")
    gateway = start(redis.start().url)
    load = Load(gateway)
    with load.running():
        for _ in range(3):
            load.until(500)
            redis.kill()
            time.sleep(0.1)
            server = redis.start()
        load.until(500)
    assert gateway.stop().status == 0
    assert {reply.status for reply in load.refused} <= {503}
    with server.client() as client:
        assert_answered_are_in_once(client, documented, load.answered)


def test_a_lost_connection_is_made_again(gateway: Gateway, client: Any) -> None:
    load = Load(gateway)
    with load.running():
        for _ in range(10):
            load.until(100)
            client.client_kill_filter(_type="normal", skipme=True)
    assert_answered_are_in_once(client, documented, load.answered)
    texts = {text for reply in load.refused for text in reply.errors}
    assert all("nothing was enqueued" in text or "not known whether" in text for text in texts), texts


def test_a_server_at_its_memory_limit_refuses_and_keeps_nothing(server: Server, start: Start, client: Any) -> None:
    gateway = start(server.url)
    client.config_set("maxmemory", "1")
    try:
        for path, content in (
            ("/queue/add", {"queue": "simple", "data": 1}),
            ("/queue/add-batch", {"queue": "simple", "jobs": [{"data": 1}] * 100}),
        ):
            reply = gateway.post(path, content)
            assert (reply.status, "nothing was enqueued" in reply.errors[0]) == (503, True)
    finally:
        client.config_set("maxmemory", "0")
    assert client.keys("*") == []
    gateway.add("simple", 1)


# --- clients that misbehave -----------------------------------------------------------------------------------------


def test_an_unfinished_body_is_given_up(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url, "--body-timeout", "0.3")
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as slow:
        slow.sendall(head(100) + b'{"queue"')
        assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")
    for _ in range(50):  # and one whose client has gone leaves nothing behind
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as gone:
            gone.sendall(head(100) + b'{"queue"')
    until(lambda: "runqy_loader_http_requests_in_progress 0.0" in metrics(gateway), "requests to end")
    assert "runqy_loader_http_buffered_bytes 0.0" in metrics(gateway)


def head(length: int) -> bytes:
    return (
        f"POST /queue/add HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def metrics(gateway: Gateway) -> str:
    return gateway.get("/metrics").body.decode()


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)

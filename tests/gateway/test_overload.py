"""More requests, bytes and jobs than the gateway takes at once, and what clients may make it remember."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli import environment, read_until
from tests.conftest import RedisServer, Server
from tests.gateway.conftest import Start
from tests.gateway.helpers import HANG, KEY, Gateway, documented, peak


@contextmanager
def paused(valkey: Server) -> Iterator[Any]:
    """Redis answers nothing during the block."""
    with valkey.client() as client:
        client.client_pause(60_000, all=False)
        try:
            yield client
        finally:
            client.client_unpause()


def metric(gateway: Gateway, name: str) -> float:
    page = gateway.get("/metrics", key=None).body.decode()
    return float(next(line.split()[-1] for line in page.splitlines() if line.startswith(f"runqy_loader_{name} ")))


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def test_requests_wait_for_their_turn(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url, "--max-requests", "2", "--queue-timeout", "60")
    with ThreadPoolExecutor(40) as pool:
        with paused(valkey):
            answers = [pool.submit(gateway.add, "simple", n) for n in range(40)]
            until(lambda: metric(gateway, "http_requests_queued") == 38, "the others to queue")
            assert metric(gateway, "http_requests_in_progress") == 2
        ids = {answer.result(60) for answer in answers}
    with valkey.client() as client:
        assert {task_id for task_id, _ in documented(client, "simple.default")} == ids
    assert metric(gateway, "http_requests_in_progress") == metric(gateway, "http_requests_queued") == 0


def test_whoever_waits_too_long_is_told_and_leaves_nothing(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url, "--max-requests", "1", "--queue-timeout", "0.2")
    with ThreadPoolExecutor(2) as pool:
        with paused(valkey):
            first = pool.submit(gateway.add, "simple", 1)
            until(lambda: metric(gateway, "http_requests_in_progress") == 1, "the first to arrive")
            reply = gateway.post("/queue/add", {"queue": "simple", "data": 2})
            assert (reply.status, reply.headers["retry-after"]) == (503, "1")
            assert reply.errors == ["the gateway is at its limit of requests; try again"]
        first.result(60)
    assert gateway.add("simple", 3)


def test_requests_that_wait_for_a_task_take_no_turns(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url, "--max-requests", "1", "--max-waiting", "3")
    task_id = gateway.add("simple", 1)
    kept = [gateway.connect() for _ in range(3)]
    for connection in kept:
        connection.request("GET", f"/queue/{task_id}?wait=true", headers={"Authorization": f"Bearer {KEY}"})
    until(lambda: metric(gateway, "http_requests_waiting") == 3, "them to wait")
    assert gateway.get(f"/queue/{gateway.add('simple', 2)}").status == 200
    assert gateway.get(f"/queue/{task_id}?wait=true").status == 503
    with valkey.client() as client:
        client.set(f"asynq:result:{task_id}", "1")
    assert [connection.getresponse().status for connection in kept] == [200] * 3
    for connection in kept:
        connection.close()


def test_what_is_announced_takes_no_memory_before_it_arrives(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url, "--max-buffered-bytes", "16777216", "--body-timeout", "60")
    head = f"POST /queue/add HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 16000000\r\n\r\n"
    silent = [socket.create_connection(("127.0.0.1", gateway.port), timeout=60) for _ in range(16)]
    try:
        for connection in silent:
            connection.sendall(head.encode())
        batch = {"queue": "simple", "jobs": [{"data": "x" * 1000}] * 1000}
        assert gateway.post("/queue/add-batch", batch).status == 200
        assert metric(gateway, "http_buffered_bytes") == 0
    finally:
        for connection in silent:
            connection.close()


def test_long_answers_that_nobody_takes_are_bounded_in_memory(valkey: Server, start: Start) -> None:
    gateway = start(
        valkey.url, "--max-buffered-bytes", "10000000", "--max-body-bytes", "9000000", "--queue-timeout", "0.3"
    )
    long = 8_000_000
    task_id = gateway.add("simple", "x" * long)
    small, binary = gateway.add("simple", "x"), gateway.add("simple", "x")
    with valkey.client() as client:
        client.hset(f"asynq:t:{binary}", "payload", b"\xff" * long)
    ask = f"GET /queue/{task_id} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode()
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", gateway.port))
        slow.sendall(ask)
        until(lambda: metric(gateway, "http_buffered_bytes") == long + 2, "the answer to begin")
        refused = gateway.get(f"/queue/{task_id}")
        assert (refused.status, refused.errors) == (503, ["the gateway is at its limit of buffered bytes; try again"])
        assert gateway.get(f"/queue/{binary}").status == 503  # shown in Base64
        assert gateway.get(f"/queue/{small}").status == 200  # small ones are not counted
    until(lambda: metric(gateway, "http_buffered_bytes") == 0, "the memory to be given back")
    assert gateway.get(f"/queue/{task_id}").status == 200
    until(lambda: metric(gateway, "http_buffered_bytes") == 0, "the memory to be given back")


def test_a_body_waits_for_memory_and_is_refused_in_the_end(valkey: Server, start: Start) -> None:
    limits = ("--max-buffered-bytes", "200000", "--max-body-bytes", "150000", "--queue-timeout", "0.3")
    gateway = start(valkey.url, *limits)
    body = json.dumps({"queue": "simple", "data": "x" * 140_000}).encode()
    head = f"POST /queue/add HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as first:
        first.sendall(head.encode() + body[:-1])
        until(lambda: metric(gateway, "http_buffered_bytes") == len(body) - 1, "the first to arrive")
        reply = gateway.ask("POST", "/queue/add", body)
        assert (reply.status, reply.errors) == (503, ["the gateway is at its limit of buffered bytes; try again"])
        first.sendall(body[-1:])
        assert first.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert gateway.ask("POST", "/queue/add", body).status == 200
    until(lambda: metric(gateway, "http_buffered_bytes") == 0, "all memory to be given back")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc here")
def test_too_many_jobs_are_noticed_before_they_are_objects(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url)
    body = b'{"queue": "simple", "jobs": [%b{}]}' % (b"{}," * 5_300_000)
    before = peak(gateway)
    reply = gateway.ask("POST", "/queue/add-batch", body)
    assert (reply.status, reply.errors) == (413, ["the jobs are too many: at most 10000 a request"])
    assert peak(gateway) - before < 8 * len(body)  # one object takes 60 bytes, not 3
    nested = {"queue": "simple", "jobs": [{"data": {"a": [{}, {}, {}]}}] * 10_000}
    assert gateway.post("/queue/add-batch", nested).status == 200


def test_large_batches_and_small_requests_go_on_side_by_side(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url)
    batch = {"queue": "inference", "jobs": [{"data": n} for n in range(10_000)]}
    done: list[int] = []

    def send_large() -> None:
        done.extend(gateway.post("/queue/add-batch", batch).status for _ in range(2))

    threads = [threading.Thread(target=send_large) for _ in range(4)]
    for thread in threads:
        thread.start()
    small = 0
    while any(thread.is_alive() for thread in threads):
        gateway.add("simple", small)
        small += 1
    assert done == [200] * 8
    assert small > 8  # more than one for each large one
    with valkey.client() as client:
        payloads = Counter(fields[b"payload"] for _, fields in documented(client, "inference.default"))
        assert set(payloads.values()) == {8} and len(payloads) == 10_000
        assert client.llen("asynq:simple.default:pending") == small


def test_a_batch_with_many_timeouts_lets_others_on(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url, "--layout", "asynq", "--force-layout")
    batch = {"queue": "simple", "jobs": [{"data": n, "timeout": n + 1} for n in range(1500)]}
    with ThreadPoolExecutor(1) as pool:
        large = pool.submit(gateway.post, "/queue/add-batch", batch)
        kept, others = gateway.connect(), 0
        while not large.done():
            assert gateway.get("/health", over=kept).status == 200
            others += 1
        kept.close()
    assert large.result().json["enqueued"] == 1500
    assert others > 20  # each timeout needs an encoder; more than one answer for each hundred


def test_empty_gzip_members_count_as_they_arrive(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url, "--max-body-bytes", "100000")
    pieces = iter([gzip.compress(b"") * 1000] * 6)
    reply = httpx.post(
        f"{gateway.url}/queue/add",
        content=pieces,
        headers={"Content-Encoding": "gzip", "X-API-Key": KEY},
        timeout=60,
    )
    assert (reply.status_code, reply.json()) == (413, {"errors": ["the body is too long: at most 100000 bytes"]})


# --- bounds ---------------------------------------------------------------------------------------------------------


def test_names_of_queues_are_bounded(valkey: Server, tmp_path: Path) -> None:
    with Gateway("--redis", valkey.url, "--no-auth", cwd=tmp_path) as gateway:
        for name, status in (("q" * 247, 200), ("q" * 248, 400), ("é" * 123, 200), ("é" * 124, 400)):
            reply = gateway.post("/queue/add", {"queue": name, "data": 1})
            assert reply.status == status, name
        assert reply.errors == ["the name of the queue is longer than 255 bytes"]


def test_payloads_are_judged_as_a_load_judges_them(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url)
    for payload, words in (
        (b'"\\ud800"', "a lone surrogate \\ud800"),
        (b"1e999", "a number beyond the range of a double"),
        (b"[" * 1025 + b"]" * 1025, "nested more than 1,024 levels deep"),
        (b"[" * 9000 + b"]" * 9000, "nested more than 1,024 levels deep"),
    ):
        for path, body in (
            ("/queue/add", b'{"queue": "simple", "data": %b}'),
            ("/queue/add-batch", b'{"queue": "simple", "jobs": [{"data": 1}, {"data": %b}]}'),
        ):
            reply = gateway.ask("POST", path, body % payload)
            assert reply.status == 400
            assert words in reply.errors[0], reply.errors
    assert (
        gateway.ask("POST", "/queue/add", b'{"queue": "simple", "data": %b}' % (b"[" * 1024 + b"]" * 1024)).status
        == 200
    )


def test_a_key_of_another_type_is_named(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url, "--layout", "asynq", "--queue-check", "redis")
    with valkey.client() as client:
        client.set("asynq:{simple.default}:pending", "a string")
        reply = gateway.post("/queue/add", {"queue": "simple", "data": 1})
        pending = "the key asynq:{simple.default}:pending is of another type than a list of tasks; nothing was enqueued"
        assert (reply.status, reply.errors) == (503, [pending])
        client.delete("asynq:{simple.default}:pending", "asynq:queues")
        client.set("asynq:queues", "a string")
        named = "the key asynq:queues is of another type than a set of queues"
        reply = gateway.post("/queue/add", {"queue": "simple", "data": 1})
        assert (reply.status, reply.errors) == (503, [f"{named}; nothing was enqueued"])
        reply = gateway.post("/queue/add", {"queue": "unknown", "data": 1})
        assert (reply.status, reply.errors) == (503, [f"{named}; nothing was done"])


def test_a_key_of_another_type_for_an_idempotency_key_is_named(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url)
    claim = f"runqy-loader:idempotency:{hashlib.sha256(b'k').hexdigest()}"
    with valkey.client() as client:
        client.lpush(claim, "1")
    reply = gateway.post("/queue/add", {"queue": "simple", "data": 1}, headers={"Idempotency-Key": "k"})
    named = f"the key {claim} is of another type than a mark; nothing was done"
    assert (reply.status, reply.errors) == (503, [named])


def test_the_log_is_short_while_redis_is_away(start: Start, redis_server: Callable[..., RedisServer]) -> None:
    redis = redis_server()
    gateway = start(redis.start().url)
    redis.kill()
    until(lambda: gateway.get("/healthz", key=None).status == 503, "healthz to notice")
    began, lines = time.monotonic(), len(gateway.said)
    kept = gateway.connect()
    for n in range(200):
        assert gateway.post("/queue/add", {"queue": "simple", "data": n}, over=kept).status == 503
        assert gateway.get("/queue/x", over=kept).status == 503
    kept.close()
    assert len(gateway.said) - lines <= 2 + (time.monotonic() - began)


# --- signals and workers --------------------------------------------------------------------------------------------


def test_a_signal_stops_it_though_nobody_reads_what_it_says(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url, "--access-log")
    assert gateway.process.stderr is not None
    reader = gateway.process.stderr.fileno()
    with Path("/dev/null").open("rb") as nothing:
        os.dup2(nothing.fileno(), reader)  # the pipe has no reader any more
    gateway.add("simple", 1)
    gateway.process.terminate()
    assert gateway.process.wait(60) == 0


def test_several_workers_share_a_port_and_keep_the_guarantees(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url, "--workers", "2", "--layout", "asynq")
    assert "2 workers" in gateway.serving
    ids = [gateway.add("simple", n) for n in range(40)]
    batch = {"queue": "simple", "jobs": [{"data": n} for n in range(50)]}

    def repeat(_: int) -> bytes:
        return gateway.post("/queue/add-batch", batch, headers={"Idempotency-Key": "k"}).body

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(repeat, range(16)))) == 1
    with valkey.client() as client:
        assert client.llen("asynq:{simple.default}:pending") == 90
    until(
        lambda: metric(gateway, 'tasks_enqueued_total{command="serve",job_name="",queue="simple.default"}') == 90,
        "the metrics of both",
    )
    workers = children(gateway)
    assert len(workers) == 2
    subprocess.run(["kill", "-KILL", workers[0]], check=True)
    until(lambda: len(children(gateway)) == 2 and workers[0] not in children(gateway), "another worker")
    assert gateway.get(f"/queue/{ids[0]}").status == 200
    assert gateway.stop().status == 0
    assert any("has ended by itself (exit status -9); starting another one" in line for line in gateway.said)


def test_a_signal_to_all_processes_of_a_service_is_one_signal(valkey: Server, start: Start) -> None:
    """As systemd sends it, if nothing else is said."""
    gateway = start(valkey.url, "--workers", "2")
    body = b'{"queue": "simple", "data": 1}'
    lines = ("POST /queue/add HTTP/1.1", "Host: x", f"X-API-Key: {KEY}", f"Content-Length: {len(body)}", "", "")
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=HANG) as connection:
        connection.sendall("\r\n".join(lines).encode() + body[:1])
        until(lambda: metric(gateway, "http_buffered_bytes") == 1, "the request to arrive")
        subprocess.run(["kill", "-TERM", str(gateway.process.pid), *children(gateway)], check=True)
        until(lambda: len(children(gateway)) < 2, "the worker that has nothing to do to end")
        connection.sendall(body[1:])

        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert gateway.wait().status == 0


def children(gateway: Gateway) -> list[str]:
    done = subprocess.run(["pgrep", "-P", str(gateway.process.pid)], capture_output=True, text=True, check=False)
    return done.stdout.split()


def test_a_module_of_the_users_with_the_name_of_this_package_is_not_run_by_a_worker(
    valkey: Server, tmp_path: Path
) -> None:
    (tmp_path / "loader.py").write_text("raise SystemExit('the module of the user')")
    program = Path(sys.executable).with_name("runqy-loader")  # "python -m" itself looks for modules in the folder first
    arguments = ("serve", "--no-auth", "--port", "0", "--workers", "2", "--redis", valkey.url)
    with subprocess.Popen([program, *arguments], cwd=tmp_path, env=environment(), stderr=subprocess.PIPE) as gateway:
        assert gateway.stderr is not None
        try:
            read_until(gateway.stderr.fileno(), "runqy-loader: serving ", seconds=HANG)
        finally:
            gateway.terminate()
        assert gateway.wait(60) == 0


def test_a_long_line_of_a_worker_reaches_the_log(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url, "--workers", "2", "--access-log")
    assert gateway.get("/" + "%FF" * 20_000, key=None).status == 404  # three times as long in the log
    assert gateway.get("/health", key=None).status == 200
    assert gateway.stop().status == 0
    assert any("%EF%BF%BD" * 3000 in line for line in gateway.said)


def test_workers_stop_with_their_parent(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url, "--workers", "2")
    workers = children(gateway)
    gateway.process.kill()
    gateway.process.wait(60)
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "the workers to end")

"""Starts a gateway, enqueues through its HTTP API as fast as it answers, and ends it.

Requests are ready-made bytes. Of the answers, only the status is parsed before the clock stops. So the sender needs
little CPU beside the gateway. It writes its report to a file, like all peers, and the CPU of the gateway and of sending
to standard output, as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import orjson
import uvloop

from benchmarks.peers.python.arguments import batches

_KEY_NAME = "RUNQY_BENCHMARK_KEY"
_READY_SECONDS = 30
_END_SECONDS = 30
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Arguments(argparse.Namespace):
    """Its arguments."""

    redis: str
    queue: str
    batch: int
    connections: int
    report: Path
    payloads: Path


def request(method: str, path: str, host: str, key: str, body: bytes = b"") -> bytes:
    """A request's bytes. HTTP/1.1 keeps connections open by default (RFC 9112, section 9.3)."""
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def requests(arguments: Arguments, host: str, key: str) -> list[bytes]:
    """All requests: one for each task, or one for each batch."""
    queue = json.dumps(arguments.queue).encode()
    if arguments.batch == 1:
        bodies = (b'{"queue": %b, "data": %b}' % (queue, line) for (line,) in batches(arguments.payloads, 1))
        return [request("POST", "/queue/add", host, key, body) for body in bodies]
    made: list[bytes] = []
    for lines in batches(arguments.payloads, arguments.batch):
        jobs = b", ".join([b'{"data": %b}' % line for line in lines])
        made.append(request("POST", "/queue/add-batch", host, key, b'{"queue": %b, "jobs": [%b]}' % (queue, jobs)))
    return made


class Sender(asyncio.Protocol):
    """A connection. It sends the next request when the last one is answered.

    Args:
        source: Requests, shared with other connections.
        answers: The list to which the bodies of answers are added.
    """

    def __init__(self, source: Iterator[bytes], answers: list[bytes]) -> None:
        self._source = source
        self._answers = answers
        self._received = bytearray()
        self._size = -1  # of the answer being received, once known
        self._transport: asyncio.Transport | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"the gateway has closed a connection ({exc})")

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._size < 0:
            self._read_head()
        if 0 <= self._size <= len(self._received):
            body = bytes(self._received[-self._size :])  # one request is in flight, so the last bytes are the body
            self._received.clear()
            self._size = -1
            self._answers.append(body)
            self.send_next()

    def send_next(self) -> None:
        """Sends the next request, if there is one."""
        assert self._transport is not None
        following = next(self._source, None)
        if following is not None:
            self._transport.write(following)
        elif not self.done.done():
            self.done.set_result(None)
            self._transport.close()

    def _read_head(self) -> None:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._received[:end])
        length = _LENGTH.search(head)
        if not re.match(rb"HTTP/1\.1 20[0-2] ", head) or length is None:
            self._fail(f"the gateway answered {bytes(self._received[:500])!r}")
            return
        self._size = end + 4 + int(length[1])

    def _fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(why))


async def send(port: int, made: list[bytes], connections: int) -> tuple[list[bytes], float, float]:
    """Sends all requests. Returns the bodies of the answers, the seconds it took, and the CPU of this process."""
    loop = asyncio.get_running_loop()
    source, answers = iter(made), list[bytes]()
    senders = [
        (await loop.create_connection(lambda: Sender(source, answers), "127.0.0.1", port))[1]
        for _ in range(min(connections, len(made)))
    ]
    cpu, started = time.process_time(), time.perf_counter()
    for sender in senders:
        sender.send_next()
    await asyncio.gather(*(sender.done for sender in senders))
    return answers, time.perf_counter() - started, time.process_time() - cpu


def check(answers: list[bytes], tasks: int, queue: str, *, batch: bool) -> None:
    """Raises RuntimeError unless the answers name each task once."""
    ids: list[str] = []
    for body in answers:
        answer = orjson.loads(body[body.index(b"\r\n\r\n") + 4 :])
        if batch:
            if answer["failed"] or answer.get("errors") or answer["enqueued"] != len(answer["task_ids"]):
                raise RuntimeError(f"the gateway answered {body[-500:]!r}")
            ids += answer["task_ids"]
        else:
            if answer["info"]["queue"] != queue or answer["info"]["state"] != "pending":
                raise RuntimeError(f"the gateway answered {body[-500:]!r}")
            ids.append(answer["info"]["id"])
    if len(ids) != tasks or len(set(ids)) != tasks:
        raise RuntimeError(f"the gateway named {len(ids)} ids, {len(set(ids))} of them different, for {tasks} tasks")


def wait_until_ready(gateway: subprocess.Popen[bytes], port: int) -> None:
    """Waits until the gateway answers. Raises RuntimeError if it does not start."""
    deadline = time.monotonic() + _READY_SECONDS
    while gateway.poll() is None and time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=_READY_SECONDS) as probe:
                probe.sendall(request("GET", "/healthz", "localhost", "none"))
                if probe.recv(64).startswith(b"HTTP/1.1 200 "):
                    return
        except OSError:
            pass
        time.sleep(0.02)
    raise RuntimeError(f"the gateway does not come up (status {gateway.poll()})")


def end(gateway: subprocess.Popen[bytes]) -> float:
    """Ends the gateway. Returns the CPU seconds that it used, start-up included."""
    gateway.terminate()
    deadline = time.monotonic() + _END_SECONDS
    while True:
        pid, _, usage = os.wait4(gateway.pid, os.WNOHANG)
        if pid:
            return usage.ru_utime + usage.ru_stime
        if time.monotonic() > deadline:
            gateway.kill()
        time.sleep(0.01)


def main(arguments: Arguments) -> None:
    """Starts the gateway, sends all requests, ends the gateway, and checks the answers."""
    key = secrets.token_hex(16)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "runqy_loader", "serve", "--redis", arguments.redis, "--port", str(port)]
    gateway = subprocess.Popen(
        [*command, "--api-key-env", _KEY_NAME, "--quiet"], env={**os.environ, _KEY_NAME: key}, stdin=subprocess.DEVNULL
    )
    try:
        made = requests(arguments, f"127.0.0.1:{port}", key)
        wait_until_ready(gateway, port)
        answers, seconds, sending = uvloop.run(send(port, made, arguments.connections))
    finally:
        used = end(gateway) if gateway.returncode is None else 0.0
    with arguments.payloads.open("rb") as file:
        tasks = sum(1 for _ in file)
    check(answers, tasks, arguments.queue, batch=arguments.batch > 1)
    arguments.report.write_text(json.dumps({"seconds": seconds}))
    print(json.dumps({"gateway": used, "sender": sending}))


def parse() -> Arguments:
    """Reads the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--redis", required=True, help="URL of the server")
    parser.add_argument("--queue", default="inference.default", help="full name of the queue")
    parser.add_argument("--batch", type=int, required=True, help="tasks a request; 1 for POST /queue/add")
    parser.add_argument("--connections", type=int, required=True, help="requests in flight at the same time")
    parser.add_argument("--report", type=Path, required=True, help="write the seconds it took to this file, as JSON")
    parser.add_argument("payloads", type=Path, help="JSON lines")
    return parser.parse_args(namespace=Arguments())


if __name__ == "__main__":
    main(parse())

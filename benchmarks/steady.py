"""A steady load on the gateway for minutes: its memory must not grow, and every request must be answered.

    python -m benchmarks.steady --seconds 600

A server, a gateway and clients on this machine: single tasks, batches of 100, look-ups, and with ``--large`` batches of
10,000. Each client sends its next request when the last one is answered. Tasks are taken out again, as workers would.
Prints what each part of the time had, and fails if the gateway's memory grew by more than a tenth from the second part
to the last one, or if a request was not answered with 200.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import redis.asyncio

_QUEUE = "steady.default"
_KEY_NAME = "RUNQY_BENCHMARK_KEY"
_PARTS = 10
_MOST_GROWTH = 1.1
_READY_SECONDS = 60
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)

_DRAIN = f"""
local ids = redis.call('RPOP', 'asynq:{_QUEUE}:pending', 5000)
if not ids then return 0 end
for _, id in ipairs(ids) do redis.call('DEL', 'asynq:t:' .. id) end
return #ids
"""


class Clients:
    """Clients of one kind.

    Attributes:
        seconds: How long each request took.
        wrong: Answers that were not 200.
    """

    def __init__(self, name: str, port: int, request: bytes) -> None:
        self.name = name
        self.seconds: list[float] = []
        self.wrong: list[bytes] = []
        self._port = port
        self._request = request

    async def run(self) -> None:
        """One of them, until it is cancelled."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**22)
        while True:
            began = time.perf_counter()
            writer.write(self._request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            if length is None:
                raise RuntimeError(f"the gateway answered {head!r}")
            body = await reader.readexactly(int(length[1]))
            self.seconds.append(time.perf_counter() - began)
            if not head.startswith(b"HTTP/1.1 200 "):
                self.wrong.append(head + body[:200])


def _request(path: str, key: str, content: object = None) -> bytes:
    body = b"" if content is None else json.dumps(content).encode()
    method = "GET" if content is None else "POST"
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _running(*command: str, port: int, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a program, and ends it. The block begins once its port accepts."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=env) as process:
        try:
            deadline = time.monotonic() + _READY_SECONDS
            while True:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command[0]} does not come up (status {process.poll()})")
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                time.sleep(0.05)
            yield process
        finally:
            process.terminate()


def _memory(pid: int) -> float:
    """Resident memory in MB."""
    done = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


async def _drain(client: redis.asyncio.Redis) -> None:
    while True:
        if not await client.eval(_DRAIN, 0):
            await asyncio.sleep(0.05)


async def _load(seconds: float, port: int, redis_port: int, key: str, pid: int, *, large: int) -> bool:
    """Runs the clients. Returns whether memory was flat and all answers were right."""
    data = {"prompt": "Hello " * 12, "n": 1}
    batch = {"queue": _QUEUE, "jobs": [{"data": data}] * 100}
    huge = {"queue": _QUEUE, "jobs": [{"data": data}] * 10_000}
    kinds = [
        (Clients("single", port, _request("/queue/add", key, {"queue": _QUEUE, "data": data})), 16),
        (Clients("batch of 100", port, _request("/queue/add-batch", key, batch)), 4),
        (Clients("health", port, _request("/health", key)), 1),
        (Clients("batch of 10,000", port, _request("/queue/add-batch", key, huge)), large),
    ]
    client = redis.asyncio.Redis(port=redis_port)
    tasks = [asyncio.create_task(_drain(client))]
    tasks += [asyncio.create_task(clients.run()) for clients, count in kinds for _ in range(count)]
    memory: list[float] = []
    try:
        for part in range(1, _PARTS + 1):
            done, _ = await asyncio.wait(tasks, timeout=seconds / _PARTS, return_when=asyncio.FIRST_COMPLETED)
            for failed in done:
                failed.result()
            memory.append(_memory(pid))
            columns = [f"{part:2}/{_PARTS}", f"{memory[-1]:7.1f} MB"]
            for clients, count in kinds:
                if count:
                    times = sorted(clients.seconds) or [0.0]
                    clients.seconds.clear()
                    p50, p99 = (1000 * times[int(len(times) * share)] for share in (0.5, 0.99))
                    rate = len(times) * _PARTS / seconds
                    columns.append(f"{clients.name} {rate:8,.0f}/s p50 {p50:6.1f} p99 {p99:7.1f} ms")
            print(" | ".join(columns), flush=True)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await client.aclose()
    wrong = [answer for clients, _ in kinds for answer in clients.wrong]
    growth = memory[-1] / memory[1]
    print(f"memory after the last part is {growth:.2f} of that after the second; {len(wrong)} answers were not 200")
    for answer in wrong[:3]:
        print(answer.decode(errors="replace"))
    return not wrong and growth <= _MOST_GROWTH


def main() -> int:
    """Reads the command line and runs the load. Returns the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600, help="how long (600)")
    parser.add_argument("--large", type=int, default=0, help="clients that send batches of 10,000 (0)")
    given = parser.parse_args()
    key, redis_port, port = secrets.token_hex(16), _free_port(), _free_port()
    server = ("redis-server", "--port", str(redis_port), "--save", "", "--appendonly", "no")
    gateway = (sys.executable, "-m", "runqy_loader", "serve", "--redis", f"redis://127.0.0.1:{redis_port}/0")
    options = ("--port", str(port), "--api-key-env", _KEY_NAME, "--layout", "documented", "--quiet")
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(Path(folder)),
        _running(*server, port=redis_port),
        _running(*gateway, *options, port=port, env={**os.environ, _KEY_NAME: key}) as process,
    ):
        flat = asyncio.run(_load(given.seconds, port, redis_port, key, process.pid, large=given.large))
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())

"""A gateway that runs as a user starts it, and a plain HTTP client for it."""

from __future__ import annotations

import http.client
import json
import queue
import re
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.cli import Outcome, command, environment

KEY = "key-of-the-tests"
KEY_ENV = "GATEWAY_TEST_KEYS"
HANG = 60.0
"""Seconds after which a test gives up waiting: an upper bound against hanging, not a measure."""

QUEUES = """
queues:
  inference:
    sub_queues: [{name: premium, priority: 10}, {name: default, priority: 1}]
  simple: {priority: 1}
"""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def errors(self) -> list[str]:
        """The texts of an answer in the form of runqy's errors."""
        found = self.json
        assert list(found) == ["errors"], found
        assert all(isinstance(text, str) and text for text in found["errors"]), found
        texts: list[str] = found["errors"]
        return texts


class Gateway:
    """``runqy-loader serve`` in a process of its own, on a free port.

    Attributes:
        port: Where it listens.
        serving: The line that says so.
        said: Lines it has written to stderr so far.
    """

    def __init__(self, *arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> None:
        self.said: list[str] = []
        self._outcome: Outcome | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.process = subprocess.Popen(
            command("serve", "--port", "0", *arguments),
            cwd=cwd,
            env=environment(**{KEY_ENV: f"another,{KEY}", **(env or {})}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.serving = ""
        self.port = self._wait_for_port()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line.rstrip("\n"))
            self._lines.put(line)
        self._lines.put(None)

    def _wait_for_port(self) -> int:
        while (line := self._lines.get(timeout=HANG)) is not None:
            if found := re.search(r"serving .*http://127\.0\.0\.1:([0-9]+)", line):
                self.serving = line
                return int(found[1])
        raise AssertionError(f"the gateway does not come up: {self.said}")

    def wait(self) -> Outcome:
        """Waits for its end."""
        if self._outcome is not None:
            return self._outcome
        status = self.process.wait(HANG)
        self._reader.join(HANG)
        assert self.process.stdout is not None
        out = self.process.stdout.read()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        self._outcome = Outcome(status, out, "\n".join(self.said))
        return self._outcome

    def stop(self) -> Outcome:
        """SIGTERM, then waits for its end."""
        self.process.terminate()
        return self.wait()

    # --- requests ---------------------------------------------------------------------------------------------------

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANG)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        key: str | None = KEY,
        headers: Mapping[str, str] | None = None,
        over: http.client.HTTPConnection | None = None,
    ) -> Reply:
        """Sends a request and reads the answer.

        Args:
            over: A connection that is kept; else a new one.
        """
        connection = over or self.connect()
        sent = {**({"Authorization": f"Bearer {key}"} if key is not None else {}), **(headers or {})}
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            if over is None:
                connection.close()

    def post(self, path: str, content: Any, **options: Any) -> Reply:
        """Sends JSON."""
        return self.ask("POST", path, json.dumps(content).encode(), **options)

    def get(self, path: str, **options: Any) -> Reply:
        return self.ask("GET", path, **options)

    def add(self, queue_name: str, data: Any, **fields: Any) -> str:
        """Enqueues a task; its id."""
        reply = self.post("/queue/add", {"queue": queue_name, "data": data, **fields})
        assert reply.status == 200, reply
        task_id: str = reply.json["info"]["id"]
        return task_id

    def add_batch(self, queue_name: str, payloads: list[Any], **fields: Any) -> list[str]:
        """Enqueues tasks; their ids."""
        reply = self.post("/queue/add-batch", {"queue": queue_name, "jobs": [{"data": p} for p in payloads], **fields})
        assert reply.status == 200, reply
        ids: list[str] = reply.json["task_ids"]
        return ids


def peak(gateway: Gateway) -> int:
    """Bytes of memory that the gateway has had at most so far."""
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


def documented(client: Any, queue_name: str) -> list[tuple[str, dict[bytes, bytes]]]:
    """Tasks of a queue in the documented layout, the first to be consumed first."""
    ids = client.lrange(f"asynq:{queue_name}:pending", 0, -1)[::-1]
    return [(task_id.decode(), client.hgetall(b"asynq:t:" + task_id)) for task_id in ids]


def asynq(client: Any, queue_name: str) -> list[tuple[str, dict[bytes, bytes]]]:
    """The same in the asynq layout."""
    ids = client.lrange(f"asynq:{{{queue_name}}}:pending", 0, -1)[::-1]
    return [(task_id.decode(), client.hgetall(f"asynq:{{{queue_name}}}:t:".encode() + task_id)) for task_id in ids]

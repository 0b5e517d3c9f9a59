"""The asynq library itself as a client, a server and an inspector (the Go program in peers/asynq)."""

from __future__ import annotations

import base64
import contextlib
import json
import queue
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import pytest

from tests.conftest import Server
from tests.interop.installing import go_program

TaskState = Literal["pending", "active", "scheduled", "retry", "archived", "completed"]
_PATIENCE = 120
"""Seconds after which a peer that says nothing has failed; no test depends on how long anything takes."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task as asynq describes it: times are Unix seconds, durations seconds; payload None is Go's nil."""

    id: str
    queue: str
    type: str
    payload: bytes | None
    headers: dict[str, str] | None
    state: str
    max_retry: int
    retried: int
    last_error: str
    last_failed_at: int | None
    timeout: float
    deadline: int | None
    next_process_at: int | None
    retention: float
    completed_at: int | None
    result: bytes | None
    orphaned: bool


@dataclass(frozen=True, slots=True)
class Execution:
    """One call of the server's handler.

    Attributes:
        order: 1 for the server's first call, and so on.
        remaining: Seconds that the handler's context has left, rounded.
        deadline: Unix time at which it ends.
        failed: Whether the handler returned an error, as it was told to.
    """

    order: int
    id: str
    type: str
    queue: str
    payload: bytes | None
    headers: dict[str, str] | None
    retried: int
    max_retry: int
    remaining: int
    deadline: int
    failed: bool


@dataclass(frozen=True, slots=True)
class QueueInfo:
    """Numbers of a queue; ``latency`` in seconds, ``memory`` in bytes."""

    queue: str
    size: int
    pending: int
    active: int
    scheduled: int
    retry: int
    archived: int
    completed: int
    processed: int
    failed: int
    processed_total: int
    failed_total: int
    paused: bool
    latency: float
    memory: int


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """A live server; ``active`` are the ids of the tasks in its workers' hands."""

    id: str
    host: str
    pid: int
    concurrency: int
    queues: dict[str, int]
    strict: bool
    status: str
    started: int
    active: list[str]


class RefusedError(Exception):
    """asynq refused.

    Attributes:
        kind: ``duplicate``, ``id conflict``, ``queue not found``, ``task not found`` or ``other``.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Serving:
    """A server that runs until it is told to end."""

    def __init__(self, command: list[str], stderr: IO[str]) -> None:
        self._stderr = stderr
        self._lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr)
        threading.Thread(target=self._read, daemon=True).start()
        self.name = ""
        self._early: list[Execution] = []

    def await_ready(self) -> None:
        """Waits until the server is in asynq:servers; sets ``name``, its ``host:pid:id`` in asynq's keys."""
        while (line := self._next()) is not None and line["event"] == "executed":
            self._early.append(_execution(line))
        assert line is not None, f"the server has ended: {self._complaint()}"
        self.name = f"{line['host']}:{line['pid']}:{line['server']}"

    def execution(self) -> Execution:
        """The next execution; waits for it."""
        if self._early:
            return self._early.pop(0)
        line = self._next()
        assert line is not None and line["event"] == "executed", f"the server has ended: {self._complaint()}"
        return _execution(line)

    def stop(self) -> list[Execution]:
        """Shuts the server down as SIGTERM does; returns the executions that were not read yet."""
        self._process.terminate()
        found = self._early
        while (line := self._next()) is not None:
            if line["event"] == "executed":
                found.append(_execution(line))
        assert self._process.wait(_PATIENCE) == 0, self._complaint()
        return found

    def kill(self) -> None:
        """Ends the server as a crash does."""
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(json.loads(line))
        self._lines.put(None)

    def _next(self) -> dict[str, Any] | None:
        try:
            line = self._lines.get(timeout=_PATIENCE)
        except queue.Empty:
            pytest.fail(f"the server says nothing for {_PATIENCE} s: {self._complaint()}")
        if line is None:
            self._lines.put(None)
        return line

    def _complaint(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read()


@dataclass(frozen=True, slots=True)
class AsynqPeer:
    """asynq's client, server and inspector.

    Attributes:
        program: The Go program.
        address: ``host:port`` or the path of a Unix socket.
    """

    program: Path
    address: str
    db: int = 0

    def enqueue(
        self,
        queue: str,
        type: str,  # noqa: A002 - asynq's name for it
        payload: bytes | None = None,
        *,
        id: str | None = None,  # noqa: A002
        max_retry: int | None = None,
        timeout: float | None = None,
        deadline: int | None = None,
        retention: float | None = None,
        unique: float | None = None,
        process_at: int | None = None,
        process_in: float | None = None,
        headers: dict[str, str] | None = None,
        group: str | None = None,
    ) -> Task:
        """Enqueues a task with asynq's client; what is None is left to asynq.

        Raises:
            RefusedError: asynq did not take it.
        """
        durations = {"timeout": timeout, "retention": retention, "unique": unique, "process-in": process_in}
        options: dict[str, object] = {
            "id": id,
            "max-retry": max_retry,
            "deadline": deadline,
            "process-at": process_at,
            "group": group,
            "headers": None if headers is None else json.dumps(headers),
            "payload-base64": None if payload is None else "-",
            **{name: None if value is None else f"{value}s" for name, value in durations.items()},
        }
        given = [f"-{name}={value}" for name, value in options.items() if value is not None]
        (line,) = self._ask(
            "enqueue", f"-queue={queue}", f"-type={type}", *given, stdin=base64.b64encode(payload or b"")
        )
        return _task(line)

    def serve(
        self,
        *queues: str,
        concurrency: int = 1,
        fail_times: int = 0,
        retry_delay: float = 0,
        until: int | None = None,
        idle: float | None = None,
        result: str | None = None,
        strict: bool = False,
        aggregate: bool = False,
    ) -> list[Execution]:
        """Runs a server until nothing is left to do; returns what it executed, in order.

        Args:
            fail_times: How many tries of each task fail.
            retry_delay: Seconds that a failed task waits.
            until: End after so many executions; tasks that were taken beyond it are put back.
            idle: End after so many seconds without an execution: for what must *not* be executed.
            result: Written as the result of each task.
            strict: Each queue strictly before those after it; otherwise at random.
            aggregate: Each group of tasks becomes one task; its type is the group's name, and its payload has a line
                for each of them.
        """
        options = _serve_options(queues, concurrency, fail_times, retry_delay, result, strict)
        options += [f"-until={until}"] if until is not None else []
        options += ["-aggregate"] if aggregate else []
        options += [f"-idle={idle}"] if idle is not None else [f"-idle={_PATIENCE / 2}"]
        options += ["-drain"] if until is None and idle is None else []
        lines = self._ask("serve", *options)
        return [_execution(line) for line in lines if line["event"] == "executed"]

    @contextlib.contextmanager
    def serving(
        self, *queues: str, folder: Path, concurrency: int = 1, hold: float = 0, fail_times: int = 0
    ) -> Iterator[Serving]:
        """A server that runs during the ``with`` block; it is killed at its end unless it was stopped.

        Args:
            folder: Where its log goes, such as ``tmp_path``.
            hold: How many seconds a task takes.
        """
        command = [*self._command("serve"), *_serve_options(queues, concurrency, fail_times, 0, None, False)]
        with (folder / "asynq-server.log").open("w+") as stderr:
            running = Serving([*command, f"-hold={hold}s"], stderr)
            try:
                running.await_ready()
                yield running
            finally:
                running.kill()

    def queues(self) -> set[str]:
        return {line["queue"] for line in self._ask("inspect", "queues")}

    def queue(self, name: str) -> QueueInfo:
        """Raises RefusedError (``queue not found``) for a queue that asynq:queues does not name."""
        (line,) = self._ask("inspect", "queue", name)
        return QueueInfo(**line)

    def servers(self) -> list[ServerInfo]:
        return [ServerInfo(**line) for line in self._ask("inspect", "servers")]

    def task(self, queue: str, id: str) -> Task:  # noqa: A002
        (line,) = self._ask("inspect", "task", queue, id)
        return _task(line)

    def tasks(self, queue: str, state: TaskState) -> list[Task]:
        """All tasks of a state: of pending ones, the next to be executed first; of others, by their time."""
        return [_task(line) for line in self._ask("inspect", "list", queue, state)]

    def delete(self, queue: str, id: str) -> None:  # noqa: A002
        self._ask("inspect", "delete", queue, id)

    def archive(self, queue: str, id: str) -> None:  # noqa: A002
        self._ask("inspect", "archive", queue, id)

    def run(self, queue: str, id: str) -> None:  # noqa: A002
        """Makes a scheduled, failed or archived task pending."""
        self._ask("inspect", "run", queue, id)

    def _command(self, subcommand: str) -> list[str]:
        return [str(self.program), subcommand, f"-redis={self.address}", f"-db={self.db}"]

    def _ask(self, subcommand: str, *arguments: str, stdin: bytes = b"") -> list[dict[str, Any]]:
        done = subprocess.run(
            [*self._command(subcommand), *arguments], input=stdin, capture_output=True, timeout=_PATIENCE, check=False
        )
        lines: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
        if done.returncode == 1 and lines and "error" in lines[-1]:
            raise RefusedError(**lines[-1]["error"])
        assert done.returncode == 0, done.stderr.decode()
        return lines


def _serve_options(
    queues: tuple[str, ...], concurrency: int, fail_times: int, retry_delay: float, result: str | None, strict: bool
) -> list[str]:
    options = [f"-queues={','.join(queues)}", f"-concurrency={concurrency}", f"-fail-times={fail_times}"]
    options += [f"-retry-delay={retry_delay}s", f"-strict={str(strict).lower()}"]
    return options if result is None else [*options, f"-result={result}"]


def _task(line: dict[str, Any]) -> Task:
    return Task(**{**line, "payload": _bytes(line["payload"]), "result": _bytes(line["result"])})


def _execution(line: dict[str, Any]) -> Execution:
    fields = {name: value for name, value in line.items() if name != "event"}
    return Execution(**{**fields, "payload": _bytes(line["payload"])})


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


@pytest.fixture(scope="session")
def asynq_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go program, built once a session."""
    return go_program("asynq", "what the asynq library itself reads and writes", tmp_path_factory)


@pytest.fixture
def asynq_peer(server: Server, asynq_program: Path) -> AsynqPeer:
    """asynq on each kind of server in turn, empty."""
    return AsynqPeer(asynq_program, f"127.0.0.1:{server.port}")

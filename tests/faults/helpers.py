"""What the fault tests share: a load that runs beside the test, inputs, consumers, and what must hold in the end."""

from __future__ import annotations

import ctypes
import json
import os
import select
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import redis

from tests.cli import COMPACT, Outcome, command, environment, read_until
from tests.fault_counts import Fault, count

HANG = 120.0
"""Seconds after which a test gives up waiting: an upper bound against hanging, not a measure."""

ID_KINDS = pytest.mark.parametrize("extra", [(), ("--id-field", "n")], ids=["generated ids", "ids from the records"])
"""Ids that the loader generates go in by plain commands and a commit, ids from the records by one script a batch."""


def _give_up_reading_everything() -> None:
    """Makes root obey the permission bits of its own files: drops CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH.

    Another user would not do: it may not be able to reach this environment's Python.
    """
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for capability in (1, 2):
        if prctl(24, capability, 0, 0, 0) != 0:  # PR_CAPBSET_DROP
            raise OSError(ctypes.get_errno(), "prctl")


class Load:
    """``runqy-loader load`` running in a process of its own, in its own process group.

    Attributes:
        killed: What is counted if it ends by SIGKILL.

    Args:
        weak: Whether file permissions hold for it although the tests run as root.
        env: Variables that are added to its environment.
    """

    killed = Fault.LOADER_KILL

    def __init__(
        self,
        *arguments: str | Path,
        cwd: Path,
        stdin: int = subprocess.DEVNULL,
        weak: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.process = subprocess.Popen(
            command("load", *arguments),
            cwd=cwd,
            env=environment(**(env or {})),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=_give_up_reading_everything if weak and os.geteuid() == 0 else None,
        )
        self._said = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def feed(self, data: bytes) -> None:
        """Writes to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def strike(self) -> None:
        """SIGKILL, without waiting for its end."""
        self.process.kill()

    def kill(self) -> None:
        """SIGKILL."""
        self.strike()
        assert self.wait().status == -9

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def signal_all(self, number: int) -> None:
        """To the loader and its processes, which have groups of their own."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        for pid in (self.pid, *map(int, children)):
            os.kill(pid, number)

    def signal_group(self, number: int) -> None:
        """As a terminal does for Ctrl-C: to the loader and all that it started."""
        os.killpg(self.process.pid, number)

    def until(self, holds: Callable[[], object], what: str) -> None:
        """Waits until something holds, while the load runs."""
        until(lambda: holds() or not self.running, what)
        if not self.running and not holds():
            raise AssertionError(f"the load ended before: {what}\n{self.wait().stderr}")

    @property
    def said(self) -> str:
        """What it has said so far on its stderr."""
        assert self.process.stderr is not None
        stderr = self.process.stderr.fileno()
        while select.select([stderr], [], [], 0)[0] and (piece := os.read(stderr, 4096)):
            self._said += piece
        return self._said.decode()

    def until_it_says(self, words: str, *, times: int = 1) -> None:
        """Waits until it has said these words so often on its stderr."""
        assert self.process.stderr is not None
        self._said = read_until(self.process.stderr.fileno(), words, self._said, times=times)

    def wait(self, seconds: float = HANG) -> Outcome:
        stdout, stderr = self.process.communicate(timeout=seconds)
        outcome = Outcome(self.process.returncode, stdout.decode(), (self._said + stderr).decode())
        count(self.killed, outcome.status == -9)
        count(Fault.REFUSED, " is being loaded by process " in outcome.stderr)
        count(Fault.OVERTAKEN, " was taken over by another process" in outcome.stderr)
        return outcome


class Command(Load):
    """Another command of the loader running in a process of its own."""

    killed = Fault.OTHER_KILL

    def __init__(self, *words: str | Path, cwd: Path):
        self.process = subprocess.Popen(
            command(*words),
            cwd=cwd,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._said = b""


def load(*arguments: str | Path, cwd: Path) -> Outcome:
    """A load from beginning to end."""
    with Load(*arguments, cwd=cwd) as running:
        return running.wait()


def until(holds: Callable[[], object], what: str, seconds: float = HANG) -> None:
    """Waits until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.005)


def payload(number: int, width: int = 60) -> bytes:
    return b'{"n":%d,"text":"%s"}' % (number, b"x" * width)


def write_lines(path: Path, records: Iterable[bytes]) -> list[bytes]:
    """Writes JSON lines; what was written."""
    lines = list(records)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return lines


def numbered(path: Path, count: int, *, first: int = 0, width: int = 60) -> list[bytes]:
    """A file of distinct payloads."""
    return write_lines(path, (payload(n, width) for n in range(first, first + count)))


def tasks(client: Any) -> dict[str, list[tuple[str, dict[bytes, bytes]]]]:
    """All tasks in all pending lists, in the order of the lists: queue to (id, hash)."""
    found: dict[str, list[tuple[str, dict[bytes, bytes]]]] = {}
    for key in sorted(client.scan_iter(match="asynq:*:pending", count=1000, _type="list")):
        ids = client.lrange(key, 0, -1)
        pipe = client.pipeline(transaction=False)
        for task_id in ids:
            pipe.hgetall(b"asynq:t:" + task_id)
        queue = key.decode().removeprefix("asynq:").removesuffix(":pending")
        found[queue] = [(i.decode(), fields) for i, fields in zip(ids, pipe.execute(), strict=True)]
    return found


def task_keys(client: Any) -> set[bytes]:
    return set(client.scan_iter(match="asynq:t:*", count=1000))


def assert_each_once(client: Any, payloads: Iterable[bytes]) -> None:
    """Each payload is one task, all tasks are in a list once, and no hash is left over; no lease is held."""
    everything = [task for queue in tasks(client).values() for task in queue]
    twice = [i for i, times in Counter(i for i, _ in everything).items() if times > 1]
    assert twice == [], f"{len(twice)} ids are pending more than once, such as {twice[:3]}"
    hollow = [i for i, fields in everything if b"payload" not in fields]
    assert hollow == [], f"{len(hollow)} pending ids have no hash, such as {hollow[:3]}"
    found, expected = Counter(fields[b"payload"] for _, fields in everything), Counter(payloads)
    assert not expected - found, f"{(expected - found).total()} payloads are missing, such as {first(expected - found)}"
    assert not found - expected, f"{(found - expected).total()} are too many, such as {first(found - expected)}"
    stray = task_keys(client) - {f"asynq:t:{i}".encode() for i, _ in everything}
    assert stray == set(), f"{len(stray)} hashes are in no list"
    assert_no_lease(client)


def assert_no_lease(client: Any) -> None:
    assert list(client.scan_iter(match="runqy-loader:*:lease", count=1000)) == []


def first(counts: Counter[bytes]) -> list[bytes]:
    return sorted(counts)[:3]


def assert_adds_up(outcome: Outcome, *, loaded_in_all: int, rejected: int = 0) -> None:
    """The report of a completed load is consistent, and of the input's size."""
    report = outcome.report
    assert report["status"] == "completed", report
    assert report["records_read"] == report["loaded"] + report["already_loaded"] + report["rejected"], report
    assert report["loaded"] + report["already_loaded"] == loaded_in_all, report
    assert report["rejected"] == rejected, report
    for column in ("records_read", "loaded", "already_loaded", "rejected", "bytes_read"):
        assert report[column] == sum(source[column] for source in report["sources"]), column
    assert sum(report["queues"].values()) == report["loaded"], report
    if os.environ.get(COMPACT) == "never":  # as `make test-hset` has it
        assert report["compact"] == 0, report


def rejected_lines(path: Path) -> list[tuple[str, int]]:
    """(source, line) of each reject, in the order of the file."""
    rejects = [json.loads(line) for line in path.read_text().splitlines()]
    return [(reject["source"], reject["line"]) for reject in rejects]


def assert_one_error(outcome: Outcome, *words: str, status: int = 1) -> str:
    """The load failed with one clear line, the last one, which holds all these words; that line."""
    lines = outcome.stderr.splitlines()
    errors = [line for line in lines if line.startswith("runqy-loader: error: ")]
    assert outcome.status == status, f"status {outcome.status}:\n{outcome.stderr}"
    assert len(errors) == 1 and lines[-1] == errors[0], outcome.stderr
    assert_tidy(outcome)
    for word in words:
        assert word in errors[0], errors[0]
    return errors[0]


def assert_only_error(outcome: Outcome, *words: str) -> str:
    """A quiet load failed with one clear line and said nothing else; that line."""
    line = assert_one_error(outcome, *words)
    assert outcome.stderr == line + "\n"
    return line


def assert_tidy(outcome: Outcome) -> None:
    """Everything on stderr is the loader's own words: no traceback, no library's complaint."""
    strange = [
        line
        for line in outcome.stderr.splitlines()
        if not line.startswith(("runqy-loader: ", "job ", "  ", "go on with: "))
    ]
    assert strange == [], outcome.stderr
    for word in ("Traceback", "never retrieved", "never awaited", "This is a bug"):
        assert word not in outcome.stderr, outcome.stderr


class Consumer:
    """A worker beside the load: takes ids from the right, reads the hash and deletes it, as a runqy worker ends a task.

    Attributes:
        payloads: What it has consumed.
        hollow: Ids that it took whose hash was not there.
    """

    def __init__(self, port: int, queues: Sequence[str]) -> None:
        self.payloads: Counter[bytes] = Counter()
        self.hollow: list[bytes] = []
        self._client: Any = redis.Redis(port=port)
        self._queues = queues
        self._ending = False
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.finish()
        self._client.close()

    def finish(self) -> None:
        """Consumes what is left, then ends."""
        self._ending = True
        self._thread.join(HANG)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It takes nothing during the block."""
        with self._turn:
            yield

    def _run(self) -> None:
        while True:
            ending = self._ending  # looked at before, so that what was pushed until then is still taken
            with self._turn:
                taken = sum(self._drain(queue) for queue in self._queues)
            if not taken:
                if ending:
                    return
                time.sleep(0.002)

    def _drain(self, queue: str) -> int:
        ids = self._client.rpop(f"asynq:{queue}:pending", 20) or []
        if not ids:
            return 0
        pipe = self._client.pipeline(transaction=False)
        for task_id in ids:
            pipe.hget(b"asynq:t:" + task_id, "payload")
        pipe.delete(*(b"asynq:t:" + task_id for task_id in ids))
        for task_id, found in zip(ids, pipe.execute(), strict=False):
            if found is None:
                self.hollow.append(task_id)
            else:
                self.payloads[found] += 1
        return len(ids)

    def assert_each_once(self, client: Any, payloads: Iterable[bytes]) -> None:
        """After ``finish``: each payload was consumed once, and nothing is left: no list, no zombie hash."""
        assert self.hollow == []
        expected = Counter(payloads)
        assert not expected - self.payloads, f"{(expected - self.payloads).total()} payloads were never consumed"
        assert not self.payloads - expected, f"{(self.payloads - expected).total()} were consumed more than once"
        zombies = task_keys(client)
        assert zombies == set(), f"{len(zombies)} hashes were written again after their task was consumed"
        assert list(client.scan_iter(match="asynq:*:pending", _type="list")) == []

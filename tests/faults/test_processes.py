"""A load shared by several processes: whichever of them is killed, nothing is lost and nothing left running."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Server
from tests.faults.helpers import (
    Load,
    assert_adds_up,
    assert_each_once,
    assert_no_lease,
    assert_one_error,
    assert_tidy,
    load,
    numbered,
    until,
)
from tests.faults.proxy import Proxy

PENDING = "asynq:q.default:pending"
COUNT = 20_000
WIDTH = 2500
"""Bytes of text: 50 MB in all, so that the input makes several shards."""


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[bytes]]:
    directory = tmp_path_factory.mktemp("big")
    return directory, numbered(directory / "in.jsonl", COUNT, width=WIDTH)


def _children(running: Load) -> list[int]:
    try:
        return [int(pid) for pid in Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()]
    except OSError:
        return []


def _gone(pids: list[int]) -> bool:
    def state(pid: int) -> str:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return "gone"

    return all(state(pid) in ("gone", "Z", "X") for pid in pids)


def _command(big: tuple[Path, list[bytes]], url: str, processes: int, *more: str) -> tuple[str, ...]:
    path = str(big[0] / "in.jsonl")
    return (path, "-q", "q", "-b", "200", "-p", str(processes), "--redis", url, "--report", "-", *more)


pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="finds child processes in /proc, which is Linux's")


def test_sigkill_of_the_parent_ends_its_processes_and_a_resume_completes_the_load(
    valkey_client: Any, valkey_proxy: Proxy, big: tuple[Path, list[bytes]], tmp_path: Path
) -> None:
    draw = random.Random(6)
    valkey_proxy.latency = 0.02
    for goal in (1, 4000, 8000):
        with Load(*_command(big, valkey_proxy.url, draw.choice((2, 3))), cwd=tmp_path) as running:
            running.until(lambda goal=goal: valkey_client.llen(PENDING) >= goal, f"{goal} are in")  # type: ignore[misc]
            children = _children(running)
            running.process.kill()
            assert len(children) >= 2
            until(lambda children=children: _gone(children), "the other processes end as well")  # type: ignore[misc]
            running.wait()
    valkey_proxy.latency = 0
    done = load(*_command(big, valkey_proxy.url, 1), cwd=tmp_path)

    assert done.status == 0, done.stderr
    assert done.report["already_loaded"] >= 8000
    assert_adds_up(done, loaded_in_all=COUNT)
    assert_each_once(valkey_client, big[1])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV], ids=lambda number: number.name)
def test_a_process_that_dies_fails_the_load_with_one_line_and_a_resume_completes_it(
    valkey_client: Any,
    valkey_proxy: Proxy,
    big: tuple[Path, list[bytes]],
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    valkey_proxy.latency = 0.02
    with Load(*_command(big, valkey_proxy.url, 2, "--quiet"), cwd=tmp_path) as running:
        running.until(lambda: valkey_client.llen(PENDING) >= 1000, "1000 are in")
        children = _children(running)
        os.kill(children[0], number)
        failed = running.wait()
    valkey_proxy.latency = 0
    resumed = load(*_command(big, valkey_proxy.url, 2), cwd=tmp_path)

    line = assert_one_error(failed, "ended unexpectedly")
    assert failed.stderr == line + "\n"
    assert _gone(children)
    assert resumed.status == 0, resumed.stderr
    assert_adds_up(resumed, loaded_in_all=COUNT)
    assert_each_once(valkey_client, big[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_to_all_processes_ends_the_load_in_order(
    valkey_client: Any,
    valkey_proxy: Proxy,
    big: tuple[Path, list[bytes]],
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    valkey_proxy.latency = 0.02
    with Load(*_command(big, valkey_proxy.url, 2), cwd=tmp_path) as running:
        running.until(lambda: valkey_client.llen(PENDING) >= 1000, "1000 are in")
        children = _children(running)
        running.signal_group(number)
        stopped = running.wait()
    pending = valkey_client.llen(PENDING)
    valkey_proxy.latency = 0
    resumed = load(*_command(big, valkey_proxy.url, 2), cwd=tmp_path)

    assert stopped.status == 130, stopped.stderr
    assert_tidy(stopped)
    assert _gone(children)
    assert stopped.report["loaded"] == pending
    assert resumed.status == 0, resumed.stderr
    assert resumed.report["already_loaded"] == pending
    assert_adds_up(resumed, loaded_in_all=COUNT)
    assert_each_once(valkey_client, big[1])


def test_the_second_signal_stops_all_processes_at_once(
    valkey_client: Any, valkey_proxy: Proxy, big: tuple[Path, list[bytes]], tmp_path: Path
) -> None:
    valkey_proxy.latency = 0.05
    with Load(*_command(big, valkey_proxy.url, 2), cwd=tmp_path) as running:
        running.until(lambda: valkey_client.llen(PENDING) >= 1000, "1000 are in")
        children = _children(running)
        running.signal(signal.SIGINT)
        time.sleep(0.02)
        running.signal(signal.SIGINT)
        stopped = running.wait()

    assert stopped.status == 130, stopped.stderr
    assert_tidy(stopped)
    assert _gone(children)
    assert_no_lease(valkey_client)


def test_connections_reset_in_all_processes(
    valkey: Server, valkey_client: Any, valkey_proxy: Proxy, big: tuple[Path, list[bytes]], tmp_path: Path
) -> None:
    with Load(*_command(big, valkey_proxy.url, 3), cwd=tmp_path) as running:
        for _ in range(8):
            time.sleep(0.3)
            if valkey_client.llen(PENDING):
                valkey_proxy.cut()
        done = running.wait()

    assert done.status == 0, done.stderr
    assert_tidy(done)
    assert_adds_up(done, loaded_in_all=COUNT)
    assert_each_once(valkey_client, big[1])

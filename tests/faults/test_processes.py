"""A load shared by several processes: whichever of them is killed, nothing is lost and nothing left running."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.helpers import (
    Load,
    assert_adds_up,
    assert_each_once,
    assert_no_lease,
    assert_one_error,
    assert_tidy,
    load,
    numbered,
    payload,
    until,
)
from tests.faults.proxy import Proxy, Verdict, now_and_then, workers_from_nth

PENDING = "asynq:q.default:pending"
COMMIT = b"'LPUSH'"
COUNT, BATCH = 20_000, 200
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
    return (path, "-q", "q", "-b", str(BATCH), "-p", str(processes), "--redis", url, "--report", "-", *more)


pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="finds child processes in /proc, which is Linux's")


@contextmanager
def _halfway(running: Load, proxy: Proxy, commits: int) -> Iterator[list[int]]:
    """The block runs while the load stands still, so many batches being in; given are the processes it has started."""
    proxy.rule = workers_from_nth(COMMIT, commits + 1, Verdict.WAIT)
    running.until(lambda: proxy.waiting, f"{commits} batches are in")
    children = _children(running)
    assert len(children) >= 2
    yield children
    proxy.rule = None
    proxy.go_on()


def test_sigkill_of_the_parent_ends_its_processes_and_a_resume_completes_the_load(
    valkey_client: Any, valkey_proxy: Proxy, big: tuple[Path, list[bytes]], tmp_path: Path
) -> None:
    for processes, commits in ((2, 0), (3, 20), (2, 30)):
        with Load(*_command(big, valkey_proxy.url, processes), cwd=tmp_path) as running:
            with _halfway(running, valkey_proxy, commits) as children:
                running.process.kill()
                until(lambda children=children: _gone(children), "the other processes end as well")  # type: ignore[misc]
            assert running.wait().status == -9
        until(lambda: not valkey_proxy.links(), "nothing that it had sent is still on its way")
    done = load(*_command(big, valkey_proxy.url, 1), cwd=tmp_path)

    assert done.status == 0, done.stderr
    assert done.report["already_loaded"] >= 50 * BATCH
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
    with Load(*_command(big, valkey_proxy.url, 2, "--quiet"), cwd=tmp_path) as running:
        with _halfway(running, valkey_proxy, 5) as children:
            os.kill(children[0], number)
            until(lambda: _gone(children[:1]), "it is dead")
        failed = running.wait()
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
    with Load(*_command(big, valkey_proxy.url, 2), cwd=tmp_path) as running:
        with _halfway(running, valkey_proxy, 5) as children:
            running.signal_group(number)
            running.until_it_says("stopping: finishing what is in flight")
        stopped = running.wait()
    pending = valkey_client.llen(PENDING)
    resumed = load(*_command(big, valkey_proxy.url, 2), cwd=tmp_path)

    assert stopped.status == 130, stopped.stderr
    assert_tidy(stopped)
    assert _gone(children)
    assert stopped.report["loaded"] == pending
    assert resumed.status == 0, resumed.stderr
    assert resumed.report["already_loaded"] == pending
    assert_adds_up(resumed, loaded_in_all=COUNT)
    assert_each_once(valkey_client, big[1])


def test_the_second_signal_stops_all_processes_at_once_even_where_the_server_is_silent(
    valkey_client: Any, valkey_proxy: Proxy, big: tuple[Path, list[bytes]], tmp_path: Path
) -> None:
    more = ("--timeout", "600", "--retry-for", "600")  # what is in flight would take longer than this test may
    with (
        Load(*_command(big, valkey_proxy.url, 2, *more), cwd=tmp_path) as running,
        _halfway(running, valkey_proxy, 5) as children,
    ):
        running.signal(signal.SIGINT)
        running.until_it_says("stopping: finishing what is in flight")
        running.signal(signal.SIGINT)
        stopped = running.wait()

    assert stopped.status == 130, stopped.stderr
    assert_tidy(stopped)
    assert _gone(children)
    assert_no_lease(valkey_client)


def test_connections_reset_in_all_processes(
    valkey_client: Any, valkey_proxy: Proxy, big: tuple[Path, list[bytes]], tmp_path: Path
) -> None:
    valkey_proxy.rule = now_and_then(1, 0.01, Verdict.CUT, lambda link, chunk: link.is_worker)

    done = load(*_command(big, valkey_proxy.url, 3), cwd=tmp_path)

    assert done.status == 0, done.stderr
    assert "reconnecting" in done.stderr
    assert_tidy(done)
    assert_adds_up(done, loaded_in_all=COUNT)
    assert_each_once(valkey_client, big[1])


def test_a_file_that_grows_fails_the_load_of_all_processes_and_as_it_was_a_resume_completes_it(
    valkey_client: Any, valkey_proxy: Proxy, big: tuple[Path, list[bytes]], tmp_path: Path
) -> None:
    path = big[0] / "in.jsonl"
    size = path.stat().st_size

    try:
        with Load(*_command(big, valkey_proxy.url, 2, "--quiet", "--job", "changing"), cwd=tmp_path) as running:
            with _halfway(running, valkey_proxy, 5), path.open("ab") as file:
                file.write(payload(COUNT, WIDTH) + b"\n")
            failed = running.wait()
    finally:
        os.truncate(path, size)
    resumed = load(*_command(big, valkey_proxy.url, 2, "--job", "changing"), cwd=tmp_path)

    line = assert_one_error(failed, "in.jsonl was changed while it was being loaded", "Put the old content back")
    assert failed.stderr == line + "\n"
    assert 5 * BATCH <= failed.report["loaded"] == resumed.report["already_loaded"] < COUNT
    assert resumed.status == 0, resumed.stderr
    assert_adds_up(resumed, loaded_in_all=COUNT)
    assert_each_once(valkey_client, big[1])

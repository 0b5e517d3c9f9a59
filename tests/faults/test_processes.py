"""A load shared by several processes: whichever of them is killed, nothing is lost and nothing left running."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.helpers import Load, assert_no_lease, assert_only_error, assert_tidy, numbered, payload, until
from tests.faults.proxy import Verdict, now_and_then
from tests.faults.scene import Scene

COUNT, BATCH = 20_000, 200
WIDTH = 2500
"""Bytes of text: 50 MB in all, so that the input makes several shards."""
STOPPING = "stopping: finishing what is in flight"

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="finds child processes in /proc, which is Linux's")


@pytest.fixture(scope="module")
def _big(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[bytes]]:
    path = tmp_path_factory.mktemp("big") / "in.jsonl"
    return path, numbered(path, COUNT, width=WIDTH)


@pytest.fixture
def big(scene: Scene, _big: tuple[Path, list[bytes]]) -> Path:
    """The input of the scene's loads, which is enough for several processes."""
    path, lines = _big
    scene.input_of(lines, path, "-b", str(BATCH))
    return path


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


@contextmanager
def _halted(scene: Scene, commits: int, *more: str) -> Iterator[tuple[Load, list[int]]]:
    """A load that stands still, so many batches being in, and the processes it has started."""
    with scene.halted(commits, *more) as running:
        running.until(lambda: len(_children(running)) >= 2, "it has started its processes")
        yield running, _children(running)


def test_sigkill_of_the_parent_ends_its_processes_and_a_resume_completes_the_load(scene: Scene, big: Path) -> None:
    for processes, commits in ((2, 0), (3, 20), (2, 30)):
        with _halted(scene, commits, "-p", str(processes)) as (running, children):
            running.strike()
            until(lambda children=children: _gone(children), "the other processes end as well")  # type: ignore[misc]
            scene.proxy.go_on()
            assert running.wait().status == -9
        until(lambda: not scene.proxy.links(), "nothing that it had sent is still on its way")
    done = scene.load("-p", "1")

    scene.assert_all_in(done)
    assert done.report["already_loaded"] >= 50 * BATCH


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV], ids=lambda number: number.name)
def test_a_process_that_dies_fails_the_load_with_one_line_and_a_resume_completes_it(
    scene: Scene, big: Path, number: signal.Signals
) -> None:
    with _halted(scene, 5, "-p", "2", "--quiet") as (running, children):
        os.kill(children[0], number)
        until(lambda: _gone(children[:1]), "it is dead")
        scene.proxy.go_on()
        failed = running.wait()
    resumed = scene.load("-p", "2")

    assert_only_error(failed, "ended unexpectedly")
    assert _gone(children)
    scene.assert_all_in(resumed)


def test_processes_that_all_go_on_by_hset_say_so_once(scene: Scene, big: Path) -> None:
    scene.login = "loader:secret@"
    scene.client.execute_command("ACL", "SETUSER", "loader", "reset", "on", ">secret", "~*", "&*", "+@all")
    with _halted(scene, 5, "-p", "2", "--compact", "always") as (running, _):
        scene.client.execute_command("ACL", "SETUSER", "loader", "-restore")
        scene.proxy.go_on()
        done = running.wait()
    scene.client.acl_deluser("loader")

    scene.assert_all_in(done)
    assert done.report["processes"] == 2
    assert done.stderr.count("tasks are written by HSET from now on") == 1, done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_to_all_processes_ends_the_load_in_order(scene: Scene, big: Path, number: signal.Signals) -> None:
    with _halted(scene, 5, "-p", "2") as (running, children):
        running.signal_group(number)
        running.until_it_says(STOPPING)
        scene.proxy.go_on()
        stopped = running.wait()
    pending = scene.pending
    resumed = scene.load("-p", "2")

    assert stopped.status == 130, stopped.stderr
    assert_tidy(stopped)
    assert _gone(children)
    assert stopped.report["loaded"] == pending
    scene.assert_all_in(resumed)
    assert resumed.report["already_loaded"] == pending


def test_the_second_signal_stops_all_processes_at_once_even_where_the_server_is_silent(scene: Scene, big: Path) -> None:
    patient = ("--timeout", "600", "--retry-for", "600")  # what is in flight would take longer than this test may
    with _halted(scene, 5, "-p", "2", *patient) as (running, children):
        running.signal(signal.SIGINT)
        running.until_it_says(STOPPING)
        running.signal(signal.SIGINT)
        stopped = running.wait()

    assert stopped.status == 130, stopped.stderr
    assert_tidy(stopped)
    assert _gone(children)
    assert_no_lease(scene.client)


@pytest.mark.slow
def test_connections_reset_in_all_processes(scene: Scene, big: Path) -> None:
    scene.proxy.rule = now_and_then(1, 0.01, Verdict.CUT, lambda link, chunk: link.is_worker)

    done = scene.load("-p", "3")

    assert "reconnecting" in done.stderr
    scene.assert_all_in(done)


def test_a_file_that_grows_fails_the_load_of_all_processes_and_as_it_was_a_resume_completes_it(
    scene: Scene, big: Path
) -> None:
    size = big.stat().st_size

    try:
        with _halted(scene, 5, "-p", "2", "--quiet", "--job", "changing") as (running, _):
            with big.open("ab") as file:
                file.write(payload(COUNT, WIDTH) + b"\n")
            scene.proxy.go_on()
            failed = running.wait()
    finally:
        os.truncate(big, size)
    resumed = scene.load("-p", "2", "--job", "changing")

    assert_only_error(failed, "in.jsonl was changed while it was being loaded", "Put the old content back")
    assert 5 * BATCH <= failed.report["loaded"] == resumed.report["already_loaded"] < COUNT
    scene.assert_all_in(resumed)

"""A rollback, or a change to a job, that was stopped for longer than its lease: it leaves the job to who has it now."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cli import run
from tests.faults.helpers import Command, assert_each_once, assert_one_error, until
from tests.faults.proxy import Verdict, from_nth
from tests.faults.scene import Scene
from tests.integration.stored import as_if_killed

LEASE = "runqy-loader:{shared}:lease"
JOB = "runqy-loader:{shared}:job"
COUNT = 3000
TAKEN_OVER = "job shared was taken over by another process"

CLEAN = ("jobs", "clean", "--retry-for", "120s")
ROLLBACK = ("rollback", "shared", "--quiet", "--retry-for", "120s")
FORGET = ("jobs", "forget", "shared", "--yes", "--retry-for", "120s")
EXPIRE = ("jobs", "expire", "shared", "1s", "--retry-for", "120s")
ENDS, EXPIRES = b"\r\nexpires\r\n", b"PEXPIREAT"
HASH, CUT, DELETE = b"$4\r\nHGET\r\n$44\r\nasynq:t:", b"LTRIM', KEYS[1]", b"\r\nDEL\r\n"
"""What it sends when it is stopped: a look at a task that may never have been pushed, a step, a deletion."""


@contextmanager
def stopped_at(scene: Scene, word: bytes, words: tuple[str, ...]) -> Iterator[Command]:
    """A command that SIGSTOP has stopped while the server's reply to this word is due, and whose lease has ended.

    A load was killed before it, if the command is for such ones: its last batch was written, and never pushed.
    """
    scene.input(COUNT, "--layout", "documented", "--job", "shared", "-w", "1", "-b", "1000")
    first = scene.load(direct=True)
    assert first.status == 0, first.stderr
    if words is not EXPIRE:
        as_if_killed(scene.client, "shared", orphans=1000)
    scene.proxy.rule = from_nth(word, 1, Verdict.WAIT)
    with Command(*words, "--redis", scene.proxy.url, cwd=scene.folder) as stopped:
        stopped.until(lambda: scene.proxy.waiting, "it waits at the proxy")
        stopped.signal(signal.SIGSTOP)
        scene.client.delete(LEASE)  # as it ends by itself
        yield stopped


def woken(scene: Scene, stopped: Command) -> None:
    """Has it go on. It must see that another run has the job."""
    scene.proxy.go_on()
    stopped.signal(signal.SIGCONT)
    outcome = stopped.wait()
    assert outcome.status == 1, outcome.stderr
    assert TAKEN_OVER in outcome.stderr.splitlines()[-1], outcome.stderr


@pytest.mark.parametrize(
    ("words", "word"), [(CLEAN, HASH), (CLEAN, DELETE), (FORGET, DELETE)], ids=["clean looks", "clean", "forget"]
)
def test_a_change_to_a_job_that_was_loaded_to_its_end_meanwhile_deletes_nothing(
    scene: Scene, words: tuple[str, ...], word: bytes
) -> None:
    with stopped_at(scene, word, words) as stopped:
        done = scene.load(direct=True)
        woken(scene, stopped)

    assert (done.status, done.report["loaded"], done.report["already_loaded"]) == (0, 1000, 2000), done.stderr
    assert_each_once(scene.client, scene.lines)
    assert scene.client.hget(JOB, "state") == b"done"


@pytest.mark.parametrize("word", [ENDS, EXPIRES], ids=["notes it", "does it"])
def test_an_end_for_a_job_that_was_run_again_meanwhile_is_not_set(scene: Scene, word: bytes) -> None:
    with stopped_at(scene, word, EXPIRE) as stopped:
        again = scene.load("--keep-job", "1h", direct=True)
        woken(scene, stopped)
    keys = [key for key in scene.client.scan_iter(count=1000) if b"runqy-loader" in key and scene.client.ttl(key) > 0]

    assert (again.status, again.report["already_loaded"]) == (0, COUNT), again.stderr
    assert len(keys) > 3
    assert all(scene.client.ttl(key) > 3000 for key in keys)
    scene.assert_all_in(scene.load(direct=True))


@pytest.mark.parametrize("word", [CUT, HASH], ids=["takes tasks", "looks for hashes"])
def test_a_rollback_that_another_has_ended_takes_nothing_of_what_was_loaded_anew(scene: Scene, word: bytes) -> None:
    with stopped_at(scene, word, ROLLBACK) as stopped:
        other = run("rollback", "shared", "--redis", scene.server.url, "--quiet", cwd=scene.folder)
        done = scene.load(direct=True)
        woken(scene, stopped)

    assert other.status == 0, other.stderr
    assert (done.status, done.report["loaded"]) == (0, COUNT), done.stderr
    assert_each_once(scene.client, scene.lines)


@pytest.mark.parametrize(
    ("words", "word", "doing"),
    [
        (ROLLBACK, CUT, "rolled back"),
        (CLEAN, HASH, "cleaned up after"),
        (FORGET, DELETE, "forgotten"),
        (EXPIRE, ENDS, "given an end"),
    ],
)
def test_a_second_process_is_told_what_the_first_one_does(
    scene: Scene, words: tuple[str, ...], word: bytes, doing: str
) -> None:
    with stopped_at(scene, word, words) as first:
        first.signal(signal.SIGCONT)
        until(lambda: scene.client.exists(LEASE), "it has its lease again")
        refused = run("rollback", "shared", "--redis", scene.server.url, "--quiet", cwd=scene.folder)
        scene.proxy.go_on()
        ended = first.wait()

    assert_one_error(refused, f"job shared is being {doing} by process {first.pid}", "Wait for that one")
    assert ended.status == 0, ended.stderr


@pytest.mark.parametrize(("words", "word"), [(CLEAN, HASH), (ROLLBACK, HASH), (FORGET, b"\r\nDEL\r\n")])
@pytest.mark.parametrize("closes", [True, False], ids=["connections closed", "connections left"])
def test_a_lease_that_another_holds_is_seen_before_the_next_step(
    scene: Scene, words: tuple[str, ...], word: bytes, closes: bool
) -> None:
    """Also where a server does not let the other run close connections."""
    with stopped_at(scene, word, words) as stopped:
        scene.client.set(LEASE, '{"run":"other","host":"h","pid":1,"named":false}')
        scene.client.hincrby(JOB, "runs", 1)
        for one in scene.client.client_list() if closes else ():
            if one["name"].startswith("runqy-loader:shared:"):
                scene.client.client_kill_filter(_id=one["id"])
        hashes = scene.hashes
        time.sleep(0.5)  # a renewal counts for a moment
        woken(scene, stopped)

    assert scene.hashes == hashes
    assert scene.client.hexists(JOB, "manifest")

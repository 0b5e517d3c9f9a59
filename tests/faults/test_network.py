"""Connections that are reset, stalled, refused, or that deliver late: each task is there once all the same."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable

import pytest

from tests.faults.helpers import ID_KINDS, assert_no_lease, assert_only_error, until
from tests.faults.proxy import COMMIT, HASHES, LIST, RENEW, Link, Verdict, now_and_then, nth_of_workers
from tests.faults.scene import EACH_SERVER, OwnScene, Scene

LOST_PIECES = pytest.mark.parametrize(
    ("word", "extra"),
    [(HASHES, ()), (COMMIT, ()), (COMMIT, ("--id-field", "n"))],
    ids=["hashes", "commit", "commit with ids from the records"],
)


@pytest.mark.slow
@ID_KINDS
@pytest.mark.parametrize(
    ("share", "verdict", "concerns"),
    [
        (0.1, Verdict.CUT, lambda link, chunk: link.is_worker),
        (0.2, Verdict.EXECUTE_AND_CUT, lambda link, chunk: link.is_worker and COMMIT in chunk),
        (0.05, Verdict.EXECUTE_AND_CUT, lambda link, chunk: True),
    ],
    ids=["in the middle of batches", "when a commit was executed but not answered", "anywhere, control included"],
)
def test_connections_reset_again_and_again(
    scene: Scene,
    share: float,
    verdict: Verdict,
    concerns: Callable[[Link, bytes], bool],
    extra: tuple[str, ...],
) -> None:
    scene.input(3000, "-b", "100", *extra)
    scene.proxy.rule = now_and_then(1, share, verdict, concerns)

    with scene.consumed():
        done = scene.load()

    scene.assert_all_in(done)
    assert done.report["loaded"] == 3000
    assert "trying again" in done.stderr or "reconnecting" in done.stderr
    scene.proxy.go_on()
    until(lambda: scene.load().report["already_loaded"] == 3000, "a second run finds all in")
    assert_no_lease(scene.client)


@LOST_PIECES
def test_a_connection_without_replies_is_given_up_and_its_batches_sent_again(
    scene: Scene, word: bytes, extra: tuple[str, ...]
) -> None:
    scene.input(2000, "-b", "100", "--timeout", "1", *extra)
    scene.proxy.rule = nth_of_workers(word, 5, Verdict.MUTE)

    done = scene.load()

    scene.assert_all_in(done)
    assert "no reply for 1 s" in done.stderr


@EACH_SERVER
@LOST_PIECES
def test_what_a_stuck_network_delivers_late_changes_nothing(scene: Scene, word: bytes, extra: tuple[str, ...]) -> None:
    scene.input(2000, "-b", "100", "--timeout", "1", *extra)
    scene.proxy.rule = nth_of_workers(word, 5, Verdict.HOLD)

    with scene.consumed():
        done = scene.load()
    scene.proxy.release()

    scene.assert_all_in(done)
    assert "no reply for 1 s" in done.stderr


def test_a_stuck_connection_is_fenced_although_the_first_try_to_do_so_failed(scene: Scene) -> None:
    # The control connection is lost just when the stuck connection must be shut out. The connection made meanwhile
    # never carried anything: it is the first one that still has hashes to deliver.
    scene.input(1000, "-b", "100", "-w", "1", "--timeout", "1")
    hold = nth_of_workers(HASHES, 3, Verdict.HOLD)
    cut: list[int] = []

    def rule(link: Link, chunk: bytes) -> Verdict | None:
        stuck = any(other.held is not None for other in scene.proxy.links())
        if stuck and not cut and link.is_control and RENEW in chunk:
            cut.append(link.serial)
            return Verdict.CUT
        return hold(link, chunk)

    scene.proxy.rule = rule
    with scene.consumed():
        done = scene.load()
    scene.proxy.release()

    assert cut, "the control connection was not cut"
    scene.assert_all_in(done)


@pytest.mark.parametrize("verdict", [Verdict.MUTE, Verdict.CUT, Verdict.EXECUTE_AND_CUT], ids=lambda v: v.name)
def test_a_control_connection_that_fails_while_fencing_is_retried(scene: Scene, verdict: Verdict) -> None:
    scene.input(1000, "-b", "100", "--timeout", "1")
    cut = nth_of_workers(COMMIT, 3, Verdict.CUT)
    met: list[Link] = []
    failed: list[Link] = []

    def rule(link: Link, chunk: bytes) -> Verdict | None:
        if met and not failed and link.is_control and LIST in chunk:
            failed.append(link)
            return verdict
        if (found := cut(link, chunk)) is not None:
            met.append(link)
        return found

    scene.proxy.rule = rule
    done = scene.load()

    assert failed, "nothing was fenced"
    scene.assert_all_in(done)


def test_a_network_that_is_down_for_a_while_is_waited_for(scene: Scene) -> None:
    scene.input(3000, "-b", "12")

    with scene.halted(25) as running:
        scene.proxy.down()
        running.until_it_says("connection refused; trying again")
        scene.proxy.go_on()
        scene.proxy.up()
        done = running.wait()

    scene.assert_all_in(done)


def test_a_network_that_is_down_for_longer_than_retry_for_fails_the_load_and_a_resume_completes_it(
    scene: Scene,
) -> None:
    scene.input(3000, "-b", "12", "--retry-for", "1")

    with scene.halted(25, "--quiet") as running:
        scene.proxy.down()
        failed = running.wait()
    pending = scene.pending
    scene.proxy.go_on()
    scene.proxy.up()
    resumed = scene.load()

    line = assert_only_error(failed, "connection refused", "gave up after 1 s", "Run the same command again")
    assert "--redis" not in line  # the address is right: the server was there
    assert failed.report["status"] == "failed"
    assert failed.report["error"] in line
    scene.assert_all_in(resumed)
    assert resumed.report["already_loaded"] == pending


@pytest.mark.slow
def test_progress_between_faults_renews_the_patience(scene: Scene) -> None:
    # Faults spread over longer than --retry-for do not end a load that goes on between them.
    scene.input(3000, "-b", "12", "--retry-for", "3")

    with scene.halted(10) as running:
        for _ in range(6):
            scene.proxy.down()
            time.sleep(0.6)
            scene.proxy.go_on(halt_after=30)
            scene.proxy.up()
            scene.until_halted(running)
        scene.proxy.go_on()
        done = running.wait()

    scene.assert_all_in(done)


@EACH_SERVER
def test_connections_that_the_server_kills_are_made_anew(scene: Scene) -> None:
    scene.input(3000, "-b", "12")
    draw = random.Random(3)
    killed = 0

    with scene.consumed(), scene.halted(5) as running:
        for _ in range(6):
            scene.proxy.go_on(halt_after=30)
            names = [c for c in scene.client.client_list() if c["name"].startswith("runqy-loader:")]
            killed += scene.client.client_kill_filter(_id=draw.choice(names)["id"])
            scene.until_halted(running)
        scene.proxy.go_on()
        done = running.wait()

    assert killed > 2
    scene.assert_all_in(done)


def test_a_server_that_hangs_past_the_timeout_and_then_goes_on(own_scene: OwnScene) -> None:
    # What the loader sent before it gave a connection up is still in the server's buffers, and is run late.
    scene, own = own_scene()
    assert own.process is not None
    scene.input(20_000, "-b", "100", "-w", "4", "--timeout", "1", width=200)

    with scene.consumed(), scene.halted(10) as running:
        for _ in range(2):
            said = running.said.count("1 s")
            own.process.send_signal(signal.SIGSTOP)
            scene.proxy.go_on(halt_after=20)
            running.until_it_says("1 s", times=said + 1)
            own.process.send_signal(signal.SIGCONT)
            scene.until_halted(running)
        scene.proxy.go_on()
        done = running.wait()

    scene.assert_all_in(done)


def test_a_server_that_pauses_all_clients_past_the_timeout(scene: Scene) -> None:
    scene.input(3000, "-b", "12", "--timeout", "1")

    with scene.consumed(), scene.halted(17) as running:
        scene.client.client_pause(2500, all=True)
        scene.proxy.go_on()
        done = running.wait()

    scene.assert_all_in(done)
    assert scene.hashes == set()

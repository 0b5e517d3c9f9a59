"""Several loaders at once: one of them loads a job, the others are refused or wait their turn; all is in once."""

from __future__ import annotations

import signal
import socket
import subprocess
from contextlib import ExitStack

from tests.conftest import Server
from tests.faults.helpers import (
    ID_KINDS,
    Load,
    assert_adds_up,
    assert_each_once,
    assert_no_lease,
    assert_one_error,
    assert_only_error,
    assert_tidy,
    numbered,
    payload,
    until,
)
from tests.faults.proxy import COMMIT, HASHES, Link, Proxy, Verdict, nth_of_workers
from tests.faults.scene import EACH_SERVER, PENDING, OwnScene, Scene

LEASE = "runqy-loader:{shared}:lease"
SHARED = ("-b", "12", "-w", "1", "--job", "shared", "--timeout", "120")


def _busy_with(process: Load) -> str:
    return f"job shared is being loaded by process {process.pid} on {socket.gethostname()}"


# --- while the first one lives ----------------------------------------------------------------------------------------


@ID_KINDS
def test_a_second_process_is_refused_while_the_first_one_loads(scene: Scene, extra: tuple[str, ...]) -> None:
    scene.input(1000, *SHARED, *extra)

    with scene.halted(4) as one:
        other = scene.load("--quiet", direct=True)
        scene.proxy.go_on()
        done = one.wait()
    afterwards = scene.load()

    assert_only_error(other, _busy_with(one), "Wait for it or stop it", "--job")
    assert other.report["records_read"] == 0
    scene.assert_all_in(done, afterwards)
    assert done.report["loaded"] == afterwards.report["already_loaded"] == 1000


def test_a_second_process_is_refused_while_the_first_one_waits_for_its_input(scene: Scene) -> None:
    lines = [payload(n) for n in range(100)]
    scene.input_of(lines, "-", "-b", "10", "--job", "shared")

    with scene.beside(stdin=subprocess.PIPE) as one:
        one.feed(b"".join(line + b"\n" for line in lines[:55]))
        one.until(lambda: scene.pending == 50, "the full batches are in")
        other = scene.load()
        one.feed(b"".join(line + b"\n" for line in lines[55:]))
        done = one.wait()

    assert_one_error(other, _busy_with(one))
    scene.assert_all_in(done)


@ID_KINDS
def test_of_two_processes_that_ask_for_a_job_at_the_same_moment_one_loads_it(
    scene: Scene, extra: tuple[str, ...]
) -> None:
    scene.input(1000, *SHARED, *extra)

    def until_both_ask(link: Link, chunk: bytes) -> Verdict | None:
        return Verdict.WAIT if link.is_control and b"HINCRBY" in chunk else None

    scene.proxy.rule = until_both_ask
    with scene.beside() as one, scene.beside() as two:
        until(lambda: scene.proxy.waiting == 2, "both ask for the job")
        scene.proxy.go_on(halt_after=0)
        until(lambda: not (one.running and two.running), "one is refused")
        winner, loser = (one, two) if one.running else (two, one)
        refused = loser.wait()
        scene.proxy.go_on()
        done = winner.wait()

    assert_one_error(refused, _busy_with(winner))
    scene.assert_all_in(done)
    assert done.report["loaded"] == 1000


@EACH_SERVER
def test_processes_started_together_load_everything_once_between_them(scene: Scene) -> None:
    # Without a word about the job: its name follows from the input, so it is one job all the same.
    scene.input(5000, "-b", "20")

    with ExitStack() as stack:
        loads = [stack.enter_context(scene.beside()) for _ in range(4)]
        outcomes = [running.wait() for running in loads]

    completed = [outcome for outcome in outcomes if outcome.status == 0]
    for outcome in outcomes:
        assert_tidy(outcome)
        if outcome not in completed:
            assert_one_error(outcome, "is being loaded by process")
    assert completed
    assert sum(outcome.report["loaded"] for outcome in completed) == 5000
    scene.assert_all_in(*completed)


def test_two_jobs_fill_one_queue_side_by_side(scene: Scene) -> None:
    left, right = (numbered(scene.folder / name, 1000, first=n) for name, n in (("a.jsonl", 0), ("b.jsonl", 1000)))
    scene.proxy.rule = lambda link, chunk: Verdict.WAIT if link.is_worker else None

    with ExitStack() as stack:
        loads = []
        for name in ("a.jsonl", "b.jsonl"):
            scene.input_of([], name, "-b", "50")
            loads.append(stack.enter_context(scene.beside()))
        until(lambda: scene.proxy.waiting >= 2, "both have begun")
        scene.proxy.go_on()
        outcomes = [running.wait() for running in loads]

    for outcome in outcomes:
        assert outcome.status == 0, outcome.stderr
        assert_adds_up(outcome, loaded_in_all=1000)
    assert_each_once(scene.client, left + right)


def test_jobs_of_one_name_in_two_databases_leave_each_other_alone(scene: Scene) -> None:
    scene.input(1000, *SHARED)

    with scene.halted(4) as one:
        other = scene.load(direct=True, database=1)
        scene.proxy.go_on()
        done = one.wait()
    with Server(scene.server.kind, scene.server.port).client() as elsewhere:
        elsewhere.select(1)
        there = elsewhere.llen(PENDING)
        elsewhere.flushdb()

    assert other.status == 0, other.stderr
    assert there == 1000
    scene.assert_all_in(done)
    assert "connection" not in done.stderr  # none was closed


# --- when the first one is gone ---------------------------------------------------------------------------------------


@ID_KINDS
def test_a_killed_process_is_taken_over_from_at_once(scene: Scene, extra: tuple[str, ...]) -> None:
    scene.input(1000, *SHARED, *extra)

    with scene.halted(4) as killed:
        killed.kill()
    scene.proxy.down()  # as its host does with its connections
    scene.client.persist(LEASE)  # were its end waited for, this would hang
    done = scene.load(direct=True)

    scene.assert_all_in(done)
    assert f"took job shared over from process {killed.pid}" in done.stderr


@ID_KINDS
def test_a_host_that_died_without_closing_its_connections_is_taken_over_from_when_its_lease_ends(
    scene: Scene, extra: tuple[str, ...]
) -> None:
    scene.input(1000, *SHARED, *extra)
    scene.proxy.rule = nth_of_workers(COMMIT if extra else HASHES, 5, Verdict.HOLD)

    with scene.consumed():
        with scene.beside() as dead:
            dead.until(lambda: any(link.held for link in scene.proxy.links()), "it is in the middle of the load")
            dead.kill()
        scene.client.persist(LEASE)  # it stays for as long as this test wants
        too_soon = scene.load(direct=True)
        scene.client.delete(LEASE)  # as it ends by itself
        done = scene.load(direct=True)
    scene.proxy.release()  # what it had sent arrives after all

    assert_one_error(too_soon, _busy_with(dead))
    scene.assert_all_in(done)
    assert_no_lease(scene.client)


# --- a process that was stopped for longer than its lease, and wakes up -----------------------------------------------


@ID_KINDS
def test_a_stopped_process_that_wakes_while_another_loads_its_job_leaves_it_to_that_one(
    scene: Scene, extra: tuple[str, ...]
) -> None:
    scene.input(3000, *SHARED, *extra)

    with scene.consumed(), Proxy(scene.server.port) as others:
        others.halt_after(4)
        with scene.halted(26, "--quiet") as stopped:
            scene.proxy.go_on(halt_after=30)  # it is stopped while these are on their way, or when they are in
            stopped.signal(signal.SIGSTOP)
            scene.client.delete(LEASE)  # as it ends by itself
            with scene.beside(through=others) as other:
                other.until(lambda: others.waiting, "it has taken over and loads")
                scene.proxy.go_on()
                stopped.signal(signal.SIGCONT)
                refused = stopped.wait()
                others.go_on()
                done = other.wait()

    assert_one_error(refused, "job shared was taken over by another process", "Leave it to that one")
    scene.assert_all_in(done)
    assert_no_lease(scene.client)


@ID_KINDS
def test_a_stopped_process_that_wakes_when_another_has_loaded_its_job_writes_no_task_again(
    scene: Scene, extra: tuple[str, ...]
) -> None:
    scene.input(3000, *SHARED, *extra)

    with scene.consumed() as consumer, scene.halted(26) as stopped:
        scene.proxy.go_on(halt_after=30)
        stopped.signal(signal.SIGSTOP)
        scene.client.delete(LEASE)  # as it ends by itself
        other = scene.load(direct=True)
        until(lambda: consumer.payloads.total() >= 3000, "all are consumed")
        scene.proxy.go_on()
        stopped.signal(signal.SIGCONT)
        woken = stopped.wait()

    assert_tidy(woken)
    scene.assert_all_in(other)
    assert_no_lease(scene.client)


@ID_KINDS
def test_a_process_that_is_stopped_while_it_connects_writes_no_task_of_its_successor_again(
    scene: Scene, extra: tuple[str, ...]
) -> None:
    scene.input(3000, *SHARED, *extra)

    def naming_a_worker(link: Link, chunk: bytes) -> Verdict | None:
        return Verdict.WAIT if b"SETNAME" in chunk and b":0.1\r\n" in chunk else None

    scene.proxy.rule = naming_a_worker
    with scene.consumed() as consumer, scene.beside() as stopped:
        scene.until_halted(stopped)
        stopped.signal(signal.SIGSTOP)
        scene.client.delete(LEASE)  # as it ends by itself
        other = scene.load(direct=True)
        until(lambda: consumer.payloads.total() >= 3000, "all are consumed")
        scene.proxy.go_on()
        stopped.signal(signal.SIGCONT)
        refused = stopped.wait()

    assert_one_error(refused, "job shared was taken over by another process", "Leave it to that one")
    assert "go on with" not in refused.stderr
    scene.assert_all_in(other)


def test_a_lease_of_a_dead_process_that_comes_back_with_older_data_is_no_obstacle(own_scene: OwnScene) -> None:
    scene, own = own_scene()
    scene.input(3000, *SHARED)
    with scene.halted(4) as dead:
        dead.kill()
    scene.proxy.down()
    scene.client.persist(LEASE)  # it outlives this test
    scene.client.save()
    scene.proxy.go_on(halt_after=20)
    scene.proxy.up()

    with scene.beside() as running:
        scene.until_halted(running)
        own.kill()
        own.start()
        scene.proxy.go_on()
        done = running.wait()
    rest = scene.load()

    assert "taken over" not in done.stderr
    assert_one_error(done, "has lost", "Run the same command again")
    scene.assert_all_in(rest)


def test_a_process_cut_off_while_another_loads_its_job_writes_no_task_again(scene: Scene) -> None:
    scene.input(3000, *SHARED, "--retry-for", "600")

    with scene.consumed() as consumer, scene.halted(26) as cut_off:
        scene.proxy.down()
        other = scene.load(direct=True)
        until(lambda: consumer.payloads.total() >= 3000, "all are consumed")
        scene.proxy.go_on()
        scene.proxy.up()
        back = cut_off.wait()

    assert_tidy(back)
    scene.assert_all_in(other)
    assert_no_lease(scene.client)

"""Several loaders at once: one of them loads a job, the others are refused or wait their turn; all is in once."""

from __future__ import annotations

import signal
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Server
from tests.faults.helpers import (
    Consumer,
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
from tests.faults.proxy import Link, Proxy, Verdict, nth_of_workers

PENDING = "asynq:q.default:pending"
LEASE = "runqy-loader:{shared}:lease"
HASHES, COMMIT = b"\r\nHSET\r\n", b"'LPUSH'"
SHARED = ("in.jsonl", "-q", "q", "-b", "12", "-w", "1", "--job", "shared", "--timeout", "120", "--report", "-")
ID_KINDS = pytest.mark.parametrize("extra", [(), ("--id-field", "n")], ids=["generated ids", "ids from the records"])


def _busy_with(process: Load) -> str:
    return f"job shared is being loaded by process {process.pid} on {socket.gethostname()}"


# --- while the first one lives ----------------------------------------------------------------------------------------


@ID_KINDS
def test_a_second_process_is_refused_while_the_first_one_loads(
    valkey: Server, valkey_client: Any, valkey_proxy: Proxy, tmp_path: Path, extra: tuple[str, ...]
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 1000)
    valkey_proxy.rule = nth_of_workers(COMMIT, 5, Verdict.WAIT)

    with Load(*SHARED, *extra, "--redis", valkey_proxy.url, cwd=tmp_path) as one:
        one.until(lambda: valkey_proxy.waiting, "it is in the middle of the load")
        other = load(*SHARED, *extra, "--redis", valkey.url, "--quiet", cwd=tmp_path)
        valkey_proxy.go_on()
        done = one.wait()
    afterwards = load(*SHARED, *extra, "--redis", valkey.url, cwd=tmp_path)

    line = assert_one_error(other, _busy_with(one), "Wait for it or stop it", "--job")
    assert other.stderr == line + "\n"
    assert other.report["records_read"] == 0
    assert done.status == 0, done.stderr
    assert_adds_up(done, loaded_in_all=1000)
    assert done.report["loaded"] == afterwards.report["already_loaded"] == 1000
    assert_each_once(valkey_client, lines)


def test_a_second_process_is_refused_while_the_first_one_waits_for_its_input(
    valkey: Server, valkey_client: Any, tmp_path: Path
) -> None:
    lines = [payload(n) for n in range(100)]
    command = ("-", "-q", "q", "-b", "10", "--job", "shared", "--redis", valkey.url, "--report", "-")

    with Load(*command, stdin=subprocess.PIPE, cwd=tmp_path) as one:
        assert one.process.stdin is not None
        one.process.stdin.write(b"".join(line + b"\n" for line in lines[:55]))
        one.process.stdin.flush()
        one.until(lambda: valkey_client.llen(PENDING) == 50, "the full batches are in")
        other = load(*command, cwd=tmp_path)
        one.process.stdin.write(b"".join(line + b"\n" for line in lines[55:]))
        done = one.wait()

    assert_one_error(other, _busy_with(one))
    assert done.status == 0, done.stderr
    assert_adds_up(done, loaded_in_all=100)
    assert_each_once(valkey_client, lines)


@ID_KINDS
def test_of_two_processes_that_ask_for_a_job_at_the_same_moment_one_loads_it(
    valkey: Server, valkey_client: Any, valkey_proxy: Proxy, tmp_path: Path, extra: tuple[str, ...]
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 1000)

    def until_both_ask(link: Link, chunk: bytes) -> Verdict | None:
        return Verdict.WAIT if link.is_control and b"HINCRBY" in chunk else None

    valkey_proxy.rule = until_both_ask
    command = (*SHARED, *extra, "--redis", valkey_proxy.url)
    with Load(*command, cwd=tmp_path) as one, Load(*command, cwd=tmp_path) as two:
        until(lambda: valkey_proxy.waiting == 2, "both ask for the job")
        valkey_proxy.rule = nth_of_workers(COMMIT, 1, Verdict.WAIT)
        valkey_proxy.go_on()
        until(lambda: not (one.running and two.running), "one is refused")
        winner, loser = (one, two) if one.running else (two, one)
        refused = loser.wait()
        valkey_proxy.rule = None
        valkey_proxy.go_on()
        done = winner.wait()

    assert_one_error(refused, _busy_with(winner))
    assert done.status == 0, done.stderr
    assert done.report["loaded"] == 1000
    assert_adds_up(done, loaded_in_all=1000)
    assert_each_once(valkey_client, lines)


def test_processes_started_together_load_everything_once_between_them(
    server: Server, client: Any, tmp_path: Path
) -> None:
    # Without a word about the job: its name follows from the input, so it is one job all the same.
    lines = numbered(tmp_path / "in.jsonl", 5000)
    command = ("in.jsonl", "-q", "q", "-b", "20", "--redis", server.url, "--report", "-")

    with ExitStack() as stack:
        loads = [stack.enter_context(Load(*command, cwd=tmp_path)) for _ in range(4)]
        outcomes = [running.wait() for running in loads]

    completed = [outcome for outcome in outcomes if outcome.status == 0]
    for outcome in outcomes:
        assert_tidy(outcome)
        if outcome not in completed:
            assert_one_error(outcome, "is being loaded by process")
    assert completed
    assert sum(outcome.report["loaded"] for outcome in completed) == 5000
    for outcome in completed:
        assert_adds_up(outcome, loaded_in_all=5000)
    assert_each_once(client, lines)


def test_two_jobs_fill_one_queue_side_by_side(
    valkey: Server, valkey_client: Any, valkey_proxy: Proxy, tmp_path: Path
) -> None:
    left, right = numbered(tmp_path / "a.jsonl", 1000), numbered(tmp_path / "b.jsonl", 1000, first=1000)
    common = ("-q", "q", "-b", "50", "--redis", valkey_proxy.url, "--report", "-")
    valkey_proxy.rule = lambda link, chunk: Verdict.WAIT if link.is_worker else None

    with Load("a.jsonl", *common, cwd=tmp_path) as one, Load("b.jsonl", *common, cwd=tmp_path) as two:
        until(lambda: valkey_proxy.waiting >= 2, "both have begun")
        valkey_proxy.rule = None
        valkey_proxy.go_on()
        outcomes = (one.wait(), two.wait())

    for outcome in outcomes:
        assert outcome.status == 0, outcome.stderr
        assert_adds_up(outcome, loaded_in_all=1000)
    assert_each_once(valkey_client, left + right)


# --- when the first one is gone ---------------------------------------------------------------------------------------


@ID_KINDS
def test_a_killed_process_is_taken_over_from_at_once(
    valkey: Server, valkey_client: Any, valkey_proxy: Proxy, tmp_path: Path, extra: tuple[str, ...]
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 1000)
    valkey_proxy.rule = nth_of_workers(COMMIT, 5, Verdict.WAIT)

    with Load(*SHARED, *extra, "--redis", valkey_proxy.url, cwd=tmp_path) as killed:
        killed.until(lambda: valkey_proxy.waiting, "it is in the middle of the load")
        killed.process.kill()
        assert killed.wait().status == -9
    valkey_proxy.down()  # as its host does with its connections
    valkey_client.persist(LEASE)  # were its end waited for, this would hang
    done = load(*SHARED, *extra, "--redis", valkey.url, cwd=tmp_path)

    assert done.status == 0, done.stderr
    assert f"took job shared over from process {killed.pid}" in done.stderr
    assert_adds_up(done, loaded_in_all=1000)
    assert_each_once(valkey_client, lines)


@ID_KINDS
def test_a_host_that_died_without_closing_its_connections_is_taken_over_from_when_its_lease_ends(
    valkey: Server, valkey_client: Any, valkey_proxy: Proxy, tmp_path: Path, extra: tuple[str, ...]
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 1000)
    valkey_proxy.rule = nth_of_workers(COMMIT if extra else HASHES, 5, Verdict.HOLD)

    with Consumer(valkey.port, ["q.default"]) as consumer:
        with Load(*SHARED, *extra, "--redis", valkey_proxy.url, cwd=tmp_path) as dead:
            dead.until(lambda: any(link.held for link in valkey_proxy.links()), "it is in the middle of the load")
            dead.process.kill()
            assert dead.wait().status == -9
        valkey_client.persist(LEASE)  # it stays for as long as this test wants
        too_soon = load(*SHARED, *extra, "--redis", valkey.url, cwd=tmp_path)
        valkey_client.delete(LEASE)  # as it ends by itself
        done = load(*SHARED, *extra, "--redis", valkey.url, cwd=tmp_path)
    valkey_proxy.release()  # what it had sent arrives after all

    assert_one_error(too_soon, _busy_with(dead))
    assert done.status == 0, done.stderr
    assert_adds_up(done, loaded_in_all=1000)
    consumer.assert_each_once(valkey_client, lines)
    assert_no_lease(valkey_client)


# --- a process that was stopped for longer than its lease, and wakes up -----------------------------------------------


@ID_KINDS
def test_a_stopped_process_that_wakes_while_another_loads_its_job_leaves_it_to_that_one(
    valkey: Server, valkey_client: Any, valkey_proxy: Proxy, tmp_path: Path, extra: tuple[str, ...]
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 3000)

    with Consumer(valkey.port, ["q.default"]) as consumer, Proxy(valkey.port) as others:
        valkey_proxy.latency = 0.02
        others.rule = nth_of_workers(COMMIT, 5, Verdict.WAIT)
        with Load(*SHARED, *extra, "--quiet", "--redis", valkey_proxy.url, cwd=tmp_path) as stopped:
            stopped.until(lambda: consumer.payloads.total() > 300, "300 are consumed")
            stopped.signal(signal.SIGSTOP)
            valkey_client.delete(LEASE)  # as it ends by itself
            with Load(*SHARED, *extra, "--redis", others.url, cwd=tmp_path) as other:
                other.until(lambda: others.waiting, "it has taken over and loads")
                stopped.signal(signal.SIGCONT)
                refused = stopped.wait()
                others.go_on()
                done = other.wait()

    assert_one_error(refused, "job shared was taken over by another process", "Leave it to that one")
    assert done.status == 0, done.stderr
    assert_adds_up(done, loaded_in_all=3000)
    consumer.assert_each_once(valkey_client, lines)
    assert_no_lease(valkey_client)


@ID_KINDS
def test_a_stopped_process_that_wakes_when_another_has_loaded_its_job_writes_no_task_again(
    valkey: Server, valkey_client: Any, valkey_proxy: Proxy, tmp_path: Path, extra: tuple[str, ...]
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 3000)

    with Consumer(valkey.port, ["q.default"]) as consumer:
        valkey_proxy.latency = 0.02
        with Load(*SHARED, *extra, "--redis", valkey_proxy.url, cwd=tmp_path) as stopped:
            stopped.until(lambda: consumer.payloads.total() > 300, "300 are consumed")
            stopped.signal(signal.SIGSTOP)
            valkey_client.delete(LEASE)  # as it ends by itself
            other = load(*SHARED, *extra, "--redis", valkey.url, cwd=tmp_path)
            until(lambda: consumer.payloads.total() >= 3000, "all are consumed")
            stopped.signal(signal.SIGCONT)
            woken = stopped.wait()

    assert other.status == 0, other.stderr
    assert_tidy(woken)
    consumer.assert_each_once(valkey_client, lines)
    assert_no_lease(valkey_client)


def test_a_process_cut_off_while_another_loads_its_job_writes_no_task_again(
    valkey: Server, valkey_client: Any, valkey_proxy: Proxy, tmp_path: Path
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 3000)

    with Consumer(valkey.port, ["q.default"]) as consumer:
        valkey_proxy.latency = 0.02
        with Load(*SHARED, "--retry-for", "600", "--redis", valkey_proxy.url, cwd=tmp_path) as cut_off:
            cut_off.until(lambda: consumer.payloads.total() > 300, "300 are consumed")
            valkey_proxy.down()
            other = load(*SHARED, "--redis", valkey.url, cwd=tmp_path)
            until(lambda: consumer.payloads.total() >= 3000, "all are consumed")
            valkey_proxy.up()
            back = cut_off.wait()

    assert other.status == 0, other.stderr
    assert_tidy(back)
    consumer.assert_each_once(valkey_client, lines)
    assert_no_lease(valkey_client)

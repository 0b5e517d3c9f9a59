"""Connections that are reset, stalled, refused, or that deliver late: each task is there once all the same."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RedisServer, Server
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
    task_keys,
    until,
)
from tests.faults.proxy import Link, Proxy, Verdict, now_and_then, nth_of_workers

PENDING = "asynq:q.default:pending"
HASHES, COMMIT, LIST, RENEW = b"\r\nHSET\r\n", b"'LPUSH'", b"\r\nLIST\r\n", b"holder ~= ARGV"


LOST_PIECES = pytest.mark.parametrize(
    ("word", "extra"),
    [(HASHES, ()), (COMMIT, ()), (COMMIT, ("--id-field", "n"))],
    ids=["hashes", "commit", "commit with ids from the records"],
)
ID_KINDS = pytest.mark.parametrize("extra", [(), ("--id-field", "n")], ids=["generated ids", "ids from the records"])


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
    valkey: Server,
    valkey_client: Any,
    valkey_proxy: Proxy,
    tmp_path: Path,
    share: float,
    verdict: Verdict,
    concerns: Callable[[Link, bytes], bool],
    extra: tuple[str, ...],
) -> None:
    server, client, proxy = valkey, valkey_client, valkey_proxy
    lines = numbered(tmp_path / "in.jsonl", 3000)
    proxy.rule = now_and_then(1, share, verdict, concerns)

    with Consumer(server.port, ["q.default"]) as consumer:
        command = ("in.jsonl", "-q", "q", "-b", "100", "--redis", proxy.url, "--report", "-", *extra)
        done = load(*command, cwd=tmp_path)

    assert done.status == 0, done.stderr
    assert_tidy(done)
    assert_adds_up(done, loaded_in_all=3000)
    assert done.report["loaded"] == 3000
    assert "trying again" in done.stderr or "reconnecting" in done.stderr
    consumer.assert_each_once(client, lines)
    proxy.rule = None
    until(lambda: load(*command, cwd=tmp_path).report["already_loaded"] == 3000, "a second run finds all in")
    assert_no_lease(client)


@LOST_PIECES
def test_a_connection_without_replies_is_given_up_and_its_batches_sent_again(
    valkey: Server, valkey_client: Any, valkey_proxy: Proxy, tmp_path: Path, word: bytes, extra: tuple[str, ...]
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 2000)
    valkey_proxy.rule = nth_of_workers(word, 5, Verdict.MUTE)

    done = load(
        *("in.jsonl", "-q", "q", "-b", "100", "--timeout", "1", "--redis", valkey_proxy.url, "--report", "-", *extra),
        cwd=tmp_path,
    )

    assert done.status == 0, done.stderr
    assert_tidy(done)
    assert "no reply for 1 s" in done.stderr
    assert_adds_up(done, loaded_in_all=2000)
    assert_each_once(valkey_client, lines)


@LOST_PIECES
def test_what_a_stuck_network_delivers_late_changes_nothing(
    server: Server, client: Any, proxy: Proxy, tmp_path: Path, word: bytes, extra: tuple[str, ...]
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 2000)
    proxy.rule = nth_of_workers(word, 5, Verdict.HOLD)

    with Consumer(server.port, ["q.default"]) as consumer:
        done = load(
            *("in.jsonl", "-q", "q", "-b", "100", "--timeout", "1", "--redis", proxy.url, "--report", "-", *extra),
            cwd=tmp_path,
        )
    proxy.release()

    assert done.status == 0, done.stderr
    assert "no reply for 1 s" in done.stderr
    assert_adds_up(done, loaded_in_all=2000)
    consumer.assert_each_once(client, lines)


def test_a_stuck_connection_is_fenced_although_the_first_try_to_do_so_failed(
    valkey: Server, valkey_client: Any, valkey_proxy: Proxy, tmp_path: Path
) -> None:
    # The control connection is lost just when the stuck connection must be shut out. The connection made meanwhile
    # never carried anything: it is the first one that still has hashes to deliver.
    lines = numbered(tmp_path / "in.jsonl", 1000)
    hold = nth_of_workers(HASHES, 3, Verdict.HOLD)
    cut: list[int] = []

    def rule(link: Link, chunk: bytes) -> Verdict | None:
        stuck = any(other.held is not None for other in valkey_proxy.links())
        if stuck and not cut and link.is_control and RENEW in chunk:
            cut.append(link.serial)
            return Verdict.CUT
        return hold(link, chunk)

    valkey_proxy.rule = rule
    with Consumer(valkey.port, ["q.default"]) as consumer:
        done = load(
            *("in.jsonl", "-q", "q", "-b", "100", "-w", "1", "--timeout", "1", "--redis", valkey_proxy.url),
            *("--report", "-"),
            cwd=tmp_path,
        )
    valkey_proxy.release()

    assert done.status == 0, done.stderr
    assert cut, "the control connection was not cut"
    assert_adds_up(done, loaded_in_all=1000)
    consumer.assert_each_once(valkey_client, lines)


@pytest.mark.parametrize("verdict", [Verdict.MUTE, Verdict.CUT, Verdict.EXECUTE_AND_CUT], ids=lambda v: v.name)
def test_a_control_connection_that_fails_while_fencing_is_retried(
    valkey_client: Any, valkey_proxy: Proxy, tmp_path: Path, verdict: Verdict
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 1000)
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

    valkey_proxy.rule = rule
    done = load(
        *("in.jsonl", "-q", "q", "-b", "100", "--timeout", "1", "--redis", valkey_proxy.url, "--report", "-"),
        cwd=tmp_path,
    )

    assert done.status == 0, done.stderr
    assert failed, "nothing was fenced"
    assert_tidy(done)
    assert_adds_up(done, loaded_in_all=1000)
    assert_each_once(valkey_client, lines)


def test_a_network_that_is_down_for_a_while_is_waited_for(
    valkey_proxy: Proxy, valkey_client: Any, tmp_path: Path
) -> None:
    proxy, client = valkey_proxy, valkey_client
    lines = numbered(tmp_path / "in.jsonl", 3000)
    proxy.latency = 0.02

    with Load("in.jsonl", "-q", "q", "-b", "12", "--redis", proxy.url, "--report", "-", cwd=tmp_path) as running:
        running.until(lambda: client.llen(PENDING) > 300, "300 tasks are in")
        proxy.down()
        running.until_it_says("connection refused; trying again")
        proxy.up()
        done = running.wait()

    assert done.status == 0, done.stderr
    assert "connection refused" in done.stderr
    assert_adds_up(done, loaded_in_all=3000)
    assert_each_once(client, lines)


def test_a_network_that_is_down_for_longer_than_retry_for_fails_the_load_and_a_resume_completes_it(
    valkey_proxy: Proxy, valkey_client: Any, tmp_path: Path
) -> None:
    proxy, client = valkey_proxy, valkey_client
    lines = numbered(tmp_path / "in.jsonl", 3000)
    command = ("in.jsonl", "-q", "q", "-b", "12", "--redis", proxy.url, "--retry-for", "1", "--report", "-")
    proxy.latency = 0.02

    with Load(*command, "--quiet", cwd=tmp_path) as running:
        running.until(lambda: client.llen(PENDING) > 300, "300 tasks are in")
        proxy.down()
        failed = running.wait()
    pending = client.llen(PENDING)
    proxy.up()
    resumed = load(*command, cwd=tmp_path)

    line = assert_one_error(failed, "connection refused", "gave up after 1 s")
    assert failed.stderr == line + "\n"
    assert failed.report["status"] == "failed"
    assert failed.report["error"] in line
    assert resumed.status == 0, resumed.stderr
    assert resumed.report["already_loaded"] == pending
    assert_adds_up(resumed, loaded_in_all=3000)
    assert_each_once(client, lines)


def test_progress_between_faults_renews_the_patience(valkey_proxy: Proxy, valkey_client: Any, tmp_path: Path) -> None:
    proxy, client = valkey_proxy, valkey_client
    # Faults spread over longer than --retry-for do not end a load that goes on between them.
    lines = numbered(tmp_path / "in.jsonl", 3000)
    proxy.latency = 0.05
    command = ("in.jsonl", "-q", "q", "-b", "12", "--redis", proxy.url, "--retry-for", "1.5", "--report", "-")

    with Load(*command, cwd=tmp_path) as running:
        for goal in (100, 500, 900, 1300, 1700):
            running.until(lambda goal=goal: client.llen(PENDING) > goal, f"{goal} tasks are in")  # type: ignore[misc]
            proxy.down()
            time.sleep(0.4)
            proxy.up()
        done = running.wait()

    assert done.status == 0, done.stderr
    assert_adds_up(done, loaded_in_all=3000)
    assert_each_once(client, lines)


def test_connections_that_the_server_kills_are_made_anew(
    server: Server, client: Any, proxy: Proxy, tmp_path: Path
) -> None:
    lines = numbered(tmp_path / "in.jsonl", 3000)
    proxy.latency = 0.02
    draw = random.Random(3)
    killed = 0

    with (
        Consumer(server.port, ["q.default"]) as consumer,
        Load("in.jsonl", "-q", "q", "-b", "12", "--redis", proxy.url, "--report", "-", cwd=tmp_path) as running,
    ):
        running.until(lambda: consumer.payloads, "tasks are in")  # before, a lost connection is the user's mistake
        while running.running:
            names = [c for c in client.client_list() if c["name"].startswith("runqy-loader:")]
            if names:
                killed += client.client_kill_filter(_id=draw.choice(names)["id"])
            time.sleep(0.3)
        done = running.wait()

    assert done.status == 0, done.stderr
    assert killed > 2
    assert_tidy(done)
    assert_adds_up(done, loaded_in_all=3000)
    consumer.assert_each_once(client, lines)


def test_a_server_that_hangs_past_the_timeout_and_then_goes_on(
    redis_server: Callable[..., RedisServer], tmp_path: Path
) -> None:
    # What the loader sent before it gave a connection up is still in the server's buffers, and is run late.
    own = redis_server()
    server = own.start()
    assert own.process is not None
    lines = numbered(tmp_path / "in.jsonl", 20_000, width=200)
    command = ("in.jsonl", "-q", "q", "-b", "100", "-w", "4", "--timeout", "1", "--report", "-")

    with (
        server.client() as client,
        Proxy(server.port) as proxy,
        Consumer(server.port, ["q.default"]) as consumer,
        Load(*command, "--redis", proxy.url, cwd=tmp_path) as running,
    ):
        proxy.latency = 0.05
        for goal in (1000, 3000):
            running.until(lambda goal=goal: consumer.payloads.total() > goal, f"{goal} are consumed")  # type: ignore[misc]
            own.process.send_signal(signal.SIGSTOP)
            time.sleep(2)
            own.process.send_signal(signal.SIGCONT)
        done = running.wait()
        consumer.finish()

        assert done.status == 0, done.stderr
        assert_tidy(done)
        assert "1 s" in done.stderr
        assert_adds_up(done, loaded_in_all=20_000)
        consumer.assert_each_once(client, lines)


def test_a_server_that_pauses_all_clients_past_the_timeout(
    valkey: Server, valkey_client: Any, valkey_proxy: Proxy, tmp_path: Path
) -> None:
    server, client, proxy = valkey, valkey_client, valkey_proxy
    lines = numbered(tmp_path / "in.jsonl", 3000)
    proxy.latency = 0.02
    command = ("in.jsonl", "-q", "q", "-b", "12", "--redis", proxy.url, "--timeout", "1", "--report", "-")

    with Consumer(server.port, ["q.default"]) as consumer, Load(*command, cwd=tmp_path) as running:
        running.until(lambda: consumer.payloads.total() > 200, "200 are consumed")
        client.client_pause(2500, all=True)
        done = running.wait()
    assert done.status == 0, done.stderr
    assert_tidy(done)
    assert_adds_up(done, loaded_in_all=3000)
    consumer.assert_each_once(client, lines)
    assert task_keys(client) == set()

"""Servers that crash, load, are busy, are full, or refuse: one clear line, and whatever is loaded stays so."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.conftest import RedisServer, Server, free_port
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
from tests.faults.proxy import Link, Proxy, Verdict

PENDING = "asynq:q.default:pending"
MakeServer = Callable[..., RedisServer]
ID_KINDS = pytest.mark.parametrize("extra", [(), ("--id-field", "n")], ids=["generated ids", "ids from the records"])


# --- crashes ----------------------------------------------------------------------------------------------------------


@ID_KINDS
def test_a_server_that_is_killed_and_restarted_from_its_append_only_file(
    redis_server: MakeServer, tmp_path: Path, extra: tuple[str, ...]
) -> None:
    own = redis_server("--appendonly", "yes", "--appendfsync", "always")
    server = own.start()
    lines = numbered(tmp_path / "in.jsonl", 3000)
    command = ("in.jsonl", "-q", "q", "-b", "12", "--report", "-", *extra)

    with Proxy(own.port) as proxy, Consumer(server.port, ["q.default"]) as consumer:
        proxy.latency = 0.02
        with Load(*command, "--redis", proxy.url, cwd=tmp_path) as running:
            for goal in (200, 1000, 1800):
                running.until(lambda goal=goal: consumer.payloads.total() > goal, f"{goal} are consumed")  # type: ignore[misc]
                with consumer.paused():
                    own.kill()
                    own.start()
            done = running.wait()
        consumer.finish()
        with server.client() as client:
            assert done.status == 0, done.stderr
            assert_tidy(done)
            assert_adds_up(done, loaded_in_all=3000)
            consumer.assert_each_once(client, lines)
            assert_no_lease(client)


@pytest.mark.parametrize("kept", ["an older snapshot", "nothing"])
@ID_KINDS
def test_a_server_that_lost_tasks_and_ledger_together_gets_just_these_again(
    redis_server: MakeServer, tmp_path: Path, kept: str, extra: tuple[str, ...]
) -> None:
    own = redis_server()
    server = own.start()
    lines = numbered(tmp_path / "in.jsonl", 3000)
    command = ("in.jsonl", "-q", "q", "-b", "12", "--report", "-", *extra)

    with Proxy(own.port) as proxy, server.client() as client:
        proxy.latency = 0.02
        with Load(*command, "--redis", proxy.url, cwd=tmp_path) as running:
            running.until(lambda: client.llen(PENDING) > 500, "500 tasks are in")
            if kept == "an older snapshot":
                client.save()
            running.until(lambda: client.llen(PENDING) > 1500, "1500 tasks are in")
            own.kill()
            own.start()
            first = running.wait()
        left = client.llen(PENDING)
        second = load(*command, "--redis", server.url, cwd=tmp_path)
        third = load(*command, "--redis", server.url, cwd=tmp_path)

        assert first.status == 1, first.stderr  # "all in" would not be true
        assert_tidy(first)
        assert left < 3000
        assert second.status == 0, second.stderr
        assert second.report["loaded"] == 3000 - left
        assert_adds_up(second, loaded_in_all=3000)
        assert third.report["already_loaded"] == 3000
        assert_each_once(client, lines)


@contextmanager
def _loading(redis_server: MakeServer, seconds: float) -> Iterator[RedisServer]:
    """A server that takes about this long to load its snapshot, and says so meanwhile."""
    keys = 100
    own = redis_server(
        *("--loading-process-events-interval-bytes", "1024"),
        *("--key-load-delay", str(int(seconds / keys * 1e6)), "--rdbcompression", "no"),
    )
    with own.start().client() as client:
        for n in range(keys):
            client.set(f"ballast:{n}", os.urandom(2048))
        client.save()
    own.kill()
    own.start(wait=False)
    until(lambda: _says(own.port, b"-LOADING"), "the server is loading")
    yield own


def _says(port: int, words: bytes) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
            probe.sendall(b"PING\r\n")
            return probe.recv(64).startswith(words)
    except OSError:
        return False


def test_a_server_that_is_loading_is_waited_for(redis_server: MakeServer, tmp_path: Path) -> None:
    lines = numbered(tmp_path / "in.jsonl", 1000)
    with _loading(redis_server, 3) as own:
        done = load("in.jsonl", "-q", "q", "--redis", f"redis://127.0.0.1:{own.port}", "--report", "-", cwd=tmp_path)

        assert done.status == 0, done.stderr
        assert "the server is loading its data" in done.stderr
        with redis.Redis(port=own.port) as client:
            assert_each_once(client, lines)


def test_a_server_that_is_loading_for_longer_than_retry_for(redis_server: MakeServer, tmp_path: Path) -> None:
    numbered(tmp_path / "in.jsonl", 1000)
    with _loading(redis_server, 30) as own:
        url = f"redis://127.0.0.1:{own.port}"
        failed = load("in.jsonl", "-q", "q", "--redis", url, "--retry-for", "1", "--quiet", cwd=tmp_path)

        line = assert_one_error(failed, "the server is loading its data", "gave up after 1 s")
        assert failed.stderr == line + "\n"


@contextmanager
def _busy(server: Server) -> Iterator[None]:
    """A script that does not end, as the server sees it, until the block does."""
    with server.client() as client, redis.Redis(port=server.port, socket_timeout=120) as other:
        threshold = client.config_get("busy-reply-threshold")
        client.config_set("busy-reply-threshold", 50)

        def spin() -> None:
            with contextlib.suppress(redis.exceptions.ResponseError):  # killed
                other.eval("while true do end", 0)

        thread = threading.Thread(target=spin)
        thread.start()
        try:
            until(lambda: _says(server.port, b"-BUSY"), "the server is busy")
            yield
        finally:
            client.script_kill()
            thread.join()
            client.config_set("busy-reply-threshold", threshold["busy-reply-threshold"])


@ID_KINDS
def test_a_server_busy_with_a_script_during_the_load_is_waited_for(
    valkey: Server, valkey_client: Any, valkey_proxy: Proxy, tmp_path: Path, extra: tuple[str, ...]
) -> None:
    server, client, proxy = valkey, valkey_client, valkey_proxy
    lines = numbered(tmp_path / "in.jsonl", 3000)
    proxy.latency = 0.02

    command = ("in.jsonl", "-q", "q", "-b", "12", "--redis", proxy.url, "--report", "-", *extra)
    with Load(*command, cwd=tmp_path) as running:
        for goal in (300, 1200):
            running.until(lambda goal=goal: client.llen(PENDING) > goal, f"{goal} tasks are in")  # type: ignore[misc]
            with _busy(server):
                time.sleep(1)
        done = running.wait()

    assert done.status == 0, done.stderr
    assert_tidy(done)
    assert "the server is busy running a script" in done.stderr
    assert "refuses CLIENT" not in done.stderr  # it was only busy
    assert_adds_up(done, loaded_in_all=3000)
    assert_each_once(client, lines)


def test_a_server_that_gets_busy_just_when_a_connection_must_be_fenced(
    redis_server: MakeServer, tmp_path: Path
) -> None:
    own = redis_server()
    server = own.start()
    lines = numbered(tmp_path / "in.jsonl", 1000)
    spell: list[Any] = []
    lost: list[Link] = []

    with Proxy(own.port) as proxy, server.client() as client:

        def rule(link: Link, chunk: bytes) -> Verdict | None:
            if not lost and link.is_worker and b"'LPUSH'" in chunk:
                lost.append(link)
                return Verdict.CUT
            if lost and not spell and link.is_control and b"\r\nLIST\r\n" in chunk:
                spell.append(_busy(server))
                spell[0].__enter__()
            return None

        proxy.rule = rule
        command = ("in.jsonl", "-q", "q", "-b", "100", "--redis", proxy.url, "--report", "-")
        with Load(*command, cwd=tmp_path) as running:
            try:
                running.until(lambda: spell, "a connection is fenced")
                time.sleep(0.5)
            finally:
                if spell:
                    spell[0].__exit__(None, None, None)
            done = running.wait()

        assert done.status == 0, done.stderr
        assert "refuses CLIENT" not in done.stderr, "it was only busy: fencing must be tried again"
        assert_adds_up(done, loaded_in_all=1000)
        assert_each_once(client, lines)


def test_a_server_busy_with_a_script_at_the_start_is_waited_for(
    valkey: Server, valkey_client: Any, tmp_path: Path
) -> None:
    server, client = valkey, valkey_client
    lines = numbered(tmp_path / "in.jsonl", 1000)

    with Load("in.jsonl", "-q", "q", "--redis", server.url, "--report", "-", cwd=tmp_path) as running:
        with _busy(server):
            time.sleep(1.5)
        done = running.wait()

    assert done.status == 0, done.stderr
    assert_tidy(done)
    assert_each_once(client, lines)


# --- refusals in the middle of a load ---------------------------------------------------------------------------------


@ID_KINDS
def test_a_full_server_ends_the_load_and_a_resume_completes_it(
    redis_server: MakeServer, tmp_path: Path, extra: tuple[str, ...]
) -> None:
    own = redis_server("--maxmemory", "6mb", "--maxmemory-policy", "noeviction")
    server = own.start()
    lines = numbered(tmp_path / "in.jsonl", 30_000)
    command = ("in.jsonl", "-q", "q", "-b", "50", "--redis", server.url, "--report", "-", *extra)

    with server.client() as client:
        full = load(*command, "--quiet", cwd=tmp_path)
        assert_no_lease(client)
        still_full = load(*command, "--quiet", cwd=tmp_path)
        client.config_set("maxmemory", 0)
        resumed = load(*command, cwd=tmp_path)

        for failed in (full, still_full):
            line = assert_one_error(failed, "the server is at its memory limit", "Raise maxmemory")
            assert failed.stderr == line + "\n"
        assert resumed.status == 0, resumed.stderr
        assert resumed.report["already_loaded"] >= full.report["loaded"] > 0
        assert_adds_up(resumed, loaded_in_all=30_000)
        assert_each_once(client, lines)


def test_a_server_that_cannot_save_to_disk(redis_server: MakeServer, tmp_path: Path) -> None:
    own = redis_server("--save", "3600 1000000", "--dbfilename", "blocked.rdb")
    server = own.start()
    lines = numbered(tmp_path / "in.jsonl", 1000)
    command = ("in.jsonl", "-q", "q", "--redis", server.url, "--report", "-")
    blocked = tmp_path / "redis-0" / "blocked.rdb"
    blocked.mkdir()  # a directory where the snapshot should go

    with server.client() as client:
        client.set("something", "to save")
        client.bgsave()
        until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "the snapshot failed")
        failed = load(*command, "--quiet", cwd=tmp_path)
        blocked.rmdir()
        client.bgsave()
        until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "ok", "the snapshot succeeded")
        resumed = load(*command, cwd=tmp_path)

        line = assert_one_error(failed, "the server cannot save to disk and refuses writes")
        assert failed.stderr == line + "\n"
        assert resumed.status == 0, resumed.stderr
        client.delete("something")
        assert_each_once(client, lines)


def test_a_primary_that_becomes_a_replica_during_the_load(redis_server: MakeServer, tmp_path: Path) -> None:
    own = redis_server()
    server = own.start()
    lines = numbered(tmp_path / "in.jsonl", 3000)
    command = ("in.jsonl", "-q", "q", "-b", "12", "--report", "-")

    with Proxy(own.port) as proxy, server.client() as client:
        proxy.latency = 0.02
        with Load(*command, "--quiet", "--redis", proxy.url, cwd=tmp_path) as running:
            running.until(lambda: client.llen(PENDING) > 300, "300 tasks are in")
            client.replicaof("127.0.0.1", free_port())
            failed = running.wait()
        client.replicaof("NO", "ONE")
        resumed = load(*command, "--redis", proxy.url, cwd=tmp_path)

        line = assert_one_error(failed, "read-only replica")
        assert failed.stderr == line + "\n"
        assert resumed.status == 0, resumed.stderr
        assert_adds_up(resumed, loaded_in_all=3000)
        assert_each_once(client, lines)


def test_a_replica(redis_server: MakeServer, tmp_path: Path) -> None:
    primary = redis_server("--repl-diskless-sync-delay", "0")
    primary.start()
    replica = redis_server("--replicaof", "127.0.0.1", str(primary.port))
    server = replica.start()
    numbered(tmp_path / "in.jsonl", 10)

    with server.client() as client:
        until(lambda: client.info("replication")["master_link_status"] == "up", "the replica is in step")
        failed = load("in.jsonl", "-q", "q", "--redis", server.url, "--quiet", cwd=tmp_path)

    line = assert_one_error(failed, "read-only replica", "Give --redis the primary's address")
    assert failed.stderr == line + "\n"


# --- a key in the way -------------------------------------------------------------------------------------------------


def test_a_pending_key_of_another_type(server: Server, client: Any, tmp_path: Path) -> None:
    lines = numbered(tmp_path / "in.jsonl", 500)
    client.set(PENDING, "no list")

    for extra in ((), ("--id-field", "n")):
        command = ("in.jsonl", "-q", "q", "-b", "50", "--redis", server.url, "--report", "-", *extra)
        failed = load(*command, "--quiet", cwd=tmp_path)
        line = assert_one_error(failed, PENDING, "holds another type")
        assert failed.stderr == line + "\n"
        assert client.get(PENDING) == b"no list"

    client.delete(PENDING)
    resumed = load(*command, cwd=tmp_path)
    assert_adds_up(resumed, loaded_in_all=500)
    client.delete(*(task_keys(client) - {b"asynq:t:%d" % n for n in range(500)}))  # of the other, unfinished job
    assert_each_once(client, lines)

"""Servers that crash, load, are busy, are full, or refuse: one clear line, and whatever is loaded stays so."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from tests.conftest import RedisServer, Server
from tests.faults.helpers import ID_KINDS, assert_adds_up, assert_no_lease, assert_only_error, assert_tidy, until
from tests.faults.proxy import COMMIT, LIST, Link, Verdict
from tests.faults.scene import EACH_SERVER, PENDING, OwnScene, Scene

# --- crashes ----------------------------------------------------------------------------------------------------------


@ID_KINDS
def test_a_server_that_is_killed_and_restarted_from_its_append_only_file(
    own_scene: OwnScene, extra: tuple[str, ...]
) -> None:
    scene, own = own_scene("--appendonly", "yes", "--appendfsync", "always")
    scene.input(3000, "-b", "12", *extra)

    with scene.consumed() as consumer, scene.halted(20) as running:
        running.until(lambda: consumer.payloads.total() > 200, "200 are consumed")
        for _ in range(3):
            with consumer.paused():
                scene.proxy.go_on(halt_after=60)  # it is killed while these are on their way, or when they are in
                own.kill()
                own.start()
            scene.until_halted(running)
        scene.proxy.go_on()
        done = running.wait()

    scene.assert_all_in(done)
    assert_no_lease(scene.client)


@pytest.mark.parametrize("patience", ["0", "1"])
def test_a_server_without_room_for_a_connection_says_so_at_the_start(own_scene: OwnScene, patience: str) -> None:
    scene, _ = own_scene("--maxclients", "1")
    scene.input(100, "--retry-for", patience, "--quiet")
    scene.client.ping()  # this takes the one connection

    for _ in range(5):
        assert_only_error(scene.load(), "the server takes no more connections", "Raise its maxclients")


def test_a_server_without_room_for_a_connection_is_waited_for(own_scene: OwnScene) -> None:
    scene, _ = own_scene("--maxclients", "10")
    scene.input(1000)
    others = [scene.server.client() for _ in range(10)]
    for other in others[:-1]:
        other.ping()
    scene.client.ping()

    with scene.beside() as running:
        running.until_it_says("the server takes no more connections; trying again")
        for other in others:
            other.close()
        done = running.wait()

    scene.assert_all_in(done)


@pytest.mark.parametrize("kept", ["an older snapshot", "nothing"])
@ID_KINDS
def test_a_server_that_lost_tasks_and_ledger_together_gets_just_these_again(
    own_scene: OwnScene, kept: str, extra: tuple[str, ...]
) -> None:
    scene, own = own_scene()
    scene.input(3000, "-b", "12", *extra)

    with scene.halted(42) as running:
        running.until(lambda: scene.pending > 500, "500 tasks are in")
        if kept == "an older snapshot":
            scene.client.save()
        scene.proxy.go_on(halt_after=83)
        running.until(lambda: scene.pending > 1500, "1500 tasks are in")
        own.kill()
        own.start()
        scene.proxy.go_on()
        first = running.wait()
    left = scene.pending
    second = scene.load(direct=True)
    third = scene.load(direct=True)

    assert first.status == 1, first.stderr  # "all in" would not be true
    assert_tidy(first)
    assert left < 3000
    scene.assert_all_in(second, third)
    assert second.report["loaded"] == 3000 - left
    assert third.report["already_loaded"] == 3000


@contextmanager
def _loading(own_scene: OwnScene) -> Iterator[Scene]:
    """A server that takes half a minute to load its snapshot, and says so meanwhile."""
    keys, microseconds = 100, 30_000_000
    scene, own = own_scene(
        *("--loading-process-events-interval-bytes", "1024"),
        *("--key-load-delay", str(microseconds // keys), "--rdbcompression", "no"),
    )
    for n in range(keys):
        scene.client.set(f"ballast:{n}", os.urandom(2048))
    scene.client.save()
    own.kill()
    own.start(wait=False)
    until(lambda: _says(own.port, b"-LOADING"), "the server is loading")
    yield scene


def _says(port: int, words: bytes) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
            probe.sendall(b"PING\r\n")
            return probe.recv(64).startswith(words)
    except OSError:
        return False


def test_a_server_that_is_loading_is_waited_for(own_scene: OwnScene) -> None:
    with _loading(own_scene) as scene:
        scene.input(1000)
        with scene.beside() as running:
            running.until_it_says("the server is loading its data")
            scene.client.config_set("key-load-delay", 0)
            done = running.wait()

    scene.assert_all_in(done)


def test_a_server_that_is_loading_for_longer_than_retry_for(own_scene: OwnScene) -> None:
    with _loading(own_scene) as scene:
        scene.input(1000, "--retry-for", "1")
        failed = scene.load("--quiet")

    assert_only_error(failed, "the server is loading its data", "gave up after 1 s")


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


BUSY = "the server is busy running a script"


@ID_KINDS
def test_a_server_busy_with_a_script_during_the_load_is_waited_for(scene: Scene, extra: tuple[str, ...]) -> None:
    scene.input(3000, "-b", "12", *extra)

    with scene.halted(25) as running:
        for _ in range(2):
            said = running.said.count(BUSY)
            with _busy(scene.server):
                scene.proxy.go_on(halt_after=75)
                running.until_it_says(BUSY, times=said + 1)
            scene.until_halted(running)
        scene.proxy.go_on()
        done = running.wait()

    scene.assert_all_in(done)
    assert "refuses CLIENT" not in done.stderr  # it was only busy


def test_a_server_that_gets_busy_just_when_a_connection_must_be_fenced(own_scene: OwnScene) -> None:
    scene, _ = own_scene()
    scene.input(1000, "-b", "100")
    spell: list[Any] = []
    lost: list[Link] = []

    def rule(link: Link, chunk: bytes) -> Verdict | None:
        if not lost and link.is_worker and COMMIT in chunk:
            lost.append(link)
            return Verdict.CUT
        if lost and not spell and link.is_control and LIST in chunk:
            spell.append(_busy(scene.server))
            spell[0].__enter__()
        return None

    scene.proxy.rule = rule
    with scene.beside() as running:
        try:
            running.until(lambda: spell, "a connection is fenced")
            running.until_it_says(BUSY)
        finally:
            if spell:
                spell[0].__exit__(None, None, None)
        done = running.wait()

    scene.assert_all_in(done)
    assert "refuses CLIENT" not in done.stderr, "it was only busy: fencing must be tried again"


def test_a_server_busy_with_a_script_at_the_start_is_waited_for(scene: Scene) -> None:
    scene.input(1000)

    with contextlib.ExitStack() as busy:
        busy.enter_context(_busy(scene.server))
        with scene.beside() as running:
            running.until_it_says(BUSY)
            busy.close()
            done = running.wait()

    scene.assert_all_in(done)


# --- refusals in the middle of a load ---------------------------------------------------------------------------------


@ID_KINDS
def test_a_full_server_ends_the_load_and_a_resume_completes_it(own_scene: OwnScene, extra: tuple[str, ...]) -> None:
    scene, _ = own_scene("--maxmemory", "6mb", "--maxmemory-policy", "noeviction")
    scene.input(30_000, "-b", "50", *extra)

    full = scene.load("--quiet")
    assert scene.client.info("memory")["used_memory"] < 8_000_000
    assert_no_lease(scene.client)
    still_full = scene.load("--quiet")
    scene.client.config_set("maxmemory", 0)
    resumed = scene.load()

    for failed in (full, still_full):
        assert_only_error(failed, "the server is at its memory limit", "Raise maxmemory")
    scene.assert_all_in(resumed)
    assert 30_000 > resumed.report["already_loaded"] >= full.report["loaded"] > 0


def test_a_server_that_cannot_save_to_disk(own_scene: OwnScene) -> None:
    scene, _ = own_scene("--save", "3600 1000000", "--dbfilename", "blocked.rdb")
    client = scene.client
    scene.input(1000)
    blocked = scene.folder / "redis-0" / "blocked.rdb"
    blocked.mkdir()  # a directory where the snapshot should go

    client.set("something", "to save")
    client.bgsave()
    until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "the snapshot failed")
    failed = scene.load("--quiet")
    blocked.rmdir()
    client.bgsave()
    until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "ok", "the snapshot succeeded")
    resumed = scene.load()

    assert_only_error(failed, "the server cannot save to disk and refuses writes")
    client.delete("something")
    scene.assert_all_in(resumed)


def test_a_replica(redis_server: Callable[..., RedisServer], own_scene: OwnScene) -> None:
    primary = redis_server("--repl-diskless-sync-delay", "0")
    primary.start()
    scene, _ = own_scene("--replicaof", "127.0.0.1", str(primary.port))
    scene.input(10)

    until(lambda: scene.client.info("replication")["master_link_status"] == "up", "the replica is in step")
    failed = scene.load("--quiet")

    assert_only_error(failed, "read-only replica", "Give --redis the primary's address")


# --- a key in the way -------------------------------------------------------------------------------------------------


@EACH_SERVER
def test_a_pending_key_of_another_type(scene: Scene) -> None:
    scene.client.set(PENDING, "no list")

    for extra in ((), ("--id-field", "n")):
        scene.input(500, "-b", "50", *extra)
        failed = scene.load("--quiet")
        assert_only_error(failed, PENDING, "holds another type")
        assert scene.client.get(PENDING) == b"no list"

    scene.client.delete(PENDING)
    resumed = scene.load()
    assert_adds_up(resumed, loaded_in_all=500)
    scene.client.delete(*(scene.hashes - {b"asynq:t:%d" % n for n in range(500)}))  # of the other, unfinished job
    scene.assert_all_in(resumed)

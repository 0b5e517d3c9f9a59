"""What the server's replies say about replicas and disks."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from loader.preflight.checks import Finding
from loader.preflight.replication import BufferLimit, buffer_limit, disk, replication, with_tasks
from loader.servers.replicas import Replica, replicas_of
from loader.settings import LoadOptions

LIMIT = BufferLimit(268435456, 67108864, 60)
MACHINE = {"used_memory_rss": "6000000000", "total_system_memory": "8000000000"}


def info(*replicas: str, offset: int = 1000) -> dict[str, Any]:
    lines = {f"slave{number}": line for number, line in enumerate(replicas)}
    return {"connected_slaves": str(len(replicas)), "master_repl_offset": str(offset), **lines}


def line(*, state: str = "online", offset: int = 900, lag: int = 0) -> str:
    return f"ip=10.0.0.2,port=6380,state={state},offset={offset},lag={lag}"


def options(**given: Any) -> LoadOptions:
    return LoadOptions(queue="q", **given)


def test_replicas_are_read_with_their_distance() -> None:
    found = replicas_of(info(line(), line(state="wait_bgsave", offset=0, lag=3)))

    assert found == [Replica("10.0.0.2:6380", True, 100, 0), Replica("10.0.0.2:6380", False, 1000, 3)]
    assert replicas_of(Exception("NOPERM")) == []


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        (
            [b"client-output-buffer-limit", b"normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"],
            LIMIT,
        ),
        ([b"client-output-buffer-limit", b"normal 0 0 0 replica 268435456 67108864 60 pubsub 1 1 1"], LIMIT),
        ([b"client-output-buffer-limit", b"normal 0 0 0"], None),
        (Exception("NOPERM"), None),
    ],
)
def test_the_limit_of_a_replicas_buffer_is_read(reply: Any, found: BufferLimit | None) -> None:
    assert buffer_limit(reply) == found


@pytest.mark.parametrize(
    ("told", "given", "level", "text"),
    [
        (info(), {}, "ok", "no replicas"),
        (info(line()), {}, "ok", "1 replica, at most 100 bytes behind; one that is 268 MB or 67.1 MB for 60 s behind"),
        (info(line(state="send_bulk")), {}, "warning", "10.0.0.2:6380 copies everything just now"),
        (info(line(lag=11)), {}, "warning", "has not answered for 11 s"),
        (info(line(), offset=100_000_000), {}, "warning", "100.0 MB behind"),
        (info(line()), {"max_replica_lag": 67108865}, "warning", "--max-replica-lag 67108865 does not prevent"),
        (info(line()), {"max_replica_lag": 67108864}, "ok", "1 replica"),
        (info(line(state="send_bulk")), {"wait_replicas": 1}, "error", "0 replicas online"),
        (info(line()), {"wait_replicas": 2}, "error", "1 replica online, and --wait-replicas waits for 2"),
        (info(line(), line()), {"wait_replicas": 2}, "ok", "2 replicas"),
    ],
)
def test_replicas_that_a_load_may_break_are_warned_of(
    told: dict[str, Any], given: dict[str, Any], level: str, text: str
) -> None:
    found = replication(told, LIMIT, options(**given))

    assert (found.level, text in found.text.replace("100 MB", "100.0 MB")) == (level, True), found


@pytest.mark.parametrize(
    ("told", "saves", "level", "text"),
    [
        ({}, [b"save", b""], "ok", "no snapshot"),
        ({"rdb_bgsave_in_progress": "1"}, [b"save", b""], "warning", "a snapshot just now"),
        ({"aof_rewrite_in_progress": "1"}, [b"save", b""], "warning", "its append-only file anew just now"),
        (MACHINE, [b"save", b""], "ok", "no snapshot"),
        (MACHINE, [b"save", b"3600 1"], "warning", "as much again as the 6.0 GB"),
        (MACHINE | {"aof_enabled": "1"}, [b"save", b""], "warning", "as much again as the 6.0 GB"),
    ],
)
def test_forks_that_may_not_fit_are_warned_of(told: dict[str, Any], saves: list[bytes], level: str, text: str) -> None:
    found = disk(told, saves, None, options(), is_here=False)

    assert (found.level, text in found.text) == (level, True), found


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ({"redis_version": "7.4.0"}, "keeps no append-only file (Leave it out, or set appendonly yes)"),
        (
            {"redis_version": "7.0.15", "aof_enabled": "1"},
            "Redis 7.0.15 has no command WAITAOF, which came with 7.2 (Leave it out, or load into a newer server)",
        ),
        ({"redis_version": "6.2.14"}, "Redis 6.2.14 has no command WAITAOF"),
        ({"redis_version": "7.2.0", "aof_enabled": "1"}, ""),
        ({"redis_version": "7.2.4", "valkey_version": "9.1.0", "aof_enabled": "1"}, ""),
    ],
)
def test_waiting_for_a_disk_needs_a_server_that_can(told: dict[str, Any], text: str) -> None:
    found = disk(told, None, None, options(wait_fsync=True), is_here=False)

    assert found.level == ("error" if text else "ok")
    assert text in f"{found.text} ({found.hint})"


@pytest.mark.parametrize(
    ("share", "needed", "keeps", "is_here", "level"),
    [
        (0.1, 0.1, True, True, "ok"),
        (0.1, 1.2, True, True, "warning"),  # with the tasks of the load
        (1.5, None, True, True, "warning"),
        (1.5, 0.1, True, False, "ok"),  # the disk is that of another machine
        (1.5, 1.5, False, True, "ok"),  # nothing is written
    ],
)
def test_too_little_disk_is_warned_of(
    tmp_path: Path, share: float, needed: float | None, keeps: bool, is_here: bool, level: str
) -> None:
    free = shutil.disk_usage(tmp_path).free
    told = {"used_memory_rss": int(share * free), "aof_enabled": int(keeps)}
    estimate = Finding("estimate", "ok", "", numbers={} if needed is None else {"needed_bytes": needed * free})

    found = disk(told, [b"save", b""], [b"dir", str(tmp_path).encode()], options(), is_here=is_here)
    with_them = with_tasks(found, estimate)

    assert (with_them.level, "of disk left" in with_them.text) == (level, level == "warning"), with_them
    assert with_tasks(estimate, estimate) is estimate
    if needed is None:
        assert with_them is found

"""Measured points and wanted loads, as tests make them up: round numbers, so that results can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from loader.planning.costs import costs
from loader.planning.figures import Point, Scheduler, Snapshot
from loader.planning.wanted import Known, Wanted

MIB = 1024 * 1024

POINT = Point(
    server="redis 7.0.15",
    layout="documented",
    profile="runqy",
    compact=True,
    payload_bytes=100.0,
    tasks=28_000,
    persistence="aof-everysec",
    replicas=1,
    client_us=2.0,
    server_us=5.0,
    memory_bytes=400.0,
    keys=1.0,
    sent_bytes=300.0,
    replicated_bytes=250.0,
    aof_bytes=260.0,
    file_bytes=200.0,
)
"""A core makes 500,000 tasks/s, a server takes 200,000."""

SNAPSHOT = Snapshot(
    server="redis 7.0.15",
    used_bytes=10**9,
    resident_bytes=11 * 10**8,
    fork_seconds=0.011,
    save_seconds=10.0,
    file_bytes=10**9,
    copied_bytes=10**8,
    tasks_meanwhile=10**6,
    keys=10**6,
)
"""Resident is 1.1 of used; 100 MB/s are saved; a fork takes 10 ms a GB, and then 100 bytes a task are copied."""

SCHEDULER = Scheduler(version="2026.8.0", workers=2, tasks=10_000, seconds=10.0)


def point(**changes: Any) -> Point:
    return replace(POINT, **changes)


def wanted(**changes: Any) -> Wanted:
    """A million tasks of 100 bytes, with a replica and an append-only file."""
    given: dict[str, Any] = {
        "tasks": 10**6,
        "payload": 100.0,
        "input_bytes": 101.0,
        "layout": "documented",
        "replicas": 1,
        "persistence": "aof-everysec",
    }
    return Wanted(**(given | changes))


def known(**changes: Any) -> Known:
    given: dict[str, Any] = {
        "costs": costs([POINT], [POINT], 100.0, "t"),
        "snapshot": SNAPSHOT,
        "sync_factor": 1.0,
        "scheduler": SCHEDULER,
        "shard_bytes": 16 * MIB,
    }
    return Known(**(given | changes))

"""What a load does to the files of a server. Pure functions.

Facts: an append-only file is written anew when it is ``auto-aof-rewrite-percentage`` (100) larger than after the last
time, and at least ``auto-aof-rewrite-min-size`` (64 MB) long (``redis.conf`` of Redis 7). Written anew, it begins with
a snapshot (``aof-use-rdb-preamble yes``); until it is whole, the old one stays. Both are written by a fork, and so is
the first copy for a replica.
"""

from __future__ import annotations

from dataclasses import dataclass

REWRITE_GROWTH = 2.0
"""``auto-aof-rewrite-percentage 100``: twice as long as after the last time."""

REWRITE_LEAST = 64 * 1024 * 1024

SAVE_SECONDS = 60
"""The shortest time between two snapshots by Redis's default: ``save 60 10000`` (``redis.conf``)."""


@dataclass(frozen=True, slots=True)
class Rewrites:
    """The append-only file of one server during a load, with Redis's defaults.

    Attributes:
        count: How often it is written anew.
        final: Its bytes at the end of the load.
        peak: The most bytes of disk: the old file and the new one.
        tasks_at_last: How many tasks were in at the last time.
    """

    count: int
    final: float
    peak: float
    tasks_at_last: float


def rewrites(tasks: float, aof_bytes: float, file_bytes: float) -> Rewrites:
    """The append-only file of a load of so many tasks.

    Args:
        aof_bytes: By which a task makes it longer.
        file_bytes: Of a task in it after it was written anew.
    """
    count, loaded, base, peak = 0, 0.0, 0.0, 0.0
    while True:
        due = max(float(REWRITE_LEAST), REWRITE_GROWTH * base)
        at = loaded + (due - base) / aof_bytes
        if at > tasks:
            break
        count, loaded, base = count + 1, at, at * file_bytes
        peak = max(peak, due + base)
    final = base + (tasks - loaded) * aof_bytes
    return Rewrites(count, final, max(peak, final), loaded)

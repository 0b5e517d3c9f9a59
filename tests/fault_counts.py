"""Counts the faults that tests make; ``fault_summary.py`` prints them at the end of a run.

Each fault is counted where it is made: ``Load.wait`` counts processes that have died of SIGKILL, ``RedisServer.kill``
servers, ``Proxy`` connections, and so on. A fault that did not come about is not counted.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum


class Fault(StrEnum):
    """What is counted."""

    LOADER_KILL = "loader kills"
    DASK_KILL = "kills of Dask workers"
    OTHER_KILL = "kills of other commands"
    SERVER_KILL_ALWAYS = "server kills (AOF always)"
    SERVER_KILL = "server kills (other)"
    CUT = "cuts of connections"
    SENTINEL_FAILOVER = "failovers by Sentinel"
    CLUSTER_FAILOVER = "failovers in a cluster"
    PROXY_FAILOVER = "failovers behind one address"
    REFUSED = "second loaders refused"
    OVERTAKEN = "loaders that another took over from"
    CLOCK_JUMP = "jumps of a clock"
    FULL_DISK = "full disks"


GOALS: Mapping[Fault, int] = {
    Fault.LOADER_KILL: 200,
    Fault.DASK_KILL: 100,
    Fault.SERVER_KILL_ALWAYS: 50,
    Fault.CUT: 60,
    Fault.SENTINEL_FAILOVER: 20,
    Fault.CLUSTER_FAILOVER: 5,
    Fault.REFUSED: 6,
    Fault.OVERTAKEN: 25,
    Fault.CLOCK_JUMP: 50,
    Fault.FULL_DISK: 40,
}
"""How many faults a run of all fault tests must make at least."""

made: Counter[str] = Counter()
"""How often each fault was made in this process."""

_lock = threading.Lock()


def count(fault: Fault, times: int = 1) -> None:
    """Counts a fault that a test has made. Proxies do so in threads of their own."""
    with _lock:
        made[fault] += times


def lacking(counts: Mapping[str, int]) -> list[str]:
    """What is too seldom."""
    return [f"{counts.get(fault, 0)} of {goal} {fault}" for fault, goal in GOALS.items() if counts.get(fault, 0) < goal]


def summary(counts: Mapping[str, int]) -> str:
    """The line for the end of a run: each kind in the order of ``Fault``."""
    return ", ".join(f"{counts[fault]} {fault}" for fault in Fault if counts.get(fault))

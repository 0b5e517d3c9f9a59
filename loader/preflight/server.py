"""Checks of the server itself: version, role, cluster, memory, persistence, clock. Pure functions of its replies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loader.preflight import replication
from loader.preflight.ask import Question
from loader.preflight.checks import Finding, worst_of_each
from loader.servers.clock import clock_seconds
from loader.servers.memory import memory_of
from loader.servers.value_limit import SETTINGS, ValueLimit, value_limit
from loader.settings import LoadOptions
from loader.tasks.sizes import counted, in_bytes
from loader.wire.faults import cause_and_hint

NODE = "the server is a node of a Redis Cluster, and does not tell which node serves which keys"
"""If ``CLUSTER SLOTS`` is refused, a cluster is not recognised as one, and every second key is refused."""

_SENTINEL_HINT = "Have it name the primary: redis+sentinel://HOST:PORT/SERVICE, or give --redis the primary's address"

_OLDEST = (4, 0)
_SKEW_SECONDS = 1.0
_INFO_REFUSED = "the server does not tell (INFO is refused)"

Info = Mapping[str, Any]
"""The reply to INFO. The field names are those in Redis's documentation of INFO."""


@dataclass(frozen=True, slots=True)
class ServerState:
    """The state of a server: replies, or errors in their place.

    Attributes:
        info: The reply to INFO.
        saves: The reply to ``CONFIG GET save``. Few users have the right to CONFIG GET.
        time: The reply to TIME.
        limits: The replies to ``CONFIG GET`` of the limits of a value (``servers.value_limit``).
        settings: The replies to ``CONFIG GET`` of the settings of ``preflight.replication``.
    """

    info: Any
    saves: Any
    time: Any
    limits: Sequence[Any] = ()
    settings: Sequence[Any] = (None, None)


_LIMITS = 3 + len(replication.SETTINGS)
"""Where the limits of a value begin among the replies to ``STATE``."""

STATE: Question[ServerState] = Question(
    (
        ("INFO",),
        ("CONFIG", "GET", "save"),
        ("TIME",),
        *(("CONFIG", "GET", name) for name in (*replication.SETTINGS, *SETTINGS)),
    ),
    lambda replies: ServerState(replies[0], replies[1], replies[2], replies[_LIMITS:], replies[3:_LIMITS]),
)
"""One INFO for all sections: servers before 7.0 accept only one section, or none."""

CLOCK: Question[float | None] = Question((("TIME",),), lambda replies: clock_seconds(replies[0]))


def states_findings(states: Sequence[ServerState], *, temporary: bool, primaries: int | None) -> list[Finding]:
    """The worst finding of each check over all nodes.

    Args:
        states: The state of the single server, or of each primary of a cluster.
        primaries: See ``Servers.cluster_size``.
    """
    return worst_of_each(
        server_findings(state.info, state.saves, temporary=temporary, primaries=primaries) for state in states
    )


def risk_findings(states: Sequence[ServerState], options: LoadOptions, *, is_here: bool) -> list[Finding]:
    """The worst findings about replicas and disks over all nodes.

    Args:
        is_here: Whether the servers run on this machine.
    """
    return worst_of_each(
        [
            replication.replication(state.info, replication.buffer_limit(state.settings[0]), options),
            replication.disk(state.info, state.saves, state.settings[1], options, is_here=is_here),
        ]
        for state in states
        if isinstance(state.info, Mapping)
    )


def clock_findings(before: float, after: float, states: Sequence[ServerState]) -> list[Finding]:
    """The finding for the clock that differs most. See ``clock``."""
    return worst_of_each([clock(before, after, state.time)] for state in states)


def server_findings(info: object, saves: object, *, temporary: bool, primaries: int | None = 0) -> list[Finding]:
    """The findings from INFO and ``CONFIG GET save``.

    Args:
        info: The reply, or the error in its place.
        saves: The reply, or the error in its place: few users have the right to CONFIG GET.
        temporary: Whether the server is an embedded server whose data is deleted at the end.
        primaries: See ``cluster``.
    """
    if not isinstance(info, dict):
        names = ("version", "role", "cluster", "memory", "persistence")
        return [Finding(name, "unknown", _INFO_REFUSED) for name in names]
    return [
        version(info),
        role(info),
        cluster(info, primaries),
        memory(info),
        persistence(info, saves, temporary=temporary),
    ]


def version(info: Info) -> Finding:
    """Refuses a server that does not support HSET with several fields."""
    name, text = "Redis", str(info.get("redis_version", ""))
    if "valkey_version" in info:
        name, text = "Valkey", str(info["valkey_version"])
    numbers = tuple(int(part) for part in re.findall(r"[0-9]+", text)[:2])
    if not numbers:
        return Finding("version", "unknown", "the server does not report its version")
    if numbers < _OLDEST and name == "Redis":
        return Finding(
            "version", "error", f"{name} {text} is too old", "Use Redis 4.0 or newer, or any Valkey (7 for all checks)"
        )
    return Finding("version", "ok", f"{name} {text}")


def role(info: Info) -> Finding:
    """Refuses a replica, even if it is writable: data written to it is lost when it synchronises."""
    if info.get("redis_mode") == "sentinel":
        return Finding("role", "error", "this is a Sentinel, which holds no data", _SENTINEL_HINT)
    if info.get("role") == "slave":
        primary = f"{info.get('master_host')}:{info.get('master_port')}"
        text = f"this is a read-only replica; its primary is {primary}"
        if str(info.get("slave_read_only", 1)) == "0":
            text = f"this is a replica of {primary}, and loses what is written to it when it next synchronises"
        return Finding("role", "error", text, cause_and_hint("READONLY")[1])
    count = int(info.get("connected_slaves", 0))
    return Finding("role", "ok", f"primary with {counted(count, 'replica')}")


def cluster(info: Info, primaries: int | None = 0) -> Finding:
    """Refuses a cluster that was not recognised as one.

    Args:
        primaries: See ``Servers.cluster_size``.
    """
    if primaries:
        return Finding("cluster", "ok", f"a cluster of {primaries} primaries; each check shows the worst of them")
    if primaries is not None and int(info.get("cluster_enabled", 0)):
        return Finding("cluster", "error", NODE, "Give the user the right to cluster|slots")
    return Finding("cluster", "ok", "not a cluster")


def largest_value(states: Iterable[ServerState]) -> ValueLimit | None:
    """The longest value that all nodes accept; None if they do not tell."""
    return value_limit(reply for state in states for reply in state.limits)


def records(limit: ValueLimit | None, asked: int) -> list[Finding]:
    """Warns if the server accepts less than ``--max-record-bytes``.

    Args:
        limit: See ``largest_value``.
        asked: ``--max-record-bytes``.
    """
    if limit is None or limit.size >= asked:
        return []
    text = f"records over {in_bytes(limit.size)} are rejected: the server's {limit.setting} allows no more"
    hint = f"Raise {limit.setting} if the input has such records"
    return [Finding("records", "warning", text, hint, {"largest_bytes": limit.size})]


def room(info: object) -> int | None:
    """Bytes left below ``maxmemory``; None if there is no such limit, or it is unknown."""
    held = memory_of(info)
    return max(0, held.limit - held.used) if held is not None and held.limit else None


def room_on_machine(info: object) -> int | None:
    """Bytes of the machine's memory that the server does not use: an upper limit, as other programs use memory too."""
    if not isinstance(info, dict) or not int(info.get("total_system_memory", 0)):
        return None
    return max(0, int(info["total_system_memory"]) - int(info.get("used_memory_rss", 0)))


def memory(info: Info) -> Finding:
    """Warns about every eviction policy except ``noeviction``: it evicts tasks, or the locks that keep them unique."""
    policy, limit = str(info.get("maxmemory_policy", "noeviction")), int(info.get("maxmemory", 0))
    used, left = int(info.get("used_memory", 0)), room(info)
    numbers = {"used_bytes": used, "maxmemory_bytes": limit, "left_bytes": left}
    use = f"{in_bytes(used)} in use, " + ("no maxmemory" if left is None else f"{in_bytes(left)} left below maxmemory")
    if policy == "noeviction":
        return Finding("memory", "ok", f"{use}, policy noeviction", numbers=numbers)
    drops = "keys that expire (locks of unique tasks)" if policy.startswith("volatile") else "any key, tasks included"
    when = "when memory is full" if limit else "as soon as maxmemory is set and reached"
    return Finding(
        "memory",
        "warning",
        f"{use}; policy {policy} drops {drops}, {when}",
        "Set maxmemory-policy noeviction on a server that holds queues",
        numbers,
    )


def persistence(info: Info, saves: object, *, temporary: bool = False) -> Finding:
    """Whether tasks survive a restart of the server."""
    name = "persistence"
    if temporary:
        return Finding(name, "ok", "none wanted: the embedded server's data goes when the run ends")
    for field, what in (
        ("rdb_last_bgsave_status", "snapshot"),
        ("aof_last_write_status", "write to its append-only file"),
    ):
        if info.get(field, "ok") != "ok":
            text = f"the server's last {what} failed, and it may refuse writes until one succeeds"
            return Finding(name, "warning", text, "Check its log and its disk")
    if int(info.get("aof_enabled", 0)):
        return Finding(name, "ok", "append-only file")
    if not isinstance(saves, list):
        return Finding(name, "unknown", "no append-only file; whether there are snapshots, the server does not tell")
    if len(saves) > 1 and saves[1]:  # name, value
        text = "snapshots only: a crash loses everything after the last one; run the same load again to restore it"
        return Finding(name, "ok", text)
    return Finding(
        name, "warning", "nothing is kept on disk: a restart of the server loses all tasks", "Set appendonly yes"
    )


def clock(before: float, after: float, reply: object) -> Finding:
    """Compares the server's clock with this machine's.

    Args:
        before: This machine's Unix time when the question was sent.
        after: This machine's Unix time when the answer came. The server's clock was read at some moment in between.
        reply: The reply to TIME (seconds, microseconds), or the error in its place.
    """
    if not isinstance(reply, tuple | list):
        return Finding("clock", "unknown", "the server does not tell (TIME is refused)")
    server = int(reply[0]) + int(reply[1]) / 1e6
    skew, doubt = server - (before + after) / 2, (after - before) / 2
    numbers = {"skew_seconds": round(skew, 3), "doubt_seconds": round(doubt, 3)}
    if abs(skew) - doubt <= _SKEW_SECONDS:
        return Finding("clock", "ok", f"within {abs(skew) + doubt:.1f} s of this machine's", numbers=numbers)
    return Finding(
        "clock",
        "warning",
        f"the server's clock is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} this machine's",
        "Synchronise both: start times and deadlines of tasks depend on them",
        numbers,
    )

"""What a load does to replicas and to the disk. Pure functions of the server's replies.

Facts: Redis documentation of ``client-output-buffer-limit`` (a replica over the hard limit, or over the soft limit for
so many seconds, is disconnected and copies everything anew), of INFO, and of WAIT and WAITAOF. A snapshot and a rewrite
of the append-only file are written by a fork. What changes while it writes is in memory twice.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from loader.preflight.checks import Finding
from loader.servers.replicas import replicas_of
from loader.settings import LoadOptions
from loader.tasks.sizes import counted, in_bytes
from loader.wire.address import Address
from loader.wire.replies import parse_setting

SETTINGS = ("client-output-buffer-limit", "dir")
"""The settings that these checks read. Few users have the right to CONFIG GET."""

_SILENT_SECONDS = 10
_FAR_BEHIND = 64 * 1024 * 1024
"""Bytes: the soft limit of Redis's default for replicas."""

_LITTLE_DISK = 1_000_000_000
"""Bytes."""

_MAKE_ROOM = "Make room: a server that cannot write its files refuses writes"

_OLDEST_WAITAOF = (7, 2)

_HERE = ("localhost", "127.0.0.1", "::1")

Info = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BufferLimit:
    """``client-output-buffer-limit replica``.

    Attributes:
        hard: Bytes; 0 for no limit.
        soft: Bytes that may not be exceeded for ``seconds``; 0 for no limit.
    """

    hard: int
    soft: int
    seconds: int

    def __str__(self) -> str:
        parts = [in_bytes(self.hard)] if self.hard else []
        parts += [f"{in_bytes(self.soft)} for {self.seconds} s"] if self.soft else []
        return " or ".join(parts)


def buffer_limit(reply: Any) -> BufferLimit | None:
    """The limit, from the reply to CONFIG GET; None if it is refused.

    The reply's value is a text such as ``normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60``.
    """
    if (setting := parse_setting(reply)) is None:
        return None
    words = setting[1].split()
    for at, word in enumerate(words[:-3]):
        if word in ("slave", "replica"):
            return BufferLimit(*map(int, words[at + 1 : at + 4]))
    return None


def replication(info: Info, buffers: BufferLimit | None, options: LoadOptions) -> Finding:
    """Refuses a load that waits for replicas that are not there, and warns of replicas that a load may break."""
    name, found = "replication", replicas_of(info)
    following = [replica for replica in found if replica.is_online]
    behind = max((replica.behind for replica in following), default=0)
    numbers = {"replicas": len(following), "behind_bytes": behind}
    if options.wait_replicas > len(following):
        wanted = options.wait_replicas
        text = f"{counted(len(following), 'replica')} online, and --wait-replicas waits for {wanted}"
        return Finding(name, "error", text, "Start them, or give a smaller number", numbers)
    if not found:
        return Finding(name, "ok", "no replicas", numbers=numbers)
    for replica in found:
        if not replica.is_online:
            text = f"replica {replica.address} copies everything just now: what is loaded meanwhile waits in memory"
            return Finding(name, "warning", text, "Load when INFO replication shows it as online", numbers)
        if replica.silent > _SILENT_SECONDS:
            text = f"replica {replica.address} has not answered for {replica.silent} s"
            return Finding(name, "warning", text, "Look at it before the load", numbers)
        if replica.behind > _FAR_BEHIND:
            text = f"replica {replica.address} is {in_bytes(replica.behind)} behind"
            return Finding(name, "warning", text, "Let it catch up before the load, or give --max-replica-lag", numbers)
    text = f"{counted(len(following), 'replica')}, at most {in_bytes(behind)} behind"
    if buffers is not None and str(buffers):
        numbers |= {"buffer_hard_bytes": buffers.hard, "buffer_soft_bytes": buffers.soft}
        text += f"; one that is {buffers} behind is cut off and copies everything anew"
        soft = buffers.soft or buffers.hard
        if options.max_replica_lag is not None and options.max_replica_lag > soft:
            text = f"{text}, which --max-replica-lag {options.max_replica_lag} does not prevent"
            return Finding(name, "warning", text, f"Give at most {soft}", numbers)
    return Finding(name, "ok", text, numbers=numbers)


def disk(info: Info, saves: Any, directory: Any, options: LoadOptions, *, is_here: bool) -> Finding:
    """Refuses to wait for a disk that the server does not use, and warns of a fork, or of little room on the disk.

    Args:
        saves: The reply to ``CONFIG GET save``, or the error in its place.
        directory: The reply to ``CONFIG GET dir``, or the error in its place.
        is_here: Whether the server runs on this machine, so that its disk can be looked at.
    """
    name, has_aof = "disk", bool(int(info.get("aof_enabled", 0)))
    if options.wait_fsync and not _knows_waitaof(info):
        text = f"--wait-fsync cannot be: Redis {info.get('redis_version')} has no command WAITAOF, which came with 7.2"
        return Finding(name, "error", text, "Leave it out, or load into a newer server")
    if options.wait_fsync and not has_aof:
        text = "--wait-fsync cannot be: the server keeps no append-only file"
        return Finding(name, "error", text, "Leave it out, or set appendonly yes")
    resident, machine = int(info.get("used_memory_rss", 0)), int(info.get("total_system_memory", 0))
    numbers: dict[str, float | None] = {
        "aof_bytes": int(info.get("aof_current_size", 0)),
        "last_copied_bytes": max(int(info.get("rdb_last_cow_size", 0)), int(info.get("aof_last_cow_size", 0))),
    }
    for field, what in (
        ("rdb_bgsave_in_progress", "a snapshot"),
        ("aof_rewrite_in_progress", "its append-only file anew"),
    ):
        if int(info.get(field, 0)):
            text = f"the server writes {what} just now: what is loaded meanwhile takes up to twice the memory"
            return Finding(name, "warning", text, "Load when it has finished", numbers)
    snapshots = parse_setting(saves)
    saves_itself = snapshots is not None and bool(snapshots[1])
    if machine and 2 * resident > machine and (has_aof or saves_itself):
        text = (
            f"a snapshot or a rewrite of the append-only file during the load may need as much again as the "
            f"{in_bytes(resident)} that the server has of the machine's {in_bytes(machine)}"
        )
        return Finding(name, "warning", text, "Load while none is due: BGSAVE or BGREWRITEAOF before it", numbers)
    if is_here and (has_aof or saves_itself) and (left := _free(directory)) is not None:
        numbers |= {"disk_free_bytes": left, "resident_bytes": resident}
        if left < max(_LITTLE_DISK, resident):
            return Finding(name, "warning", f"its folder has {in_bytes(left)} of disk left", _MAKE_ROOM, numbers)
    return Finding(name, "ok", "no snapshot or rewrite runs", numbers=numbers)


def with_tasks(found: Finding, estimate: Finding) -> Finding:
    """The finding ``disk``, and whether the disk has room for the tasks of the load as well; others as they are.

    A snapshot, and an append-only file that is written anew, take at most about what the server has in memory then.

    Args:
        estimate: See ``estimate_finding``.
    """
    left, needed = found.numbers.get("disk_free_bytes"), estimate.numbers.get("needed_bytes")
    if found.name != "disk" or found.level != "ok" or left is None or needed is None:
        return found
    full = needed + (found.numbers["resident_bytes"] or 0)
    if left >= full:
        return found
    text = f"its folder has {in_bytes(left)} of disk left"
    text += f"; with the tasks of this load its files may need {in_bytes(full)}"
    return replace(found, level="warning", text=text, hint=_MAKE_ROOM)


def is_here(address: Address) -> bool:
    """Whether a server runs on this machine."""
    return address.path is not None or address.host in _HERE


def _knows_waitaof(info: Info) -> bool:
    version = tuple(int(part) for part in str(info.get("redis_version", "0")).split(".")[:2] if part.isdigit())
    return "valkey_version" in info or version >= _OLDEST_WAITAOF


def _free(directory: Any) -> int | None:
    """Free bytes of the disk of a folder; None if there is no such folder here."""
    if (setting := parse_setting(directory)) is None:
        return None
    try:
        return shutil.disk_usage(Path(setting[1])).free
    except OSError:  # it is in a container, or this user may not look
        return None

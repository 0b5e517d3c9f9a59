"""Measured figures: what a task costs, and what a server's files cost. ``figures.json`` has those of the project.

``python -m benchmarks.planning`` makes that file with real servers. ``runqy-loader plan --measure`` makes a ``Point``
of the user's own machine and server.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import msgspec

from loader.tasks.profiles import LayoutName, ProfileName

Persistence = Literal["none", "rdb", "aof-everysec", "aof-always"]

OWN = "figures.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What one task costs, measured with tasks of one kind. All bytes and microseconds are means over the tasks.

    Two loads of different length are measured, and their difference is divided by the difference of their tasks. So the
    fixed costs of a load are not in it. Memory is that of the longer load.

    Attributes:
        server: Make and version, such as ``redis 8.2.3``.
        compact: Whether tasks were written by RESTORE.
        payload_bytes: Mean length of a payload.
        tasks: The number of tasks by which the two loads differ.
        persistence: What the server kept on disk meanwhile.
        replicas: How many replicas followed it.
        client_us: CPU time of the loader.
        server_us: CPU time of the server's main thread, which executes all commands.
        memory_bytes: Growth of ``used_memory`` without the slots of the table of all keys, which grows in steps.
        keys: Keys of the server.
        sent_bytes: Bytes that the server received.
        replicated_bytes: Growth of ``master_repl_offset``; None if nothing is replicated.
        aof_bytes: Growth of the append-only file; None without one.
        file_bytes: Size in a snapshot, or in an append-only file that was written anew; None if it was not measured.
    """

    server: str
    layout: LayoutName
    profile: ProfileName
    compact: bool
    payload_bytes: float
    tasks: int
    persistence: Persistence
    replicas: int
    client_us: float
    server_us: float
    memory_bytes: float
    keys: float
    sent_bytes: float
    replicated_bytes: float | None = None
    aof_bytes: float | None = None
    file_bytes: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a snapshot of a large data set costs a server.

    Attributes:
        used_bytes: ``used_memory`` at the fork.
        resident_bytes: ``used_memory_rss`` at the fork.
        fork_seconds: CPU time of the fork, for which the server stands still.
        save_seconds: CPU time of the process that writes the file: on a fast disk, it is busy from the fork to the end.
        file_bytes: Size of the file.
        copied_bytes: Memory copied while a load ran beside a second snapshot (``rdb_last_cow_size``).
        tasks_meanwhile: Tasks that were loaded during that one.
        keys: Keys at its beginning.
    """

    server: str
    used_bytes: int
    resident_bytes: int
    fork_seconds: float
    save_seconds: float
    file_bytes: int
    copied_bytes: int
    tasks_meanwhile: int
    keys: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Tasks a second by the clock, with one way of persistence; the median of ``runs``."""

    server: str
    persistence: Persistence
    payload_bytes: float
    tasks_per_second: float
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler:
    """What a Dask scheduler needs for an empty task.

    Attributes:
        version: Of the package distributed.
        tasks: Empty tasks, from the first submission to the last result.
        seconds: CPU time of the process of scheduler and client: on many cores, the scheduler is busy all the time.
    """

    version: str
    workers: int
    tasks: int
    seconds: float

    @property
    def task_seconds(self) -> float:
        """Seconds of the scheduler a task."""
        return self.seconds / self.tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Everything that was measured on one machine.

    Attributes:
        date: Such as ``2026-11-29``.
        machine: See ``loader.machine``.
        busy: What else the machine did, for people.
    """

    date: str
    machine: dict[str, Any]
    busy: str
    points: Sequence[Point]
    snapshots: Sequence[Snapshot]
    rates: Sequence[Rate]
    scheduler: Scheduler | None = None

    @property
    def where(self) -> str:
        """The machine, for people."""
        machine = self.machine
        virtual = " (virtual)" if machine.get("virtual") == "yes" else ""
        return (
            f"{machine['cores']} cores of {machine['cpu']}{virtual}, {machine['memory_gib']} GiB, {machine['kernel']}"
        )

    @property
    def servers(self) -> list[str]:
        """The names of its servers, such as ``redis-8.2``."""
        return list(dict.fromkeys(short_name(point.server) for point in self.points))

    def snapshot_of(self, server: str) -> Snapshot:
        """The snapshot of a server; if there is none, the first one."""
        return next((one for one in self.snapshots if short_name(one.server) == server), self.snapshots[0])


def short_name(server: str) -> str:
    """``redis-8.2`` of ``redis 8.2.3``."""
    make, _, version = server.partition(" ")
    return f"{make}-{'.'.join(version.split('.')[:2])}"


@cache
def own_figures() -> Figures:
    """The figures of the project."""
    content = files("loader.planning").joinpath(OWN).read_bytes()
    return msgspec.json.decode(content, type=Figures)


def known_servers() -> list[str]:
    """Servers with figures, such as ``redis-8.2``."""
    return own_figures().servers

"""How many servers, how much memory, how fast. Pure functions.

Facts: a server executes commands in one thread (Redis documentation, "Diagnosing latency issues": single threaded
nature). The table of all keys has a power of two of slots of 8 bytes (Redis 7 ``dict.c``).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import Literal

from loader.planning.wanted import Known, Wanted
from loader.preflight.estimate import table_slots

HEADROOM = 1.1
"""Memory beside what the tasks need: the figures are right to 10 %, see ``tests/integration/test_plan_oracle.py``."""

MOST_SERVERS = 10_000
_SLOT = 8
_HOUR = 3600.0

BACKLOG_SECONDS = 60
"""How long a replica may be cut off and go on where it was: Redis's ``repl-timeout`` by default (``redis.conf``)."""

LEAST_BACKLOG = 1024 * 1024
"""``repl-backlog-size`` by default: 1 MB (``redis.conf`` of Redis; Valkey has 10 MB)."""

Limit = Literal["the servers' threads", "the loader's cores", "the network"]
CORES: Limit = "the loader's cores"


@dataclass(frozen=True, slots=True)
class Rates:
    """Tasks a second.

    Attributes:
        server: That the thread of one server can take.
        core: That one core of the loader makes.
        network: That the network of one server can carry; None for no limit.
        total: Of the whole load.
        limit: What limits it.
    """

    server: float
    core: float
    network: float | None
    total: float
    limit: Limit


@dataclass(frozen=True, slots=True)
class ServerMemory:
    """Bytes of one server when all tasks are in.

    Attributes:
        tasks: For tasks, keys and lists.
        table: For the table of all keys, which is one piece.
        used: Both: what ``used_memory`` will be.
        resident: What the process has of the machine.
        backlog: For replicas that were cut off.
        copied: Copied while a snapshot is written and the load goes on.
        machine: All of it, with headroom.
    """

    tasks: float
    table: float
    used: float
    resident: float
    backlog: float
    copied: float
    machine: float


def rates(wanted: Wanted, known: Known, servers: int) -> Rates:
    """How fast the load is with so many servers."""
    costs = known.costs
    server = known.sync_factor * 1e6 / costs.server_us.value
    core = 1e6 / costs.client_us.value
    network = None if wanted.network is None else wanted.network / wire_bytes(wanted, known)
    found: list[tuple[float, Limit]] = [(servers * server, "the servers' threads")]
    if wanted.cores is not None:
        found.append((wanted.cores * core, CORES))
    if network is not None:
        found.append((servers * network, "the network"))
    total, limit = min(found)
    return Rates(server, core, network, total, limit)


def wire_bytes(wanted: Wanted, known: Known) -> float:
    """The bytes a task that the busier direction of a server's network carries: in, or out to its replicas."""
    out = known.costs.replicated_bytes
    return max(known.costs.sent_bytes.value, wanted.replicas * (out.value if out else 0.0))


def memory(wanted: Wanted, known: Known, servers: int, rate: float) -> ServerMemory:
    """The memory of each of so many servers.

    Args:
        rate: Tasks a second that each of them takes.
    """
    costs, snapshot = known.costs, known.snapshot
    here = math.ceil(wanted.tasks / servers)
    tasks = here * costs.memory_bytes.value
    table = float(_SLOT * table_slots(here * costs.keys))
    used = tasks + table
    resident = used * snapshot.resident_bytes / snapshot.used_bytes
    backlog = backlog_bytes(wanted, known, rate) if wanted.replicas else 0.0
    copied = copied_bytes(known, here, rate, resident) if wanted.forks else 0.0
    return ServerMemory(tasks, table, used, resident, backlog, copied, HEADROOM * resident + backlog + copied)


def backlog_bytes(wanted: Wanted, known: Known, rate: float) -> float:
    """Bytes of ``repl-backlog-size`` for a cut of ``BACKLOG_SECONDS`` at this rate."""
    replicated = known.costs.replicated_bytes
    return max(float(LEAST_BACKLOG), BACKLOG_SECONDS * rate * replicated.value) if replicated else float(LEAST_BACKLOG)


def save_seconds(known: Known, tasks: float) -> float:
    """How long a snapshot of so many tasks takes: as long a byte of its file as the measured one."""
    snapshot = known.snapshot
    return snapshot.save_seconds * tasks * known.file_bytes / snapshot.file_bytes


def copied_bytes(known: Known, tasks: float, rate: float, resident: float) -> float:
    """Memory copied during a snapshot of so many tasks, at most all there is.

    Each task that is loaded meanwhile changes pages that the child still reads: as many bytes a task as measured.
    """
    snapshot = known.snapshot
    meanwhile = rate * save_seconds(known, tasks)
    return min(resident, snapshot.copied_bytes * meanwhile / max(1, snapshot.tasks_meanwhile))


def servers_needed(wanted: Wanted, known: Known) -> int | None:
    """The fewest servers that have the memory and the time; None if no number of them has.

    With more servers, each needs no more memory, and the load no more time. If the cores of the loader are too few for
    the time, as many servers as these can keep busy.
    """
    if wanted.servers is not None:
        return wanted.servers
    numbers = range(1, MOST_SERVERS + 1)
    in_time = bisect_left(numbers, True, key=lambda servers: is_in_time(wanted, known, servers))
    large_enough = bisect_left(numbers, True, key=lambda servers: fits(wanted, known, servers))
    if large_enough == MOST_SERVERS:
        return None
    if in_time == MOST_SERVERS:
        in_time = bisect_left(numbers, True, key=lambda servers: rates(wanted, known, servers).limit == CORES)
    return None if in_time == MOST_SERVERS else numbers[max(in_time, large_enough)]


def is_in_time(wanted: Wanted, known: Known, servers: int) -> bool:
    """Whether so many servers take all tasks in the hours that are wanted."""
    return wanted.hours is None or wanted.tasks <= rates(wanted, known, servers).total * wanted.hours * _HOUR


def fits(wanted: Wanted, known: Known, servers: int) -> bool:
    """Whether so many servers have the memory."""
    if wanted.memory is None:
        return True
    rate = rates(wanted, known, servers).total / servers
    return memory(wanted, known, servers, rate).machine <= wanted.memory

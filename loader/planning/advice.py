"""What to set on the servers, what will not work, and what else to know.

Facts: ``redis.conf`` of Redis 7: a ``client-output-buffer-limit`` for replicas below ``repl-backlog-size`` has no
effect; its default is 256 MB, or 64 MB for 60 s; replicas share one buffer with the backlog. ``save 60 10000`` is one
of the rules by which Redis makes snapshots by default. Transparent huge pages: Redis documentation, "Diagnosing latency
issues".
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from loader.planning.capacity import HEADROOM
from loader.planning.figure import ServerSetting
from loader.planning.files import SAVE_SECONDS
from loader.planning.work import HOUR, Work
from loader.tasks.sizes import in_bytes

_MIB = 1024 * 1024
_DEFAULT_HARD = 256 * _MIB
_ROUNDED = 1.0001


def settings(work: Work) -> Iterator[ServerSetting]:
    """What to set on each server for the load."""
    wanted, memory = work.wanted, work.memory
    limit = math.ceil(HEADROOM * memory.used / _MIB) * _MIB
    yield ServerSetting("maxmemory", f"{limit}", "a full server refuses tasks instead of being killed")
    yield ServerSetting("maxmemory-policy", "noeviction", "with any other policy, a full server drops tasks")
    if wanted.replicas:
        backlog = _backlog(work)
        hard = max(_DEFAULT_HARD, 2 * backlog)
        yield ServerSetting("repl-backlog-size", f"{backlog}", "a replica that was cut off for a minute goes on")
        yield ServerSetting(
            "client-output-buffer-limit",
            f"replica {hard} {backlog} 60",
            "a replica that is further behind is cut off; below the backlog, a limit has no effect",
        )
    if wanted.has_aof:
        yield ServerSetting(
            "auto-aof-rewrite-percentage", "0", "no fork during the load; afterwards BGREWRITEAOF, and back to 100"
        )
    if wanted.persistence != "rdb":
        yield ServerSetting("save", "", "no snapshot every minute of the load; afterwards back to what it was")
    else:
        seconds = max(3600, math.ceil(work.seconds))
        yield ServerSetting("save", f"{seconds} 1", "a snapshot an hour at most; by default there is one a minute")


def warnings(work: Work) -> Iterator[str]:
    """What does not fit, or will break the load."""
    wanted, memory = work.wanted, work.memory
    if wanted.memory is not None and memory.machine > wanted.memory:
        yield (
            f"Each server needs {in_bytes(memory.machine)} of memory and has {in_bytes(wanted.memory)}: "
            "take more servers, or larger ones."
        )
    if wanted.hours is not None and work.seconds > _ROUNDED * wanted.hours * HOUR:
        verb = "limits" if work.rates.limit == "the network" else "limit"
        yield f"It takes longer than {wanted.hours:g} h: {work.rates.limit} {verb} it."
    if wanted.replicas and work.copy_buffer > max(_DEFAULT_HARD, 2 * _backlog(work)):
        yield (
            f"A replica that copies everything during the load would need {in_bytes(work.copy_buffer)} of buffer, and "
            "is cut off before. Let replicas follow before the load; if one has to copy, pause the load (jobs pause) "
            "until it follows."
        )
    if wanted.persistence == "rdb" and work.save_seconds > SAVE_SECONDS:
        yield (
            "By default ('save 60 10000') one snapshot follows the other during the whole load: forks again and again, "
            "and copied memory."
        )
    if wanted.persistence == "none":
        yield "Nothing is kept on disk: a restart loses the tasks and the record of the job together."


def notes(work: Work) -> Iterator[str]:
    """What else to know or to watch."""
    wanted = work.wanted
    yield (
        f"The table of all keys grows by doubling: its last size, {in_bytes(work.memory.table)}, is asked for in one "
        "piece, and until all keys have moved the table before it (half of that) is there as well."
    )
    yield "Ended tasks stay in memory for their retention. The plan counts none as gone."
    if work.servers > 1:
        list_of = "one queue is" if wanted.layout == "asynq" else "the list of one queue is"
        yield (
            f"On a Redis Cluster, {list_of} on one node: {work.servers:,} nodes need at least as many queues. Servers "
            "without a cluster get a load each, of a part of the input."
        )
    if wanted.replicas:
        lag = max(_MIB, _backlog(work) // 2)
        yield f"load --max-replica-lag {lag} waits for a replica before it is cut off."
    if wanted.forks:
        yield "Turn transparent huge pages off: with them, a snapshot copies 2 MB for each page that changes."
    yield "A slow disk, and other users of the servers, are not in the plan: measure there, with --measure --redis URL."


def _backlog(work: Work) -> int:
    return math.ceil(work.memory.backlog / _MIB) * _MIB

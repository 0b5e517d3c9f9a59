"""On which nodes of a Redis Cluster the tasks of a load will be, and whether workers take all queues of ``--spread``.

Who takes tasks from several queues of a cluster (read in November 2026):

- asynq's servers (0.26, ``internal/rdb``: ``Dequeue``) ask one queue after the other, each with a script on the keys of
  that queue. With a cluster client (``RedisClusterClientOpt``), the queues may be in any slots. They take the queues
  that their configuration names.
- runqy-worker (June 2026, ``worker.go``: ``groupQueuesByParent``) that is given a parent's name takes all sub-queues
  that runqy's configuration has. It asks for all of them in one BRPOP over a connection to one server
  (``internal/redis/redis.go``: ``Dequeue``). A node of a cluster refuses that, with CROSSSLOT, if they are in several
  slots.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from loader.errors import TransientError
from loader.layouts.registry import encoder_for
from loader.preflight.checks import Finding
from loader.preflight.consumers import Consumer
from loader.preflight.intended import IntendedLoad
from loader.preflight.layout import named
from loader.preflight.usage import Usage
from loader.servers.routing import Servers
from loader.settings import LoadOptions
from loader.tasks.sizes import counted
from loader.wire.slots import key_slot

_MOST_SHOWN = 3


def place_finding(servers: Servers, options: LoadOptions) -> Finding | None:
    """Says which nodes of a cluster take the tasks, and how to use the others. None if records name their queues.

    Args:
        options: Settled options of a load.
    """
    queues, nodes = options.own_queues, servers.primaries()
    if not queues:
        return None
    try:
        taking = Counter(str(servers.address_of(encoder_for(options, queue).pending_key)) for queue in queues)
    except TransientError:
        return None  # the load waits for the slot, and says so
    if options.spread is not None:
        return _of_spread(queues, nodes=len(nodes), taking=taking)
    if len(nodes) == 1:
        return None
    (node,) = taking
    slot = key_slot(encoder_for(options, queues[0]).pending_key)
    text = f"queue {queues[0]} is in slot {slot}, on node {node}"
    others = counted(len(nodes) - 1, "other node")
    if options.layout_name == "documented":
        return Finding("nodes", "ok", f"{text}; its tasks are on all {len(nodes)} nodes")
    used = "get look-ups only" if options.defaults.reverse_lookup else "will not be used"
    return Finding(
        "nodes",
        "ok",
        f"{text}, with all of its tasks; the {others} {used}",
        f"--spread {len(nodes)} loads into {len(nodes)} sub-queues on all nodes instead, for workers that take them "
        "all: see docs/servers.md",
    )


def _of_spread(queues: Sequence[str], *, nodes: int, taking: Counter[str]) -> Finding:
    text = f"{counted(len(queues), 'sub-queue')} ({_shown(queues)}) on {len(taking)} of {counted(nodes, 'node')}"
    if len(taking) > 1:
        text += ": " + ", ".join(f"{number} on {node}" for node, number in sorted(taking.items()))
    if nodes == 1:
        return Finding("nodes", "warning", text, "--spread helps only on a cluster of several nodes")
    if len(taking) < nodes:
        more = "Give --spread more sub-queues: a multiple of the number of nodes spreads them evenly"
        return Finding("nodes", "warning", text, more)
    return Finding("nodes", "ok", text)


def spread_finding(servers: Servers, load: IntendedLoad, usage: Usage) -> Finding | None:
    """Whether running workers take all sub-queues of a spread load; None without ``--spread``.

    Args:
        load: A load with settled options.
        usage: The usage of its queues.
    """
    options = load.options
    if options.spread is None:
        return None
    queues = options.own_queues
    workers = [one for one in usage.living if one.layout == "asynq" and any(map(one.serves, queues))]
    found = _of_workers(queues, usage, workers)
    if found is None and servers.cluster_size and not any(one.forwards or one.synthetic for one in workers):
        found = Finding(
            "spread",
            "error",
            f"{named(workers)} takes the tasks of all its queues with one BRPOP, which the nodes of a cluster refuse "
            "for queues in several slots (CROSSSLOT)",
            "Load without --spread, or start asynq servers with a cluster client; --force-queue goes on regardless",
        )
    if found is not None and found.level == "error" and options.force_queue:
        return found.ignored_by("--force-queue")
    return found or Finding("spread", "ok", f"{named(workers)} serves all {len(queues)} sub-queues")


def _of_workers(queues: Sequence[str], usage: Usage, workers: Sequence[Consumer]) -> Finding | None:
    left = [queue for queue in queues if not any(one.serves(queue) for one in workers)]
    if not left:
        return None
    if not any(one.layout == "asynq" for one in usage.living):
        return Finding(
            "spread",
            "warning",
            f"no worker is running: it cannot be seen whether one will take all of {_shown(queues, all_of_them=True)}",
            "Give workers these queues by name: in runqy's configuration, or in the Queues of asynq's servers",
        )
    return Finding(
        "spread",
        "error",
        f"no worker serves {_shown(left, all_of_them=True)}: these tasks would wait for ever",
        "Give workers these queues by name: in runqy's configuration, or in the Queues of asynq's servers; "
        "--force-queue goes on regardless",
    )


def _shown(queues: Sequence[str], *, all_of_them: bool = False) -> str:
    if all_of_them or len(queues) <= _MOST_SHOWN:
        return ", ".join(queues)
    return f"{', '.join(queues[: _MOST_SHOWN - 1])} … {queues[-1]}"

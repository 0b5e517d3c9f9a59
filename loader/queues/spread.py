"""The sub-queues of a load that is spread over the nodes of a Redis Cluster (``--spread``).

In the asynq layout, all keys of a queue are in the slot of its name, so one node has them all. Several queues are in
several slots, but names as they come may well fall on the same node. So the slots are cut into as many equal parts as
there are sub-queues, and each part gets the first name ``<queue>-<number>`` whose slot is in its middle half. Tools
that make a cluster give each node one range of about equal length (``redis-cli --cluster create``), so each of K nodes
gets N/K of N sub-queues.

The names follow from the queue's name and from N alone. Nodes that come, go, or take over slots do not change them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import count
from zlib import crc32

from loader.wire.slots import SLOTS, key_slot


def spread_names(queue: str, parts: int) -> list[str]:
    """Full names of the sub-queues, by the part of the slots that each is in.

    Args:
        queue: Full name of the queue.
        parts: How many sub-queues there are.
    """
    return list(_names(queue, parts))


@lru_cache(maxsize=8)  # options ask for them again and again; 256 names take milliseconds
def _names(queue: str, parts: int) -> tuple[str, ...]:
    names: dict[int, str] = {}
    numbers = count(1)
    while len(names) < parts:
        name = f"{queue}-{next(numbers)}"
        part, within = divmod(key_slot(name.encode()) * parts, SLOTS)
        if SLOTS <= 4 * within < 3 * SLOTS:
            names.setdefault(part, name)
    return tuple(names[part] for part in range(parts))


def queue_of_batch(names: Sequence[str], shard: int, batch: int) -> str:
    """The sub-queue of a batch whose ids are generated: in turn, so that each gets whole batches, and as many.

    Args:
        batch: Its number within the shard.
    """
    return names[(shard + batch) % len(names)]


def queue_of_id(names: Sequence[str], task_id: bytes) -> str:
    """The sub-queue of a task whose id comes from its record. Equal ids meet in one queue, where they are noticed."""
    return names[crc32(task_id) % len(names)]

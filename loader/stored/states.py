"""Counts the tasks of a queue in layout asynq by their state. The documented layout has no states."""

from __future__ import annotations

from loader.queues.asynq_keys import SETS
from loader.servers.question import ask
from loader.servers.session import Session
from loader.stored.queue_reader import StoredQueue
from loader.wire.connection import Reply

_GROUPS_A_STEP = 1000


async def count_aggregating(session: Session, queue: str) -> int:
    """The number of tasks that wait in groups (asynq 0.26, ``internal/rdb``, ``currentStatsCmd``).

    Raises:
        SinkError: The server cannot be reached.
    """
    base = b"asynq:{%b}:" % queue.encode()
    (names,) = await session.values([ask(b"SMEMBERS", base + b"groups")])
    groups = names if isinstance(names, list) else []
    total = 0
    for start in range(0, len(groups), _GROUPS_A_STEP):
        step = groups[start : start + _GROUPS_A_STEP]
        replies = await session.values([ask(b"ZCARD", base + b"g:" + name) for name in step])
        total += sum(map(count_of, replies))
    return total


async def count_other_states(session: Session, queue: StoredQueue, *, but: str = "pending") -> dict[str, int]:
    """The number of tasks in each state that has any, except one state. Running tasks are not counted.

    Raises:
        SinkError: The server cannot be reached.
    """
    if queue.layout == "documented":
        return {}
    base = b"asynq:{%b}:" % queue.name.encode()
    questions = [ask(b"LLEN", queue.pending_key), *(ask(b"ZCARD", base + state.encode()) for state in SETS)]
    replies = await session.values(questions)
    counts = dict(zip(("pending", *SETS), map(count_of, replies), strict=True))
    # Last, as the closing lines of an export say how to export these.
    counts["aggregating"] = await count_aggregating(session, queue.name)
    return {state: count for state, count in counts.items() if count and state != but}


def count_of(reply: Reply) -> int:
    """The count in a reply. A key of another type, or one that may not be read, counts as empty."""
    return reply if isinstance(reply, int) else 0

"""Reads the state of some queues, at a cost that does not depend on how many tasks they hold.

Keys and counters are those of asynq 0.26, ``internal/base`` and ``internal/rdb``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from loader.queues.asynq_keys import PAUSED, PROCESSED, SETS
from loader.servers.question import Question, ask
from loader.servers.session import Session
from loader.stored.queue_reader import AsynqQueue, StoredQueue, stored_queue
from loader.tasks.profiles import LayoutName
from loader.watch.asking import values
from loader.watch.queue_state import QueueState
from loader.wire.connection import Reply

_FAILED = "failed"
_DAY = "%Y-%m-%d"

_PLACES = (1, 4, 16, 64)
"""Places from the end of the pending list. The times of the tasks there are asked for, because workers take some of
them between the two questions: 64 tasks in 10 ms, if they take 6,400 a second."""

COMMANDS_A_LOOK: dict[LayoutName, int] = {"documented": 2, "asynq": 12 + len(_PLACES)}
"""The most commands that a look sends for a queue. The server's time for each does not depend on the queue's length."""


class Look:
    """Reads the state of some queues.

    A look takes two round trips to each server: one for the counts, and one for the age of the next task of each queue
    that has any. If workers have taken that task in between, the age is that of one a little behind it. A look sends at
    most ``COMMANDS_A_LOOK`` commands for a queue.

    Args:
        queues: Readers of the queues, see ``loader.stored.queue_reader.stored_queue``.
        clock: Returns Unix seconds. Ages are by the clock of this machine, as in asynq's own inspector.
    """

    def __init__(self, session: Session, queues: Sequence[StoredQueue], clock: Callable[[], float] = time.time) -> None:
        self.queues = queues
        self._session = session
        self._clock = clock

    @classmethod
    def of(cls, session: Session, layout: LayoutName, *names: str) -> Look:
        """A look at queues of one layout, by their full names."""
        return cls(session, [stored_queue(layout, name) for name in names])

    async def read(self) -> list[QueueState]:
        """The states of the queues, in their order.

        The counts of a queue are not of exactly the same moment: workers may move a task between two of them.

        Raises:
            SinkError: The server refuses, or cannot be reached.
        """
        day = time.strftime(_DAY, time.gmtime(self._clock()))
        asked = [_counts(queue, day) for queue in self.queues]
        replies = await values(self._session, [question for questions in asked for question in questions])
        found: list[list[Reply]] = []
        for questions in asked:
            found.append(replies[: len(questions)])
            replies = replies[len(questions) :]
        ages = await self._ages([_next_tasks(of_queue) for of_queue in found])
        return [_state(*one) for one in zip(self.queues, found, ages, strict=True)]

    async def _ages(self, next_tasks: Sequence[Sequence[bytes]]) -> list[float | None]:
        """The age of the next task of each queue, by the ids of some tasks that are next."""
        asked = [
            (at, ask(b"HMGET", queue.task_key(task_id), b"pending_since", b"state"))
            for at, (queue, ids) in enumerate(zip(self.queues, next_tasks, strict=True))
            for task_id in ids
        ]
        replies = await values(self._session, [question for _, question in asked])
        now = self._clock()
        ages: list[float | None] = [None] * len(next_tasks)
        found: set[int] = set()
        for (at, _), reply in zip(asked, replies, strict=True):
            since, state = reply if isinstance(reply, list) else (None, None)
            if at in found or (since is None and state != b"pending"):  # workers have taken it in the meantime
                continue
            found.add(at)
            moment = pending_since(since)
            ages[at] = None if moment is None else max(0.0, now - moment)
        return ages


def pending_since(reply: Reply) -> float | None:
    """The Unix seconds in field ``pending_since`` of a task's hash; None if it holds no time.

    asynq and runqy write nanoseconds, node-asynq writes seconds.
    """
    if not isinstance(reply, bytes) or not reply.isdigit() or len(reply) > len("1000000000000000000") or not int(reply):
        return None
    value = int(reply)
    return float(value) if value < 10**11 else value / 1e9


def _counts(queue: StoredQueue, day: str) -> list[Question]:
    if not isinstance(queue, AsynqQueue):
        base = queue.pending_key.removesuffix(b"pending")
        # The guide names only the list of pending tasks. Some workers keep running ones in a list beside it.
        return [ask(b"LLEN", queue.pending_key), ask(b"LLEN", base + b"active")]
    base = queue.pending_key.removesuffix(b"pending")
    counters = [name.encode() for kind in (PROCESSED, _FAILED) for name in (kind, f"{kind}:{day}")]
    return [
        ask(b"LLEN", queue.pending_key),
        ask(b"LLEN", base + b"active"),
        *[ask(b"ZCARD", base + state.encode()) for state in SETS],
        ask(b"EXISTS", base + PAUSED.encode()),
        *[ask(b"GET", base + name) for name in counters],
        ask(b"LRANGE", queue.pending_key, b"-%d" % _PLACES[-1], b"-1"),
    ]


def _next_tasks(replies: Sequence[Reply]) -> list[bytes]:
    """The ids of some tasks that workers take next, the first one first, among the replies to ``_counts``."""
    last = replies[-1]
    if not isinstance(last, list):  # the documented layout keeps no times
        return []
    return [task_id for place in _PLACES if place <= len(last) and isinstance(task_id := last[-place], bytes)]


def _state(queue: StoredQueue, replies: Sequence[Reply], age: float | None) -> QueueState:
    missing: list[Reply] = [None] * (COMMANDS_A_LOOK["asynq"] - len(replies))
    pending, active, scheduled, retry, archived, completed, paused, *counters = [*replies, *missing]
    processed, processed_today, failed, failed_today = counters[:4]
    return QueueState(
        queue.name,
        pending=_count(pending),
        active=_count(active),
        scheduled=_count(scheduled),
        retry=_count(retry),
        archived=_count(archived),
        completed=_count(completed),
        oldest_pending_seconds=age,
        layout=queue.layout,
        paused=paused == 1,
        processed=_counter(processed, processed_today),
        failed=_counter(failed, failed_today),
    )


def _count(reply: Reply) -> int:
    return reply if isinstance(reply, int) else 0


def _counter(*replies: Reply) -> int | None:
    """The first counter that there is. The one without a date goes on at midnight."""
    return next((int(reply) for reply in replies if isinstance(reply, bytes) and reply.isdigit()), None)

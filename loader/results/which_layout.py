"""Tells by the keys of awaited tasks which layout they are in."""

from __future__ import annotations

from collections.abc import Sequence

from loader.errors import UsageError
from loader.results.outstanding import Waiting
from loader.results.reader import Reader
from loader.servers.question import Question, ask
from loader.tasks.profiles import LayoutName

SAMPLE = 200
"""The maximum number of tasks to look at."""


async def layout_of_tasks(reader: Reader, tasks: Sequence[Waiting]) -> LayoutName | None:
    """The layout of which any of these tasks has a key; None if no task has left a trace.

    Raises:
        UsageError: Some tasks are in one layout and some in the other.
        LoaderError: The connection was lost.
    """
    asked: list[Question] = []
    for task in tasks:
        key, result = b"asynq:t:" + task.id.encode(), b"asynq:result:" + task.id.encode()
        asked += [
            ask(b"HMGET", key, b"type", b"payload", b"queue"),
            ask(b"EXISTS", result),
        ]
        if task.queue is not None:
            own = b"asynq:{%b}:t:%b" % (task.queue.encode(), task.id.encode())
            asked.append(ask(b"EXISTS", own))
    replies = iter(await reader.ask(asked))
    found: set[LayoutName] = set()
    for task in tasks:
        fields, result = next(replies), next(replies)
        task_type, payload, queue = fields if isinstance(fields, list) else (None, None, None)
        if task_type is not None or payload is not None or result == 1:
            found.add("documented")
        elif queue is not None:  # runqy's reverse look-up
            found.add("asynq")
        if task.queue is not None and next(replies) == 1:
            found.add("asynq")
    if len(found) == 2:
        raise UsageError("there are tasks of both layouts among the ids", "Give --layout documented or --layout asynq")
    return found.pop() if found else None

"""Looks up the outcome of tasks in Redis, with ready-made commands, many ids a call. Each layout has a lookup class.

Between two commands of a lookup, a worker may store a result and delete the hash, in either order. So a task of which
nothing is found counts as gone only if a second lookup finds nothing either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import hiredis

from loader.layouts.task_message import MessageError, decode
from loader.results.outstanding import GONE, Waiting
from loader.results.reader import Reader
from loader.results.result import TaskResult, text
from loader.servers.question import Question, ask
from loader.tasks.profiles import LayoutName
from loader.wire.connection import Reply
from loader.wire.faults import from_reply
from loader.wire.resp import bulks

_FAILED_STATES = (b"archived", b"failed")
_STATE_UNKNOWN = "stored"
"""The state shown for a task whose hash exists and holds no state."""

_DOCUMENTED_FIELDS = (b"type", b"queue", b"state", b"error_msg", b"last_err")
_ASYNQ_FIELDS = (b"state", b"result", b"type")
_ERROR_FIELDS = (b"error_msg", b"last_err", b"msg")
_TAILS: dict[tuple[bytes, ...], bytes] = {
    fields: bulks(fields) for fields in (_DOCUMENTED_FIELDS, _ASYNQ_FIELDS, _ERROR_FIELDS)
}


class Look(NamedTuple):
    """What a lookup found: the task as it is known now, and its result if that is final, else None."""

    task: Waiting
    final: TaskResult | None


class Lookup(Protocol):
    """Looks up tasks in one layout."""

    async def look(self, reader: Reader, tasks: Sequence[Waiting]) -> list[Look]:
        """Looks up these tasks. The answers are in the order of the tasks.

        Raises:
            LoaderError: The connection was lost, or the server refuses.
        """
        ...


class DocumentedLookup:
    """Reads ``asynq:t:<id>`` and ``asynq:result:<id>`` (runqy's enqueueing guide)."""

    async def look(self, reader: Reader, tasks: Sequence[Waiting]) -> list[Look]:
        names = [task.id.encode() for task in tasks]
        asked = [_get(b"asynq:result:" + name) for name in names]
        results = [_value(reply, "asynq:result:*") for reply in await reader.ask(asked)]
        # Every task of the guide has 'type'. Workers write the other fields, which may be missing.
        without_result = [name for name, result in zip(names, results, strict=True) if result is None]
        hashes = iter(await reader.ask([_hmget(b"asynq:t:" + name, _DOCUMENTED_FIELDS) for name in without_result]))
        return [
            self._interpret(task, [None] * 5 if result is not None else _fields(next(hashes), "asynq:t:*", 5), result)
            for task, result in zip(tasks, results, strict=True)
        ]

    def _interpret(self, task: Waiting, fields: list[bytes | None], result: bytes | None) -> Look:
        task_type, queue, state, *errors = fields
        task = task._replace(queue=task.queue or text(queue))
        if result is not None:
            return _final(task, "completed", state, result)
        if state == b"completed":
            return _final(task, "completed", state)
        if state in _FAILED_STATES:
            return _final(task, "failed", state, error=_first_text(errors))
        return _unfinished(task, task_type is not None or state is not None, state)


class AsynqLookup:
    """Reads ``asynq:{<queue>}:t:<id>``. An unknown queue is read from ``asynq:t:<id>`` (runqy's reverse look-up)."""

    async def look(self, reader: Reader, tasks: Sequence[Waiting]) -> list[Look]:
        tasks = await self._with_queues(reader, tasks)
        known = [task for task in tasks if task.queue is not None]
        # 'type' shows that a task of plain fields exists; runqy's workers take these as well.
        asked = [_hmget(_key(task), _ASYNQ_FIELDS) for task in known]
        replies = await reader.ask(asked)
        fields = {task.id: _fields(reply, "asynq:{*}:t:*", 3) for task, reply in zip(known, replies, strict=True)}
        errors = await self._errors(reader, [task for task in known if fields[task.id][0] in _FAILED_STATES])
        return [self._interpret(task, fields.get(task.id, [None] * 3), errors.get(task.id)) for task in tasks]

    def _interpret(self, task: Waiting, fields: list[bytes | None], error: str | None) -> Look:
        state, result, task_type = fields
        if state == b"completed":
            return _final(task, "completed", state, result)
        if state in _FAILED_STATES:
            return _final(task, "failed", state, error=error)
        return _unfinished(task, state is not None or task_type is not None, state)

    async def _with_queues(self, reader: Reader, tasks: Sequence[Waiting]) -> list[Waiting]:
        # Also for tasks that have not been seen yet: the reverse look-up remains when the task itself is gone.
        asked = [task for task in tasks if task.queue is None or not task.known]
        if not asked:
            return list(tasks)
        keys = [b"asynq:t:" + task.id.encode() for task in asked]
        replies = await reader.ask([ask(b"HGET", key, b"queue") for key in keys])
        queue_names = {
            task.id: text(queue)
            for task, reply in zip(asked, replies, strict=True)
            if (queue := _value(reply, "asynq:t:*")) is not None
        }
        # The reverse look-up says where the task is. --queue, or a line of the ids file, counts only if there is none.
        return [
            task._replace(queue=queue_names[task.id], known=True) if task.id in queue_names else task for task in tasks
        ]

    async def _errors(self, reader: Reader, tasks: Sequence[Waiting]) -> dict[str, str | None]:
        """Why tasks failed. runqy's workers store the error in a field, asynq's workers in the message."""
        if not tasks:
            return {}
        asked = [_hmget(_key(task), _ERROR_FIELDS) for task in tasks]
        replies = await reader.ask(asked)
        errors: dict[str, str | None] = {}
        for task, reply in zip(tasks, replies, strict=True):
            *stored, message = _fields(reply, "asynq:{*}:t:*", 3)
            errors[task.id] = _first_text(stored) or _message_error(message)
        return errors


LOOKUPS: dict[LayoutName, type[DocumentedLookup] | type[AsynqLookup]] = {
    "documented": DocumentedLookup,
    "asynq": AsynqLookup,
}


def _get(key: bytes) -> Question:
    # GET, not MGET: a cluster refuses MGET for keys in several slots.
    return Question(key, b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key))


def _hmget(key: bytes, fields: tuple[bytes, ...]) -> Question:
    # Hot path: the parts that are the same for all ids are made once.
    hmget = b"*%d\r\n$5\r\nHMGET\r\n$%d\r\n%b\r\n%b" % (2 + len(fields), len(key), key, _TAILS[fields])
    return Question(key, hmget)


def _key(task: Waiting) -> bytes:
    assert task.queue is not None  # noqa: S101 - only tasks with a known queue are looked up
    return b"asynq:{%b}:t:%b" % (task.queue.encode(), task.id.encode())


def _final(
    task: Waiting, status: Any, state: bytes | None, result: bytes | None = None, error: str | None = None
) -> Look:
    return Look(task, TaskResult(task.id, status, task.queue, text(state), result, error))


def _unfinished(task: Waiting, is_there: bool, state: bytes | None) -> Look:
    if is_there:
        return Look(task._replace(known=True, state=text(state) or _STATE_UNKNOWN), None)
    if not task.known:
        return Look(task._replace(state=None), None)
    if task.state != GONE:
        # A second lookup is needed: some workers delete the hash before they store the result.
        return Look(task._replace(state=GONE), None)
    return Look(task, TaskResult(task.id, "expired", task.queue))


def _first_text(values: Sequence[bytes | None]) -> str | None:
    return next((text(value) for value in values if value), None)


def _message_error(message: bytes | None) -> str | None:
    try:
        return (decode(message).error_msg or None) if message else None
    except MessageError:
        return None  # the state shows that the task failed, but the reason cannot be read


def _fields(reply: Reply, where: str, count: int) -> list[bytes | None]:
    values: list[bytes | None] | None = _value(reply, where)
    return [None] * count if values is None else values


def _value(reply: Reply, where: str) -> Any:
    """The reply; None for a key of another type, which is not a task."""
    if isinstance(reply, hiredis.ReplyError) and str(reply).startswith("WRONGTYPE"):
        return None
    return _checked(reply, where)


def _checked(reply: Reply, where: str) -> Any:
    if isinstance(reply, hiredis.ReplyError):
        raise from_reply(str(reply), where)
    return reply

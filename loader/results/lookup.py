"""Asks Redis what became of tasks: ready-made commands, many ids to a call, one kind of look a layout.

A worker may store a result and delete the hash, in either order, between two commands of a look. So a task of which
nothing is found is only taken as gone when a second look finds nothing either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import hiredis

from loader.layouts.task_message import MessageError, decode
from loader.results.reader import Question, Reader
from loader.results.result import TaskResult, text
from loader.results.waiting import GONE, Waiting
from loader.tasks.profiles import LayoutName
from loader.wire.connection import Reply
from loader.wire.faults import from_reply
from loader.wire.resp import bulks, command

_FAILED_STATES = (b"archived", b"failed")
_UNTOLD = "stored"
"""Said of a task whose hash is there and holds no state."""

_DOCUMENTED_FIELDS = (b"type", b"queue", b"state", b"error_msg", b"last_err")
_ASYNQ_FIELDS = (b"state", b"result", b"type")
_ERROR_FIELDS = (b"error_msg", b"last_err", b"msg")
_TAILS: dict[tuple[bytes, ...], bytes] = {
    fields: bulks(fields) for fields in (_DOCUMENTED_FIELDS, _ASYNQ_FIELDS, _ERROR_FIELDS)
}


class Look(NamedTuple):
    """What a look at a task found: its result if it is final, else what is known of it now."""

    task: Waiting
    final: TaskResult | None


class Lookup(Protocol):
    """Looks at tasks in one layout."""

    async def look(self, reader: Reader, tasks: Sequence[Waiting]) -> list[Look]:
        """What became of these tasks, in their order.

        Raises:
            LoaderError: The connection was lost, or the server refuses.
        """
        ...


class DocumentedLookup:
    """``asynq:t:<id>`` and ``asynq:result:<id>``, runqy's enqueueing guide."""

    async def look(self, reader: Reader, tasks: Sequence[Waiting]) -> list[Look]:
        names = [task.id.encode() for task in tasks]
        asked = [_get(b"asynq:result:" + name) for name in names]
        results = [_value(reply, "asynq:result:*") for reply in await reader.ask(asked)]
        # 'type' is in every task of the guide; the others are a worker's, and may be missing.
        left = [name for name, result in zip(names, results, strict=True) if result is None]
        hashes = iter(await reader.ask([_hmget(b"asynq:t:" + name, _DOCUMENTED_FIELDS) for name in left]))
        return [
            self._judge(task, [None] * 5 if result is not None else _fields(next(hashes), "asynq:t:*", 5), result)
            for task, result in zip(tasks, results, strict=True)
        ]

    def _judge(self, task: Waiting, fields: list[bytes | None], result: bytes | None) -> Look:
        kind, queue, state, *errors = fields
        task = task._replace(queue=task.queue or text(queue))
        if result is not None:
            return _final(task, "completed", state, result)
        if state == b"completed":
            return _final(task, "completed", state)
        if state in _FAILED_STATES:
            return _final(task, "failed", state, error=_first_text(errors))
        return _unfinished(task, kind is not None or state is not None, state)


class AsynqLookup:
    """``asynq:{<queue>}:t:<id>``; where the queue is not known, ``asynq:t:<id>`` tells it (runqy's reverse look-up)."""

    async def look(self, reader: Reader, tasks: Sequence[Waiting]) -> list[Look]:
        tasks = await self._with_queues(reader, tasks)
        known = [task for task in tasks if task.queue is not None]
        # 'type' stands for tasks of plain fields, which runqy's workers take as well.
        asked = [_hmget(_key(task), _ASYNQ_FIELDS) for task in known]
        replies = await reader.ask(asked)
        fields = {task.id: _fields(reply, "asynq:{*}:t:*", 3) for task, reply in zip(known, replies, strict=True)}
        errors = await self._errors(reader, [task for task in known if fields[task.id][0] in _FAILED_STATES])
        return [self._judge(task, fields.get(task.id, [None] * 3), errors.get(task.id)) for task in tasks]

    def _judge(self, task: Waiting, fields: list[bytes | None], error: str | None) -> Look:
        state, result, kind = fields
        if state == b"completed":
            return _final(task, "completed", state, result)
        if state in _FAILED_STATES:
            return _final(task, "failed", state, error=error)
        return _unfinished(task, state is not None or kind is not None, state)

    async def _with_queues(self, reader: Reader, tasks: Sequence[Waiting]) -> list[Waiting]:
        # Also of tasks that have not been seen: their reverse look-up stays when the task itself is gone.
        asked = [task for task in tasks if task.queue is None or not task.known]
        if not asked:
            return list(tasks)
        keys = [b"asynq:t:" + task.id.encode() for task in asked]
        replies = await reader.ask([Question(key, command(b"HGET", key, b"queue")) for key in keys])
        told = {
            task.id: text(found)
            for task, reply in zip(asked, replies, strict=True)
            if (found := _value(reply, "asynq:t:*")) is not None
        }
        # What it tells is where the task is; --queue, or a line of the ids file, only where nothing tells.
        return [task._replace(queue=told[task.id], known=True) if task.id in told else task for task in tasks]

    async def _errors(self, reader: Reader, tasks: Sequence[Waiting]) -> dict[str, str | None]:
        """Why tasks failed: runqy's workers note it in a field, asynq's in the message."""
        if not tasks:
            return {}
        asked = [_hmget(_key(task), _ERROR_FIELDS) for task in tasks]
        replies = await reader.ask(asked)
        found: dict[str, str | None] = {}
        for task, reply in zip(tasks, replies, strict=True):
            *noted, message = _fields(reply, "asynq:{*}:t:*", 3)
            found[task.id] = _first_text(noted) or _message_error(message)
        return found


LOOKUPS: dict[LayoutName, type[DocumentedLookup] | type[AsynqLookup]] = {
    "documented": DocumentedLookup,
    "asynq": AsynqLookup,
}


def _get(key: bytes) -> Question:
    # GET rather than MGET, which a cluster refuses where keys lie in several slots.
    return Question(key, b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key))


def _hmget(key: bytes, fields: tuple[bytes, ...]) -> Question:
    # Hot path: what does not change from id to id is made once.
    hmget = b"*%d\r\n$5\r\nHMGET\r\n$%d\r\n%b\r\n%b" % (2 + len(fields), len(key), key, _TAILS[fields])
    return Question(key, hmget)


def _key(task: Waiting) -> bytes:
    assert task.queue is not None  # noqa: S101 - only those whose queue is known are asked for
    return b"asynq:{%b}:t:%b" % (task.queue.encode(), task.id.encode())


def _final(
    task: Waiting, status: Any, state: bytes | None, result: bytes | None = None, error: str | None = None
) -> Look:
    return Look(task, TaskResult(task.id, status, task.queue, text(state), result, error))


def _unfinished(task: Waiting, is_there: bool, state: bytes | None) -> Look:
    if is_there:
        return Look(task._replace(known=True, state=text(state) or _UNTOLD), None)
    if not task.known:
        return Look(task._replace(state=None), None)
    if task.state != GONE:
        # Only a second look makes sure: some workers delete the hash and then store the result.
        return Look(task._replace(state=GONE), None)
    return Look(task, TaskResult(task.id, "expired", task.queue))


def _first_text(values: Sequence[bytes | None]) -> str | None:
    return next((text(value) for value in values if value), None)


def _message_error(message: bytes | None) -> str | None:
    try:
        return (decode(message).error_msg or None) if message else None
    except MessageError:
        return None  # not ours to judge: the state tells that it failed


def _fields(reply: Reply, where: str, count: int) -> list[bytes | None]:
    found: list[bytes | None] | None = _value(reply, where)
    return [None] * count if found is None else found


def _value(reply: Reply, where: str) -> Any:
    """The reply; None for a key of another type, which is no task."""
    if isinstance(reply, hiredis.ReplyError) and str(reply).startswith("WRONGTYPE"):
        return None
    return _checked(reply, where)


def _checked(reply: Reply, where: str) -> Any:
    if isinstance(reply, hiredis.ReplyError):
        raise from_reply(str(reply), where)
    return reply

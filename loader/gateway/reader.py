"""Looks up tasks for ``GET /queue/{id}``: their state and result."""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime

import hiredis
import msgspec

from loader.errors import LoaderError
from loader.gateway.answers import TaskInfo
from loader.gateway.link import Link
from loader.layouts.task_message import MessageError, TaskMessage, decode
from loader.queues.asynq_keys import base_of
from loader.wire.connection import Reply
from loader.wire.faults import from_reply
from loader.wire.replies import pairs
from loader.wire.resp import command

FINAL = frozenset({"completed", "archived"})
"""States that a task does not leave (asynq 0.26, ``TaskState``)."""

_MOST_QUEUES = 1000
"""Queues that are searched for a task, where no key tells its queue."""

_MOST_FOUND = 2000
"""Tasks whose queue is remembered, where no key tells it."""

Fields = dict[bytes, bytes]

_NUMBER = re.compile(rb"[0-9]{1,18}")
"""What JSON can hold as an integer of 64 bits. A field with anything else is shown as if it were not there."""


class TooManyQueuesError(LoaderError):
    """A task was not found in those queues that were searched, and there are more."""


class TaskReader:
    """Looks up tasks by their ids.

    Args:
        layout: ``documented`` or ``asynq``.
        queues: Returns names of queues that may hold a task, up to about a number of them, and whether these are all.
            None if each task has a reverse look-up: then a task without one is none, as for runqy's server.
    """

    def __init__(
        self,
        link: Link,
        layout: str,
        queues: Callable[[int], Awaitable[tuple[Iterable[str], bool]]] | None,
    ) -> None:
        self._link = link
        self._found: dict[bytes, str] = {}  # queues of tasks that no look-up key tells, as they were found
        self._queues = queues
        self._read = self._read_documented if layout == "documented" else self._read_asynq

    async def read(self, ids: Sequence[bytes]) -> list[TaskInfo | None]:
        """The tasks with these ids; None for an id without a task.

        Raises:
            SinkError: Redis is not available, or refuses.
        """
        return await self._read(ids)

    async def _read_documented(self, ids: Sequence[bytes]) -> list[TaskInfo | None]:
        # Guide, "Task Data Fields" and "Poll for Result".
        replies = await self._ask(
            [command(b"HGETALL", b"asynq:t:" + task_id) for task_id in ids]
            + [command(b"GET", b"asynq:result:" + task_id) for task_id in ids]
        )
        return [
            _documented(task_id, _fields(fields), result if isinstance(result, bytes) else None)
            for task_id, fields, result in zip(ids, replies, replies[len(ids) :], strict=False)
        ]

    async def _read_asynq(self, ids: Sequence[bytes]) -> list[TaskInfo | None]:
        replies = await self._ask([command(b"HGET", b"asynq:t:" + task_id, b"queue") for task_id in ids])
        queue_names = [
            name.decode(errors="replace") if isinstance(name, bytes) else self._found.get(task_id)
            for task_id, name in zip(ids, replies, strict=True)
        ]
        candidates: Iterable[str] = ()
        is_all = True
        if self._queues is not None and None in queue_names:
            candidates, is_all = await self._queues(_MOST_QUEUES)
        lookups: list[tuple[int, str]] = []
        for position, name in enumerate(queue_names):
            lookups += ((position, queue) for queue in (candidates if name is None else (name,)))
        # Not from an encoder: to make one for each queue that is searched takes a second, in which nobody is served.
        keys = (base_of(queue) + b"t:" + ids[position] for position, queue in lookups)
        replies = await self._ask([command(b"HGETALL", key) for key in keys])
        tasks: list[TaskInfo | None] = [None] * len(ids)
        for (position, queue), reply in zip(lookups, replies, strict=True):
            if (fields := _fields(reply)) and tasks[position] is None:
                tasks[position] = _asynq(ids[position], queue, fields)
        if self._queues is not None:
            self._remember(ids, tasks)
        if not is_all and len(ids) == 1 and tasks[0] is None:
            raise TooManyQueuesError(
                f"task not found in {_MOST_QUEUES:,} queues; there are more, and nothing in Redis tells an id's queue"
            )
        await self._add_starts(tasks)
        return tasks

    def _remember(self, ids: Sequence[bytes], tasks: Sequence[TaskInfo | None]) -> None:
        """Who waits for a task asks for it ten times a second: its queue is searched once."""
        for task_id, task in zip(ids, tasks, strict=True):
            if task is None:
                self._found.pop(task_id, None)
            elif task_id not in self._found:
                if len(self._found) >= _MOST_FOUND:
                    del self._found[next(iter(self._found))]
                self._found[task_id] = task.queue

    async def _add_starts(self, tasks: Sequence[TaskInfo | None]) -> None:
        """Adds when tasks start that are scheduled or wait for a retry (asynq 0.26, ``rdb/inspect.go``)."""
        due = [task for task in tasks if task is not None and task.state in ("scheduled", "retry")]
        commands = []
        for task in due:
            key = base_of(task.queue) + task.state.encode()
            commands.append(command(b"ZSCORE", key, task.id.encode()))
        for task, score in zip(due, await self._ask(commands), strict=True):
            if isinstance(score, bytes):
                task.next_process_at = _moment(float(score))

    async def _ask(self, commands: Sequence[bytes]) -> list[Reply]:
        if not commands:
            return []
        replies = await self._link.call(b"".join(commands), replies=len(commands))
        for reply in replies:
            # A key of another type holds no task; anything else is a fault.
            if isinstance(reply, hiredis.ReplyError) and not str(reply).startswith("WRONGTYPE"):
                raise from_reply(str(reply), "Redis")
        return replies


def _fields(reply: Reply) -> Fields:
    if not isinstance(reply, list):
        return {}
    return pairs(reply)


def _documented(task_id: bytes, fields: Fields, result: bytes | None) -> TaskInfo | None:
    if not fields and result is None:
        return None
    # The guide has no field for the state. A task counts as completed when its result exists, and as pending until
    # then. If a worker has written a state, that state is used.
    state = _text(fields.get(b"state", b"pending"))
    info = TaskInfo(
        id=_text(task_id),
        queue=_text(fields.get(b"queue", b"")),
        state="completed" if result is not None and state not in FINAL else state,
    )
    _plain_fields(info, fields)
    if result is not None:
        info.result = _text(result)
    return info


def _asynq(task_id: bytes, queue: str, fields: Fields) -> TaskInfo:
    info = TaskInfo(id=_text(task_id), queue=queue, state=_text(fields.get(b"state", b"pending")))
    try:
        message = decode(fields[b"msg"])
    except (KeyError, MessageError):
        _plain_fields(info, fields)  # runqy-worker reads these fields if there is no message
    else:
        _message_fields(info, message)
        _stored_error(info, fields)  # runqy's workers write the error beside the message
    if b"result" in fields:
        info.result = _text(fields[b"result"])
    return info


def _plain_fields(info: TaskInfo, fields: Fields) -> None:
    if b"type" in fields:
        info.type = _text(fields[b"type"])
    if b"payload" in fields:
        _set_payload(info, fields[b"payload"])
    for name, given in (("retried", fields.get(b"retry")), ("max_retry", fields.get(b"max_retry"))):
        if given is not None and _NUMBER.fullmatch(given):
            setattr(info, name, int(given))
    _stored_error(info, fields)


def _stored_error(info: TaskInfo, fields: Fields) -> None:
    if stored := fields.get(b"error_msg") or fields.get(b"last_err"):
        info.last_err = _text(stored)


def _message_fields(info: TaskInfo, message: TaskMessage) -> None:
    info.type = message.type
    info.max_retry, info.retried = message.max_retry, message.retried
    _set_payload(info, message.payload)
    if message.error_msg:
        info.last_err = message.error_msg
    info.last_failed_at = _moment(message.last_failed_at)
    info.completed_at = _moment(message.completed_at)
    info.deadline = _moment(message.deadline)
    if message.group_key:
        info.group = message.group_key


def _set_payload(info: TaskInfo, payload: bytes) -> None:
    try:
        info.payload = payload.decode()
    except UnicodeDecodeError:
        info.payload_base64 = base64.b64encode(payload).decode()


def _moment(seconds: float) -> str | msgspec.UnsetType:
    try:
        seconds = int(seconds)
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z") if seconds else msgspec.UNSET
    except (ValueError, OverflowError, OSError):
        return msgspec.UNSET  # out of the range of dates


def _text(value: bytes) -> str:
    return value.decode(errors="replace")

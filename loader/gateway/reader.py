"""Looks tasks up: the state and the result of ``GET /queue/{id}``."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime

import hiredis
import msgspec

from loader.gateway.encoders import Encoders
from loader.gateway.link import Link
from loader.gateway.messages import TaskInfo
from loader.layouts.task_message import MessageError, TaskMessage, decode
from loader.wire.connection import Reply
from loader.wire.faults import from_reply
from loader.wire.resp import command

FINAL = frozenset({"completed", "archived"})
"""States that a task does not leave (asynq 0.26, ``TaskState``)."""

Fields = dict[bytes, bytes]


class TaskReader:
    """Looks tasks up by their ids.

    Args:
        layout: ``documented`` or ``asynq``.
        queues: Gives the full names of the queues that may hold a task that no reverse look-up knows.
    """

    def __init__(
        self, link: Link, encoders: Encoders, layout: str, queues: Callable[[], Awaitable[Iterable[str]]]
    ) -> None:
        self._link = link
        self._encoders = encoders
        self._queues = queues
        self._read = self._read_documented if layout == "documented" else self._read_asynq

    async def read(self, ids: Sequence[bytes]) -> list[TaskInfo | None]:
        """The tasks with these ids, None where there is none.

        Raises:
            SinkError: Redis is away or refuses.
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
        named = await self._ask([command(b"HGET", b"asynq:t:" + task_id, b"queue") for task_id in ids])
        # Only the runqy profile keeps a reverse look-up, and its server lets it expire.
        others = [] if all(isinstance(name, bytes) for name in named) else list(await self._queues())
        places: list[tuple[int, str]] = []
        for position, name in enumerate(named):
            if isinstance(name, bytes):
                places.append((position, name.decode(errors="replace")))
            else:
                places += ((position, queue) for queue in others)
        keys = [self._encoders.get(queue).task_key(ids[position]) for position, queue in places]
        found: list[TaskInfo | None] = [None] * len(ids)
        for (position, queue), reply in zip(
            places, await self._ask([command(b"HGETALL", k) for k in keys]), strict=True
        ):
            if (fields := _fields(reply)) and found[position] is None:
                found[position] = _asynq(ids[position], queue, fields)
        return found

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
    return dict(zip(reply[::2], reply[1::2], strict=True))


def _documented(task_id: bytes, fields: Fields, result: bytes | None) -> TaskInfo | None:
    if not fields and result is None:
        return None
    # The guide has no field for the state: a task is done when its result is there, and pending as far as one can see
    # until then. A worker that keeps a state is believed.
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
        _plain_fields(info, fields)  # runqy-worker reads these where there is no message
    else:
        _message_fields(info, message)
        _noted_error(info, fields)  # runqy's workers note it beside the message
    if b"result" in fields:
        info.result = _text(fields[b"result"])
    return info


def _plain_fields(info: TaskInfo, fields: Fields) -> None:
    if b"type" in fields:
        info.type = _text(fields[b"type"])
    if b"payload" in fields:
        _set_payload(info, fields[b"payload"])
    for name, given in (("retried", fields.get(b"retry")), ("max_retry", fields.get(b"max_retry"))):
        if given is not None and given.isdigit():
            setattr(info, name, int(given))
    _noted_error(info, fields)


def _noted_error(info: TaskInfo, fields: Fields) -> None:
    if noted := fields.get(b"error_msg") or fields.get(b"last_err"):
        info.last_err = _text(noted)


def _message_fields(info: TaskInfo, message: TaskMessage) -> None:
    info.type = message.type
    info.max_retry, info.retried = message.max_retry, message.retried
    _set_payload(info, message.payload)
    if message.error_msg:
        info.last_err = message.error_msg
    info.last_failed_at = _moment(message.last_failed_at)
    info.completed_at = _moment(message.completed_at)


def _set_payload(info: TaskInfo, payload: bytes) -> None:
    try:
        info.payload = payload.decode()
    except UnicodeDecodeError:
        info.payload_base64 = base64.b64encode(payload).decode()


def _moment(seconds: int) -> str | msgspec.UnsetType:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z") if seconds else msgspec.UNSET
    except (ValueError, OverflowError, OSError):
        return msgspec.UNSET  # no date that anybody could read


def _text(value: bytes) -> str:
    return value.decode(errors="replace")

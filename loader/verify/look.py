"""Looks tasks up in Redis and compares them with their records. Each layout has a class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import hiredis

from loader.layouts.task_message import MessageError, before_payload, decode, join
from loader.results.reader import Question, Reader
from loader.tasks.profiles import LayoutName
from loader.verify.report import Kind
from loader.wire.connection import Reply
from loader.wire.faults import from_reply
from loader.wire.resp import command

STORED = "stored"
"""The state of a task whose hash holds none."""

PENDING = "pending"


class Look(NamedTuple):
    """What Redis has of a task.

    Attributes:
        state: Its state; None if there is no such task.
        kind: How it differs from its record; None if it does not.
        detail: More about the difference.
    """

    state: str | None
    kind: Kind | None = None
    detail: str = ""


ABSENT = Look(None)


class Expected(NamedTuple):
    """A task as the input has it."""

    id: bytes
    payload: bytes
    type: str


class Lookup(Protocol):
    """Looks tasks up in one layout.

    Attributes:
        tells_pending: Whether a hash tells that its task must be in the pending list.
    """

    tells_pending: bool

    async def looks(self, reader: Reader, queue: str, tasks: Sequence[Expected]) -> list[Look]:
        """What Redis has of these tasks, in their order.

        Args:
            queue: Full name of the queue in which they should be.

        Raises:
            LoaderError: The server refuses, or the connection was lost.
        """
        ...

    async def states(self, reader: Reader, queue: str, ids: Sequence[bytes]) -> list[str | None]:
        """The states of tasks, without a look at their payloads; None for those that are not there."""
        ...


class DocumentedLookup:
    """Reads ``asynq:t:<id>`` (runqy's enqueueing guide)."""

    tells_pending = False

    async def looks(self, reader: Reader, queue: str, tasks: Sequence[Expected]) -> list[Look]:
        replies = await reader.ask([_hmget(b"asynq:t:" + task.id, b"payload", b"queue") for task in tasks])
        return [self._judge(reply, queue, task) for reply, task in zip(replies, tasks, strict=True)]

    def _judge(self, reply: Reply, queue: str, task: Expected) -> Look:
        if (fields := _fields(reply, "asynq:t:*")) is None:
            return _OTHER_TYPE
        payload, where = fields
        if payload is None:  # a hash with a queue alone is a look-up of the asynq layout
            return ABSENT
        if where is not None and where != queue.encode():
            return Look(STORED, Kind.WRONG_QUEUE, f"it is in {where.decode(errors='replace')}")
        return Look(STORED, *_difference(payload, task.payload))

    async def states(self, reader: Reader, queue: str, ids: Sequence[bytes]) -> list[str | None]:
        replies = await reader.ask([_hmget(b"asynq:t:" + task_id, b"type") for task_id in ids])
        return [None if _fields(reply, "asynq:t:*") in (None, [None]) else STORED for reply in replies]


class AsynqLookup:
    """Reads ``asynq:{<queue>}:t:<id>``; for a task that is not there, also runqy's look-up key ``asynq:t:<id>``."""

    tells_pending = True

    async def looks(self, reader: Reader, queue: str, tasks: Sequence[Expected]) -> list[Look]:
        asked = [_hmget(_asynq_key(queue, task.id), b"msg", b"state", b"payload") for task in tasks]
        replies = await reader.ask(asked)
        found = [self._judge(reply, task) for reply, task in zip(replies, tasks, strict=True)]
        absent = [at for at, look in enumerate(found) if look.state is None and look.kind is None]
        for at, look in zip(absent, await self._elsewhere(reader, queue, [tasks[at] for at in absent]), strict=True):
            found[at] = look
        return found

    def _judge(self, reply: Reply, task: Expected) -> Look:
        if (fields := _fields(reply, "asynq:{*}:t:*")) is None:
            return _OTHER_TYPE
        message, state, payload = fields
        if message is None and payload is None:
            return ABSENT
        name = STORED if state is None else state.decode(errors="replace")
        if message is None:  # runqy's workers take plain fields as well
            assert payload is not None  # noqa: S101 - for the type checker
            return Look(name, *_difference(payload, task.payload))
        # Hot path: most messages begin as the record says, and need no decoding.
        if message.startswith(join(before_payload(task.type), task.payload, task.id, b"")):
            return Look(name)
        try:
            return Look(name, *_difference(decode(message).payload, task.payload))
        except MessageError as error:
            return Look(name, Kind.CHANGED, f"it has no valid asynq message: {error}")

    async def _elsewhere(self, reader: Reader, queue: str, tasks: Sequence[Expected]) -> list[Look]:
        """Whether tasks that are not in their queue are in another one."""
        if not tasks:
            return []
        replies = await reader.ask([_hmget(b"asynq:t:" + task.id, b"queue") for task in tasks])
        names = [None if (fields := _fields(reply, "asynq:t:*")) is None else fields[0] for reply in replies]
        others = [
            (at, name.decode(errors="replace"))
            for at, name in enumerate(names)
            if name is not None and name != queue.encode()
        ]
        there = await reader.ask([_hmget(_asynq_key(other, tasks[at].id), b"msg") for at, other in others])
        looks = [ABSENT] * len(tasks)
        for (at, other), reply in zip(others, there, strict=True):
            if _fields(reply, "asynq:{*}:t:*") not in (None, [None]):
                looks[at] = Look(STORED, Kind.WRONG_QUEUE, f"it is in {other}")
        return looks

    async def states(self, reader: Reader, queue: str, ids: Sequence[bytes]) -> list[str | None]:
        replies = await reader.ask(
            [_hmget(_asynq_key(queue, task_id), b"state", b"msg", b"payload") for task_id in ids]
        )
        return [self._state(_fields(reply, "asynq:{*}:t:*")) for reply in replies]

    def _state(self, fields: list[bytes | None] | None) -> str | None:
        if fields is None or not any(value is not None for value in fields):
            return None
        return STORED if fields[0] is None else fields[0].decode(errors="replace")


LOOKUPS: dict[LayoutName, type[DocumentedLookup] | type[AsynqLookup]] = {
    "documented": DocumentedLookup,
    "asynq": AsynqLookup,
}
_OTHER_TYPE = Look(None, Kind.WRONG_TYPE)


def _difference(stored: bytes, wanted: bytes) -> tuple[Kind | None, str]:
    if stored == wanted:
        return None, ""
    if len(stored) != len(wanted):
        return Kind.CHANGED, f"{len(stored):,} bytes, not {len(wanted):,}"
    at = next(at for at, (one, other) in enumerate(zip(stored, wanted, strict=True)) if one != other)
    return Kind.CHANGED, f"other bytes from byte {at:,} of the payload on"


def _asynq_key(queue: str, task_id: bytes) -> bytes:
    return b"asynq:{%b}:t:%b" % (queue.encode(), task_id)


def _hmget(key: bytes, *fields: bytes) -> Question:
    return Question(key, command(b"HMGET", key, *fields))


def _fields(reply: Reply, where: str) -> list[bytes | None] | None:
    """The values of fields; None for a key of another type."""
    if isinstance(reply, hiredis.ReplyError):
        if str(reply).startswith("WRONGTYPE"):
            return None
        raise from_reply(str(reply), where)
    values: list[bytes | None] = reply
    return values

"""Looks tasks up in Redis and compares them with their records. Each layout has a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import hiredis

from loader.layouts.task_message import MessageError, before_payload, decode, join
from loader.results.reader import Reader
from loader.servers.question import Question, ask
from loader.tasks.profiles import LayoutName
from loader.verify.listed import Wanted
from loader.verify.report import Kind
from loader.verify.states import ACTIVE, PENDING, STORED
from loader.wire.connection import Reply
from loader.wire.faults import from_reply


class Expected(NamedTuple):
    """A task as the input has it."""

    id: bytes
    payload: bytes
    type: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A task as Redis has it.

    Attributes:
        state: See ``loader.verify.states``.
        field: Its payload, if the hash has it as a field.
        message: Its message, in the asynq layout.
        queue: The queue that it is in, if that is another one than the one looked for.
        is_task: False if its key holds another type.
    """

    state: str = STORED
    field: bytes | None = None
    message: bytes | None = None
    queue: str | None = None
    is_task: bool = True

    def payload(self) -> bytes:
        """Its payload.

        Raises:
            MessageError: Its message cannot be read.
        """
        return decode(self.message).payload if self.message is not None else self.field or b""

    def misplaced(self) -> tuple[Kind | None, str]:
        """Whether its key holds something else, or it is in another queue, and more about that; None if neither."""
        if not self.is_task:
            return Kind.WRONG_TYPE, ""
        return (None, "") if self.queue is None else (Kind.WRONG_QUEUE, f"it is in {self.queue}")

    def difference(self, task: Expected) -> tuple[Kind | None, str]:
        """How it differs from its record, and more about that; None if it does not."""
        kind, detail = self.misplaced()
        if kind is not None:
            return kind, detail
        # Hot path: most messages begin as the record says, and need no decoding.
        if self.message is not None and self.message.startswith(
            join(before_payload(task.type), task.payload, task.id, b"")
        ):
            return None, ""
        try:
            return _difference(self.payload(), task.payload)
        except MessageError as error:
            return Kind.CHANGED, f"it has no valid asynq message: {error}"

    def wanted(self, *, undrained: bool) -> Wanted:
        """What it says of the pending list.

        Args:
            undrained: Whether no consumer has taken a task.
        """
        if self.misplaced()[0] is not None:
            return Wanted.NOT_KNOWN
        is_pending = self.state == PENDING or (self.state == STORED and undrained)
        return Wanted.LISTED if is_pending else Wanted.NOT_KNOWN


class Lookup(Protocol):
    """Looks tasks up in one layout."""

    async def stored(self, reader: Reader, queue: str, ids: Sequence[bytes]) -> list[Stored | None]:
        """What Redis has of these tasks, in their order; None for those that are not there.

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

    async def stored(self, reader: Reader, queue: str, ids: Sequence[bytes]) -> list[Stored | None]:
        replies = await reader.ask([_hmget(b"asynq:t:" + task_id, b"payload", b"queue") for task_id in ids])
        return [self._read(_fields(reply, "asynq:t:*"), queue.encode()) for reply in replies]

    def _read(self, fields: list[bytes | None] | None, queue: bytes) -> Stored | None:
        if fields is None:
            return _OTHER_TYPE
        payload, where = fields
        if payload is None:  # a hash with a queue alone is a look-up of the asynq layout
            return None
        return Stored(field=payload, queue=None if where in (None, queue) else _text(where))

    async def states(self, reader: Reader, queue: str, ids: Sequence[bytes]) -> list[str | None]:
        replies = await reader.ask([_hmget(b"asynq:t:" + task_id, b"type") for task_id in ids])
        return [None if _fields(reply, "asynq:t:*") in (None, [None]) else STORED for reply in replies]


class AsynqLookup:
    """Reads ``asynq:{<queue>}:t:<id>``; for a task that is not there, also runqy's look-up key ``asynq:t:<id>``."""

    async def stored(self, reader: Reader, queue: str, ids: Sequence[bytes]) -> list[Stored | None]:
        replies = await reader.ask(
            [_hmget(_asynq_key(queue, task_id), b"msg", b"state", b"payload") for task_id in ids]
        )
        found = [self._read(_fields(reply, "asynq:{*}:t:*")) for reply in replies]
        absent = [at for at, one in enumerate(found) if one is None]
        for at, one in zip(absent, await self._elsewhere(reader, queue, [ids[at] for at in absent]), strict=True):
            found[at] = one
        return found

    def _read(self, fields: list[bytes | None] | None) -> Stored | None:
        if fields is None:
            return _OTHER_TYPE
        message, state, payload = fields
        if message is None and payload is None:
            return None
        # Without a message, runqy's workers take plain fields.
        return Stored(STORED if state is None else _text(state), payload, message)

    async def _elsewhere(self, reader: Reader, queue: str, ids: Sequence[bytes]) -> list[Stored | None]:
        """Tasks that are not in their queue, if they are in another one."""
        if not ids:
            return []
        replies = await reader.ask([_hmget(b"asynq:t:" + task_id, b"queue") for task_id in ids])
        names = [(_fields(reply, "asynq:t:*") or [None])[0] for reply in replies]
        others = [(at, _text(name)) for at, name in enumerate(names) if name not in (None, queue.encode())]
        there = await reader.ask([_hmget(_asynq_key(other, ids[at]), b"msg") for at, other in others])
        found: list[Stored | None] = [None] * len(ids)
        for (at, other), reply in zip(others, there, strict=True):
            if _fields(reply, "asynq:{*}:t:*") not in (None, [None]):
                found[at] = Stored(queue=other)
        return found

    async def states(self, reader: Reader, queue: str, ids: Sequence[bytes]) -> list[str | None]:
        # A worker that does this without a script moves the id first, and writes the state after that. So the list is
        # read before the hashes: of a task that is in neither list by then, the hash tells the state.
        active = b"asynq:{%b}:active" % queue.encode()
        keys = [_asynq_key(queue, task_id) for task_id in ids]
        running, *replies = await reader.ask(
            [
                ask(b"LRANGE", active, b"0", b"-1"),
                *(_hmget(key, b"state", b"msg", b"payload") for key in keys),
            ]
        )
        if isinstance(running, hiredis.ReplyError):
            raise from_reply(str(running), f"key {active.decode()}")
        taken = set(running)
        states = [self._state(_fields(reply, "asynq:{*}:t:*")) for reply in replies]
        return [
            ACTIVE if state == PENDING and task_id in taken else state
            for task_id, state in zip(ids, states, strict=True)
        ]

    def _state(self, fields: list[bytes | None] | None) -> str | None:
        if fields is None or not any(value is not None for value in fields):
            return None
        return STORED if fields[0] is None else _text(fields[0])


LOOKUPS: dict[LayoutName, type[DocumentedLookup] | type[AsynqLookup]] = {
    "documented": DocumentedLookup,
    "asynq": AsynqLookup,
}
_OTHER_TYPE = Stored(is_task=False)


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace")


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
    return ask(b"HMGET", key, *fields)


def _fields(reply: Reply, where: str) -> list[bytes | None] | None:
    """The values of fields; None for a key of another type."""
    if isinstance(reply, hiredis.ReplyError):
        if str(reply).startswith("WRONGTYPE"):
            return None
        raise from_reply(str(reply), where)
    values: list[bytes | None] = reply
    return values

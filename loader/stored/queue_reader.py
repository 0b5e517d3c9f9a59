"""Reads the keys and hashes of one queue. Each layout has a class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from loader.layouts.task_message import MessageError, decode
from loader.stored.stored_task import StoredTask, UnreadableTaskError
from loader.tasks.options import LIFECYCLE, TaskOptions
from loader.tasks.profiles import LayoutName

_GUIDE_MAX_RETRY = 3
Fields = Mapping[bytes, bytes]


class StoredQueue(Protocol):
    """Reads the tasks of one queue.

    Attributes:
        name: Its full name.
        layout: The layout of its keys.
        pending_key: The list of pending ids. Workers take the next one from its right end.
        slot_tag: A hash tag (with its braces) in the cluster slot of the pending key.
        pattern: A pattern that all task keys match, for SCAN.
    """

    @property
    def name(self) -> str: ...

    @property
    def layout(self) -> LayoutName: ...

    @property
    def pending_key(self) -> bytes: ...

    @property
    def slot_tag(self) -> bytes: ...

    @property
    def pattern(self) -> bytes: ...

    def task_key(self, task_id: bytes) -> bytes:
        """The key of a task's hash."""
        ...

    def id_of(self, key: bytes) -> bytes:
        """The id in a task's key."""
        ...

    def holds(self, fields: Fields) -> bool:
        """Whether a hash that matches ``pattern`` is a task of this queue."""
        ...

    def read(self, task_id: bytes, fields: Fields) -> StoredTask:
        """Reads a task from its hash.

        Raises:
            UnreadableTaskError: The hash is not a task's.
        """
        ...


class DocumentedQueue:
    """See ``StoredQueue``."""

    layout: LayoutName = "documented"
    pattern = b"asynq:t:*"

    def __init__(self, name: str) -> None:
        self.name = name
        self.pending_key = b"asynq:%b:pending" % name.encode()
        self.slot_tag = b"{%b}" % self.pending_key

    def task_key(self, task_id: bytes) -> bytes:
        return b"asynq:t:" + task_id

    def id_of(self, key: bytes) -> bytes:
        return key.removeprefix(b"asynq:t:")

    def holds(self, fields: Fields) -> bool:
        # A hash with only a queue's name is no task: the runqy server looks up tasks of the other layout with it.
        return fields.get(b"queue") == self.name.encode() and b"payload" in fields

    def read(self, task_id: bytes, fields: Fields) -> StoredTask:
        if b"payload" not in fields:
            raise UnreadableTaskError("its hash has no field 'payload'")
        return StoredTask(
            id=task_id,
            queue=self.name,
            payload=fields[b"payload"],
            options=TaskOptions(
                type=_text_field(fields, b"type") or "task",
                max_retry=_number_field(fields, b"max_retry", _GUIDE_MAX_RETRY),
            ),
            state="",
            lock="",
            retried=_number_field(fields, b"retry", 0),
            message=None,
            fields=fields,
        )


class AsynqQueue:
    """See ``StoredQueue``."""

    layout: LayoutName = "asynq"

    def __init__(self, name: str) -> None:
        self.name = name
        self._base = b"asynq:{%b}:" % name.encode()
        self.pending_key = self._base + b"pending"
        self.slot_tag = b"{%b}" % name.encode()
        self.pattern = _literal(self._base) + b"t:*"

    def task_key(self, task_id: bytes) -> bytes:
        return self._base + b"t:" + task_id

    def id_of(self, key: bytes) -> bytes:
        return key.removeprefix(self._base + b"t:")

    def holds(self, fields: Fields) -> bool:
        return True

    def read(self, task_id: bytes, fields: Fields) -> StoredTask:
        lifecycle: dict[str, Any] = {name: _number_field(fields, name.encode(), 0) for name in LIFECYCLE}
        state = _text_field(fields, b"state") or "pending"
        if b"msg" not in fields:
            # Without a message, runqy's workers fall back to the guide's fields under this layout's key.
            plain = DocumentedQueue(self.name).read(task_id, fields)
            return replace(plain, options=replace(plain.options, **lifecycle), state=state)
        try:
            message = decode(fields[b"msg"])
        except MessageError as error:
            raise UnreadableTaskError(f"it has no valid asynq message: {error}") from error
        options = TaskOptions(
            type=message.type or None,
            max_retry=max(0, message.max_retry),
            timeout=max(0, message.timeout),
            deadline=max(0, message.deadline),
            retention=max(0, message.retention),
            headers=tuple(sorted(message.headers.items())),
            **lifecycle,
        )
        return StoredTask(
            id=task_id,
            queue=self.name,
            payload=message.payload,
            options=options,
            state=state,
            lock=message.unique_key,
            retried=message.retried,
            message=message,
            fields=fields,
        )


_QUEUES: dict[LayoutName, Callable[[str], StoredQueue]] = {"documented": DocumentedQueue, "asynq": AsynqQueue}


def stored_queue(layout: LayoutName, name: str) -> StoredQueue:
    """The reader of a queue (its full name)."""
    return _QUEUES[layout](name)


def _text_field(fields: Fields, name: bytes) -> str:
    try:
        return fields.get(name, b"").decode()
    except UnicodeDecodeError:
        raise UnreadableTaskError(f"field '{name.decode()}' of its hash is not UTF-8") from None


def _number_field(fields: Fields, name: bytes, default: int) -> int:
    text = fields.get(name)
    if text is None:
        return default
    if not (text.isdigit() and int(text[:20]) < 2**53):
        raise UnreadableTaskError(f"field '{name.decode()}' of its hash is no whole number")
    return int(text)


def _literal(text: bytes) -> bytes:
    """A glob-style pattern for SCAN that matches only this text."""
    return b"".join(b"\\" + bytes([byte]) if byte in b"*?[]\\^-" else bytes([byte]) for byte in text)

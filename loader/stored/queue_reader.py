"""Reads the keys and hashes of one queue. Each layout has a class."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from typing import Any, Protocol

from loader.layouts.task_message import MessageError, decode, past_of
from loader.queues.slot_tag import slot_tag
from loader.servers.scan import literal
from loader.stored.stored_task import StoredTask, UnreadableTaskError
from loader.tasks.options import LIFECYCLE, OWN_FIELDS, Past, TaskOptions
from loader.tasks.profiles import LayoutName

_GUIDE_MAX_RETRY = 3
_SECONDS = re.compile(rb"[1-9][0-9]{0,14}")
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
        self.slot_tag = slot_tag("documented", name)

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
                type=_text_field(fields, b"type", "task"),
                max_retry=_number_field(fields, b"max_retry", _GUIDE_MAX_RETRY),
                past=Past(retried=_number_field(fields, b"retry", 0)),
                fields=_further(fields, OWN_FIELDS["documented"]),
            ),
            state="",
            lock="",
            fields=fields,
        )


class AsynqQueue:
    """See ``StoredQueue``."""

    layout: LayoutName = "asynq"

    def __init__(self, name: str) -> None:
        self.name = name
        self._base = b"asynq:{%b}:" % name.encode()
        self.pending_key = self._base + b"pending"
        self.slot_tag = slot_tag("asynq", name)
        self.pattern = literal(self._base) + b"t:*"

    def task_key(self, task_id: bytes) -> bytes:
        return self._base + b"t:" + task_id

    def id_of(self, key: bytes) -> bytes:
        return key.removeprefix(self._base + b"t:")

    def holds(self, fields: Fields) -> bool:
        return True

    def read(self, task_id: bytes, fields: Fields) -> StoredTask:
        lifecycle = _lifecycle(fields)
        state = _text_field(fields, b"state", "pending") or "pending"
        waits_in_group = state == "aggregating"
        known = OWN_FIELDS["asynq"] | {name.encode() for name in lifecycle}
        group = ""
        if waits_in_group:
            # Of a task that left its group, the field is kept as it is: a retry puts the task back there (asynq 0.26,
            # ``forwardCmd``).
            known |= {b"group"}
            group = _text_field(fields, b"group", "")
        if b"msg" not in fields:
            # Without a message, runqy's workers fall back to the guide's fields under this layout's key.
            plain = DocumentedQueue(self.name).read(task_id, fields)
            further = _further(fields, known | OWN_FIELDS["documented"])
            own = replace(plain.options, **lifecycle, group=group, waits_in_group=waits_in_group, fields=further)
            return replace(plain, options=own, state=state)
        try:
            message = decode(fields[b"msg"])
        except MessageError as error:
            raise UnreadableTaskError(f"it has no valid asynq message: {error}") from error
        options = TaskOptions(
            type=message.type,
            max_retry=message.max_retry,
            timeout=message.timeout,
            deadline=message.deadline,
            retention=message.retention,
            headers=tuple(sorted(message.headers.items())),
            **lifecycle,
            group=group or message.group_key,
            waits_in_group=waits_in_group,
            past=past_of(message),
            fields=_further(fields, known),
        )
        return StoredTask(
            id=task_id,
            queue=self.name,
            payload=message.payload,
            options=options,
            state=state,
            lock=message.unique_key,
            fields=fields,
        )


_QUEUES: dict[LayoutName, Callable[[str], StoredQueue]] = {"documented": DocumentedQueue, "asynq": AsynqQueue}


def stored_queue(layout: LayoutName, name: str) -> StoredQueue:
    """The reader of a queue (its full name)."""
    return _QUEUES[layout](name)


def _lifecycle(fields: Fields) -> dict[str, Any]:
    """The lifecycle fields that hold seconds. Any other value stays a further field, as it is."""
    found = {name: fields.get(name.encode(), b"") for name in LIFECYCLE}
    return {name: int(text) for name, text in found.items() if text == b"0" or _SECONDS.fullmatch(text)}


def _further(fields: Fields, known: Set[bytes]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name, value) for name, value in fields.items() if name not in known)


def _text_field(fields: Fields, name: bytes, default: str) -> str:
    if name not in fields:
        return default
    try:
        return fields[name].decode()
    except UnicodeDecodeError:
        raise UnreadableTaskError(f"field '{name.decode()}' of its hash is not UTF-8") from None


def _number_field(fields: Fields, name: bytes, default: int) -> int:
    text = fields.get(name)
    if text is None:
        return default
    digits = text.lstrip(b"0")[:20] or b"0"  # Python refuses to convert thousands of digits
    if not (text.isdigit() and int(digits) < 2**53):
        raise UnreadableTaskError(f"field '{name.decode()}' of its hash is no whole number")
    return int(digits)

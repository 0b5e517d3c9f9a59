"""asynq's TaskMessage: the protobuf message (proto3) in field ``msg`` of a task's hash.

Field numbers are those of asynq 0.26, ``internal/proto/asynq.proto``. As in the Go implementation, values of zero are
left out, and fields are written in the order of their numbers. Headers are written in the order of their names; Go has
no fixed order for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from loader.tasks.options import Past, TaskOptions
from loader.wire.lengths import ByLength

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_NAMES: dict[int, str] = {
    1: "type",
    2: "payload",
    3: "id",
    4: "queue",
    5: "max_retry",
    6: "retried",
    7: "error_msg",
    8: "timeout",
    9: "deadline",
    10: "unique_key",
    11: "last_failed_at",
    12: "retention",
    13: "completed_at",
    14: "group_key",
}
_HEADERS = 15
_INT32 = (5, 6)
"""Of a longer number, protobuf keeps the lowest 32 bits (Protocol Buffers, "Updating A Message Type")."""
_SIXTY_FOUR_BITS = (1 << 64) - 1


class MessageError(ValueError):
    """The bytes are not a TaskMessage."""


@dataclass(slots=True)
class TaskMessage:
    """A decoded message. Durations are seconds, points in time Unix seconds.

    Attributes:
        unknown: The fields that asynq 0.26 does not have, encoded as they were.
    """

    type: str = ""
    payload: bytes = b""
    id: str = ""
    queue: str = ""
    max_retry: int = 0
    retried: int = 0
    error_msg: str = ""
    timeout: int = 0
    deadline: int = 0
    unique_key: str = ""
    last_failed_at: int = 0
    retention: int = 0
    completed_at: int = 0
    group_key: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    unknown: bytes = b""


def varint(value: int) -> bytes:
    """A non-negative integer, seven bits a byte, the lowest first (Protocol Buffers, "Encoding": base 128 varints)."""
    if value < 0x80:
        return b"%c" % value
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def text_field(number: int, value: bytes, *, always: bool = False) -> bytes:
    """An encoded field of text, bytes or a message; nothing for an empty one, unless it is written ``always``."""
    return b"%b%b%b" % (varint(number << 3 | _BYTES), varint(len(value)), value) if value or always else b""


def number_field(number: int, value: int) -> bytes:
    """An encoded field of a whole number; nothing for 0."""
    # Protocol Buffers, "Signed Integers": a negative number is its two's complement in 64 bits.
    return varint(number << 3 | _VARINT) + varint(value & _SIXTY_FOUR_BITS) if value else b""


def before_payload(task_type: str) -> bytes:
    """The encoded fields before the payload."""
    return text_field(1, task_type.encode())


def after_id(queue: str, options: TaskOptions, unique_key: bytes = b"") -> bytes:
    """The encoded fields after the task's id."""
    past = options.past
    parts = [
        text_field(4, queue.encode()),
        number_field(5, options.max_retry),
        number_field(6, past.retried),
        text_field(7, past.last_error.encode()),
        number_field(8, options.timeout),
        number_field(9, options.deadline),
        text_field(10, unique_key),
        number_field(11, past.last_failed_at),
        number_field(12, options.retention),
        text_field(14, options.group.encode()),
    ]
    parts += map(_header, sorted(options.headers))
    parts.append(past.unknown)
    return b"".join(parts)


def encode(
    task_type: str, payload: bytes, task_id: bytes, queue: str, options: TaskOptions, unique_key: bytes = b""
) -> bytes:
    """A whole encoded message."""
    return join(before_payload(task_type), payload, task_id, after_id(queue, options, unique_key))


_PAYLOAD_HEADS = ByLength(lambda length: varint(2 << 3 | _BYTES) + varint(length) if length else b"")
_ID_HEADS = ByLength(lambda length: varint(3 << 3 | _BYTES) + varint(length) if length else b"")


def join(before: bytes, payload: bytes, task_id: bytes, after: bytes) -> bytes:
    """A whole encoded message, joined from its parts.

    Args:
        before: See ``before_payload``.
        after: See ``after_id``.
    """
    heads = _PAYLOAD_HEADS[len(payload)], _ID_HEADS[len(task_id)]
    return b"".join((before, heads[0], payload, heads[1], task_id, after))


def encode_message(message: TaskMessage) -> bytes:
    """Encodes a decoded message again, with the fields that asynq 0.26 does not have behind the others."""
    parts = [
        text_field(1, message.type.encode()),
        text_field(2, message.payload),
        text_field(3, message.id.encode()),
        text_field(4, message.queue.encode()),
        number_field(5, message.max_retry),
        number_field(6, message.retried),
        text_field(7, message.error_msg.encode()),
        number_field(8, message.timeout),
        number_field(9, message.deadline),
        text_field(10, message.unique_key.encode()),
        number_field(11, message.last_failed_at),
        number_field(12, message.retention),
        number_field(13, message.completed_at),
        text_field(14, message.group_key.encode()),
        *map(_header, sorted(message.headers.items())),
        message.unknown,
    ]
    return b"".join(parts)


def _header(header: tuple[str, str]) -> bytes:
    entry = text_field(1, header[0].encode(), always=True) + text_field(2, header[1].encode(), always=True)
    return varint(_HEADERS << 3 | _BYTES) + varint(len(entry)) + entry


def past_of(message: TaskMessage) -> Past:
    """What has happened to a task so far.

    A pending task has no time of completion; if a message has one, it is kept with the fields that are not known.
    """
    return Past(
        retried=message.retried,
        last_error=message.error_msg,
        last_failed_at=message.last_failed_at,
        unknown=number_field(13, message.completed_at) + message.unknown,
    )


def decode(data: bytes) -> TaskMessage:
    """Decodes a message.

    Raises:
        MessageError: The bytes are not a TaskMessage.
    """
    message = TaskMessage()
    unknown: list[bytes] = []
    for number, value, begin, end in _fields(data):
        if number == _HEADERS and isinstance(value, bytes):
            entry = {key: _utf8(part) for key, part, *_ in _fields(value) if key in (1, 2) and isinstance(part, bytes)}
            message.headers[entry.get(1, "")] = entry.get(2, "")
            continue
        name = _NAMES.get(number)
        if name is None or value is None:
            unknown.append(data[begin:end])
            continue
        default: Any = getattr(message, name)
        if isinstance(default, int) != isinstance(value, int):
            raise MessageError(f"field {number} has another wire type than it should")
        if number in _INT32 and isinstance(value, int):
            value = (value + (1 << 31)) % (1 << 32) - (1 << 31)
        setattr(message, name, _utf8(value) if isinstance(default, str) and isinstance(value, bytes) else value)
    message.unknown = b"".join(unknown)
    return message


def _utf8(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise MessageError("a text field is not UTF-8") from error


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes | None, int, int]]:
    """Each field: its number, its value (None for the fixed types, which no known field has), and where it is."""
    at = 0
    while at < len(data):
        begin = at
        tag, at = _read_varint(data, at)
        number, kind = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise MessageError(f"there is no field {number}")
        value: int | bytes | None = None
        if kind == _VARINT:
            read, at = _read_varint(data, at)
            value = read - (1 << 64) if read >> 63 else read
        else:
            if kind == _BYTES:
                length, at = _read_varint(data, at)
            elif kind in (_FIXED64, _FIXED32):
                length = 8 if kind == _FIXED64 else 4
            else:
                raise MessageError(f"wire type {kind} is unknown")
            if at + length > len(data):
                raise MessageError("it ends in the middle of a field")
            if kind == _BYTES:
                value = data[at : at + length]
            at += length
        yield number, value, begin, at


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _SIXTY_FOUR_BITS, at
        shift += 7
    raise MessageError("it ends in the middle of a number")

"""asynq's message: read and written as Google's protobuf does."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from loader.layouts.task_message import MessageError, TaskMessage, decode, encode
from loader.tasks.options import Past, TaskOptions
from tests.fuzz.drawn import Pieces, packed, parameters, with_parameters
from tests.unit.layouts.test_task_message import written_again
from tests.unit.layouts.test_task_message_oracle import EVERY_FIELD
from tests.unit.task_message_oracle import encode as protobuf_encode
from tests.unit.task_message_oracle import task_message_class

_THEIR_NAMES = {"max_retry": "retry"}
_HEADERS = 15
"""protobuf's C library takes an entry with unknown fields for an unknown field. Go's, which asynq has, does not."""

_LONG_NUMBER = re.compile(rb"[\x80-\xff]{5}")
"""protobuf's C library refuses tags and lengths with more bytes. Go's takes them."""

_SAME = (
    "type", "payload", "id", "queue", "max_retry", "retried", "error_msg", "timeout", "deadline", "unique_key",
    "last_failed_at", "retention", "completed_at", "group_key",
)  # fmt: skip
_REFUSED_BY_US = ("another wire type than it should", "wire type 3", "wire type 4")
"""What protobuf passes over, and asynq never writes."""


def seeds() -> Iterator[bytes]:
    message = protobuf_encode(**EVERY_FIELD)
    for number in range(6):
        yield with_parameters(message, number)
        yield with_parameters(message[number:] + b"\x80\x01\x05\x8a\x02\x03abc", number)
        yield with_parameters(
            packed([b"type", b"payload", b"id", b"queue", b"lock", b"error", b"group", b"k", b"v"]), number
        )
    yield with_parameters(protobuf_encode(retry=-1, timeout=-(2**63), headers={"": ""}))


def check(data: bytes) -> None:
    random, content = parameters(data)
    if random.randrange(3):
        _read(content)
    else:
        _write(Pieces(content))


def _read(content: bytes) -> None:
    theirs: Any = None
    with contextlib.suppress(DecodeError):
        theirs = task_message_class().FromString(content)
    try:
        message = decode(content)
    except MessageError as error:
        assert theirs is None or any(part in str(error) for part in _REFUSED_BY_US), error
        return
    if theirs is None:
        assert _LONG_NUMBER.search(content), "protobuf refuses it"
        return
    _compare(message, theirs)
    again = written_again(message)
    assert decode(again) == message
    _compare(message, task_message_class().FromString(again))


def _compare(message: TaskMessage, theirs: Any) -> None:
    for name in _SAME:
        assert getattr(message, name) == getattr(theirs, _THEIR_NAMES.get(name, name)), name
    if all(unknown.field_number != _HEADERS for unknown in _unknown(theirs)):
        assert message.headers == dict(theirs.headers)


def _unknown(theirs: Any) -> Any:
    return UnknownFieldSet(theirs)  # its stub does not know that it can be iterated over


def _write(pieces: Pieces) -> None:
    payload = pieces.blob()
    kind, task_id, queue, lock, error, group = (pieces.text() for _ in range(6))
    numbers = [pieces.number(2**53) for _ in range(4)]
    retries = [pieces.number(2**31 - 1) for _ in range(2)]
    headers = {pieces.text(): pieces.text() for _ in range(pieces.number(4))}
    options = TaskOptions(
        max_retry=retries[0],
        timeout=numbers[0],
        deadline=numbers[1],
        retention=numbers[2],
        headers=tuple(headers.items()),
        group=group,
        past=Past(retried=retries[1], last_error=error, last_failed_at=numbers[3]),
    )
    ours = encode(kind, payload, task_id.encode(), queue, options, lock.encode())
    theirs = protobuf_encode(
        type=kind,
        payload=payload,
        id=task_id,
        queue=queue,
        retry=retries[0],
        retried=retries[1],
        error_msg=error,
        timeout=numbers[0],
        deadline=numbers[1],
        unique_key=lock,
        last_failed_at=numbers[3],
        retention=numbers[2],
        group_key=group,
        headers=headers,
    )
    if len(headers) < 2:
        assert ours == theirs
    else:  # protobuf has an order of its own
        assert len(ours) == len(theirs)
        assert task_message_class().FromString(ours) == task_message_class().FromString(theirs)

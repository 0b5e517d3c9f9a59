"""Tasks that the gateway reads from hashes: the fields as they are, and those of the message as protobuf reads them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.message import DecodeError

from loader.gateway.answers import task_body
from loader.gateway.reader import FINAL, _asynq, _documented
from tests.fuzz.drawn import Pieces, packed, parameters, with_parameters
from tests.unit.layouts.test_task_message_oracle import EVERY_FIELD
from tests.unit.task_message_oracle import encode, task_message_class

_NAMES = (b"type", b"payload", b"retry", b"max_retry", b"queue", b"state", b"error_msg", b"last_err", b"result", b"msg")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def seeds() -> Iterator[bytes]:
    message = encode(**EVERY_FIELD)
    values = [b"type", b'{"a":1}', b"1", b"3", b"queue", b"active", b"error", b"", b'{"b":2}', message]
    for number in range(8):
        yield with_parameters(packed(values), number)
        yield with_parameters(packed([*values[:2], b"9" * 30, b"-1", *values[4:9], message[number:]]), number)
    yield with_parameters(packed(values[:9]) + b"\xc8" + b"9\x40")
    late = encode(completed_at=2**62, last_failed_at=-(2**63), retry=2**31 - 1)
    yield with_parameters(packed([*values[:9], late]))


def check(data: bytes) -> None:
    random, content = parameters(data)
    pieces = Pieces(content)
    values = {name: pieces.blob() for name in _NAMES if pieces}
    fields = {name: value for name, value in values.items() if random.randrange(4)}
    result = fields.pop(b"result", None)

    plain = _documented(b"id", fields, result)
    if plain is None:
        assert result is None and not fields
    else:
        _check_plain(json.loads(task_body(plain))["info"], fields, result)

    stored = fields if result is None else {**fields, b"result": result}
    info = json.loads(task_body(_asynq(b"id", "q", stored)))["info"]
    assert (info["id"], info["queue"]) == ("id", "q")
    assert info["state"] == _text(fields.get(b"state", b"pending"))
    assert info.get("result") == (None if result is None else _text(result))
    if (message := _message(fields.get(b"msg"))) is None:
        return
    if (
        "max_retry" in info or b"max_retry" not in fields
    ):  # else: we refuse the message, as something asynq never writes
        assert info.get("type", "") in (message.type, _text(fields.get(b"type", b"")))
    if info.get("max_retry") == message.retry and info.get("type") == message.type:
        for name in ("last_failed_at", "completed_at"):
            assert _seconds(info.get(name)) in (getattr(message, name), None)


def _check_plain(info: dict[str, Any], fields: dict[bytes, bytes], result: bytes | None) -> None:
    state = _text(fields.get(b"state", b"pending"))
    assert info["state"] == ("completed" if result is not None and state not in FINAL else state)
    assert info["queue"] == _text(fields.get(b"queue", b""))
    assert info.get("type") == (_text(fields[b"type"]) if b"type" in fields else None)
    assert info.get("result") == (None if result is None else _text(result))
    assert info.get("last_err") == (_text(fields.get(b"error_msg") or fields.get(b"last_err") or b"") or None)
    if b"payload" in fields:
        kept = info["payload"].encode() if "payload" in info else base64.b64decode(info["payload_base64"])
        assert kept == fields[b"payload"]
    for name, field in (("retried", b"retry"), ("max_retry", b"max_retry")):
        given = fields.get(field, b"")
        assert info.get(name) == (int(given) if given.isdigit() and len(given) < 19 else info.get(name))


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


def _message(data: bytes | None) -> Any:
    try:
        return None if data is None else task_message_class().FromString(data)
    except DecodeError:
        return None


def _seconds(text: str | None) -> int | None:
    return None if text is None else (datetime.fromisoformat(text) - _EPOCH) // timedelta(seconds=1)

"""Envelopes: the options that Python's ``json`` and a second reading of docs/layouts.md find, or one of our errors."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from loader.sources.json_text import JSON_SPACE, is_json
from loader.tasks.envelope import Envelope, EnvelopeReader
from loader.tasks.options import LIFECYCLE, TaskOptions
from loader.tasks.reasons import UnusableRecordError
from tests.fuzz.drawn import parameters, with_parameters

_DEFAULTS = TaskOptions(type="mail", max_retry=3, timeout=30, retention=60)
_USED = EnvelopeReader(_DEFAULTS, timeout=30, asynq=True, groups=True)
"""It keeps what earlier records gave, which must not matter."""

_DURATIONS = ("timeout", "retention", "unique_ttl", "process_in", *LIFECYCLE)
_TIMES = ("deadline", "process_at")
_STATEFUL = ("v", "group", "state", "retried", "last_error", "last_failed_at", "fields", "fields_base64")
_KNOWN = {
    "payload", "payload_base64", "id", "queue", "type", "max_retry", "headers", *_DURATIONS, *_TIMES, *_STATEFUL,
}  # fmt: skip
_UNIT = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def seeds() -> Iterator[bytes]:
    every: dict[str, Any] = {
        "payload": {"a": [1, "x"]}, "id": "i", "queue": "q", "type": "post", "max_retry": 9, "timeout": "1h30m",
        "deadline": "2026-12-24T18:00:00Z", "retention": 7, "headers": {"b": "2", "a": "1"}, "unique_ttl": "5m",
        "process_at": 1_800_000_000.5, "ttl_completed": 0, "ttl_archived": "2d", "pending_timeout": 3,
        "active_timeout": "4s", "v": 2, "group": "g", "state": "pending", "retried": 1, "last_error": "e",
        "last_failed_at": 5, "fields": {"x": "y"}, "fields_base64": {"AA==": "/w=="},
    }  # fmt: skip
    yield with_parameters(json.dumps(every).encode())
    for name in every:
        others: tuple[Any, ...] = (every[name], None, 1.0, -1, "", [], 2**70)
        for value in others:
            yield with_parameters(json.dumps({"payload": 1, name: value}).encode())
    yield with_parameters(b'{"payload_base64": "/w==", "id": 5}')
    yield with_parameters(rb'{"pay\u006coad": "\ud800", "payload" : 1e999 , "id":1}')
    yield with_parameters(b'{"payload":' + b"[" * 1500 + b"]" * 1500 + b"}")
    yield with_parameters(b"[1]")


def check(data: bytes) -> None:
    _, record = parameters(data)
    record = record.strip(JSON_SPACE)
    if not is_json(record):
        return  # such records do not get here
    fresh = EnvelopeReader(_DEFAULTS, timeout=30, asynq=True, groups=True)
    outcomes = [_outcome(reader, record) for reader in (fresh, _USED, fresh)]
    assert outcomes[0] == outcomes[1] == outcomes[2], "earlier records show"
    outcome = outcomes[0]
    bare = fresh.payloads([record])
    if bare is not None:
        assert not isinstance(outcome, str)
        assert (outcome[1], outcome[2]) == (bare[0], _DEFAULTS)
    try:
        known = json.loads(record, parse_int=_integer)
    except RecursionError:
        return
    expected = _expected(known)
    if isinstance(outcome, str):
        assert expected is None or _holds_what_msgspec_refuses(record), outcome
        return
    assert expected is not None, "it should be refused"
    envelope, payload, options = outcome
    assert (envelope.id, envelope.queue) == (known.get("id"), known.get("queue"))
    if known.get("payload_base64") is not None:
        assert payload == base64.b64decode(known["payload_base64"])
    else:
        assert payload in record
        assert payload == payload.strip(JSON_SPACE)
        assert repr(json.loads(payload, parse_int=_integer)) == repr(known["payload"])
    found = {name: getattr(options, name) for name in expected}
    assert found == expected


def _integer(digits: str) -> Any:
    return int(digits) if len(digits) < 4000 else float(digits)


def _outcome(reader: EnvelopeReader, record: bytes) -> tuple[Envelope, bytes, TaskOptions] | str:
    try:
        envelope, options = reader.read(record)
        return envelope, envelope.payload_bytes(), options
    except UnusableRecordError as error:
        return str(error)


def _holds_what_msgspec_refuses(record: bytes) -> bool:
    """Whether there is something that json takes for a value of the right type, and msgspec, by the docs, does not."""
    return (
        bool(re.search(rb"\\u[dD][89a-fA-F]|[0-9]{19}|[eE.]", record)) or record.count(b"{") + record.count(b"[") > 900
    )


class _WrongError(Exception):
    pass


def _expected(known: Any) -> dict[str, Any] | None:
    """The options of a task; None for a record that is no envelope."""
    try:
        return _options(known)
    except (_WrongError, ValueError):
        return None


def _require(right: object) -> None:
    if not right:
        raise _WrongError


def _options(known: Any) -> dict[str, Any]:
    _require(isinstance(known, dict) and set(known) <= _KNOWN)
    _require(("payload" in known) != ("payload_base64" in known))
    if "payload_base64" in known:
        _require(isinstance(known["payload_base64"], str))
        base64.b64decode(known["payload_base64"], validate=True)
    given = {name: value for name, value in known.items() if value is not None}
    for name in ("queue", "type", "group", "last_error"):
        _require(isinstance(given.get(name, ""), str))
    _require(_is_int(given.get("id", 1)) or isinstance(given["id"], str))
    options: dict[str, Any] = {}
    if "type" in given:
        _require(given["type"] and given["type"].isprintable())
        options["type"] = given["type"]
    if "max_retry" in given:
        _require(_is_int(given["max_retry"]) and 0 <= given["max_retry"] < 2**31)
        options["max_retry"] = given["max_retry"]
    for name in ("headers", "fields", "fields_base64"):
        value = given.get(name, {})
        _require(isinstance(value, dict) and all(isinstance(one, str) for one in value.values()))
    if "headers" in given:
        options["headers"] = tuple(sorted(given["headers"].items()))
    for name in _DURATIONS:
        if name in given:
            options[name] = _duration(given[name])
    for name in _TIMES:
        if name in given:
            options[name] = _time(given[name])
    if "deadline" in options and "timeout" not in options:
        options["timeout"] = 0 if options["deadline"] else 30
    for name, other in (("process_at", "process_in"), ("process_in", "process_at")):
        if name in options:
            options.setdefault(other, 0)
    _state(given, options)
    return options


def _state(given: dict[str, Any], options: dict[str, Any]) -> None:
    _require(_is_int(given.get("v", 1)) and 1 <= given.get("v", 1) <= 2)
    _require(_is_int(given.get("retried", 0)) and 0 <= given.get("retried", 0) < 2**31)
    _require(given.get("state", "pending") in ("pending", "aggregating"))
    _time(given.get("last_failed_at", 0))
    names = {name.encode() for name in given.get("fields", {})}
    for name, value in given.get("fields_base64", {}).items():
        names.add(base64.b64decode(name, validate=True))
        base64.b64decode(value, validate=True)
    waits = False
    if "group" in given:
        _require(given["group"].strip())
        waits = given.get("state") != "pending"
        _require(not waits or not (options.get("process_at") or options.get("process_in")))
    else:
        _require(given.get("state") != "aggregating")
    _require(not names & ({b"msg", b"state", b"pending_since", b"unique_key"} | ({b"group"} if waits else set())))
    options["group"] = given.get("group", "")
    options["waits_in_group"] = waits


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _duration(value: Any) -> int:
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch(r"[0-9]+", text):
            value = int(text[:30])
        else:
            _require(re.fullmatch(r"(?:[0-9]+[smhdw])+", text))
            value = sum(int(number[:30]) * _UNIT[unit] for number, unit in re.findall(r"([0-9]+)([smhdw])", text))
    _require(_is_int(value) and 0 <= value < 2**53)
    return int(value)


def _time(value: Any) -> int:
    if isinstance(value, str):
        if re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", value):
            value = float(value)
        else:
            moment = datetime.fromisoformat(value)
            _require(moment.tzinfo is not None)
            value = moment.timestamp()
    _require(isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53)
    return int(value)

"""Gives the object of a record a member, and leaves all its other bytes as they are."""

from __future__ import annotations

import json
import re

_SPACE = re.compile(r"[ \t\r\n]*")
_value_at = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode


def with_member(record: bytes, name: str, value: bytes, *, is_there: bool) -> bytes:
    """The record with the member.

    Args:
        record: A JSON object, without white space around it.
        value: The value of the member, as JSON.
        is_there: Whether the object has a member of this name. Then its value is replaced; otherwise the member is
            added as the last one. Where several members have the name, each gets the value: readers differ in which of
            them they take.
    """
    if not is_there:
        before = record[:-1]
        comma = b"" if before.strip(b" \t\r\n") == b"{" else b","
        return b"%b%b%b:%b}" % (before, comma, json.dumps(name, ensure_ascii=False).encode(), value)
    text = record.decode()
    parts: list[str] = []
    copied = 0
    for start, end in _values_of(text, name):
        parts += [text[copied:start], value.decode()]
        copied = end
    return "".join([*parts, text[copied:]]).encode()


def _values_of(text: str, wanted: str) -> list[tuple[int, int]]:
    """Where the values of the members with a name begin and end. The text must be a valid object."""
    found: list[tuple[int, int]] = []
    at = _after_space(text, 1)
    while text[at] == '"':
        name, at = _value_at(text, at)
        start = _after_space(text, _after_space(text, at) + 1)  # after the colon
        _, end = _value_at(text, start)
        if name == wanted:
            found.append((start, end))
        at = _after_space(text, end)
        if text[at] == ",":
            at = _after_space(text, at + 1)
    return found


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None  # noqa: S101 - it matches anything
    return found.end()

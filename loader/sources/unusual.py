"""Reads records that are JSON by RFC 8259 although orjson refuses them (``--accept-any-json``)."""

from __future__ import annotations

import json
from typing import Any

from loader.sources.json_text import rfc_8259

_LARGEST = 2**64 - 1
_SMALLEST = -(2**63)


def unusual_value(record: bytes) -> Any:
    """A record's value, as far as ids and queues are taken from it; None if the record is not JSON by RFC 8259.

    Of an object, the members are read, but not what is in their own objects and arrays. For a record that is not an
    object, this returns an empty list.
    """
    found = rfc_8259(record)
    if found is None:
        return None
    if found.members is None:
        return []
    text = record.decode()
    # A name or a string with a lone surrogate is kept as Python keeps it. Names and ids are checked for it later.
    return {name: _shallow(text[begin:end]) for name, (begin, end) in found.members.items()}


def _shallow(token: str) -> Any:
    if token[0] in "[{":
        return [] if token[0] == "[" else {}
    return json.loads(token, parse_int=_number)


def _number(digits: str) -> int | float:
    """A whole number as orjson reads it: beyond 64 bits, it is a float."""
    if len(digits) <= len(str(_SMALLEST)) and _SMALLEST <= (value := int(digits)) <= _LARGEST:
        return value
    return float(digits)

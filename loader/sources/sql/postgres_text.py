"""PostgreSQL's own text of a value becomes JSON text, by the type of its column. docs/sql.md has the table of types.

The texts are those of a session as ``postgres.py`` sets it: ISO dates, UTC, hex bytea, ISO 8601 intervals (PostgreSQL
documentation, chapter 8).
"""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Mapping
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any

from loader.settings.tables import NanMode
from loader.sources.sql.order import Rank
from loader.sources.sql.row_text import Render
from loader.sources.tables.fault import FAULT, SPECIAL

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?((?:[+-]\d\d(?::\d\d)?)?)")
_TIME = re.compile(r"((?:[01]\d|2[0-3]):\d\d:\d\d)(?:\.(\d+))?((?:[+-]\d\d(?::\d\d)?)?)")
_INFINITE = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}
_MICROSECONDS = 6


def render_of(type_name: str, modifier: int, nan: NanMode) -> Render:
    """How values of a type become text.

    Args:
        type_name: Its name in ``pg_type``; '' for one that PostgreSQL does not come with.
        modifier: The type modifier of the column: of times, the digits of seconds; -1 for none.
    """
    special = SPECIAL[nan]
    digits = modifier if 0 <= modifier <= _MICROSECONDS else _MICROSECONDS
    match type_name:
        case "int2" | "int4" | "int8" | "oid" | "json" | "jsonb":
            return str  # it is JSON
        case "numeric":
            return lambda text: special.get(_INFINITE[text], "null") if text in _INFINITE else text
        case "float8":
            return lambda text: _float(text, special)
        case "float4":
            return lambda text: _float(text if text in _INFINITE else _as_double(text), special)
        case "bool":
            return {"t": "true", "f": "false"}.__getitem__
        case "bytea":
            return lambda text: f'"{base64.b64encode(bytes.fromhex(text[2:])).decode()}"'
        case "date":
            return lambda text: f'"{text}"' if _DATE.fullmatch(text) else _fault(text)
        case "timestamp" | "timestamptz":
            return lambda text: _moment(text, digits)
        case "time" | "timetz":
            return lambda text: _time(text, digits)
    return encode_basestring


def array_render(element: Render) -> Render:
    """How arrays become text, which psycopg gives as lists of lists of their elements' texts."""

    def render(value: Any) -> str:
        if isinstance(value, list):
            return "[" + ",".join(["null" if one is None else render(one) for one in value]) + "]"
        return element(value)

    return render


def rank_of(type_name: str) -> Rank:
    """How values of a type are ordered; see ``Rank``."""
    match type_name:
        case "int2" | "int4" | "int8" | "oid":
            return int
        case "numeric":
            return lambda text: (1, Decimal(0)) if text == "NaN" else (0, Decimal(text))
        case "float4" | "float8":
            return lambda text: (1, 0.0) if text == "NaN" else (0, float(text))
        case "date":
            return lambda text: text if _DATE.fullmatch(text) else None
        case "timestamp" | "timestamptz":
            return lambda text: text if _MOMENT.fullmatch(text) else None  # all in one zone
        case "bool" | "bytea" | "uuid" | "time":
            return str
    return lambda text: None


def _float(text: str, special: Mapping[str, str]) -> str:
    if text in _INFINITE:
        return special.get(_INFINITE[text], "null")
    return text if "." in text or "e" in text else f"{text}.0"


def _as_double(text: str) -> str:
    """The double of the same value as a number of four bytes, whose own shortest text is another."""
    (value,) = struct.unpack("f", struct.pack("f", float(text)))
    return repr(value)


def _moment(text: str, digits: int) -> str:
    found = _MOMENT.fullmatch(text)
    if found is None:
        return _fault(text)
    return f'"{found[1]}T{found[2]}{_fraction(found[3], digits)}{_offset(found[4])}"'


def _time(text: str, digits: int) -> str:
    found = _TIME.fullmatch(text)
    return _fault(text) if found is None else f'"{found[1]}{_fraction(found[2], digits)}{_offset(found[3])}"'


def _fraction(found: str | None, digits: int) -> str:
    return f".{found or '':0<{digits}}" if digits else ""


def _offset(text: str) -> str:
    if text in ("", "+00"):
        return "Z" if text else ""
    return text if ":" in text else f"{text}:00"


def _fault(text: str) -> str:
    return f"{FAULT}{text}{FAULT}"

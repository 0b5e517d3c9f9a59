"""Values as Python drivers give them become JSON text, by the type of the value."""

from __future__ import annotations

import base64
import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any
from uuid import UUID

from loader.settings.tables import NanMode
from loader.sources.sql.row_text import Render
from loader.sources.tables.fault import FAULT, SPECIAL


def render_of(nan: NanMode) -> Render:
    """How values become text. One of a type that is not known here is a fault."""
    special = SPECIAL[nan]

    def render(value: Any) -> str:
        match value:
            case str():
                return encode_basestring(value)
            case bool():
                return "true" if value else "false"
            case int():
                return str(value)
            case float():
                return repr(value) if math.isfinite(value) else special.get(str(value), "null")
            case Decimal():
                return _decimal(value, special)
            case bytes() | bytearray() | memoryview():
                return f'"{base64.b64encode(value).decode()}"'
            case datetime():
                return _moment(value)
            case date() | UUID():
                return f'"{value}"'
            case time():
                return f'"{_with_zone(value.isoformat("microseconds"))}"'
            case timedelta():
                return f'"{_duration(value)}"'
        kind = type(value)
        return f"{FAULT}a {kind.__module__}.{kind.__qualname__}{FAULT}"

    return render


def rank(value: Any) -> Any:
    """What orders numbers, bytes and times as the database does; see ``loader.sources.sql.order.Rank``."""
    match value:
        case bool() | int():
            return int(value)
        case float() | Decimal():
            return None if math.isnan(value) else value
        case bytes() | memoryview():
            return bytes(value)
        case datetime():
            return value if value.tzinfo is None else value.timestamp()
        case date() | time() | timedelta():
            return value
    return None


def _decimal(value: Decimal, special: dict[str, str]) -> str:
    if value.is_finite():
        return f"{value:f}"
    name = "nan" if value.is_nan() else "inf" if value > 0 else "-inf"
    return special.get(name, "null")


def _moment(value: datetime) -> str:
    return f'"{_with_zone(value.isoformat("T", "microseconds"))}"'


def _with_zone(text: str) -> str:
    if text.endswith("+00:00"):
        return f"{text[:-6]}Z"
    return text


def _duration(value: timedelta) -> str:
    """ISO 8601, in seconds with all six digits."""
    whole, rest = divmod(abs(value) // timedelta(microseconds=1), 1_000_000)
    return f"{'-' if value < timedelta(0) else ''}PT{whole}.{rest:06}S"

"""Durations and points in time as people write them."""

from __future__ import annotations

import math
import re
from datetime import datetime

FRACTIONS = r"(?:[0-9]+(?:\.[0-9]+)?(?:us|ms|[smhdw]))+"
"""What ``fractional_seconds`` reads beside plain numbers, as a regular expression."""

_FRACTION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(us|ms|[smhdw])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"([0-9]+)([smhdw])")
MAX_SECONDS = 2**53
"""The scores of a sorted set are doubles, which cannot hold every whole number beyond this one."""


def seconds(value: int | str) -> int:
    """Whole seconds of a duration: a number of seconds, or a text such as ``90s``, ``5m``, ``1h30m``, ``7d``.

    Raises:
        ValueError: The value is neither of these, is negative, or is beyond ``MAX_SECONDS``.
    """
    if isinstance(value, str):
        text = value.strip()
        if text.isascii() and text.isdigit():
            total = int(text[:20])
        elif _PART.sub("", text) == "" and text:
            total = sum(int(number[:20]) * _UNITS[unit] for number, unit in _PART.findall(text))
        else:
            raise ValueError(f"{value!r} is no duration: write seconds, or a text such as 90s, 5m, 1h30m, 7d")
    else:
        total = value
    if not 0 <= total < MAX_SECONDS:
        raise ValueError(f"{value!r} is out of range for a duration")
    return total


def fractional_seconds(text: str) -> float:
    """Seconds that need not be whole of a duration: a number of seconds, or ``90s``, ``0.5s``, ``20ms``, ``1m30s``.

    Raises:
        ValueError: The text is none of these, or is beyond ``MAX_SECONDS``.
    """
    written = text.strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", written, re.ASCII):
        total = float(written[:40])
    elif written.isascii() and re.fullmatch(FRACTIONS, written):
        units = {**_UNITS, "ms": 1e-3, "us": 1e-6}
        total = math.fsum(float(number[:40]) * units[unit] for number, unit in _FRACTION.findall(written))
    else:
        raise ValueError(f"{text!r} is no duration: write seconds, or a text such as 20ms, 0.5s, 90s, 5m, 1h30m, 7d")
    if not total < MAX_SECONDS:
        raise ValueError(f"{text!r} is out of range for a duration")
    return total


def instant(value: float | str) -> int:
    """Unix time in whole seconds of a point in time: Unix seconds, or RFC 3339 text such as ``2026-12-24T18:00:00Z``.

    Raises:
        ValueError: The value is neither of these, has no offset from UTC, or is out of range.
    """
    if isinstance(value, str) and not re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is no time: write Unix seconds, or such as 2026-12-24T18:00:00Z") from None
        if moment.tzinfo is None:
            raise ValueError(f"{value!r} has no offset from UTC: add Z, or an offset such as +01:00")
        total = moment.timestamp()
    else:
        total = float(value)
    if not 0 <= total < MAX_SECONDS:
        raise ValueError(f"{value!r} is out of range for a time")
    return int(total)

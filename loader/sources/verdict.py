"""Whether records are JSON: orjson's verdict, at simdjson's speed where its wheel is installed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import orjson

_LARGE = 4 * 1024 * 1024
"""Bytes. A parser keeps buffers of several times the size of the largest record that it has seen."""


def _simdjson() -> Callable[[bytes], object] | None:
    try:
        from simdjson import Parser
    except ImportError:
        return None  # no wheel for this Python or system: orjson alone gives the same verdict
    return Parser().parse


_parse = _simdjson()


def all_json(records: Sequence[bytes], size: int, parse: Callable[[bytes], object] | None = _parse) -> bool:
    """Whether ``orjson.loads`` takes each of the records.

    simdjson checks the grammar, UTF-8, escapes and the range of numbers as orjson does, but makes no Python objects: a
    record of 1 KB costs it a quarter. What it refuses (orjson takes integers of more than 64 bits, for one) is left to
    orjson. What it takes, orjson takes too, but for one case: simdjson passes over a byte order mark. So records that
    begin with a byte over 0x7f, as no JSON does, are left to orjson as well.

    Args:
        size: Bytes of all records together.
        parse: Raises ValueError or RuntimeError where a record is not JSON; None to ask orjson alone.
    """
    if parse is not None and records and size <= _LARGE and max(records) < b"\x80":
        try:
            deque(map(parse, records), maxlen=0)
        except (ValueError, RuntimeError):  # RuntimeError: too deep
            pass  # for orjson to judge
        else:
            return True
    try:
        deque(map(orjson.loads, records), maxlen=0)
    except orjson.JSONDecodeError:
        return False
    return True

"""Whether records are JSON: as Python's ``json`` says, and their values as it reads them."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from typing import Any, NoReturn

from loader.sources import verdict
from loader.sources.base import Place
from loader.sources.batch import RawBatch
from loader.sources.json_text import JSON_SPACE
from loader.sources.validate import Reject, validate
from loader.tasks.reasons import ReasonCode
from tests.fuzz.drawn import parameters, with_parameters

verdict._SMALL = 0  # simdjson judges records of any size

_LONE = re.compile("[\ud800-\udfff]")
_DEEP = 1000
"""Levels. Python's decoder gives up somewhat deeper, orjson at 1024."""

_JUDGED = {ReasonCode.INVALID_JSON: False, ReasonCode.NOT_PORTABLE: True}
"""Whether a record that is rejected for this is JSON."""


def seeds() -> Iterator[bytes]:
    contents = (
        b'{"a": [1, -2.5e3, true, null]}\n"x"\n 7 \r\n\n',
        b'"\\ud83d\\ude00"\n"\\ud800"\n"\\u00e9\xc3\xa9"',
        b"1e308\n1e309\n-0\n18446744073709551616\n0.1e-400",
        b'NaN\n-Infinity\n01\n[1,]\n{\'a\':1}\n{"a":1}}\nnul\n{a:1}\n// x\n"a\tb',
        b'[[[[[[]]]]]]\n{"a":{"a":{}},"a":2}\n\xef\xbb\xbf1\n\x001\n\xff',
    )
    for number, content in enumerate(contents):
        yield with_parameters(content, number)


def check(data: bytes) -> None:
    _random, content = parameters(data)
    records = content.split(b"\n")
    stripped = [record.strip(JSON_SPACE) for record in records]
    known = [_read(record) for record in stripped]

    strict = validate(RawBatch(0, 0, list(records)), 0, 0, parsed=True)
    fast = validate(RawBatch(0, 0, list(records)), 0, 0, parsed=False)
    lenient = validate(RawBatch(0, 0, list(records)), 0, 0, parsed=True, any_json=True)

    assert (fast.payloads, fast.kept, fast.rejected) == (strict.payloads, strict.kept, strict.rejected)
    assert strict.checksum == lenient.checksum == zlib.crc32(b"\n".join(stripped))
    for batch in (strict, lenient):
        kept = range(len(records)) if batch.kept is None else batch.kept
        assert batch.payloads == [stripped[index] for index in kept]
        assert len(batch.payloads) + len(batch.rejected) + batch.blank == len(records)
        assert batch.blank == (stripped.count(b"") if batch.kept is not None else 0)
        assert all(known[index] != _NOT_JSON for index in kept)
        for index, value in zip(kept, batch.values or (), strict=True):
            _compare(value, known[index], is_whole=batch is strict)
        for index, why in batch.rejected:
            assert known[index] == _UNKNOWN or (known[index] != _NOT_JSON) == _JUDGED[why.code], (stripped[index], why)
            assert why.text.isprintable()
            line = json.loads(Reject(Place("in", *batch.raw.locate(index)), why, records[index]).to_json())
            assert "encoding" in line or line["record"].encode() == records[index]
    assert all(why.code == ReasonCode.INVALID_JSON for _, why in lenient.rejected)
    for index in set(range(len(records)) if lenient.kept is None else lenient.kept) - {
        *(range(len(records)) if strict.kept is None else strict.kept)
    }:
        assert _is_not_portable(stripped[index]), stripped[index]


_NOT_JSON = ("not JSON",)
_UNKNOWN = ("unknown",)


def _read(record: bytes) -> Any:
    """The value by Python's ``json``, held to RFC 8259; ``_NOT_JSON`` or ``_UNKNOWN``."""
    try:
        return json.loads(record.decode(), parse_constant=_no_constant, parse_int=_integer)
    except ValueError:
        return _NOT_JSON
    except RecursionError:
        return _UNKNOWN


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _integer(digits: str) -> float:
    """Whole numbers beyond 64 bits are floats, as orjson has them."""
    value = float(digits)
    return int(digits) if abs(value) < 2.0**65 and -(2**63) <= int(digits) < 2**64 else value


def _compare(value: Any, theirs: Any, *, is_whole: bool) -> None:
    if theirs == _UNKNOWN:
        return
    if is_whole or value == theirs:
        assert value == theirs and type(value) is type(theirs)
    else:  # of what orjson refuses, only the members of an object are read, and of these only scalars
        assert list(value) == (list(theirs) if isinstance(theirs, dict) else [])


def _is_not_portable(record: bytes) -> bool:
    value = json.dumps(_read(record), ensure_ascii=False) if _read(record) != _UNKNOWN else ""
    return (
        not value or bool(_LONE.search(value)) or "Infinity" in value or record.count(b"[") + record.count(b"{") > _DEEP
    )

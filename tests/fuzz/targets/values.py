"""Values of an array, or one after the other: those that Python's decoder finds, however the content is chunked."""

from __future__ import annotations

import json
from collections.abc import Iterator

from loader.sources import batch, value_batcher
from loader.sources.lines import BOM
from loader.sources.values import ELEMENTS, SUCCESSION
from tests.fuzz.drawn import chunks, parameters, with_parameters
from tests.unit.sources.test_value_batcher import cut

_STRETCH = value_batcher._STRETCH
_SPACE = " \t\n\r"
_ENDS_A_SCALAR = ' \t\n\r\x1e"[{'

batch.BATCH_BYTES = 40


def seeds() -> Iterator[bytes]:
    contents = (
        b"[]",
        b'[1, {"a": [true, null]}, "x\\"]", [[[[[[[[1]]]]]]]]]',
        BOM + b'[\n {"a": 1},\n {"b": "\xc3\xa9"}\n]\n',
        b'{"a":1}{"b":2}[3]"four" 5 6',
        b'\x1e{"a":1}\n\x1e[2]\n',
        b"[1,,2,]",
        b'[1] [2]"',
    )
    for number, content in enumerate(contents):
        yield with_parameters(content, number)


def check(data: bytes) -> None:
    random, content = parameters(data)
    grammar = random.choice([ELEMENTS, SUCCESSION])
    batch_size, limit = random.randint(1, 8), random.choice([1, 5, 30, 60])
    value_batcher._STRETCH = _STRETCH
    whole = cut(grammar, [content])

    expected = _decoded(content.removeprefix(BOM), is_array=grammar.is_array)
    if expected is not None:
        assert (whole.records, whole.error) == (expected, "")
    for record, (line, offset) in zip(whole.records, whole.places, strict=True):
        assert content[offset:].startswith(record)
        assert line == content.count(b"\n", 0, offset) + 1

    limited = cut(grammar, [content], batch_size, limit)
    assert (limited.places, limited.error) == (whole.places, whole.error)
    for stretch in (random.randint(1, 50), 0):  # 0: each value piece by piece
        value_batcher._STRETCH = stretch
        assert cut(grammar, chunks(content, random), batch_size, limit).shown() == limited.shown()


def _decoded(content: bytes, *, is_array: bool) -> list[bytes] | None:
    """The values by Python's decoder; None if it refuses the content, or takes other texts for values than we do."""
    try:
        text = content.decode()
        if is_array and not isinstance(json.loads(text, strict=False, parse_int=str), list):
            return None
        return list(_elements(text) if is_array else _succession(text))
    except (ValueError, RecursionError):
        return None


def _elements(text: str) -> Iterator[bytes]:
    at = text.index("[") + 1
    while True:
        while text[at] in _SPACE + ",":
            at += 1
        if text[at] == "]":
            return
        end = _end(text, at)
        yield text[at:end].encode()
        at = end


def _succession(text: str) -> Iterator[bytes]:
    at = 0
    while True:
        while at < len(text) and text[at] in _SPACE + "\x1e":
            at += 1
        if at == len(text):
            return
        end = _end(text, at)
        if text[at] not in '"[{' and text[end : end + 1] not in _ENDS_A_SCALAR:
            raise ValueError("two values that nothing separates")
        yield text[at:end].encode()
        at = end


def _end(text: str, at: int) -> int:
    return json.JSONDecoder(strict=False, parse_int=str).raw_decode(text, at)[1]

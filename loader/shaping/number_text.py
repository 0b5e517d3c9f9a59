"""Reads and writes JSON so that each number keeps its text: ``1.10`` and integers of any length stay as they are."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import msgspec
import orjson

from loader.sources.json_text import to_keep

_LONGEST_INT = 4000
"""Digits. Python refuses to convert integers of 4,300 digits and more (``sys.set_int_max_str_digits``)."""

_MOST_LEVELS = 254
"""Levels of arrays and objects in what is written: as many as orjson writes."""

_MINUS_ZERO = re.compile(rb"-0(?![0-9.eE])")
_AS_IT_IS = orjson.OPT_PASSTHROUGH_SUBCLASS
_SORTED = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_SORT_KEYS
_SURROGATE = re.compile("[\ud800-\udfff]")


class NumberText(float):
    """A number with the text from which it was read. It compares as the double nearest to it.

    Its class is named ``float``: JMESPath's functions tell types by the names of their classes.
    """

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> NumberText:
        number = super().__new__(cls, text)
        number.text = text
        return number


NumberText.__name__ = "float"


def _int(text: str) -> int | NumberText:
    return NumberText(text) if len(text) > _LONGEST_INT or text == "-0" else int(text)


# Hot path: msgspec is as fast as orjson here, and six times as fast as json. It gives the texts of numbers with a
# fraction or an exponent, and integers of any length.
_fast = msgspec.json.Decoder(float_hook=NumberText).decode
_careful = json.JSONDecoder(parse_float=NumberText, parse_int=_int)


def read(text: bytes) -> Any:
    """The value of a JSON text: dicts, lists, texts, booleans, None, ints, and ``NumberText`` for all other numbers.

    Raises:
        ValueError: The text is not JSON by RFC 8259.
        RecursionError: It nests too deeply.
    """
    if b"-0" not in text or not _MINUS_ZERO.search(text):  # msgspec reads -0 as the integer 0
        try:
            return _fast(text)
        except (ValueError, RecursionError):
            pass  # lone surrogates, and integers of thousands of digits
    return _careful.decode(text.decode())


def read_all(texts: Sequence[bytes]) -> list[Any]:
    """The values of JSON texts, as ``read`` gives them. Raises what ``read`` raises."""
    # Hot path: for records of texts, half the time of a call for each.
    if b"-0" not in b"\n".join(texts):
        try:
            return list(map(_fast, texts))
        except (ValueError, RecursionError):
            pass
    return list(map(read, texts))


def write(value: Any, *, sort: bool = False) -> bytes:
    """A value as JSON, compact and in UTF-8. Numbers are written as they were read.

    Args:
        sort: Whether to write the members of objects in the order of their names.

    Raises:
        RecursionError: It nests over 254 levels deep.
    """
    try:
        return to_keep(orjson.dumps(value, _text_of, _SORTED if sort else _AS_IT_IS))
    except TypeError:  # integers of more than 64 bits, deep nesting, lone surrogates
        return _written(value, sort).encode()


def type_name(value: Any) -> str:
    """The type of a value of JSON, for messages."""
    names: dict[type, str] = {bool: "a boolean", str: "text", list: "an array", dict: "an object", type(None): "null"}
    return names.get(type(value), "a number")


def is_false(value: Any) -> bool:
    """Whether a value counts as false in JMESPath: null, false, and empty texts, arrays and objects."""
    return value is None or value is False or value in ("", [], {})


def _text_of(value: Any) -> orjson.Fragment:
    if isinstance(value, NumberText):
        return orjson.Fragment(value.text)
    raise TypeError


def _written(value: Any, sort: bool, level: int = 0) -> str:
    if level > _MOST_LEVELS:
        raise RecursionError
    if isinstance(value, NumberText):
        return value.text
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=_SURROGATE.search(value) is not None)
    if isinstance(value, list):
        return f"[{','.join(_written(element, sort, level + 1) for element in value)}]"
    if isinstance(value, dict):
        members = sorted(value.items()) if sort else value.items()
        return (
            f"{{{','.join(f'{_written(name, sort)}:{_written(member, sort, level + 1)}' for name, member in members)}}}"
        )
    return json.dumps(value)  # true, false, null, and numbers that an expression has made

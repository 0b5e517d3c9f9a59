"""Cuts a stream of bytes into JSON values that need not be lines: the elements of an array, or one after the other.

No I/O; the result does not depend on the chunk sizes. Values are not validated, only their ends are found: brackets are
counted, of both kinds alike, and those in strings are not. So a value that is not JSON is mostly a record of its own,
which validation rejects.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from loader.sources.json_text import JSON_SPACE

_CLOSING = b"]}"
_OPENING = b"[{"
_BEGINS = b'"[{'
_ENDS = b",]"

_DEPTH = 6
"""Values with more nesting than this are cut by ``Value``, which takes about twice as long."""

# Possessive quantifiers (++, *+) never try again what has matched, so all of this is linear.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_NESTED = _STRING
for _ in range(_DEPTH):
    _CONTAINER = rb'[\[{][^"\[\]{}]*+(?:(?:' + _NESTED + rb')[^"\[\]{}]*+)*+[\]}]'
    _NESTED = _STRING + b"|" + _CONTAINER

_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_IN_CONTAINER = re.compile(rb'[^"\[\]{}]*+(?:' + _STRING + rb'[^"\[\]{}]*+)*+', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Grammar:
    """How values follow each other.

    Attributes:
        is_array: Whether they are the elements of an array, so that commas end them.
        blank: Bytes between values.
        following: The values after another one: pairs of what is before a value, and the value. At the first place
            that is not such a value, it matches all the rest, with an empty pair.
        at_top: What belongs to a value outside of brackets, up to the next bracket or the value's end.
    """

    is_array: bool
    blank: re.Pattern[bytes]
    following: re.Pattern[bytes]
    at_top: re.Pattern[bytes]


def _elements() -> Grammar:
    blank = rb"[ \t\n\r]*+"
    value = _NESTED + rb'|[^ \t\n\r,"\[\]{}]++'
    return Grammar(
        True,
        re.compile(blank),
        re.compile(b"(%b,%b)(%b)(?=%b[,\\]])|.+" % (blank, blank, value, blank), re.DOTALL),
        re.compile(rb'(?:[^",\[\]{]++|' + _STRING + b")*+", re.DOTALL),
    )


def _succession() -> Grammar:
    blank = rb"[ \t\n\r\x1e]*+"  # RFC 7464 begins each text with 0x1e
    value = _NESTED + rb'|[^ \t\n\r\x1e"\[{]++(?=[ \t\n\r\x1e"\[{])'
    return Grammar(
        False,
        re.compile(blank),
        re.compile(b"(%b)(%b)|.+" % (blank, value), re.DOTALL),
        re.compile(rb'[^ \t\n\r\x1e"\[{]*+'),
    )


ELEMENTS = _elements()
"""The elements of an array."""

SUCCESSION = _succession()
"""Values that follow each other, with or without white space between them."""


class Value:
    """A value that is read piece by piece, with brackets and strings that may be open between the pieces."""

    def __init__(self, grammar: Grammar, limit: int, shown: int) -> None:
        self._grammar = grammar
        self._limit = limit
        self._shown = shown
        self._depth = 0
        self._in_string = False
        self._is_scalar = False
        self._parts: list[bytes] = []  # at most ``limit`` bytes; ``shown`` bytes if the value is longer
        self._kept = 0
        self._read = 0
        self._space = 0  # bytes of white space at the end

    @property
    def length(self) -> int:
        """Bytes so far, without white space at the end."""
        return self._read - self._space

    @property
    def is_open(self) -> bool:
        """Whether it cannot end here."""
        return self._in_string or self._depth > 0

    def text(self) -> bytes:
        """The value, or the beginning of a longer one."""
        return b"".join(self._parts)[: self.length]

    def read(self, data: bytes, start: int) -> tuple[int, bool]:
        """Reads on. Returns where it stopped, and whether the value ends there.

        It stops before a backslash at the end of the data.
        """
        end, ended = self._scan(data, start)
        part = data[start:end]
        self._read += len(part)
        text = part.rstrip(JSON_SPACE)
        self._space = len(part) - len(text) if text else self._space + len(part)
        if self._kept < self._limit:
            self._parts.append(part[: self._limit - self._kept])
            self._kept += len(part)
        if self.length > self._limit:
            self._parts = [b"".join(self._parts)[: self._shown]]
        return end, ended

    def _scan(self, data: bytes, start: int) -> tuple[int, bool]:
        pos = start
        while pos < len(data):
            if self._in_string:
                pos = _end(_IN_STRING, data, pos)
                if data[pos : pos + 1] != b'"':
                    return pos, False
                self._in_string = False
            elif self._depth:
                pos = _end(_IN_CONTAINER, data, pos)
                if pos == len(data):
                    return pos, False
                self._enter(data[pos])
            elif self._grammar.is_array:
                pos = _end(self._grammar.at_top, data, pos)
                if pos == len(data):
                    return pos, False
                if data[pos] in _ENDS:
                    return pos, True
                self._enter(data[pos])
            else:
                if self._read or pos > start:
                    if not self._is_scalar:
                        return pos, True
                elif data[pos] in _BEGINS:
                    self._enter(data[pos])
                else:
                    self._is_scalar = True
                if self._is_scalar:
                    pos = _end(self._grammar.at_top, data, pos)
                    return pos, pos < len(data)
            pos += 1
        return pos, False

    def _enter(self, byte: int) -> None:
        """Goes on after a bracket, or after the quote of a string that does not end in the data."""
        if byte in _CLOSING:
            self._depth -= 1
        elif byte in _OPENING:
            self._depth += 1
        else:
            self._in_string = True


def _end(pattern: re.Pattern[bytes], data: bytes, pos: int) -> int:
    found = pattern.match(data, pos)
    assert found is not None  # noqa: S101 - it matches nothing, too
    return found.end()

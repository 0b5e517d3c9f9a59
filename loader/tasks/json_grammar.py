"""Checks a text by the grammar of RFC 8259, and says where and how it leaves the grammar.

orjson refuses more than the RFC does (lone surrogates, numbers beyond a double, deep nesting), Python's ``json`` less
(NaN). This check follows the RFC alone. It is only for records that orjson refuses: it takes about 1 s for 10 MB.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum, auto

MOST_LEVELS = 1024
"""orjson refuses deeper nesting. Python's ``json`` refuses it from about the same depth on."""

_SPACE = re.compile(r"[ \t\n\r]*+")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*+')
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_STRING = re.compile(
    r'"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+"',
)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?")
_SURROGATES = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)
_LITERALS = {"t": "true", "f": "false", "n": "null"}
_SHORTEST_BEYOND = 5
"""1e309: no shorter number is beyond a double."""


class Expected(Enum):
    """What the grammar asks for at the place where a text leaves it."""

    VALUE = auto()
    VALUE_OR_CLOSE = auto()
    KEY = auto()
    KEY_OR_CLOSE = auto()
    COLON = auto()
    COMMA_OR_CLOSE = auto()
    END = auto()
    IN_STRING = auto()
    IN_NUMBER = auto()


@dataclass(frozen=True, slots=True)
class Fault:
    """The place where a text leaves the grammar.

    Attributes:
        offset: In characters, from 0; the length of the text if it ends too early.
        open: The brackets that are open there, the outermost first.
        after: Offset of the token before it.
    """

    offset: int
    expected: Expected
    open: str
    after: int


@dataclass(slots=True)
class Findings:
    """What is in a valid text that consumers do not read alike. Offsets are in characters, from 0; None: not there.

    Attributes:
        lone_surrogate: Offset of the first escape of a surrogate that is not one of a pair.
        beyond_double: Offset of the first number that becomes infinite as a double.
        too_deep: Offset of the first bracket beyond ``MOST_LEVELS``.
        members: If the text is one object: where the value of each member begins and ends. Names are
            without their escapes; of two members with one name, this is the last.
    """

    lone_surrogate: int | None = None
    beyond_double: int | None = None
    too_deep: int | None = None
    members: dict[str, tuple[int, int]] | None = None


class NotJsonError(ValueError):
    """The text is not JSON by RFC 8259."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"not JSON at offset {fault.offset}")
        self.fault = fault


def check(text: str) -> Findings:
    """Checks a text: one JSON value, with white space around it.

    Raises:
        NotJsonError: It is not JSON.
    """
    return _Check(text).run()


class _Check:
    """One check. ``_at`` is the offset of the next token."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = self._space(0)
        self._after = self._at
        self._open: list[str] = []
        self._found = Findings()
        self._name: str | None = None
        self._begin = 0

    def _space(self, at: int) -> int:
        found = _SPACE.match(self._text, at)
        assert found is not None  # noqa: S101 - it matches nothing, too
        return found.end()

    def run(self) -> Findings:
        text, expected = self._text, Expected.VALUE
        while True:
            char = text[self._at : self._at + 1]
            if expected is Expected.END:
                if char:
                    raise self._fault(expected)
                return self._found
            begin = self._at
            if expected in (Expected.VALUE, Expected.VALUE_OR_CLOSE):
                expected = self._value(char, expected)
            elif expected in (Expected.KEY, Expected.KEY_OR_CLOSE):
                expected = self._key(char, expected)
            elif expected is Expected.COLON:
                if char != ":":
                    raise self._fault(expected)
                self._at += 1
                expected = Expected.VALUE
            else:
                expected = self._comma_or_close(char)
            self._after = begin
            self._at = self._space(self._at)

    def _value(self, char: str, expected: Expected) -> Expected:
        if len(self._open) == 1:
            self._begin = self._at
        if char == '"':
            self._string()
        elif char and char in "-0123456789":
            self._number()
        elif char and char in "[{":
            self._open.append(char)
            if len(self._open) > MOST_LEVELS and self._found.too_deep is None:
                self._found.too_deep = self._at
            if char == "{" and len(self._open) == 1:
                self._found.members = {}
            self._at += 1
            return Expected.VALUE_OR_CLOSE if char == "[" else Expected.KEY_OR_CLOSE
        elif char == "]" and expected is Expected.VALUE_OR_CLOSE:
            return self._close()
        elif char in _LITERALS and self._text.startswith(_LITERALS[char], self._at):
            self._at += len(_LITERALS[char])
        else:
            raise self._fault(expected)
        return self._value_is_over()

    def _key(self, char: str, expected: Expected) -> Expected:
        if char == "}" and expected is Expected.KEY_OR_CLOSE:
            return self._close()
        if char != '"':
            raise self._fault(expected)
        begin = self._at
        self._string()
        if len(self._open) == 1:
            self._name = json.loads(self._text[begin : self._at])  # one name may be written in several ways
        return Expected.COLON

    def _comma_or_close(self, char: str) -> Expected:
        is_object = self._open[-1] == "{"
        if char == ",":
            self._at += 1
            return Expected.KEY if is_object else Expected.VALUE
        if char == ("}" if is_object else "]"):
            return self._close()
        raise self._fault(Expected.COMMA_OR_CLOSE)

    def _close(self) -> Expected:
        self._open.pop()
        self._at += 1
        return self._value_is_over()

    def _value_is_over(self) -> Expected:
        if len(self._open) == 1 and self._name is not None and self._found.members is not None:
            self._found.members.pop(self._name, None)  # the last one of a name counts
            self._found.members[self._name] = (self._begin, self._at)
        return Expected.COMMA_OR_CLOSE if self._open else Expected.END

    def _string(self) -> None:
        found = _STRING.match(self._text, self._at)
        if found is None:
            raise self._fault(Expected.IN_STRING, self._bad_in_string())
        token = found.group()
        if self._found.lone_surrogate is None and "\\u" in token:
            for escape in _SURROGATES.finditer(token):
                if escape["lone"] is not None:
                    self._found.lone_surrogate = self._at + escape.start()
                    break
        self._at = found.end()

    def _bad_in_string(self) -> int:
        """The offset of the first character that cannot be where it is, in a string that begins at ``_at``."""
        at = self._at + 1
        while True:
            plain = _PLAIN.match(self._text, at)
            assert plain is not None  # noqa: S101 - it matches nothing, too
            escape = _ESCAPE.match(self._text, plain.end())
            if escape is None:
                return plain.end()
            at = escape.end()

    def _number(self) -> None:
        found = _NUMBER.match(self._text, self._at)
        following = "" if found is None else self._text[found.end() : found.end() + 1]
        if found is None or (following and following in "0123456789.eE+-"):
            raise self._fault(Expected.IN_NUMBER)
        token = found.group()
        beyond = self._found.beyond_double is None and len(token) >= _SHORTEST_BEYOND
        if beyond and float(token) in (float("inf"), float("-inf")):
            self._found.beyond_double = self._at
        self._at = found.end()

    def _fault(self, expected: Expected, offset: int | None = None) -> NotJsonError:
        offset = self._at if offset is None else offset
        return NotJsonError(Fault(offset, expected, "".join(self._open), self._after))

"""An expression of JMESPath, checked before it is used, over values whose numbers keep their text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from jmespath.exceptions import (
    ArityError,
    EmptyExpressionError,
    IncompleteExpressionError,
    JMESPathError,
    JMESPathTypeError,
    LexerError,
    ParseError,
)
from jmespath.functions import Functions, signature
from jmespath.lexer import Lexer
from jmespath.parser import ParsedResult, Parser
from jmespath.visitor import Options, TreeInterpreter

from loader.errors import UsageError
from loader.shaping.compiled import compiled
from loader.shaping.number_text import read, write
from loader.tasks.reasons import ReasonCode, UnusableRecordError

_NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_LONGEST_SHOWN = 200
_COMPARISONS = ("eq", "ne", "lt", "lte", "gt", "gte")


class _Lexer(Lexer):  # type: ignore[misc]
    """Reads literals so that numbers keep their text. A literal must be JSON: the old form `text` is an error."""

    def _consume_literal(self) -> dict[str, Any]:
        start = self._position
        text = self._consume_until("`").replace("\\`", "`")
        try:
            value = read(text.encode())
        except (ValueError, RecursionError):
            raise LexerError(start, text, f"`{text}` is not JSON") from None
        return {"type": "literal", "value": value, "start": start, "end": self._position - start}


class _Parser(Parser):  # type: ignore[misc]
    def _parse(self, expression: str) -> ParsedResult:  # as in the base class, except for the lexer
        self._tokens = list(_Lexer().tokenize(expression))
        self._index = 0
        parsed = self._expression(binding_power=0)
        if self._current_token() != "eof":
            token = self._lookahead_token(0)
            raise ParseError(token["start"], token["value"], token["type"], "unexpected token")
        return ParsedResult(expression, parsed)


class _Functions(Functions):  # type: ignore[misc]
    def call_function(self, function_name: str, resolved_args: Any) -> Any:
        result = super().call_function(function_name, resolved_args)
        if type(result) is float and not math.isfinite(result):
            raise OverflowError(f"{function_name}() gives a number that JSON cannot hold")
        return result

    @signature({"types": []})  # type: ignore[untyped-decorator]
    def _func_to_string(self, value: Any) -> str:
        return value if isinstance(value, str) else write(value).decode()

    @signature({"types": []})  # type: ignore[untyped-decorator]
    def _func_to_number(self, value: Any) -> Any:
        if isinstance(value, str):
            return read(value.encode()) if _NUMBER.fullmatch(value) else None
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None


_INTERPRETER = TreeInterpreter(Options(custom_functions=_Functions()))


class Expression:
    """A valid expression.

    Args:
        option: The option that gives it, for messages.

    Attributes:
        quoted: A quoted name that is compared with something, if there is one. Many a user means a text.

    Raises:
        UsageError: It is not valid; the message says what is wrong and where.
    """

    __slots__ = ("_evaluate", "_option", "quoted")

    def __init__(self, option: str, text: str) -> None:
        self._option = option
        try:
            # Not parse(), which has a cache for all programs in this process: it knows texts of numbers by their value.
            node = _Parser()._do_parse(text).parsed
            self._check(node)
            self._evaluate = compiled(node, _INTERPRETER)
        except (JMESPathError, ArithmeticError) as error:
            raise _unusable(option, text, error) from None
        except RecursionError:
            raise UsageError(f"{option}: the expression nests too deeply") from None
        except ValueError:  # from int()
            raise UsageError(f"{option} {_shown(text)}: an index has thousands of digits") from None
        self.quoted = _compared_name(text)

    def of(self, value: Any) -> Any:
        """What it gives for a record, as ``loader.shaping.number_text.read`` has read it.

        Raises:
            UnusableRecordError: It cannot be evaluated for this record.
        """
        try:
            return self._evaluate(value)
        except JMESPathTypeError as error:
            wanted = " or ".join(error.expected_types)
            found = error.actual_type
            raise self.unusable(f"{error.function_name}() takes {wanted}, not {found}") from None
        except RecursionError:
            raise self.unusable("the record nests too deeply") from None
        except TypeError:
            raise self.unusable("text and numbers cannot be compared by <, <=, >, >= or contains()") from None
        except (ValueError, ArithmeticError) as error:
            raise self.unusable(str(error)[:_LONGEST_SHOWN]) from None

    def unusable(self, why: str) -> UnusableRecordError:
        """The error for a record for which it is not usable."""
        return UnusableRecordError(ReasonCode.BAD_SHAPE, f"{self._option}: {why}")

    def _check(self, node: Any) -> None:
        """Finds what the parser lets pass: functions that do not exist, and literals that are no numbers of JSON."""
        table = _Functions.FUNCTION_TABLE
        taken: set[int] = set()  # the references that are arguments of functions that take them
        for one in _nodes(node):  # a function comes before its arguments
            if one["type"] == "expref" and id(one) not in taken:
                raise ArithmeticError("&EXPR stands only in functions that take it, such as sort_by()")
            if one["type"] == "literal" and isinstance(one["value"], float) and not math.isfinite(one["value"]):
                raise OverflowError(f"the number {write(one['value']).decode()} is beyond a double")
            if one["type"] == "slice" and one["children"][2:] == [0]:
                raise ArithmeticError("the step of a slice is 0")
            if one["type"] != "function_expression":
                continue
            name = one["value"]
            if name not in table:
                raise ArithmeticError(f"there is no function {name}()")
            takes, given = table[name]["signature"], len(one["children"])
            more = bool(takes) and takes[-1].get("variadic", False)
            if given != len(takes) and not (more and given > len(takes)):
                least = "at least " if more else ""
                arguments = "argument" if len(takes) == 1 else "arguments"
                raise ArithmeticError(f"{name}() takes {least}{len(takes)} {arguments}, not {given}")
            taken |= {id(child) for child, it in zip(one["children"], takes, strict=False) if "expref" in it["types"]}


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict) and "type" in one:
            yield one
            waiting += one["children"] if one["type"] != "slice" else []


def _compared_name(text: str) -> str | None:
    tokens = list(_Lexer().tokenize(text))
    for before, token in pairwise(tokens):
        if token["type"] == "quoted_identifier" and before["type"] in _COMPARISONS:
            return str(token["value"])
    return None


def _unusable(option: str, text: str, error: Exception) -> UsageError:
    hint = "Expressions are JMESPath: see docs/shaping.md"
    if isinstance(error, EmptyExpressionError):
        return UsageError(f"{option}: the expression is empty", hint)
    if isinstance(error, IncompleteExpressionError):
        what = "the expression is not complete"
    elif isinstance(error, LexerError):
        what = error.message.lower() if error.message.startswith("Un") else error.message
    elif isinstance(error, ArityError) or not isinstance(error, ParseError):
        return UsageError(f"{option} {_shown(text)}: {error}", hint)
    else:
        what = f"unexpected {error.token_value!r}" if error.token_value else "the expression is not complete"
        if error.token_type == "NUMBER":  # noqa: S105 - a kind of token
            hint = f"A number is written between backticks: `{error.token_value}`"
    at = min(error.lex_position, len(text))
    if text[at : at + 1] == "=":
        hint = "Two values are compared by =="
    line, column = text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1
    place = f"column {column}" if line == 1 else f"line {line}, column {column}"
    return UsageError(f"{option} {_shown(text)}: {what} at {place}", hint)


def _shown(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= _LONGEST_SHOWN else one_line[:_LONGEST_SHOWN] + "…"

"""Reads what stands in a placeholder: ``int(1, 100)``. It is the syntax of a call in Python, and is never evaluated."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from loader.errors import UsageError

_CONSTANTS = {"true": "true", "false": "false", "null": "null"}
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z")


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that is written out.

    Attributes:
        json: Its text as JSON; a number keeps the text of the template.
    """

    json: str

    @property
    def value(self) -> object:
        return json.loads(self.json)


@dataclass(frozen=True, slots=True)
class Call:
    """A name with arguments; ``f`` is the same as ``f()``."""

    name: str
    positional: Sequence[Argument] = ()
    named: Mapping[str, Argument] | None = None


Argument = Literal | Call


def parse_call(text: str, path: str) -> Argument:
    """What stands in a placeholder.

    Raises:
        UsageError: It is no call and no literal.
    """
    text = text.strip()
    try:
        return _argument(ast.parse(text, mode="eval").body, text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        why = str(error) if type(error) is ValueError else "it must be a call such as int(1, 100)"
        raise UsageError(f"{path}: {{{{ {text} }}}}: {why}", "See docs/generate.md") from None


def _argument(node: ast.expr, text: str) -> Argument:
    if isinstance(node, ast.Name) and node.id not in _CONSTANTS:
        return Call(node.id)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        named: dict[str, Argument] = {}
        for one in node.keywords:
            if one.arg is None:
                raise ValueError("** has no meaning here")
            named[one.arg] = _argument(one.value, text)
        return Call(node.func.id, [_argument(one, text) for one in node.args], named)
    return Literal(_json(node, text))


def _json(node: ast.expr, text: str) -> str:
    """The JSON text of a literal, which may be written as in JSON or as in Python."""
    source = ast.get_source_segment(text, node) or ""
    if isinstance(node, ast.Name) and node.id in _CONSTANTS:
        return _CONSTANTS[node.id]
    if isinstance(node, ast.UnaryOp) or (isinstance(node, ast.Constant) and type(node.value) in (int, float)):
        return number_text(source)
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bool | None):
        return orjson.dumps(node.value).decode()
    if isinstance(node, ast.List | ast.Tuple):
        return f"[{','.join(_json(one, text) for one in node.elts)}]"
    if isinstance(node, ast.Dict) and None not in node.keys:
        members = zip(node.keys, node.values, strict=True)
        return f"{{{','.join(f'{_name(key, text)}:{_json(value, text)}' for key, value in members)}}}"
    raise ValueError(f"{source} is neither a call nor a value")


def number_text(text: str) -> str:
    """The text of a number, if it is one that all consumers read.

    Raises:
        ValueError: It is not.
    """
    try:
        if _NUMBER.match(text):
            orjson.loads(str(text))  # it refuses 1e400
            return text
    except orjson.JSONDecodeError:
        pass
    raise ValueError(f"{text} is no number that every consumer of JSON reads")


def _name(node: ast.expr | None, text: str) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return orjson.dumps(node.value).decode()
    raise ValueError("names of members are texts")

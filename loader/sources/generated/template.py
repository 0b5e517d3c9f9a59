"""Reads a template: a JSON document in which texts hold placeholders, such as ``{"id": "{{ sequence }}"}``.

A text that is one placeholder becomes its value, of the value's type. Within a longer text, values are text. The first
element of an array may be ``{{ repeat(…) }}`` or ``{{ one_of(…) }}``, and the name of a member may begin with
``{{ optional(…) }}`` or ``{{ null(…) }}``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import orjson

from loader.errors import UsageError
from loader.sources.generated.arguments import SEE, build, distribution, share, weights
from loader.sources.generated.call import Argument, Call, Literal, number_text, parse_call
from loader.sources.generated.column import Column, Part, Values, joined, one_object, one_of, repeated, sometimes
from loader.sources.generated.context import Context
from loader.sources.generated.placeholders import PLACEHOLDERS, picker

_PLACEHOLDER = re.compile(r"""\{\{((?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|(?!\}\})[^'"])*)\}\}""", re.DOTALL)
_PLAIN = re.compile(r"[\w -]+\Z")
_MOST_LEVELS = 100


class _Number(str):
    """A number's text."""

    __slots__ = ()


def read_template(text: bytes, context: Context) -> Column:
    """The column of a template's records.

    Args:
        context: That of the whole record.

    Raises:
        UsageError: The template is not JSON, or a placeholder is wrong: the problem with its place.
    """
    try:
        document = json.loads(
            text.decode("utf-8-sig"),
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_no_constant,
            object_pairs_hook=_members,
        )
    except UnicodeDecodeError as error:
        raise UsageError("it is not UTF-8", "Write it as UTF-8") from error
    except json.JSONDecodeError as error:
        raise UsageError(f"line {error.lineno}, column {error.colno}: it is not JSON: {error.msg}") from error
    except RecursionError:
        raise UsageError("it nests too deeply") from None
    return joined(_parts(document, context, 0))


def _no_constant(name: str) -> Any:
    raise UsageError(f"{name} is not JSON")


class _Object(list[tuple[str, Any]]):
    """The members of an object in their order."""


def _members(pairs: list[tuple[str, Any]]) -> _Object:
    return _Object(pairs)


def _parts(value: Any, context: Context, level: int) -> list[Part]:
    """The parts of a value's JSON text."""
    path = context.place
    if level > _MOST_LEVELS:
        raise UsageError(f"{path}: it nests deeper than {_MOST_LEVELS} levels")
    if isinstance(value, _Number):
        try:
            return [number_text(value)]
        except ValueError as error:
            raise UsageError(f"{path}: {error}") from None
    if isinstance(value, str):
        return _of_text(value, context)
    if isinstance(value, _Object):
        return _of_object(value, context, level)
    if isinstance(value, list):
        return _of_array(value, context, level)
    return [{True: "true", False: "false", None: "null"}[value]]


def _quote(text: str, path: str) -> str:
    try:
        return orjson.dumps(text).decode()
    except TypeError:
        raise UsageError(f"{path}: the text has a lone surrogate", "Write whole characters") from None


def _of_text(text: str, context: Context) -> list[Part]:
    path = context.place
    found = list(_PLACEHOLDER.finditer(text))
    if "{{" in _PLACEHOLDER.sub("", text):
        raise UsageError(f"{path}: a placeholder is not closed", "Two braces as text are {{ '{{' }}")
    places = [path, *(f"{path}#{number}" for number in range(1, len(found)))]
    made = [_of_placeholder(one[1], replace(context, place=place)) for one, place in zip(found, places, strict=False)]
    if len(found) == 1 and found[0].span() == (0, len(text)):
        return [*made]
    parts: list[Part] = ['"']
    end = 0
    for one, values in zip(found, made, strict=True):
        parts += [_quote(text[end : one.start()], path)[1:-1], values.within_text()]
        end = one.end()
    return [*parts, _quote(text[end:], path)[1:-1] + '"']


def _of_placeholder(text: str, context: Context) -> Values:
    argument = parse_call(text, context.place)
    if isinstance(argument, Literal):
        constant = argument.json
        quoted = constant[0] == '"'
        constant = constant[1:-1] if quoted else constant
        return Values(lambda _, numbers: [constant] * len(numbers), quoted)
    if argument.name in _DIRECTIVES:
        raise UsageError(f"{context.place}: {_DIRECTIVES[argument.name]}", SEE)
    made: Values = _built(argument, PLACEHOLDERS, "placeholder", context, context)
    return made


_DIRECTIVES = {
    "repeat": "repeat(…) is the first element of an array",
    "one_of": "one_of(…) is the first element of an array",
    "optional": "optional(…) stands at the beginning of the name of a member",
    "null": "null(…) stands at the beginning of the name of a member",
}


def _built(call: Call, builders: Mapping[str, Callable[..., Any]], what: str, context: Context, *given: object) -> Any:
    try:
        return build(call, builders, what, *given)
    except ValueError as error:
        raise UsageError(f"{context.place}: {error}", SEE) from None


# --- objects --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Member:
    """A member of an object: how often it is there, and how often it is null."""

    name: str
    value: Any
    there: float = 1.0
    null: float = 0.0


def _member(text: str, value: Any, context: Context) -> _Member:
    """A member by its name, which may begin with directives. One space after a directive is no part of the name.

    After directives, a text such as ``{{ '{{' }}`` may begin the name itself.
    """
    member = _Member(text, value)
    while (found := _PLACEHOLDER.match(member.name)) is not None:
        call = parse_call(found[1], context.place)
        if isinstance(call, Literal) and call.json[0] == '"':
            member = replace(member, name=orjson.loads(call.json) + member.name[found.end() :])
            break
        if not isinstance(call, Call) or call.name not in ("optional", "null"):
            raise UsageError(
                f"{context.place}: the name of a member may begin with optional(…) or null(…), not {found[0]}", SEE
            )
        chance = _built(call, {"optional": _chance, "null": _chance}, "directive", context)
        rest = member.name[found.end() :].removeprefix(" ")
        member = replace(member, name=rest, **{"there" if call.name == "optional" else "null": chance})
    if "{{" in member.name and member.name == text:
        raise UsageError(
            f"{context.place}: names of members hold no placeholders: {text!r}",
            "Only {{ optional(…) }} or {{ null(…) }} may begin a name",
        )
    return member


def _chance(p: Argument) -> float:
    return share(p, "p")


def _below(path: str, name: str) -> str:
    """The path of a member. Different members have different paths, whatever characters their names have."""
    return f"{path}.{name}" if _PLAIN.match(name) else f"{path}[{_quote(name, path)}]"


def _of_object(value: _Object, context: Context, level: int) -> list[Part]:
    path = context.place
    members = [_member(name, inner, context) for name, inner in value]
    names = [member.name for member in members]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"{path}: two members are called {twice!r}", "Remove one of them")
    texts: list[list[Part]] = []
    for member in members:
        inner = replace(context, place=_below(path, member.name))
        parts = _parts(member.value, inner, level + 1)
        if member.null:
            column = sometimes(f"{inner.place}?null", 1 - member.null, joined(parts), "null")
            parts = [Values(column)]
        texts.append([f",{_quote(member.name, path)}:", *parts])
    if all(member.there == 1 for member in members):
        found = [part for text in texts for part in text]
        if found and isinstance(found[0], str):
            found[0] = found[0][1:]
        return ["{", *found, "}"]
    columns: list[Column] = []
    for member, text in zip(members, texts, strict=True):
        column = joined(text)
        place = f"{_below(path, member.name)}?there"
        columns.append(column if member.there == 1 else sometimes(place, member.there, column, ""))
    return [Values(one_object(columns))]


# --- arrays ---------------------------------------------------------------------------------------------------


def _of_array(value: list[Any], context: Context, level: int) -> list[Part]:
    path = context.place
    first = value[0] if value else None
    directive = _array_directive(first, context) if isinstance(first, str) else None
    if directive is not None:
        builder = _ARRAYS[directive.name]
        return [Values(_built(directive, {directive.name: builder}, "directive", context, value[1:], context, level))]
    parts: list[Part] = ["["]
    for number, inner in enumerate(value):
        parts += ["," if number else "", *_parts(inner, replace(context, place=f"{path}[{number}]"), level + 1)]
    return [*parts, "]"]


def _array_directive(text: str, context: Context) -> Call | None:
    found = _PLACEHOLDER.fullmatch(text.strip())
    call = parse_call(found[1], context.place) if found is not None else None
    return call if isinstance(call, Call) and call.name in _ARRAYS else None


def _repeat(templates: list[Any], context: Context, level: int, min: Argument, max: Argument | None = None) -> Column:
    if len(templates) != 1:
        raise ValueError(f"one element follows it, which is repeated; here are {len(templates)}")
    path = f"{context.place}[]"
    lengths = distribution(min if max is None else Call("uniform", [min, max]), least=0)
    inner = replace(context, place=path, scope=path)
    return repeated(context.place, lengths, joined(_parts(templates[0], inner, level + 1)))


def _one_of(templates: list[Any], context: Context, level: int, *given: Argument) -> Column:
    if not templates:
        raise ValueError("the templates to choose from follow it")
    shares: Sequence[Fraction] = weights(given, len(templates)) if given else [Fraction(1)] * len(templates)
    columns = []
    for number, template in enumerate(templates):
        inner = replace(context, place=f"{context.place}[{number}]")
        columns.append(joined(_parts(template, inner, level + 1)))
    return one_of(picker(context.place, shares), columns)


_ARRAYS: Mapping[str, Callable[..., Column]] = {"repeat": _repeat, "one_of": _one_of}

"""Declarations of options: help, unit, range, names and relations to other options, beside type and default.

An options class is a frozen dataclass whose fields are ``Annotated[TYPE, Option(…)]``. The command line, the
environment, the configuration file, the checks at run time and the keywords of the Python API are made from these.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

DURATION = "DURATION"
"""Unit of an option whose value is a number of seconds, or a text such as 90s, 5m, 1h30m."""

TIME = "TIME"
"""Unit of an option that takes RFC 3339 or Unix seconds."""

EXPRESSION = "EXPR"
"""Unit of an option that takes a JMESPath expression."""

BYTES = "BYTES"
COUNT = "COUNT"
LIMIT = "COUNT|SHARE|none"
"""Unit of an option that takes a whole number, a share such as 5%, or the word none."""

ANY: Any = object()
"""Stands for any value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Relation:
    """A relation between an option and another option.

    Attributes:
        option: Field name of the other option.
        value: Value of the other option in this relation; ``ANY``: any value, if it is given.
        when: The relation applies only if the option itself has this value; ``ANY``: whenever it is given.
        hint: What the user must do or know, as a sentence without a full stop.
    """

    option: str = field(kw_only=False)
    value: Any = field(default=ANY, kw_only=False)
    hint: str = ""
    when: Any = ANY


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs(_Relation):
    """An option that works only with another option.

    Attributes:
        unless: Field name of an option with which the relation does not apply.
        later: Value of the other option that leaves the decision for later. It does not break the relation: this option
            then decides (``check.implied``). None if there is no such value.
    """

    unless: str | None = None
    later: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Excludes(_Relation):
    """An option that contradicts another one.

    Attributes:
        alternative: Whether the two say the same thing in two ways, such as two places to load into. Then the one that
            comes from the command line wins over the other one from the environment or a file. Otherwise both are
            meant, and dropping one would change what the other does.
    """

    alternative: bool = False
    hint: str = "Give one of them"


@dataclass(frozen=True, slots=True)
class FromVariable:
    """A default that an environment variable for all programs replaces; for ``default_factory`` of a field.

    Attributes:
        otherwise: The default if the variable is not set or empty.
    """

    variable: str
    otherwise: str

    def __call__(self) -> str:
        return os.environ.get(self.variable) or self.otherwise


Rule = Callable[[Any], str | None]
"""Checks a value. Returns the problem ("must not …"), or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """The properties of an option beside its name, type and default.

    Attributes:
        help: For people; sentences, without line breaks.
        group: Its heading in the help.
        short: Its one-letter form, such as ``-q``; '' for none.
        unit: The kind of value in the help: ``COUNT``, ``DURATION``, ``URL`` …; '' to use the type.
        env: Other environment variables for it, after ``RUNQY_LOADER_<NAME>``.
        at_least: Smallest value.
        at_most: Largest value.
        above: Value that it must exceed.
        rule: Another check of the value, called after all others.
        goes_with: Its relations to other options.
        writes: What the file holds that it names and the run writes: a constant of ``loader.outputs.names``; '' if it
            names no such file.
        may_replace_input: Whether that may be a file that another option names to be read: it is read before.
        default_text: The default as text in the help; '' for the value itself.
        may_be_empty: Whether an empty text is a value.
    """

    help: str
    group: str
    short: str = ""
    unit: str = ""
    env: tuple[str, ...] = ()
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    rule: Rule | None = None
    goes_with: tuple[Needs | Excludes, ...] = ()
    default_text: str = ""
    writes: str = ""
    may_replace_input: bool = False
    may_be_empty: bool = False

    def but(self, **changes: Any) -> Option:
        """The same option with some changes, for a command in which it differs."""
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Declared:
    """An option as a class declares it.

    Attributes:
        name: Name of the field, and of the keyword.
        kinds: Allowed types, in the order in which a text is converted to them; without NoneType.
        choices: Allowed values in addition to ``kinds``; the only allowed values if ``kinds`` is empty.
        default: Default value; ``dataclasses.MISSING`` if a value is required.
        nullable: Whether it may be None.
        repeated: Whether it may be given several times. Then its value is a tuple.
    """

    name: str
    option: Option
    kinds: tuple[type, ...]
    choices: tuple[str, ...]
    default: Any
    nullable: bool
    repeated: bool

    @property
    def flag(self) -> str:
        """Its long form on the command line."""
        return flag_of(self.name)

    @property
    def is_switch(self) -> bool:
        """Whether it is given without a value."""
        return self.kinds == (bool,)


class Options(Protocol):
    """A dataclass of declared options."""

    __dataclass_fields__: typing.ClassVar[dict[str, dataclasses.Field[Any]]]


def flag_of(name: str) -> str:
    """The long form of an option on the command line, from its field's name.

    A field cannot be called like a word of Python: ``from_`` is ``--from``.
    """
    return f"--{name.rstrip('_').replace('_', '-')}"


def declared(kind: type[Options]) -> tuple[Declared, ...]:
    """The options of a class, in the order in which it declares them.

    Raises:
        TypeError: A field is not declared as an option.
    """
    return _declared_by(kind)


@functools.cache
def _declared_by(kind: Any) -> tuple[Declared, ...]:
    hints = typing.get_type_hints(kind, include_extras=True)
    return tuple(_declared(one, hints[one.name]) for one in dataclasses.fields(kind))


def _declared(one: dataclasses.Field[Any], hint: Any) -> Declared:
    kind, *notes = typing.get_args(hint) if typing.get_origin(hint) is typing.Annotated else (hint,)
    option = next((note for note in notes if isinstance(note, Option)), None)
    if option is None:
        raise TypeError(f"field {one.name} is not declared as Annotated[TYPE, Option(…)]")
    repeated = typing.get_origin(kind) is tuple
    parts = _parts(typing.get_args(kind)[0] if repeated else kind)
    choices = [value for part in parts if typing.get_origin(part) is Literal for value in typing.get_args(part)]
    kinds = [part for part in parts if isinstance(part, type) and part is not types.NoneType]
    return Declared(
        one.name,
        option,
        kinds=tuple(sorted(kinds, key=_ORDER.index)),
        choices=tuple(choices),
        default=one.default_factory.otherwise if isinstance(one.default_factory, FromVariable) else one.default,
        nullable=types.NoneType in parts,
        repeated=repeated,
    )


_ORDER = (bool, int, float, Path, str)
"""A text is converted to the first of these types that fits."""


def _parts(kind: Any) -> tuple[Any, ...]:
    is_union = typing.get_origin(kind) in (types.UnionType, typing.Union)
    return typing.get_args(kind) if is_union else (kind,)

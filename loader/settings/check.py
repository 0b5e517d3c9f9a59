"""Checks an options object against its declarations: types, choices, ranges, and relations between options."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from loader.errors import UsageError
from loader.outputs.names import wrong_name
from loader.outputs.writable import why_unwritable
from loader.settings.option import ANY, DURATION, LIMIT, TIME, Declared, Excludes, Needs, Options, declared, flag_of
from loader.settings.values import duration
from loader.tasks.times import seconds

_NOUNS: dict[type, str] = {int: "a whole number", float: "a number", str: "text", Path: "a path", bool: "True or False"}


def check_declared(options: Options) -> None:
    """Checks the value of every option, then the relations between options.

    Raises:
        UsageError: A value has the wrong type, is out of range or is not one of the choices; or two options contradict
            each other.
    """
    found = declared(type(options))
    for one in found:
        value = getattr(options, one.name)
        if one.repeated and not isinstance(value, tuple | list):
            raise UsageError(f"{one.flag} must be a list of {_wanted(one)}, not {value!r}")
        for part in value if one.repeated else (value,):
            _check_value(one, part)
    by_name = {one.name: one for one in found}
    for one in found:
        if one.option.goes_with and is_given(one, options):
            _check_relations(one, options, by_name)


def is_given(one: Declared, options: Options) -> bool:
    """Whether an option differs from its default.

    A value from a variable for all programs, such as REDIS_URL, does not count: the user may have set it for other
    programs.
    """
    value = getattr(options, one.name)
    if value == one.default:
        return False
    own = f"RUNQY_LOADER_{one.name.rstrip('_').upper()}"
    return not (one.option.env and value in {os.environ.get(name) for name in (own, *one.option.env)})


def wrong_type(one: Declared, value: Any) -> str | None:
    """What a value from a file must be, where it is of another type; None where its type is right."""
    if one.repeated:
        right = isinstance(value, list) and all(isinstance(part, str) for part in value)
        return None if right else f"a list of {_wanted(one)}"
    if one.option.unit == TIME and not isinstance(value, bool | list | dict):
        return None  # TOML has times, and Unix seconds are numbers
    if isinstance(value, str) and (one.option.unit == DURATION or Path in one.kinds or value in one.choices):
        return None
    return None if _is_of_kind(one, value) else _wanted(one)


def _check_value(one: Declared, value: Any) -> None:
    if value is None:
        if not one.nullable:
            raise UsageError(f"{one.flag} must be {_wanted(one)}, not None")
        return
    if isinstance(value, str) and value in one.choices:
        return
    if not _is_of_kind(one, value):
        raise UsageError(f"{one.flag} must be {_wanted(one)}, not {value!r}")
    problem = _out_of_range(one, value)
    if problem is None and isinstance(value, str) and not value and not one.option.may_be_empty:
        problem = "must not be empty"
    if problem is None and isinstance(value, str) and not _is_utf_8(value):
        problem = "must be UTF-8"
    if problem is None and one.option.rule is not None:
        problem = one.option.rule(value)
    if problem is not None:
        raise UsageError(f"{one.flag} {problem}, not {value!r}")


def _is_utf_8(text: str) -> bool:
    """Whether no byte of an argument was left undecoded: Python keeps such a byte as a surrogate."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _is_of_kind(one: Declared, value: Any) -> bool:
    if isinstance(value, bool):  # a bool is an int as well
        return bool in one.kinds
    if isinstance(value, int) and float in one.kinds:
        return True
    return isinstance(value, one.kinds)


def _wanted(one: Declared) -> str:
    is_path = Path in one.kinds  # the text beside it is a place, see ``loader.outputs.place``
    nouns = [_NOUNS[kind] for kind in one.kinds if not (is_path and kind is str)]
    if one.option.unit == DURATION:
        nouns = ["a duration"]
    if one.option.unit == LIMIT:
        nouns = ["a count such as 100, a share such as 5%, or none"]
    return " or ".join([*nouns, *map(repr, one.choices)]) if nouns else f"one of {', '.join(map(repr, one.choices))}"


def _out_of_range(one: Declared, value: Any) -> str | None:
    """The problem with a number or a duration; None if there is none."""
    option = one.option
    if option.unit == DURATION and isinstance(value, str):
        try:
            value = duration(value, fractions=float in one.kinds)
        except ValueError as error:
            raise UsageError(f"{one.flag}: {error}") from error
    if not isinstance(value, int | float):
        return None
    low, high = option.at_least, option.at_most
    outside = (low is not None and value < low) or (high is not None and value > high) or math.isnan(value)
    if option.above is not None:
        return None if value > option.above and not math.isnan(value) else f"must be above {option.above:g}"
    if not outside:
        return None
    otherwise = "".join(f", or {choice}" for choice in one.choices)
    if low is not None and high is not None:
        return f"must be between {low} and {high}{otherwise}"
    if low == 0:
        return f"must not be negative{otherwise}"
    return f"must be at least {low}{otherwise}" if low is not None else f"must be a number{otherwise}"


def _check_relations(one: Declared, options: Options, by_name: dict[str, Declared]) -> None:
    value = getattr(options, one.name)
    for relation in one.option.goes_with:
        if relation.when not in (ANY, value) or _is_decided_later(relation, options):
            continue
        other = by_name[relation.option]
        if relation.value is ANY:
            is_there, named = is_given(other, options), other.flag
        else:
            is_there = getattr(options, other.name) == relation.value
            named = other.flag if other.is_switch else f"{other.flag} {relation.value}"
        own = one.flag if relation.when is ANY else f"{one.flag} {value}"
        if isinstance(relation, Excludes):
            if is_there:
                raise UsageError(f"{own} and {named} contradict each other", relation.hint)
        elif not is_there and (relation.unless is None or not is_given(by_name[relation.unless], options)):
            raise UsageError(f"{own} needs {named}", relation.hint)


def _is_decided_later(relation: Needs | Excludes, options: Options) -> bool:
    later = relation.later if isinstance(relation, Needs) else None
    return later is not None and bool(getattr(options, relation.option) == later)


def implied(options: Options, name: str) -> tuple[Any, str] | None:
    """The value of an option that is decided later, if other options decide it.

    Args:
        name: Field name of the option that is decided later.

    Returns:
        The value, and the option that needs it, as text for messages; None if no option that is given needs a value.
    """
    found = declared(type(options))
    by_name = {one.name: one for one in found}
    for one in found:
        for relation in one.option.goes_with:
            if not isinstance(relation, Needs) or relation.option != name or relation.later is None:
                continue
            value = getattr(options, one.name)
            if relation.when not in (ANY, value) or not is_given(one, options):
                continue
            if relation.unless is None or not is_given(by_name[relation.unless], options):
                return relation.value, one.flag if relation.when is ANY else f"{one.flag} {value}"
    return None


def check_outputs(objects: Iterable[Options], config: Path | None = None) -> None:
    """Refuses names of files to write that say something else than the file will hold, and two names of one file.

    A file that an option names to be read is not to be written either.

    Args:
        objects: The options. Those that name one file may stand in different objects.
        config: The configuration file, which is not to be written either.

    Raises:
        UsageError: A name is wrong, or two options name the same file.
    """
    objects = list(objects)
    seen: dict[Path, str] = {} if config is None else {Path(os.path.realpath(config)): "--config"}
    read = {Path(os.path.realpath(path)): one.flag for one, path in _paths(objects) if not one.option.writes}
    for one, path in _outputs(objects):
        if not _is_plain(path):
            continue  # a pipe or a device may be named twice, and have any name
        if (wrong := wrong_name(path, one.option.writes)) is not None:
            raise UsageError(f"{one.flag} {path}: {wrong[0]}", wrong[1])
        real = Path(os.path.realpath(path))
        other = seen.setdefault(real, one.flag)
        if other == one.flag and not one.option.may_replace_input:
            other = read.get(real, other)
        if other != one.flag:
            raise UsageError(f"{other} and {one.flag} name the same file {path}", "Give each its own")


def prove_writable(objects: Iterable[Options]) -> None:
    """Makes sure that the files that a run writes can be written, before it begins.

    None is changed. A missing one is created and removed again.

    Raises:
        UsageError: A file cannot be written.
    """
    for one, path in _outputs(objects):
        if (error := why_unwritable(path)) is not None:
            hint = "Create its directory, or name another file" if isinstance(error, FileNotFoundError) else ""
            raise UsageError(
                f"{one.flag} {path} cannot be written: {error.strerror}", hint or "Name a file that can be written"
            )


def _outputs(objects: Iterable[Options]) -> Iterator[tuple[Declared, Path]]:
    """The options that name a file to write, and the path of each."""
    return ((one, path) for one, path in _paths(objects) if one.option.writes)


def _paths(objects: Iterable[Options]) -> Iterator[tuple[Declared, Path]]:
    """The options that name a file, and the path of each."""
    for options in objects:
        for one in declared(type(options)):
            path = getattr(options, one.name)
            if isinstance(path, Path) and str(path) != "-":
                yield one, path


def _is_plain(path: Path) -> bool:
    """Whether this is a file, or nothing yet. What cannot be looked at is told when it is opened."""
    try:
        return path.is_file() or not path.exists()
    except OSError:
        return True


def in_seconds(options: Options, name: str) -> int | None:
    """A duration of an options object in whole seconds; None if it is not given.

    Raises:
        UsageError: The value is not a duration.
    """
    value = getattr(options, name)
    try:
        return None if value is None else seconds(value)
    except ValueError as error:
        raise UsageError(f"{flag_of(name)}: {error}") from error

"""Conversion of option values that a program or a text gives."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from loader.outputs.place import is_place
from loader.settings.option import DURATION, TIME, Declared, Options, declared
from loader.tasks.times import fractional_seconds, seconds


def convert_values(options: Options) -> None:
    """Converts what a program may give instead of an option's own type; for ``__post_init__`` of an options class.

    Paths and durations may be text. A place stays text, where a file or a place may be named. Durations and times may
    be the types of Python's ``datetime``, times also numbers.
    What cannot be converted stays as it is, and ``check_declared`` refuses it.
    """
    for one in declared(type(options)):
        value = getattr(options, one.name)
        converted = _converted(one, value)
        if converted is not value:
            object.__setattr__(options, one.name, converted)


def _converted(one: Declared, value: Any) -> Any:
    if isinstance(value, str):
        if Path in one.kinds:
            is_text = str in one.kinds and (not value or is_place(value))
            return value if is_text else Path(value)
        if one.option.unit == DURATION and str not in one.kinds:
            with suppress(ValueError):  # the check says what is wrong
                return duration(value, fractions=True)
    elif one.option.unit == DURATION and isinstance(value, timedelta):
        number = value.total_seconds()
        return int(number) if number.is_integer() else number
    elif one.option.unit == TIME and isinstance(value, datetime):
        return value.isoformat()
    elif one.option.unit == TIME and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value


def duration(text: str, *, fractions: bool) -> float:
    """The seconds of a duration in text form.

    Args:
        fractions: Whether the seconds need not be whole.

    Raises:
        ValueError: The text is not a duration.
    """
    if fractions:
        try:
            return float(text)
        except ValueError:
            return fractional_seconds(text)  # not a plain number
    return seconds(text)

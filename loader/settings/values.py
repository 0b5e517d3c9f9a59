"""Conversion of option values that a program or a text gives."""

from __future__ import annotations

from pathlib import Path

from loader.settings.option import Options, declared
from loader.tasks.times import seconds


def with_paths(options: Options) -> None:
    """Converts each path that was given as text to a ``Path``; for ``__post_init__`` of an options class."""
    for one in declared(type(options)):
        if Path in one.kinds and isinstance(value := getattr(options, one.name), str):
            object.__setattr__(options, one.name, Path(value))


def duration(text: str, *, fractions: bool) -> float:
    """The seconds of a duration in text form.

    Args:
        fractions: Whether a plain number of seconds may have a fraction.

    Raises:
        ValueError: The text is not a duration.
    """
    if fractions:
        try:
            return float(text)
        except ValueError:
            pass  # not a plain number
    return seconds(text)

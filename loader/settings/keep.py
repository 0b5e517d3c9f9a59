"""How long the record of a finished job is kept (``--keep-job``): a duration, or for ever."""

from __future__ import annotations

from loader.tasks.times import seconds

FOREVER = "forever"
KEEP_JOB = "30d"
"""The default."""


def keep_seconds(text: str) -> int | None:
    """The value of ``--keep-job`` in seconds; None for ever.

    Raises:
        ValueError: The text is no duration, or is 0.
    """
    if text == FOREVER:
        return None
    if not (kept := seconds(text)):
        raise ValueError(f"must be longer than 0, or {FOREVER}")
    return int(kept)


def keep_problem(text: str) -> str | None:
    """What is wrong with a value of ``--keep-job``; None if nothing is. A ``Rule`` of the option."""
    try:
        keep_seconds(text)
    except ValueError as error:
        return f"must be a duration such as 30d, or {FOREVER}" if "no duration" in str(error) else str(error)
    return None

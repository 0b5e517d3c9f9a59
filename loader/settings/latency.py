"""The value of ``--max-latency``: a short time with its unit."""

from __future__ import annotations

from loader.tasks.times import fractional_seconds

_LONGEST = 60.0


def latency_seconds(text: str) -> float:
    """The seconds of a text such as ``20ms``. The unit is needed: other options count in seconds.

    Raises:
        ValueError: The text has another form, or is out of range.
    """
    has_unit = not text.strip()[-1:].isdigit()
    try:
        seconds = fractional_seconds(text) if has_unit else None
    except ValueError:
        seconds = None
    if seconds is None:
        raise ValueError("must be a time with its unit, such as 20ms")
    if not 0 < seconds <= _LONGEST:
        raise ValueError(f"must be above 0 and at most {_LONGEST:.0f}s")
    return seconds


def latency_problem(text: str) -> str | None:
    """What is wrong with a value of ``--max-latency``; None if nothing is. A ``Rule`` of the option."""
    try:
        latency_seconds(text)
    except ValueError as error:
        return str(error)
    return None

"""How many records may be rejected (``--max-errors``): a count, a share, or any number."""

from __future__ import annotations

import re
from dataclasses import dataclass

FIRST_RECORDS = 1000
"""A share, and the name of --queue-field, are judged from this many records on, and at the end of the input."""

UNLIMITED = "none"
_COUNT = re.compile(r"[0-9]+", re.ASCII)
_SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?)%", re.ASCII)


@dataclass(frozen=True, slots=True)
class ErrorLimit:
    """The limit that an option sets.

    Attributes:
        count: The number of rejected records that is allowed; None if the limit is a share, or there is none.
        percent: The share of rejected records that is allowed; None if the limit is a count, or there is none.
        text: The option as it was given; '' if it was not given.
    """

    count: int | None = None
    percent: float | None = None
    text: str = ""

    def is_exceeded(self, rejected: int, read: int, *, all_read: bool = False) -> bool:
        """Whether more records are rejected than allowed.

        Args:
            read: The number of records read so far.
            all_read: Whether there are no more.
        """
        if self.count is not None:
            return rejected > self.count
        if self.percent is None or not (all_read or read >= FIRST_RECORDS):
            return False
        return 100 * rejected > self.percent * read


def error_limit(value: int | str | None) -> ErrorLimit:
    """The limit of an option's value.

    Raises:
        ValueError: The value is none of the forms; the message says what is wrong.
    """
    if value is None:
        return ErrorLimit()
    text = str(value)
    if text == UNLIMITED:
        return ErrorLimit(text=text)
    if isinstance(value, int):
        if value < 0:
            raise ValueError("must not be negative")
        return ErrorLimit(count=value, text=text)
    if _COUNT.fullmatch(text):
        return ErrorLimit(count=int(text), text=text)
    share = _SHARE.fullmatch(text)
    if share is None:
        if text.startswith("-"):
            raise ValueError("must not be negative")
        raise ValueError("must be a count such as 100, a share such as 5%, or none")
    if float(share[1]) > 100:
        raise ValueError("must be a share of at most 100%")
    return ErrorLimit(percent=float(share[1]), text=text)


def problem(value: int | str) -> str | None:
    """What is wrong with an option's value; None if it is a limit. A ``Rule`` of the option."""
    try:
        error_limit(value)
    except ValueError as error:
        return str(error)
    return None

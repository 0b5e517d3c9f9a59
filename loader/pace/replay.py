"""Due times from times that are recorded in the records."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from loader.errors import UsageError

_UNITS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (1e20, 1e9))
"""Numbers below each of these are in seconds, ms, µs and ns since 1970: the years to 5138."""

_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ].*)?", re.ASCII)

_SPEED = re.compile(r"([0-9]+(?:\.[0-9]+)?)x?")

log = logging.getLogger("runqy_loader")


def speed(text: str) -> float:
    """How many times as fast as recorded: of a text such as ``2x`` or ``0.5``.

    Raises:
        ValueError: The text is no number above 0.
    """
    found = _SPEED.fullmatch(text.strip())
    if found is None or not float(found[1]):
        raise ValueError(f"{text!r} is no speed: write such as 2x or 0.5x")
    return float(found[1])


class Replay:
    """The course that keeps the gaps between recorded times. See ``Course``.

    A record whose time is before that of an earlier record, and one without a time, is due together with the record
    before it.

    Args:
        field: The field of the records that has the time; parts of a nested one are joined by dots.
        speed: By how much the gaps are divided.

    Attributes:
        without_time: The number of records without a time that were sent.
    """

    def __init__(self, field: str, speed: float) -> None:
        self._field = field
        self._speed = speed
        self._start = 0.0
        self._first: float | None = None  # the recorded time that is due at the start
        self._goes_on = False  # whether the next recorded time is due at the start
        self._latest = 0.0  # the latest recorded time so far
        self._read: tuple[Sequence[bytes], Sequence[float | None]] = ((), ())
        self.is_started = False
        self.without_time = 0

    def start(self, now: float) -> None:
        self._start = now
        self.is_started = True

    def go_on(self, now: float, saved: float = 0.0) -> None:
        self._start, self._goes_on = now, True
        self.is_started = True

    def saved(self, now: float) -> float:
        return 0.0  # only the records tell

    def due(self, records: Sequence[bytes]) -> float:
        return self._due_times(records)[0][-1]

    def take(self, records: Sequence[bytes]) -> Sequence[float]:
        times, self._first, self._latest = self._due_times(records)
        missing = (recorded := self._recorded(records)).count(None)
        self._goes_on = self._goes_on and missing == len(recorded)
        if missing and not self.without_time:
            log.warning("a record has no time in %s: it and others like it are due at once", self._field)
        self.without_time += missing
        return times

    def shift(self, seconds: float) -> None:
        self._start += seconds

    def rate(self, now: float) -> float | None:
        return None

    def overdue(self, now: float) -> int:
        return 0

    def _due_times(self, records: Sequence[bytes]) -> tuple[list[float], float | None, float]:
        """The due times of the next records, and after them: the recorded time due at the start, and the latest one.

        Raises:
            UsageError: The first of all records has no time.
        """
        first, latest = (None, 0.0) if self._goes_on else (self._first, self._latest)
        times: list[float] = []
        for found in self._recorded(records):
            if first is None:
                if found is None and self._goes_on:  # not the first of all records
                    times.append(self._start)
                    continue
                if found is None:
                    raise UsageError(
                        f"--replay {self._field}: the first record to send has no time in this field",
                        "Name a field with RFC 3339 text, or a number of seconds, ms, µs or ns since 1970; "
                        "see docs/pace.md",
                    )
                first = latest = found
            if found is not None and found > latest:
                latest = found
            times.append(self._start + (latest - first) / self._speed)
        return times, first, latest

    def _recorded(self, records: Sequence[bytes]) -> Sequence[float | None]:
        """The recorded times. They are read once, although a delivery that waits is asked for again and again."""
        if self._read[0] is not records:
            self._read = (records, [recorded_time(record, self._field) for record in records])
        return self._read[1]


def recorded_time(record: bytes, field: str) -> float | None:
    """Unix time in seconds that a record has in a field; None if it has none there.

    A field whose own name has dots comes before a nested one. Text without an offset from UTC is in UTC.
    """
    try:
        value: Any = orjson.loads(record)
    except orjson.JSONDecodeError:  # --accept-any-json
        return None
    if isinstance(value, dict) and field in value:
        return _seconds(value[field])
    for name in field.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return _seconds(value)


def _of_text(text: str) -> float | None:
    """Unix time of RFC 3339 text. ``fromisoformat`` alone takes any separator, and digits for a date."""
    if _DATE.fullmatch(text) is None:
        return None
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, str):
        text = value.strip()
        if _NUMBER.fullmatch(text) is None:
            return _of_text(text)
        value = float(text)  # a cell of a CSV file
    return next((value / divisor for limit, divisor in _UNITS if 0 <= value < limit), None)

"""Files of rates over time."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from loader.errors import UsageError
from loader.pace.rates import Profile, duration, rate, through

_ZERO = re.compile(r"0+(\.0*)?s?|\.0+s?")
_BEGINS_A_NUMBER = frozenset("0123456789+-.")
_EXAMPLE = "Each line is a time and a rate, such as 60,500 or 1m,500/s; see docs/pace.md"


def read_rate_file(path: Path) -> Profile:
    """The profile of a CSV file of time and rate. A first line is a heading if no cell begins like a number.

    Raises:
        UsageError: It cannot be read, or is not such a file.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise UsageError(f"--rate-file {path} cannot be read: {error.strerror}", "Check the path") from None
    return _read(path, (found.st_ino, found.st_size, found.st_mtime_ns))


@lru_cache(maxsize=4)
def _read(path: Path, state: tuple[int, int, int]) -> Profile:
    """Reads the file. A changed one has another state, and is read again."""
    if not path.is_file():
        raise UsageError(
            f"--rate-file {path} is not a file", "Write the rates to a file first: it is read several times"
        )
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            return through(f"rates of {path.name}", _points(lines))
    except OSError as error:
        raise UsageError(f"--rate-file {path} cannot be read: {error.strerror}", "Check the path") from None
    except UnicodeDecodeError:
        raise UsageError(f"--rate-file {path} is no text in UTF-8", _EXAMPLE) from None
    except (ValueError, csv.Error) as error:
        raise UsageError(f"--rate-file {path}: {error}", _EXAMPLE) from None


def _points(lines: Iterable[str]) -> list[tuple[float, float]]:
    """Seconds and tasks a second of each line that has something.

    Raises:
        ValueError: A line is wrong, or there is none.
    """
    points: list[tuple[float, float]] = []
    for number, row in enumerate(csv.reader(lines), 1):
        if not any(cell.strip() for cell in row) or (number == 1 and _is_heading(row)):
            continue
        try:
            points.append(_point(row))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        if len(points) > 1 and points[-1][0] < points[-2][0]:
            raise ValueError(f"line {number}: the time is before that of the line before")
    if not points:
        raise ValueError("there is no rate in it")
    return points


def _is_heading(row: Sequence[str]) -> bool:
    return not any(cell.strip()[:1] in _BEGINS_A_NUMBER for cell in row if cell.strip())


def _point(row: list[str]) -> tuple[float, float]:
    if len(row) != 2:
        raise ValueError(f"it has {len(row)} columns, not 2")
    moment = row[0].strip()
    return 0.0 if _ZERO.fullmatch(moment) else duration(moment), rate(row[1])

"""Every option of ``generate``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from loader.errors import UsageError
from loader.settings.check import check_declared
from loader.settings.generate_fields import FIRST, SEED
from loader.settings.generate_fields import RECORDS as COUNTED
from loader.settings.option import COUNT, DURATION, Excludes, Needs, Option
from loader.settings.shared import OUTPUT
from loader.settings.values import convert_values

_HOW_MANY = "How many"
_LIKE = "Template from a sample"
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_SIZE = re.compile(r"([0-9]+) ?([A-Za-z]*)", re.ASCII)
_NO_RECORDS = "--like prints a template, and makes no records"

_OF_RECORDS = tuple(
    Excludes(name, hint=_NO_RECORDS) for name in ("count", "bytes", "duration", "first", "seed", "output")
)


def size_of(text: str) -> int | None:
    """Bytes of a size such as 10GB (10^9) or 10GiB (2^30); None if the text is none."""
    found = _SIZE.fullmatch(text)
    unit = None if found is None else _UNITS.get(found[2].upper())
    return None if found is None or unit is None else int(found[1]) * unit


def _size_problem(text: str) -> str | None:
    return None if size_of(text) else "must be a size such as 500MB, 10GB or 4096"


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateOptions:
    """Options of ``generate``. Field names are the long options of the command line with underscores."""

    count: Annotated[int | None, COUNTED.but(group=_HOW_MANY, goes_with=(Excludes("bytes"), Excludes("duration")))] = (
        None
    )
    bytes: Annotated[
        str | None,
        Option(
            help="Stop with the record that reaches this size, such as 10GB; before compression.",
            group=_HOW_MANY,
            unit="SIZE",
            rule=_size_problem,
            goes_with=(Excludes("duration"),),
        ),
    ] = None
    duration: Annotated[
        float | None,
        Option(
            help="Stop after this time, such as 10s. The closing line says how many records it were.",
            group=_HOW_MANY,
            unit=DURATION,
            above=0,
        ),
    ] = None
    first: Annotated[int, FIRST.but(group=_HOW_MANY)] = 1
    seed: Annotated[int, SEED.but(group=_HOW_MANY)] = 1
    output: Annotated[Path, OUTPUT] = Path("-")
    like: Annotated[
        Path | None,
        Option(
            help="Print a template for records like those of this file: names of members, types, sizes and ranges. No "
            "other value of the file is in it.",
            group=_LIKE,
            unit="FILE",
            goes_with=_OF_RECORDS,
        ),
    ] = None
    sample: Annotated[
        int,
        Option(
            help="Learn from the first records, so many.",
            group=_LIKE,
            unit=COUNT,
            at_least=1,
            goes_with=(Needs("like"),),
        ),
    ] = 10_000

    def __post_init__(self) -> None:
        convert_values(self)

    def check(self, templates: int) -> None:
        """Raises UsageError if a value is not what its option takes, or two options contradict each other.

        Args:
            templates: How many templates are named.
        """
        check_declared(self)
        if self.like is not None:
            if templates:
                raise UsageError("--like and a template contradict each other", _NO_RECORDS)
            return
        if templates != 1:
            raise UsageError(f"generate takes one template, not {templates}", "Name it, or give --like FILE to get one")
        if self.count is None and self.bytes is None and self.duration is None:
            raise UsageError("how many records is not given", "Give --count, --bytes or --duration")

"""Rows of a file of columns, on their way to batches."""

from __future__ import annotations

from dataclasses import dataclass, field

from loader.tasks.reasons import Reason


@dataclass(frozen=True, slots=True)
class Rows:
    """Consecutive rows of a file.

    Attributes:
        row: The number of the first one in the file, from 0.
        records: Their objects.
        refused: Why there is no JSON of a row, by index. ``records`` has what the rejects file shows.
    """

    row: int
    records: list[bytes]
    refused: dict[int, Reason] = field(default_factory=dict)

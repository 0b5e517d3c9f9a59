"""Rows of values become JSON objects, a column at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from loader.settings.tables import TableOptions
from loader.sources.tables.fault import without_faults
from loader.sources.tables.members import ObjectText
from loader.sources.tables.rows import Rows

Render = Callable[[Any], str]
"""Makes the JSON text of a value that is not null. What JSON does not have stands between two ``FAULT``."""


class RowText:
    """Makes objects of rows.

    Args:
        names: The columns. Each is another.
        renders: How the values of each become text.
    """

    def __init__(self, names: Sequence[str], renders: Sequence[Render], options: TableOptions) -> None:
        self._renders = renders
        self._object_text = ObjectText(names, omits_nulls=options.nulls == "omit")

    def rows(self, first: int, rows: Sequence[Sequence[Any]]) -> Rows:
        """The objects of rows, of which there is at least one.

        Args:
            first: The number of the first one, from 0.
        """
        # Hot path: a loop for each column, and one for all rows.
        texts = [
            ["null" if value is None else render(value) for value in column]
            for render, column in zip(self._renders, zip(*rows, strict=True), strict=True)
        ]
        records = [one.encode() for one in map(self._object_text.of, zip(*texts, strict=True))]
        return Rows(first, records, without_faults(records))

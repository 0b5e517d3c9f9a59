"""Rows of values become JSON objects, a column at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from json.encoder import encode_basestring
from typing import Any

from loader.settings.tables import TableOptions
from loader.sources.tables.fault import FAULT, fault
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
        self._keys = [encode_basestring(name) for name in names]
        self._renders = renders
        self._omits = options.nulls == "omit"
        self._fill = ("{" + ",".join(f"{key.replace('%', '%%')}:%s" for key in self._keys) + "}").__mod__

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
        objects = map(self._without_nulls if self._omits else self._fill, zip(*texts, strict=True))
        records = [one.encode() for one in objects]
        refused = {}
        mark = FAULT.encode()
        for index, record in enumerate(records):
            if mark in record:
                records[index], refused[index] = fault(record)
        return Rows(first, records, refused)

    def _without_nulls(self, texts: Sequence[str]) -> str:
        pairs = zip(self._keys, texts, strict=True)
        return "{" + ",".join(f"{key}:{text}" for key, text in pairs if text != "null") + "}"

"""The key by which rows are ordered: which columns it has, and that it rises from row to row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import gt, itemgetter, lt
from typing import Any

from loader.errors import SourceError, UsageError
from loader.sources.sql.query import SqlQuery
from loader.sources.sql.statement import Dialect, OrderItem, Select, key_items

Rank = Callable[[Any], Any]
"""Makes of a value what Python orders as the database orders the values; None of a value of which this is not known:
text, above all, whose order depends on the collation."""


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """A column of the key.

    Attributes:
        index: Its index among the columns of a row.
        name: Its name in the query.
        falls: Whether the order is descending.
    """

    index: int
    name: str
    falls: bool = False


def key_of(query: SqlQuery, select: Select, names: Sequence[str]) -> list[KeyColumn]:
    """The columns of the key: those that ``--sql-key`` names, or else those of ORDER BY.

    Args:
        select: What is known of the query.
        names: The output columns of the query.

    Raises:
        UsageError: The key is not among the columns.
    """
    wanted = select.order if query.key is None else key_items(query.key, Dialect.of(query.scheme))
    hint = f"Give --sql-key with the output columns that the rows are ordered by; there are: {', '.join(names)}"
    found: list[KeyColumn] = []
    for item in wanted:
        index = None if item is None else _index(item, names, select.columns)
        if item is None or index is None:
            what = (
                "an expression" if item is None else f"{'.'.join(item.column) or item.name}, which is no output column"
            )
            if query.key is None:
                raise UsageError(f"--sql is ordered by {what}, so that its key is not known", hint)
            raise UsageError(f"--sql-key names {what}", f"Output columns are: {', '.join(names)}")
        found.append(KeyColumn(index, names[index], item.falls))
    return found


def _index(item: OrderItem, names: Sequence[str], output: Sequence[tuple[str, ...]]) -> int | None:
    if item.column:  # SQL takes it for no output column, so it must be one that is this column
        return output.index(item.column) if item.column in output and len(output) == len(names) else None
    if item.name.isdigit() and not item.exact:
        number = int(item.name)
        return number - 1 if 1 <= number <= len(names) else None
    if item.name in names:
        return names.index(item.name)
    alike = [index for index, name in enumerate(names) if name.lower() == item.name.lower()]
    return alike[0] if len(alike) == 1 and not item.exact else None


class RisingKey:
    """Checks that the key of each row is another than that of the row before, and comes after it where that is known.

    If the database orders by the key, equal keys are neighbours. So keys of which no two neighbours are equal are
    unique, also where their order itself cannot be checked.

    Args:
        name: The source, for messages.
        key: At least one column.
        ranks: The ``Rank`` of each of them.
    """

    def __init__(self, name: str, key: Sequence[KeyColumn], ranks: Sequence[Rank]) -> None:
        self._name = name
        self._key = key
        self._ranks = ranks
        self._last: Sequence[tuple[Any, Any]] | None = None  # value and rank of each column in the last row
        self._row = 0

    def check(self, rows: Sequence[Sequence[Any]]) -> None:
        """Checks the next rows.

        Raises:
            SourceError: A key is NULL, not unique, or does not rise.
        """
        if not rows or self._is_plain(rows):
            return
        for row in rows:
            self._row += 1
            here: list[tuple[Any, Any]] = []
            for column, rank in zip(self._key, self._ranks, strict=True):
                value = row[column.index]
                if value is None:
                    raise SourceError(
                        f"{self._name}: row {self._row}: {column.name} is NULL, and it is the key of --sql",
                        "Leave such rows out (WHERE … IS NOT NULL), or order by other columns and name them by "
                        "--sql-key",
                    )
                here.append((value, rank(value)))
            if self._last is not None:
                self._compare(self._last, here)
            self._last = here

    def _is_plain(self, rows: Sequence[Sequence[Any]]) -> bool:
        """Whether the key is one column whose ranks rise in all these rows: the usual case, a loop in C."""
        if len(self._key) > 1:
            return False
        (column,), (rank,) = self._key, self._ranks
        values = list(map(itemgetter(column.index), rows))
        if None in values:
            return False
        ranks = list(map(rank, values))
        before = ranks if self._last is None else [self._last[0][1], *ranks]
        if None in before or len(set(map(type, before))) > 1:
            return False
        if not all(map(gt if column.falls else lt, before, before[1:])):
            return False
        self._last = [(values[-1], ranks[-1])]
        self._row += len(rows)
        return True

    def _compare(self, last: Sequence[tuple[Any, Any]], here: Sequence[tuple[Any, Any]]) -> None:
        for column, (old, before), (new, after) in zip(self._key, last, here, strict=True):
            known = before is not None and after is not None and type(before) is type(after)
            if old == new or (known and before == after):
                continue
            if known and (after < before) is not column.falls:
                way = "fall below" if column.falls else "rise above"
                raise SourceError(
                    f"{self._name}: row {self._row}: its key {self._shown(here)} does not {way} "
                    f"{self._shown(last)} of the row before",
                    "Order by the key, and name all columns of the order, if it has more of them, by --sql-key",
                )
            return
        raise SourceError(
            f"{self._name}: row {self._row} has the same key as the row before: {self._shown(here)}",
            "Order by columns that are unique together: add the primary key to ORDER BY",
        )

    def _shown(self, values: Sequence[tuple[Any, Any]]) -> str:
        return ", ".join(f"{one.name} {_short(value)}" for one, (value, _) in zip(self._key, values, strict=True))


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 40 else f"{text[:40]}…"

"""The key rises from row to row: compared with what Python says of all pairs of neighbours."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.errors import SourceError
from loader.sources.sql.order import KeyColumn, Rank, RisingKey
from loader.sources.sql.postgres_text import rank_of

TEXT: Rank = rank_of("text")


def first_fault(rows: list[tuple[Any, ...]], falls: list[bool], ranks: list[Rank], cuts: list[int]) -> int | None:
    """The number of the row that is refused, if the rows come in these pieces."""
    key = [KeyColumn(index, f"c{index}", one) for index, one in enumerate(falls)]
    rising = RisingKey("s", key, ranks)
    bounds = [0, *sorted(cut % (len(rows) + 1) for cut in cuts), len(rows)]
    for start, end in pairwise(bounds):
        try:
            rising.check(rows[start:end])
        except SourceError as error:
            return int(str(error).partition("row ")[2].replace(",", "").split(" ")[0].rstrip(":"))
    return None


NUMBERS = st.integers(-3, 3)
CUTS = st.lists(st.integers(0, 20), max_size=4)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=12), st.tuples(st.booleans(), st.booleans()), CUTS, st.booleans())
def test_the_first_row_that_does_not_rise_is_refused(
    rows: list[tuple[int, int]], falls: tuple[bool, bool], cuts: list[int], ordered: bool
) -> None:
    if ordered:
        rows = sorted(set(rows), key=lambda row: [-n if down else n for n, down in zip(row, falls, strict=True)])
    signed = [[-n if down else n for n, down in zip(row, falls, strict=True)] for row in rows]
    wanted = next((n + 1 for n in range(1, len(rows)) if not signed[n - 1] < signed[n]), None)
    texts = [tuple(map(str, row)) for row in rows]
    assert first_fault(texts, list(falls), [int, int], cuts) == wanted
    assert not ordered or wanted is None


@given(st.lists(NUMBERS, max_size=12), st.booleans(), CUTS)
def test_a_key_of_one_column_is_checked_in_the_same_way(rows: list[int], falls: bool, cuts: list[int]) -> None:
    wanted = next((n + 1 for n in range(1, len(rows)) if (rows[n] - rows[n - 1]) * (-1 if falls else 1) <= 0), None)
    assert first_fault([(str(row),) for row in rows], [falls], [int], cuts) == wanted


@given(st.lists(st.tuples(st.sampled_from("abA"), NUMBERS), max_size=12), CUTS)
def test_of_text_only_equality_is_known(rows: list[tuple[str, int]], cuts: list[int]) -> None:
    def rises(old: tuple[str, int], new: tuple[str, int]) -> bool:
        return old[0] != new[0] or old[1] < new[1]

    wanted = next((n + 1 for n in range(1, len(rows)) if not rises(rows[n - 1], rows[n])), None)
    texts = [(text, str(number)) for text, number in rows]
    assert first_fault(list(texts), [False, False], [TEXT, int], cuts) == wanted


@pytest.mark.parametrize(
    ("kind", "rising"),
    [
        ("numeric", ["-Infinity", "-1", "0.5", "0.50001", "Infinity", "NaN"]),
        ("float8", ["-Infinity", "-1e+300", "0", "1e-300", "Infinity", "NaN"]),
        ("timestamptz", ["2026-01-01 00:00:00+00", "2026-01-01 00:00:00.5+00", "2026-01-01 00:00:00.55+00"]),
        ("timestamp", ["2026-01-01 00:00:00", "2026-01-01 00:00:00.000001", "2026-01-01 00:00:01"]),
        ("date", ["0001-01-01", "2026-11-28", "2026-11-29"]),
        ("bytea", ["\\x", "\\x00", "\\x0001", "\\x01"]),
        ("bool", ["f", "t"]),
        ("time", ["00:00:00", "23:59:59.9", "24:00:00"]),
    ],
)
def test_texts_of_postgresql_are_ordered_as_its_values_are(kind: str, rising: list[str]) -> None:
    rows = [(text,) for text in rising]
    assert first_fault(list(rows), [False], [rank_of(kind)], []) is None
    assert first_fault(rows[::-1], [False], [rank_of(kind)], []) == 2
    assert first_fault(rows[::-1], [True], [rank_of(kind)], []) is None


def test_moments_of_which_the_order_is_not_known_are_compared_for_equality() -> None:
    rank = rank_of("date")
    assert (
        first_fault([("-infinity",), ("0044-03-15 BC",), ("2026-01-01",), ("infinity",)], [False], [rank], []) is None
    )
    assert first_fault([("infinity",), ("infinity",)], [False], [rank], []) == 2


def test_a_null_in_the_key_is_refused() -> None:
    assert first_fault([("1", "2"), ("2", None)], [False, False], [int, int], []) == 2
    assert first_fault([("1",), (None,)], [False], [int], []) == 2

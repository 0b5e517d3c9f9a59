"""Values of Python drivers as JSON: the second table of docs/sql.md."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.settings.tables import TableOptions
from loader.sources.sql.row_text import RowText
from loader.sources.sql.value_text import rank, render_of
from loader.tasks.reasons import ReasonCode

INDIA = timezone(timedelta(hours=5, minutes=30))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (9007199254740993, "9007199254740993"),
        (1.0, "1.0"),
        (1e300, "1e+300"),
        (float("nan"), "null"),
        (Decimal("1.50"), "1.50"),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("Infinity"), "null"),
        (True, "true"),
        ('caf\u00e9 "1"\n', '"caf\u00e9 \\"1\\"\\n"'),
        (b"\xff\x00", '"/wA="'),
        (memoryview(b"\xff\x00"), '"/wA="'),
        (datetime(2026, 11, 28, 12), '"2026-11-28T12:00:00.000000"'),
        (datetime(2026, 11, 28, 12, tzinfo=UTC), '"2026-11-28T12:00:00.000000Z"'),
        (datetime(2026, 11, 28, 12, tzinfo=INDIA), '"2026-11-28T12:00:00.000000+05:30"'),
        (date(2026, 11, 28), '"2026-11-28"'),
        (time(12, 0, 0, 500000), '"12:00:00.500000"'),
        (timedelta(seconds=1.5), '"PT1.500000S"'),
        (timedelta(days=-1), '"-PT86400.000000S"'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
    ],
)
def test_values_become_text_by_their_type(value: Any, text: str) -> None:
    assert render_of("null")(value) == text


VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=5), st.sampled_from(["keep", "omit"]))
def test_rows_are_what_json_makes_of_them(rows: list[tuple[Any, Any]], nulls: Any) -> None:
    names = ["a%s", 'b"']
    text = RowText(names, [render_of("null")] * 2, TableOptions(nulls=nulls))
    found = text.rows(7, rows)
    wanted = [dict(zip(names, row, strict=True)) for row in rows]
    if nulls == "omit":
        wanted = [{name: value for name, value in row.items() if value is not None} for row in wanted]
    assert [json.loads(record) for record in found.records] == wanted
    assert (found.row, found.refused) == (7, {})


def test_a_value_of_another_type_is_a_reject() -> None:
    found = RowText(["a"], [render_of("null")], TableOptions()).rows(0, [(1,), ({1},)])
    assert found.records[0] == b'{"a":1}'
    assert found.refused[1].code is ReasonCode.BAD_VALUE
    assert found.refused[1].text == "JSON has no value for a builtins.set"


@pytest.mark.parametrize(
    ("small", "large"),
    [
        (1, 2),
        (1.5, 2.5),
        (Decimal("1.5"), Decimal("1.50001")),
        (b"\x01", b"\x01\x00"),
        (date(2026, 1, 1), date(2026, 1, 2)),
        (datetime(2026, 1, 1, 12, tzinfo=INDIA), datetime(2026, 1, 1, 12, tzinfo=UTC)),
    ],
)
def test_values_are_ordered_as_the_database_orders_them(small: Any, large: Any) -> None:
    assert rank(small) < rank(large)


@pytest.mark.parametrize("value", ["a", float("nan"), UUID(int=1), object()])
def test_of_other_values_the_order_is_not_known(value: Any) -> None:
    assert rank(value) is None

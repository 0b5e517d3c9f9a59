"""Each row of the table of types in docs/tables.md, and values as an independent rendering writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

pa = pytest.importorskip("pyarrow")

from loader.settings.tables import TableOptions  # noqa: E402
from loader.sources.tables.arrow_text import ArrowText  # noqa: E402
from loader.sources.tables.fault import fault  # noqa: E402

DOCS = Path(__file__).parents[4] / "docs" / "tables.md"
NOON = datetime(2026, 11, 28, 12)
LATER = NOON + timedelta(microseconds=1)
AB = pa.struct([("a", pa.int64()), ("b", pa.string())])
TIMES = [NOON, datetime(2026, 7, 1, 12), datetime(1880, 1, 1), None]


def texts(array: Any, **options: Any) -> list[str]:
    """The JSON text of each value; of a null, ``null``. Twice: whole, and as the middle of another array."""
    text = ArrowText(TableOptions(**options))
    whole = [one.decode() for one in text.rows(["x"], [array], len(array))]
    twice = pa.concat_arrays([array, array, array]) if not pa.types.is_union(array.type) else array
    middle = twice.slice(len(array), len(array)) if len(twice) > len(array) else array
    assert [one.decode() for one in text.rows(["x"], [middle], len(array))] == whole
    return [re.sub(r'^\{"x":(.*)\}$', r"\1", one, flags=re.DOTALL) for one in whole]


def of(values: list[Any], *kinds: Any) -> list[Any]:
    return [pa.array(values, kind) for kind in kinds]


def integers(values: list[Any], *kinds: Any) -> list[Any]:
    return [pa.array(values, pa.int64() if kind.bit_width == 64 else pa.int32()).cast(kind) for kind in kinds]


def extension(storage: Any) -> Any:
    class Other(pa.ExtensionType):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__(storage.type, "test.other")

        def __arrow_ext_serialize__(self) -> bytes:
            return b""

        @classmethod
        def __arrow_ext_deserialize__(cls, storage: Any, serialized: bytes) -> Any:
            return cls()

    return pa.ExtensionArray.from_storage(Other(), storage)


ROWS: Mapping[str, list[tuple[Any, list[str]]]] = {
    "`bool`": [(pa.array([True, False, None]), ["true", "false", "null"])],
    "`int8` … `int64`": [
        (pa.array([2**53 + 1, -(2**63), None], pa.int64()), ["9007199254740993", "-9223372036854775808", "null"]),
        *((array, ["-7"]) for array in of([-7], pa.int8(), pa.int16(), pa.int32())),
    ],
    "`uint8` … `uint64`": [
        (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
        *((array, ["7"]) for array in of([7], pa.uint8(), pa.uint16(), pa.uint32())),
    ],
    "`float64`": [
        (
            pa.array([1.0, 0.1, -0.0, 1e16, 1e22, 5e-324, 1.5, None, 123456789.0]),
            ["1.0", "0.1", "-0.0", "1e+16", "1e+22", "5e-324", "1.5", "null", "123456789.0"],
        )
    ],
    "`float32`, `float16`": [
        (pa.array([0.1, 1.0], pa.float32()), ["0.10000000149011612", "1.0"]),
        (pa.array([0.5], pa.float16()), ["0.5"]),
    ],
    "NaN, infinities": [
        (array, ["null", "null", "null", "1.0", "null"])
        for array in of([float("nan"), float("inf"), float("-inf"), 1.0, None], pa.float64(), pa.float32())
    ],
    "`decimal32` … `decimal256`": [
        *((array, ["1.10", "-0.01", "null"]) for array in of([Decimal("1.1"), Decimal("-0.01"), None], *(
            kind(9, 2) for kind in (pa.decimal32, pa.decimal64, pa.decimal128, pa.decimal256)))),
        (pa.array([Decimal("1e-9"), Decimal(0)], pa.decimal128(38, 10)), ["0.0000000010", "0.0000000000"]),
        (pa.array([Decimal("12e3")], pa.decimal128(5, -3)), ["12000"]),
        (pa.array([Decimal("9" * 76)], pa.decimal256(76, 0)), ["9" * 76]),
    ],
    "`string`, `large_string`, `string_view`": [
        (array, ['"café"', '"\\"\\\\\\u0000\\u0001\\n\\u001f/"', "null", '""'])
        for array in of(["café", '"\\\0\1\n\x1f/', None, ""], pa.string(), pa.large_string(), pa.string_view())
    ],
    "`binary`, `large_binary`, `binary_view`, `fixed_size_binary`": [
        (array, ['"/wA="', "null"])
        for array in of([b"\xff\0", None], pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(2))
    ],
    "`date32`, `date64`": [
        (array, ['"2026-11-28"', '"0001-01-01"', "null"])
        for array in of([NOON.date(), date(1, 1, 1), None], pa.date32(), pa.date64())
    ],
    "`time32`, `time64`": [
        *((array, ['"12:00:00.000001"', "null"]) for array in integers([43_200_000_001, None], pa.time64("us"))),
        *((array, ['"12:00:00.000000001"']) for array in integers([43_200_000_000_001], pa.time64("ns"))),
        *((array, ['"12:00:00.001"']) for array in integers([43_200_001], pa.time32("ms"))),
        *((array, ['"12:00:00"']) for array in integers([43_200], pa.time32("s"))),
    ],
    "`timestamp`": [
        (pa.array([LATER, None], pa.timestamp("us")), ['"2026-11-28T12:00:00.000001"', "null"]),
        (pa.array([1], pa.timestamp("ns")), ['"1970-01-01T00:00:00.000000001"']),
        (pa.array([-1], pa.timestamp("ms")), ['"1969-12-31T23:59:59.999"']),
        (pa.array([253402300799], pa.timestamp("s")), ['"9999-12-31T23:59:59"']),
    ],
    "`timestamp` with the zone UTC": [
        (pa.array([NOON, None], pa.timestamp("ms", "UTC")), ['"2026-11-28T12:00:00.000Z"', "null"])
    ],
    "`timestamp` with a zone": [
        (
            pa.array(TIMES, pa.timestamp("s", "Europe/Berlin")),
            ['"2026-11-28T13:00:00+01:00"', '"2026-07-01T14:00:00+02:00"', '"1880-01-01T00:00:00Z"', "null"],
        ),
        (pa.array([0], pa.timestamp("s", "-05:30")), ['"1969-12-31T18:30:00-05:30"']),
    ],
    "`duration`": [
        (pa.array([1500, -1500, None], pa.duration("ms")), ['"PT1.500S"', '"-PT1.500S"', "null"]),
        (pa.array([90], pa.duration("s")), ['"PT90S"']),
        (pa.array([-(2**63)], pa.duration("ns")), ['"-PT9223372036.854775808S"']),
    ],
    "`month_day_nano_interval`": [
        (
            pa.array([(1, 2, 3 * 10**9), (-1, 0, -1), None], pa.month_day_nano_interval()),
            ['"P1M2DT3.000000000S"', '"P-1M0DT-0.000000001S"', "null"],
        )
    ],
    "`struct`": [
        (
            pa.array([{"a": 1, "b": None}, None, {"a": None, "b": "x"}], AB),
            ['{"a":1,"b":null}', "null", '{"a":null,"b":"x"}'],
        ),
        (pa.array([{}, None], pa.struct([])), ["{}", "null"]),
    ],
    "`list`, `large_list`, `fixed_size_list`, `list_view`": [
        *(
            (array, ["[1,null]", "[]", "null", "[2]"])
            for array in of(
                [[1, None], [], None, [2]],
                *(kind(pa.int64()) for kind in (pa.list_, pa.large_list, pa.list_view, pa.large_list_view)),
            )
        ),
        (pa.array([[1, None], None], pa.list_(pa.int64(), 2)), ["[1,null]", "null"]),
        (pa.array([[["a"], None], []], pa.list_(pa.list_(pa.string()))), ['[["a"],null]', "[]"]),
    ],
    "`map` with strings as keys": [
        (
            pa.array([[("a", 1)], None, [], [("b", None), ('"', 2)]], pa.map_(pa.string(), pa.int64())),
            ['{"a":1}', "null", "{}", '{"b":null,"\\"":2}'],
        )
    ],
    "`map` with other keys": [
        (
            pa.array([[(1, "a")], None, [(2, None)]], pa.map_(pa.int64(), pa.string())),
            ['[{"key":1,"value":"a"}]', "null", '[{"key":2,"value":null}]'],
        )
    ],
    "`dictionary`, `run_end_encoded`, `union`": [
        (pa.array(["a", None, "b", "a"]).dictionary_encode(), ['"a"', "null", '"b"', '"a"']),
        (pa.RunEndEncodedArray.from_arrays([2, 3], ["a", None]), ['"a"', '"a"', "null"]),
        (
            pa.UnionArray.from_dense(pa.array([0, 1, 0], pa.int8()), pa.array([0, 0, 1], pa.int32()),
                                     [pa.array(["a", "b"]), pa.array([1])]),
            ['"a"', "1", '"b"'],
        ),
        (
            pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array(["a", "b"]), pa.array([1, 2])]),
            ['"a"', "2"],
        ),
    ],
    "`null`": [(pa.nulls(2), ["null", "null"])],
    "`arrow.uuid`": [
        (
            pa.array([bytes.fromhex("12345678" * 4), None], pa.binary(16)).cast(pa.uuid()),
            ['"12345678-1234-5678-1234-567812345678"', "null"],
        )
    ],
    "`arrow.json`": [(pa.array(['{"a": 1.10}', None]).cast(pa.json_()), ['"{\\"a\\": 1.10}"', "null"])],
    "`arrow.bool8`": [(pa.array([1, 0, None], pa.int8()).cast(pa.bool8()), ["true", "false", "null"])],
    "another extension type": [(extension(pa.array([1, None])), ["1", "null"])],
}  # fmt: skip


def _documented() -> Iterator[tuple[str, str]]:
    """The rows of the table: the type, and the example."""
    _, _, section = DOCS.read_text().partition("| Arrow type |")
    for line in section.splitlines()[2:]:
        if not line.startswith("|"):
            return
        kind, _, example = (cell.strip() for cell in line.strip("|").split(" | "))
        yield kind, example.strip("`")


DOCUMENTED = list(_documented())


def test_each_type_of_the_documentation_has_a_test() -> None:
    assert [kind for kind, _ in DOCUMENTED] == list(ROWS)


@pytest.mark.parametrize(("kind", "example"), DOCUMENTED)
def test_a_type_becomes_what_the_documentation_says(kind: str, example: str) -> None:
    assert ROWS[kind][0][1][0] == example
    for array, expected in ROWS[kind]:
        assert texts(array) == expected, str(array.type)
        for text in expected:
            json.loads(text)


def test_what_is_no_number_is_text_or_a_fault_if_that_is_wanted() -> None:
    array = pa.array([float("nan"), float("inf"), float("-inf"), 1.5, None])
    assert texts(array, nan="string") == ['"NaN"', '"Infinity"', '"-Infinity"', "1.5", "null"]
    records = ArrowText(TableOptions(nan="reject")).rows(["x"], [array], len(array))
    shown = [fault(record) for record in records[:3]]
    assert [record for record, _ in shown] == [b'{"x":NaN}', b'{"x":Infinity}', b'{"x":-Infinity}']
    assert shown[1][1].text == "JSON has no value for Infinity"
    assert records[3:] == [b'{"x":1.5}', b'{"x":null}']


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (pa.array([253402300800], pa.timestamp("s")), "10000-01-01 00:00:00"),
        (pa.array([2932897], pa.int32()).cast(pa.date32()), "10000-01-01"),
        (pa.array([-(10**12)], pa.timestamp("s")), "-29719-"),
        (pa.array([[("a", 1), ("a", 2)]], pa.map_(pa.string(), pa.int64())), '{"a":1,"a":2}'),
    ],
    ids=str,
)
def test_a_value_that_json_does_not_have_is_a_fault(array: Any, told: str) -> None:
    (record,) = ArrowText(TableOptions()).rows(["x"], [array], 1)
    assert fault(record)[1].text.startswith(f"JSON has no value for {told}")


def test_nulls_may_be_left_out_of_objects() -> None:
    inner = pa.struct([("b", pa.int64()), ("c", pa.list_(pa.int64()))])
    table = pa.table(
        {
            "x": pa.array([None, "{,", None]),
            "y": pa.array([{"b": None, "c": [None]}, None, {"b": None, "c": None}], inner),
            "z": pa.array([1, None, None], pa.int64()),
        }
    )
    columns = [column.chunk(0) for column in table.columns]
    assert ArrowText(TableOptions(nulls="omit")).rows(["x", "y", "z"], columns, 3) == [
        b'{"y":{"c":[null]},"z":1}',
        b'{"x":"{,"}',
        b'{"y":{}}',
    ]


# --- an independent rendering --------------------------------------------------------------------------------------

BERLIN = ZoneInfo("Europe/Berlin")
SCALARS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.float64(), st.floats(allow_nan=False, allow_infinity=False)),
    (pa.bool_(), st.booleans()),
    (pa.string(), st.text()),
    (pa.binary(), st.binary()),
    (pa.date32(), st.dates()),
    (pa.decimal128(12, 4), st.decimals(-(10**7), 10**7, places=4)),
    (pa.timestamp("us"), st.datetimes()),
    (pa.timestamp("us", "Europe/Berlin"), st.datetimes(datetime(1900, 1, 1), datetime(2037, 1, 1)).map(
        lambda moment: moment.replace(tzinfo=UTC))),
]  # fmt: skip


@st.composite
def columns(draw: st.DrawFn, depth: int = 2) -> tuple[Any, st.SearchStrategy[Any]]:
    """A type, and its values with nulls."""
    how = draw(st.sampled_from(["scalar", "list", "struct"])) if depth else "scalar"
    if how == "scalar":
        kind, values = draw(st.sampled_from(SCALARS))
        return kind, st.none() | values
    if how == "list":
        kind, values = draw(columns(depth - 1))
        return pa.list_(kind), st.none() | st.lists(values, max_size=3)
    members = [draw(columns(depth - 1)) for _ in range(draw(st.integers(1, 3)))]
    fields = [(f"m{number}", kind) for number, (kind, _) in enumerate(members)]
    drawn = st.fixed_dictionaries({f"m{number}": values for number, (_, values) in enumerate(members)})
    return pa.struct(fields), st.none() | drawn


def rendered(value: Any) -> str:
    """What Python's own types say of a value."""
    match value:
        case dict():
            return "{" + ",".join(f"{json.dumps(name)}:{rendered(one)}" for name, one in sorted(value.items())) + "}"
        case list():
            return "[" + ",".join(map(rendered, value)) + "]"
        case bytes():
            import base64

            return json.dumps(base64.b64encode(value).decode())
        case Decimal():
            return format(value, "f")
        case datetime(tzinfo=None):
            return json.dumps(value.isoformat(timespec="microseconds"))
        case datetime():
            return json.dumps(value.astimezone(BERLIN).isoformat(timespec="microseconds"))
        case date():
            return json.dumps(value.isoformat())
        case float():
            return repr(value)
        case _:
            return orjson.dumps(value).decode()


@given(st.data(), columns())
def test_values_are_those_that_python_writes(data: st.DataObject, column: tuple[Any, st.SearchStrategy[Any]]) -> None:
    kind, strategy = column
    values = data.draw(st.lists(strategy, max_size=8))
    for text, value in zip(texts(pa.array(values, kind)), values, strict=True):
        expected = rendered(value)
        assert json.loads(text) == json.loads(expected)
        assert _doubles_as_python_writes(text) == _doubles_as_python_writes(expected)


def _doubles_as_python_writes(text: str) -> str:
    """A text in which doubles are written in one way.

    Arrow has 1e+10 where Python has 10000000000.0, and 0.00006 where Python has 6e-05.
    """
    doubles = r"-?\d+(\.\d+)?e[+-]?\d+|-?\d{16,}\.0|-?0\.0000\d*[1-9]"
    return re.sub(doubles, lambda found: repr(float(found[0])), text)

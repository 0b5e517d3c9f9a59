"""Parquet and Arrow files, written by the programs that users have them from: rows, places, batches, refusals."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from contextlib import suppress
from copy import copy
from pathlib import Path
from typing import Any

import pytest

from loader.errors import SourceChangedError, SourceError, UsageError
from loader.settings.tables import TableOptions
from loader.sources.base import Source
from loader.sources.codecs.codec import DamagedError
from loader.sources.open_sources import open_sources
from loader.sources.shards import plan
from tests.unit.drain import drain, records

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def opened(path: Path, forced: str | None = None, **options: Any) -> Source:
    (source,) = asyncio.run(open_sources([str(path)], forced, tables=TableOptions(**options)))
    return source


def table(rows: int) -> Any:
    return pa.table({"n": pa.array(range(rows)), "text": pa.array([f'"{number}"' for number in range(rows)])})


def expected(rows: int) -> list[bytes]:
    return [json.dumps({"n": n, "text": f'"{n}"'}, separators=(",", ":")).encode() for n in range(rows)]


def write(folder: Path, form: str, rows: int, part: int) -> Path:
    """A file with row groups or record batches of so many rows."""
    path = folder / f"in.{form}"
    if form == "parquet":
        pq.write_table(table(rows), path, row_group_size=part)
        return path
    new = pa.ipc.new_stream if form == "arrows" else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as file, new(file, table(rows).schema) as writer:
        writer.write_table(table(rows), max_chunksize=part)
    return path


EACH = pytest.mark.parametrize("form", ["parquet", "arrow", "arrows", "feather"])


@EACH
@pytest.mark.parametrize("part", [1, 7, 1000])
def test_each_row_is_a_record_whatever_the_parts_are(tmp_path: Path, form: str, part: int) -> None:
    batches = drain(opened(write(tmp_path, form, 100, part)), batch_size=30)
    assert records(batches) == expected(100)
    assert [len(batch.records) for batch in batches] == [30, 30, 30, 10]
    assert all(batch.is_json for batch in batches)


@EACH
def test_a_row_is_placed_by_its_part(tmp_path: Path, form: str) -> None:
    source = opened(write(tmp_path, form, 100, 7))
    part = "row group" if form == "parquet" else "record batch"
    batches = drain(source, batch_size=30)
    places = [asyncio.run(source.place(batches[1], index)) for index in (0, 4, 5)]
    assert [(place.line, place.byte_offset, place.part) for place in places] == [
        (31, None, f"{part} 5, row 3"),
        (35, None, f"{part} 5, row 7"),
        (36, None, f"{part} 6, row 1"),
    ]
    assert places[0].text == f"{tmp_path / f'in.{form}'}: {part} 5, row 3"


def test_parquet_may_be_cut_between_row_groups_and_its_places_stay(tmp_path: Path) -> None:
    source = opened(write(tmp_path, "parquet", 1000, 100))
    group = pq.ParquetFile(tmp_path / "in.parquet").metadata.row_group(0)
    size = 3 * sum(group.column(index).total_compressed_size for index in range(2))
    cuts = source.cuts(size)
    assert len(cuts) >= 3
    assert plan([source], size) == plan([opened(tmp_path / "in.parquet")], size)
    found: list[bytes] = []

    async def read() -> None:
        for start, end in zip([0, *cuts], [*cuts, None], strict=True):
            async for batch in source.batches(30, 1 << 20, start, end):
                found.extend(batch.records)
                assert batch.start == start  # ids are made of it
                place = await source.place(batch, 0)
                assert place.part == f"row group {(place.line - 1) // 100 + 1}, row {(place.line - 1) % 100 + 1}"
                assert batch.records[0] == expected(1000)[place.line - 1]

    asyncio.run(read())
    assert found == expected(1000)


@EACH
@pytest.mark.parametrize("share", [0.4, 0.7])
def test_a_file_that_is_cut_off_is_damaged(tmp_path: Path, form: str, share: float) -> None:
    path = write(tmp_path, form, 100, 7)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DamagedError, match=rf"in\.{form} cannot be read: .*It is damaged or cut off"):
        drain(opened(path))


@EACH
def test_bytes_that_are_changed_are_never_a_crash(tmp_path: Path, form: str) -> None:
    path = write(tmp_path, form, 100, 7)
    content = path.read_bytes()
    for at in range(8, len(content), max(1, len(content) // 40)):
        path.write_bytes(content[:at] + bytes((content[at] ^ 0x5A,)) + content[at + 1 :])
        with suppress(SourceError):
            drain(opened(path))


def test_nothing_of_a_closed_file_waits_for_the_garbage_collector(tmp_path: Path) -> None:
    path = write(tmp_path, "parquet", 100, 7)
    gc.collect()
    gc.disable()
    try:
        drain(opened(path))
        assert not [one for one in gc.get_objects() if isinstance(one, pq.FileMetaData)]
    finally:
        gc.enable()


def test_a_file_that_changes_while_it_is_read_ends_the_load(tmp_path: Path) -> None:
    path = write(tmp_path, "parquet", 1000, 10)
    source = opened(path)

    async def read() -> None:
        async for _ in source.batches(10, 1 << 20):
            pq.write_table(table(2000), path)

    with pytest.raises(SourceChangedError):
        asyncio.run(read())


@EACH
def test_a_file_is_recognised_by_its_content(tmp_path: Path, form: str) -> None:
    path = write(tmp_path, form, 10, 7).rename(tmp_path / "in.jsonl")
    wanted = "parquet" if form == "parquet" else "arrow"
    with pytest.raises(SourceError, match=rf"looks like \w+.*, not JSON lines\. Give --format {wanted}"):
        opened(path)
    assert records(drain(opened(path, wanted))) == expected(10)
    path.rename(tmp_path / f"lines.{form}").write_bytes(b'{"a":1}\n{"a":2}\n')
    with pytest.raises(SourceError, match=r"looks like JSON lines, not \w+\. Give --format jsonl"):
        opened(tmp_path / f"lines.{form}")


def test_standard_input_cannot_be_parquet() -> None:
    with pytest.raises(UsageError, match="standard input cannot be read as Parquet"):
        asyncio.run(open_sources(["-"], "parquet"))


def test_values_that_json_does_not_have_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1.5, float("nan"), None], "y": ["a", "b\n", "c"]}), tmp_path / "in.parquet")
    (batch,) = drain(opened(tmp_path / "in.parquet", nan="reject"))
    assert batch.records == [b'{"x":1.5,"y":"a"}', b'{"x":NaN,"y":"b\\n"}', b'{"x":null,"y":"c"}']
    assert {index: why.code for index, why in batch.refused.items()} == {1: "bad_value"}


def test_a_zone_that_is_not_known_is_told(tmp_path: Path) -> None:
    _feather(pa.table({"t": pa.array([0], pa.timestamp("s", "Mars/Phobos"))}), tmp_path / "in.feather")
    with pytest.raises(SourceError, match=r"in\.feather: its values cannot be written as JSON: .*Mars/Phobos"):
        drain(opened(tmp_path / "in.feather"))


def test_text_that_is_not_utf_8_is_left_for_the_validation(tmp_path: Path) -> None:
    text = pa.array([b"a\xff\n", b"b"]).cast(pa.string(), safe=False)
    pq.write_table(pa.table({"x": text}), tmp_path / "in.parquet")
    assert records(drain(opened(tmp_path / "in.parquet"))) == [b'{"x":"a\xff\\n"}', b'{"x":"b"}']


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    for path, write_to in ((tmp_path / "in.parquet", pq.write_table), (tmp_path / "in.feather", _feather)):
        write_to(twice, path)
        with pytest.raises(SourceError, match=r"two columns are called 'a'\. Give --columns"):
            drain(opened(path))
        assert records(drain(opened(path, columns=("a", "b")))) == [b'{"a":1,"b":2}']
        with pytest.raises(SourceError, match="it has 2 columns, and --columns 1"):
            drain(opened(path, columns=("a",)))


def _feather(content: Any, path: Path) -> None:
    from pyarrow import feather

    feather.write_feather(content, path, compression="zstd")


def test_a_member_that_is_there_twice_is_told(tmp_path: Path) -> None:
    twice = pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    _feather(pa.table({"x": pa.array([[0]]), "y": twice}), tmp_path / "in.feather")
    with pytest.raises(SourceError, match="column 'y' has two members of the same name"):
        drain(opened(tmp_path / "in.feather"))


def test_no_rows_are_no_records(tmp_path: Path) -> None:
    pq.write_table(table(0), tmp_path / "in.parquet")
    assert drain(opened(tmp_path / "in.parquet")) == []


def test_a_large_value_that_many_rows_share_is_read_in_small_pieces(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": ["y" * 1_000_000] * 300}), tmp_path / "in.parquet")
    sizes = [len(batch.records) for batch in drain(opened(tmp_path / "in.parquet"))]
    assert sum(sizes) == 300
    assert max(sizes) == 2  # each batch ends at 1 MiB


@pytest.mark.parametrize("kind", ["dictionary", "string view", "run ends"])
def test_a_large_value_that_many_rows_share_in_memory_is_made_in_small_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    from loader.sources.tables.arrow_text import ArrowText

    value, rows = "y" * 300_000, 300
    columns = {
        "dictionary": lambda: pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int8()), pa.array([value])),
        "string view": lambda: pa.array([value] * rows, pa.string_view()),
        "run ends": lambda: pa.RunEndEncodedArray.from_arrays(pa.array([rows], pa.int32()), pa.array([value])),
    }
    content = pa.table({"x": columns[kind]()})
    with pa.OSFile(str(tmp_path / "in.arrow"), "wb") as file, pa.ipc.new_file(file, content.schema) as writer:
        writer.write_table(content)
    made: list[int] = []
    lines = ArrowText.lines

    def measured(*given: Any) -> Any:
        text = lines(*given)
        made.append(len(text))
        return text

    monkeypatch.setattr(ArrowText, "lines", measured)

    found = records(drain(opened(tmp_path / "in.arrow")))

    assert (len(found), set(map(len, found))) == (rows, {len(value) + len('{"x":""}')})
    assert max(made) < 6_000_000


def test_warnings_are_told_once_although_an_estimate_reads_a_copy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("runqy_loader"), "propagate", True)
    times = pa.table({"t": pa.array([0] * 100, pa.timestamp("us")), "id": [1.0] * 100})
    pq.write_table(times, tmp_path / "in.parquet", use_deprecated_int96_timestamps=True, row_group_size=10)
    source = opened(tmp_path / "in.parquet")

    assert source.cuts(1)
    for _ in range(2):
        drain(copy(source))
    drain(source)

    told = [record.getMessage().split("column ")[1].partition(" ")[0] for record in caplog.records]
    assert told == ["'t'", "'id'"]


def test_old_times_are_read_beyond_2262_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("runqy_loader"), "propagate", True)
    times = pa.table({"t": pa.array([253402300799999999], pa.timestamp("us"))})
    pq.write_table(times, tmp_path / "in.parquet", use_deprecated_int96_timestamps=True)
    assert records(drain(opened(tmp_path / "in.parquet"))) == [b'{"t":"9999-12-31T23:59:59.999999"}']
    assert "column 't' is INT96" in caplog.text


@pytest.mark.parametrize("name", ["id", "user_id", "orderId"])
def test_ids_that_are_doubles_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(logging.getLogger("runqy_loader"), "propagate", True)
    pq.write_table(pa.table({name: [1.0, None, 3.0], "paid": [1.0, 2.0, 3.0]}), tmp_path / "in.parquet")
    drain(opened(tmp_path / "in.parquet"))
    assert [record.getMessage().partition(" holds")[0] for record in caplog.records] == [
        f"{tmp_path / 'in.parquet'}: column {name!r}"
    ]
    caplog.clear()
    pq.write_table(pa.table({name: [1.5, 2.0]}), tmp_path / "in.parquet")
    drain(opened(tmp_path / "in.parquet"))
    assert not caplog.records


# --- files of other programs ---------------------------------------------------------------------------------------


def test_what_duckdb_writes_is_read_as_duckdb_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    duckdb = pytest.importorskip("duckdb")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "in.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            """copy (select x as n, x + 9007199254740993 as big, (x / 7)::double as d, (x / 7)::decimal(18, 4) as dec,
                'é"' || x as s, x % 2 = 0 as b, [x, null] as l, {'a': x, 'b': [s]} as st, map {s: x} as m,
                timestamp '2026-11-28 12:00:00.123456' + to_hours(x::bigint) as ts, date '2026-11-28' as dt,
                nullif(x, 3) as nu, ('a' || x % 3)::enum('a0', 'a1', 'a2') as e from range(5000) t(x))
                to 'in.parquet' (format parquet, row_group_size 2048)"""
        )
        rows = connection.execute(
            """select n, big, d, dec::varchar, s, b, l, st, m, strftime(ts, '%Y-%m-%dT%H:%M:%S.%f'), dt::varchar, nu, e
                from 'in.parquet'"""
        ).fetchall()
    names = ["n", "big", "d", "dec", "s", "b", "l", "st", "m", "ts", "dt", "nu", "e"]
    found = records(drain(opened(path)))
    assert len(found) == len(rows) == 5000
    for record, row in zip(found, rows, strict=True):
        expected = dict(zip(names, row, strict=True))
        assert f'"dec":{expected.pop("dec")},'.encode() in record
        value = json.loads(record)
        value.pop("dec")
        assert value == expected


def test_a_variant_of_duckdb_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    duckdb = pytest.importorskip("duckdb")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "in.parquet"
    with duckdb.connect() as connection:
        connection.execute("copy (select 1 as n, {'a': 1}::variant as v) to 'in.parquet' (format parquet)")
    with pytest.raises(SourceError, match=r"column 'v' is a VARIANT, .* in DuckDB, v::JSON"):
        drain(opened(path))


@pytest.mark.parametrize("form", ["parquet", "arrow", "csv"])
def test_what_polars_writes_is_read(tmp_path: Path, form: str) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(
        {"n": list(range(3000)), "s": [f'a,"{n}"\nb' for n in range(3000)], "c": ["x", "y", "z"] * 1000},
        schema_overrides={"c": polars.Categorical},
    )
    path = tmp_path / f"in.{form}"
    {"parquet": frame.write_parquet, "arrow": frame.write_ipc, "csv": frame.write_csv}[form](path)
    values = [json.loads(record) for record in records(drain(opened(path)))]
    text = str if form == "csv" else int
    assert values == [{"n": text(n), "s": f'a,"{n}"\nb', "c": "xyz"[n % 3]} for n in range(3000)]

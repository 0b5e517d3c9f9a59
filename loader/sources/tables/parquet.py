"""The format Parquet, row group by row group."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from loader.sources.format import FileSource, Format
from loader.sources.recognition.looks import PARQUET as LOOKS_PARQUET
from loader.sources.tables.table_source import SAMPLE, Part, TableSource, rows_at_once

_READ_BYTES = 1024 * 1024
"""Bytes of a column chunk to read at once: whole ones may be as large as the file."""


class _OpenParquet:
    def __init__(self, path: str) -> None:
        from pyarrow import parquet

        # INT96 has nanoseconds, but as such it wraps after 2262 and before 1677 (pyarrow 26).
        self._file = parquet.ParquetFile(
            path, pre_buffer=False, buffer_size=_READ_BYTES, coerce_int96_timestamp_unit="us"
        )
        self._groups = self._file.metadata
        self.schema: Any = self._file.schema_arrow
        groups = [self._groups.row_group(index) for index in range(self._groups.num_row_groups)]
        self.parts: Sequence[Part] = [Part(group.num_rows, _stored_bytes(group)) for group in groups]
        # Not from ParquetFile.schema: with it, the metadata refers to itself, and waits for the garbage collector.
        columns = [groups[0].column(index) for index in range(groups[0].num_columns)] if groups else []
        dates = [column.path_in_schema for column in columns if column.physical_type == "INT96"]
        self.warnings = [f"column {path!r} is INT96: its times are read in microseconds" for path in dates[:1]]

    def batches(self, part: int) -> Generator[Any, None, None]:
        if part < self._groups.num_row_groups:
            yield from self._file.iter_batches(self._rows_at_once(part), row_groups=[part], use_threads=False)

    def _rows_at_once(self, part: int) -> int:
        group = self._groups.row_group(part)
        size = group.total_byte_size / max(1, group.num_rows)
        columns = [group.column(index) for index in range(group.num_columns)]
        if group.num_rows > SAMPLE and any(column.has_dictionary_page for column in columns):
            # A large value that many rows share is stored once.
            sample = next(self._file.iter_batches(SAMPLE, row_groups=[part], use_threads=False))
            size = max(size, sample.nbytes / max(1, sample.num_rows))
        return rows_at_once(size)

    def close(self) -> None:
        self._file.close()


def _stored_bytes(group: Any) -> int:
    return sum(group.column(index).total_compressed_size for index in range(group.num_columns))


def _of_files(source: FileSource) -> TableSource:
    found = TableSource(source.files[0], _OpenParquet, "row group", "parquet")
    import pyarrow.parquet  # noqa: F401 - a tenth of a second, which belongs to the start, too

    return found


PARQUET = Format(
    "parquet",
    "Parquet",
    (".parquet", ".pq"),
    _of_files,
    instead_of_stdin="Its end is read first: save it as a file",
    takes=frozenset({LOOKS_PARQUET}),
    compressible=False,
    family="parquet",
    table_options=frozenset({"columns", "nan", "nulls"}),
)

"""A source of the rows of a file that is read in parts: row groups, record batches."""

from __future__ import annotations

import logging
import os
from bisect import bisect_right
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing, closing
from itertools import accumulate
from typing import Any, NamedTuple, Protocol

from loader.errors import SourceError
from loader.extras import ExtraName, require
from loader.sources.base import Place
from loader.sources.batch import RawBatch
from loader.sources.codecs.codec import DamagedError
from loader.sources.cuts import cuts_between
from loader.sources.fingerprint import unreadable
from loader.sources.format import InputFile
from loader.sources.read_ahead import read_ahead
from loader.sources.stored_source import StoredSource
from loader.sources.tables.fault import FAULT_MARK, without_faults
from loader.sources.tables.row_batcher import RowBatcher
from loader.sources.tables.rows import Rows

_MOST_ROWS = 8192
"""Rows to make records of at once."""

_PIECE_BYTES = 4 * 1024 * 1024
"""Bytes of rows to make at once, about."""

SAMPLE = 16
"""Rows from which the size of a row is taken, if it may be far larger than it is stored."""

log = logging.getLogger("runqy_loader")


def rows_at_once(size: float) -> int:
    """How many rows to make at once, if each has so many bytes."""
    return max(1, min(_MOST_ROWS, int(_PIECE_BYTES / max(1.0, size))))


class Part(NamedTuple):
    """A part of a file that is read alone: its rows, and its bytes as stored."""

    rows: int
    size: int


class OpenTable(Protocol):
    """An open file. It is used in one thread at a time."""

    @property
    def schema(self) -> Any:
        """The columns: a ``pyarrow.Schema``."""
        ...

    @property
    def warnings(self) -> Sequence[str]:
        """What must be said of the file."""
        ...

    @property
    def parts(self) -> Sequence[Part]:
        """The parts of the file; of a stream, those that were read."""
        ...

    def batches(self, part: int) -> Generator[Any, None, None]:
        """The record batches of a part. Of a stream, parts are read in their order, and after the last there is
        nothing."""
        ...

    def close(self) -> None: ...


class OpenFile(Protocol):
    """Opens a file. Raises what pyarrow raises."""

    def __call__(self, path: str) -> OpenTable: ...


class TableSource(StoredSource):
    """Rows of a file of columns.

    Args:
        open_file: Opens the file.
        part: What parts are called, for people.
        extra: The extra that has the package that reads it.
        has_cuts: Whether the rows of each part are known without reading it, so that the file can be cut.

    Raises:
        UsageError: The package is not installed.
    """

    def __init__(
        self, file: InputFile, open_file: OpenFile, part: str, extra: ExtraName, *, has_cuts: bool = True
    ) -> None:
        require(extra, file.name)
        # This imports pyarrow, which other formats do without: a third of a second, which belongs to the start.
        from loader.sources.tables.arrow_text import ArrowText

        super().__init__(file)
        self._text = ArrowText(file.tables)
        self._path = str(self._stored.path)
        self._open_file = open_file
        self._part = part
        self._has_cuts = has_cuts
        self._parts: Sequence[Part] = ()  # those that are known

    def cuts(self, size: int) -> list[int]:
        """The numbers of parts at which the source may be cut."""
        if not self._has_cuts or self._stored.size <= size:
            return []
        try:
            with closing(self._open()) as table:
                return cuts_between((part.size for part in table.parts), size)
        except DamagedError:
            return []  # it is told when it is read

    async def place(self, raw: RawBatch, index: int) -> Place:
        row, _ = raw.locate(index)
        bounds = [0, *accumulate(part.rows for part in self._parts)]
        part = bisect_right(bounds, row - 1, hi=max(1, len(self._parts))) - 1
        return Place(self._file.name, row, None, f"{self._part} {part + 1}, row {row - bounds[part]}")

    async def batches(
        self, batch_size: int, max_record_bytes: int, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[RawBatch, None]:
        batcher = RowBatcher(batch_size, max_record_bytes, start, makes_json=True)
        async with aclosing(read_ahead(self._pieces(start, end))) as pieces:
            async for rows in pieces:
                for batch in batcher.add(rows):
                    yield batch
        for batch in batcher.finish():
            yield batch

    def _pieces(self, start: int, end: int | None) -> Generator[Rows, None, None]:
        from loader.sources.tables.columns import checked_names, shares_values

        with closing(self._open()) as table:
            names = checked_names(self._file.name, table.schema, self._file.tables)
            shares = shares_values(table.schema)
            self._parts = table.parts
            row = sum(part.rows for part in self._parts[:start])
            number = start
            while end is None or number < end:
                is_there = number < len(table.parts)
                for batch in self._read(table, number):
                    is_there = True
                    self._warn_once(table, names, batch)
                    step = self._rows_at_once(names, batch) if shares else _MOST_ROWS
                    for at in range(0, batch.num_rows, step):
                        rows = self._records(names, batch.slice(at, step), row)
                        row += len(rows.records)
                        yield rows
                if not is_there:
                    return
                self._position += table.parts[number].size
                number += 1
                self._require_unchanged()

    def _warn_once(self, table: OpenTable, names: Sequence[str], batch: Any) -> None:
        from loader.sources.tables.columns import doubtful_ids

        if not self._told:
            self._told.append(True)
            for text in (*table.warnings, *doubtful_ids(names, batch.columns)):
                log.warning("%s: %s", self._file.name, text)

    def _rows_at_once(self, names: Sequence[str], batch: Any) -> int:
        """How many rows of a record batch to make at once whose values are in memory once and in rows many times."""
        sample = batch.slice(0, SAMPLE)
        return rows_at_once(len(self._lines(names, sample)) / max(1, sample.num_rows))

    def _read(self, table: OpenTable, part: int) -> Generator[Any, None, None]:
        import pyarrow as pa

        batches = table.batches(part)
        while True:
            try:
                batch = next(batches, None)
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                self._require_unchanged()
                raise self._damaged(error) from error
            if batch is None:
                return
            yield batch

    def _records(self, names: Sequence[str], batch: Any, row: int) -> Rows:
        lines = self._lines(names, batch)
        records = lines.split(b"\n")[:-1]
        refused = without_faults(records) if FAULT_MARK in lines else {}
        return Rows(row, records, refused)

    def _lines(self, names: Sequence[str], batch: Any) -> bytes:
        import pyarrow as pa

        try:
            return self._text.lines(names, batch.columns, batch.num_rows)
        except (pa.ArrowException, TypeError) as error:  # a type or a time zone that pyarrow does not know
            raise SourceError(
                f"{self._file.name}: its values cannot be written as JSON: {_first_line(error)}",
                "If a time zone is missing, install tzdata; otherwise have the column written as another type",
            ) from error

    def _open(self) -> OpenTable:
        import pyarrow as pa

        self._require_unchanged()
        try:
            return self._open_file(self._path)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> SourceError:
        return DamagedError(
            f"{self._file.name} cannot be read: {_first_line(error)}", "It is damaged or cut off: get it again"
        )

    def _require_unchanged(self) -> None:
        try:
            self._stored.check(os.stat(self._path))  # noqa: PTH116 - the path is text
        except OSError as error:
            raise unreadable(self._file.name, error) from error


def _first_line(error: Exception) -> str:
    """Without a full stop, since more of the sentence follows."""
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__

"""A source of the rows of a file that is read in parts: row groups, record batches."""

from __future__ import annotations

import asyncio
import os
from bisect import bisect_right
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import closing
from itertools import accumulate
from typing import Any, NamedTuple, Protocol

from loader.errors import SourceError
from loader.extras import ExtraName, require
from loader.sources.base import Place, SourceIdentity
from loader.sources.batch import RawBatch
from loader.sources.codecs.codec import DamagedError
from loader.sources.fingerprint import unreadable
from loader.sources.format import InputFile
from loader.sources.tables.row_batcher import RowBatcher
from loader.sources.tables.rows import Rows
from loader.sources.transports.file import StoredFile

MOST_ROWS = 8192
"""Rows to make records of at once."""


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

    def __call__(self, file: InputFile, path: str) -> OpenTable: ...


class TableSource:
    """Rows of a file of columns. Create it in a thread; see ``StoredFile``.

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
        assert file.path is not None  # noqa: S101 - for the type checker
        require(extra, file.name)
        # These import pyarrow, which other formats do without: a third of a second, which belongs to the start.
        from loader.sources.tables.arrow_text import ArrowText
        from loader.sources.tables.columns import checked_names, warn_of_doubles

        self._text = ArrowText(file.tables)
        self._checked_names, self._warn_of_doubles = checked_names, warn_of_doubles
        self._file = file
        self._path = str(file.path)
        self._stored = StoredFile(file.name, file.path)
        self._open_file = open_file
        self._part = part
        self._has_cuts = has_cuts
        self._position = 0
        self._rows: list[int] = []  # of each part that is known
        self._is_looked_at = False

    @property
    def identity(self) -> SourceIdentity:
        return self._stored.identity(self._file.format)

    @property
    def position(self) -> int:
        return self._position

    @property
    def expansion(self) -> int | None:
        return None  # columns are compressed, and each row gets their names

    def cuts(self, size: int) -> list[int]:
        """The numbers of parts at which the source may be cut."""
        found: list[int] = []
        if not self._has_cuts or self._stored.size <= size:
            return found
        try:
            with closing(self._open()) as table:
                parts = table.parts
        except DamagedError:
            return found  # it is told when it is read
        total = 0
        for number, part in enumerate(parts):
            if total >= size:
                found.append(number)
                total = 0
            total += part.size
        return found

    async def place(self, raw: RawBatch, index: int) -> Place:
        row, _ = raw.locate(index)
        bounds = [0, *accumulate(self._rows)]
        part = bisect_right(bounds, row - 1, hi=max(1, len(self._rows))) - 1
        return Place(self._file.name, row, None, f"{self._part} {part + 1}, row {row - bounds[part]}")

    async def batches(
        self, batch_size: int, max_record_bytes: int, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[RawBatch, None]:
        batcher = RowBatcher(batch_size, max_record_bytes, start)
        pieces = self._pieces(start, end)
        # A thread reads the next piece while this one is sent: never more than one ahead.
        ahead = asyncio.ensure_future(asyncio.to_thread(next, pieces, None))
        try:
            while (rows := await asyncio.shield(ahead)) is not None:
                ahead = asyncio.ensure_future(asyncio.to_thread(next, pieces, None))
                for batch in batcher.add(rows):
                    yield batch
            for batch in batcher.finish():
                yield batch
        finally:
            await asyncio.wait([ahead])  # the thread must have finished before the file is closed
            ahead.exception()
            await asyncio.to_thread(pieces.close)

    def _pieces(self, start: int, end: int | None) -> Generator[Rows, None, None]:
        with closing(self._open()) as table:
            names = self._checked_names(self._file.name, table.schema, self._file.tables)
            self._rows = [part.rows for part in table.parts]
            row = sum(self._rows[:start])
            number = start
            while end is None or number < end:
                is_there = number < len(table.parts)
                for batch in self._read(table, number):
                    is_there = True
                    if not self._has_cuts:
                        self._rows = [one.rows for one in table.parts]
                    if not self._is_looked_at:
                        self._is_looked_at = True
                        self._warn_of_doubles(self._file.name, names, batch.columns)
                    for at in range(0, batch.num_rows, MOST_ROWS):
                        rows = self._records(names, batch.slice(at, MOST_ROWS), row)
                        row += len(rows.records)
                        yield rows
                if not is_there:
                    return
                self._position += table.parts[number].size
                number += 1
                self._require_unchanged()

    def _read(self, table: OpenTable, part: int) -> Generator[Any, None, None]:
        import pyarrow as pa

        batches = table.batches(part)
        while True:
            try:
                batch = next(batches, None)
            except (pa.ArrowException, OSError) as error:
                self._require_unchanged()
                raise self._damaged(error) from error
            if batch is None:
                return
            yield batch

    def _records(self, names: Sequence[str], batch: Any, row: int) -> Rows:
        import pyarrow as pa

        from loader.sources.tables.arrow_text import FAULT, fault

        try:
            records = self._text.rows(names, batch.columns, batch.num_rows)
        except (pa.ArrowException, TypeError) as error:  # a type or a time zone that pyarrow does not know
            raise SourceError(
                f"{self._file.name}: its values cannot be written as JSON: {_first_line(error)}",
                "If a time zone is missing, install tzdata; otherwise have the column written as another type",
            ) from error
        refused = {}
        mark = FAULT.encode()
        if any(mark in record for record in records):
            for index, record in enumerate(records):
                if mark in record:
                    records[index], refused[index] = fault(record)
        return Rows(row, records, refused)

    def _open(self) -> OpenTable:
        import pyarrow as pa

        self._require_unchanged()
        try:
            return self._open_file(self._file, self._path)
        except (pa.ArrowException, OSError) as error:
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
    return str(error).splitlines()[0] if str(error) else type(error).__name__

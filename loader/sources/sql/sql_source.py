"""A source of the rows of a query.

The rows are not stored anywhere, so a later run may read others. What a job has loaded of them it compares batch by
batch, as of any input (``Pipeline``). Rows that were added at the end are loaded by the next run.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing
from functools import partial

from loader.errors import SourceError
from loader.settings.tables import TableOptions
from loader.sources.base import Place, SourceIdentity
from loader.sources.batch import RawBatch
from loader.sources.made_source import MadeSource
from loader.sources.read_ahead import in_thread, read_ahead
from loader.sources.sql.open_query import OpenQuery
from loader.sources.sql.opening import Opening
from loader.sources.sql.order import RisingKey, key_of
from loader.sources.sql.query import FORMAT, SqlQuery, digest_of, require_plain_login
from loader.sources.sql.row_text import RowText
from loader.sources.sql.statement import Dialect, select_of
from loader.sources.tables.row_batcher import RowBatcher
from loader.sources.tables.rows import Rows

PIECE_ROWS = 1000
PIECE_BYTES = 1024 * 1024
"""Rows are handed over from the thread that reads them when there are so many of them, or so many bytes."""

_IF_CHANGED = (
    "The rows have changed since: load what is missing by a query of its own, with another --job name; or give another "
    "--job name and --again to load all of them again"
)


class SqlSource(MadeSource):
    """The rows of a query. Create it in a thread: it asks the database for its columns.

    Args:
        opening: Of the same query.

    Raises:
        UsageError: The statement, the key or the address cannot be used, or a package is not installed.
        SourceError: The database cannot be reached, or refuses.
    """

    def __init__(self, query: SqlQuery, tables: TableOptions, opening: Opening) -> None:
        self._query = query
        self._tables = tables
        require_plain_login(query.url)
        self._select = select_of(query.statement, Dialect.of(query.scheme))  # what needs no database is told first
        with opening.opened() as found:
            self._names(found)
            key_of(query, self._select, found.names)
            named = query.shown_url.partition("://")[2].strip("/")  # nothing, if a service file or variables name it
            identity = SourceIdentity(
                query.shown_url if named else found.address,
                FORMAT,
                None,
                digest_of(query, found.address),
                may_grow=True,
                if_changed=_IF_CHANGED,
            )
        super().__init__(identity)

    @classmethod
    async def create(cls, query: SqlQuery, tables: TableOptions) -> SqlSource:
        """Creates one; a cancellation ends what it waits for."""
        opening = Opening(query)
        return await in_thread(partial(cls, query, tables, opening), opening.cancel)

    def cuts(self, size: int) -> list[int]:
        return []

    async def place(self, raw: RawBatch, index: int) -> Place:
        row, _ = raw.locate(index)
        return Place(self._identity.name, row, None, f"row {row}")

    async def batches(
        self, batch_size: int, max_record_bytes: int, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[RawBatch, None]:
        assert start == 0 and end is None  # noqa: S101, PT018 - this source has no cuts
        batcher = RowBatcher(batch_size, max_record_bytes)
        opening = Opening(self._query)
        async with aclosing(read_ahead(self._pieces(opening), opening.cancel)) as pieces:
            async for rows in pieces:
                self._position += sum(map(len, rows.records))
                for batch in batcher.add(rows):
                    yield batch
        for batch in batcher.finish():
            yield batch

    def _names(self, query: OpenQuery) -> Sequence[str]:
        """The names of the members of objects."""
        names, given = query.names, self._tables.columns
        if given and len(given) != len(names):
            raise SourceError(
                f"{self._query.shown_url}: --sql gives {len(names)} columns, and --columns {len(given)}",
                "Correct --columns",
            )
        found = given or names
        if twice := next((name for name in found if list(found).count(name) > 1), None):
            raise SourceError(
                f"{self._query.shown_url}: two columns are called {twice!r}",
                "Name one of them otherwise: … AS name; or give --columns NAME,… with a name for each, in order",
            )
        return found

    def _pieces(self, opening: Opening) -> Generator[Rows, None, None]:
        with opening.opened() as query:
            yield from self._read(query)

    def _read(self, query: OpenQuery) -> Generator[Rows, None, None]:
        text = RowText(self._names(query), query.renders(self._tables.nan), self._tables)
        key = key_of(self._query, self._select, query.names)
        rising = RisingKey(self._identity.name, key, [query.rank(one.index) for one in key])
        row = 0
        records: list[bytes] = []
        piece, size = Rows(row, records), 0
        for chunk in query.chunks():
            rising.check(chunk)
            made = text.rows(row, chunk)
            row += len(chunk)
            piece.refused.update((len(records) + index, why) for index, why in made.refused.items())
            records += made.records
            size += sum(map(len, made.records))
            if len(records) >= PIECE_ROWS or size >= PIECE_BYTES:
                yield piece
                records = []
                piece, size = Rows(row, records), 0
        if records:
            yield piece

"""Reads a query from any database that SQLAlchemy has a dialect for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, CursorResult, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidRequestError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from loader.errors import SourceError, UsageError
from loader.settings.tables import NanMode
from loader.sources.sql.open_query import OpenQuery
from loader.sources.sql.order import Rank
from loader.sources.sql.query import SqlQuery
from loader.sources.sql.refusal import GO_ON, no_columns, no_valid_url, refusal
from loader.sources.sql.row_text import Render
from loader.sources.sql.value_text import rank, render_of

ROWS = 100
"""Rows that the driver is asked for at once, if it has a cursor on the server."""

_ISOLATION = "REPEATABLE READ"
_HINTS = {
    "database is locked": "A program is writing to it: run the same command again",
    "file is not a database": "Check --from",
    "Could not decode to UTF-8": "Leave the row out, or select the column as BLOB: CAST(… AS BLOB)",
}
"""By what SQLite says."""


class AlchemyQuery:
    """A query in a transaction that only reads, as far as the database has such. See ``OpenQuery``.

    The statement is executed at once: there is no other way to know its columns.

    Args:
        reached: Gets the query as soon as there is something that can be cancelled. What it raises ends the opening.

    Raises:
        UsageError: ``--from`` is not valid, its driver is not installed, or the statement gives no rows.
        SourceError: The database cannot be reached, or refuses.
    """

    def __init__(self, query: SqlQuery, reached: Callable[[OpenQuery], None]) -> None:
        self._query = query
        url, engine = _engine(query)
        self._address = url.set(username=None, password=None, query={}).render_as_string()
        if url.get_backend_name() == "sqlite":
            self._address = f"sqlite:///{_file_of(url).absolute()}"  # whatever folder it is named from
        try:
            self._connection = _connect(engine, query)
        except (SQLAlchemyError, OSError) as error:
            raise _refused(query, error, "Check --from") from None
        try:
            reached(self)
            self._result = self._executed()
        except BaseException:
            self.close()
            raise
        self._names = list(self._result.keys())

    @property
    def address(self) -> str:
        return self._address

    @property
    def names(self) -> Sequence[str]:
        return self._names

    def renders(self, nan: NanMode) -> Sequence[Render]:
        return [render_of(nan)] * len(self._names)

    def rank(self, column: int) -> Rank:
        return rank

    def chunks(self) -> Iterator[list[Sequence[Any]]]:
        read = 0
        # Without a size, partitions() of a text takes no notice of yield_per.
        parts = self._result.partitions(ROWS)
        while True:
            try:
                chunk: list[Sequence[Any]] = [tuple(row) for row in next(parts, ())]
            except (SQLAlchemyError, OverflowError, ValueError) as error:
                raise _refused(self._query, error, GO_ON, read) from None
            if not chunk:
                return
            read += len(chunk)
            yield chunk

    def cancel(self) -> None:
        # Of the drivers here, SQLite's can be told from another thread. Others go on to the end of what they wait for.
        with suppress(Exception):
            interrupt = getattr(self._connection.connection.driver_connection, "interrupt", None)
            if interrupt is not None:
                interrupt()

    def close(self) -> None:
        with suppress(SQLAlchemyError):
            self._connection.invalidate()  # otherwise, some drivers first read all rows that are left
            self._connection.close()
        with suppress(SQLAlchemyError):
            self._connection.engine.dispose()

    def _executed(self) -> CursorResult[Any]:
        try:
            result = self._connection.exec_driver_sql(self._query.statement)
        except (SQLAlchemyError, ValueError) as error:
            raise _refused(self._query, error, "Correct --sql") from None
        if not result.returns_rows:
            raise no_columns()
        return result


def _engine(query: SqlQuery) -> tuple[URL, Engine]:
    try:
        url = make_url(query.scheme + query.url[len(query.scheme) :])
        # One thread at a time uses it, but not always the same.
        arguments = {"check_same_thread": False} if url.get_backend_name() == "sqlite" else {}
        engine = sqlalchemy.create_engine(url, poolclass=NullPool, connect_args=arguments)
    except NoSuchModuleError:
        raise UsageError(
            f"--from: SQLAlchemy {sqlalchemy.__version__} knows no database {query.scheme!r}",
            "Install the package that has this dialect, or write for example mysql+pymysql://",
        ) from None
    except ModuleNotFoundError as error:
        package = error.name or "of its driver"
        raise UsageError(
            f"--from {query.shown_url} needs the package {package}",
            f"Install it: pip install {package}; or name another driver: {query.scheme.partition('+')[0]}+DRIVER://",
        ) from None
    except (ArgumentError, ValueError, TypeError):
        raise no_valid_url("a database", "KIND[+DRIVER]://[USER@]HOST[:PORT]/DATABASE") from None
    if url.get_backend_name() == "sqlite":
        if not _file_of(url).is_file():  # SQLite itself would make it
            raise SourceError(f"--from {query.shown_url}: there is no such file", "Check the path")
        event.listen(engine, "connect", _only_read)
    return url, engine


def _file_of(url: URL) -> Path:
    """A file of SQLite, which may be written as ``file:PATH``, with its options behind it."""
    return Path((url.database or "").removeprefix("file:"))


def _only_read(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA query_only = ON")


def _connect(engine: Engine, query: SqlQuery) -> Connection:
    connection = engine.connect()
    options: dict[str, Any] = {"stream_results": True, "max_row_buffer": ROWS, "no_parameters": True}
    with suppress(NotImplementedError, InvalidRequestError, ArgumentError):
        dbapi = connection.connection.dbapi_connection
        if dbapi is not None and _ISOLATION in engine.dialect.get_isolation_level_values(dbapi):
            options["isolation_level"] = _ISOLATION
    try:
        return connection.execution_options(**options)
    except SQLAlchemyError:
        connection.close()
        raise


def _refused(query: SqlQuery, error: Exception, hint: str, row: int = 0) -> SourceError:
    cause = error.orig if isinstance(error, DBAPIError) else error
    hint = next((better for words, better in _HINTS.items() if words in str(cause)), hint)
    return refusal(query, str(cause or error), hint, row)

"""Reads a query from PostgreSQL by psycopg's ``stream``, and keeps the server's own text of each value."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

import psycopg
from psycopg import pq
from psycopg.adapt import AdaptersMap
from psycopg.conninfo import conninfo_to_dict
from psycopg.types import TypeInfo
from psycopg.types.array import register_array
from psycopg.types.string import TextLoader

from loader.settings.tables import NanMode
from loader.sources.sql.open_query import OpenQuery
from loader.sources.sql.order import Rank
from loader.sources.sql.postgres_errors import not_connected, refused
from loader.sources.sql.postgres_text import array_render, rank_of, render_of
from loader.sources.sql.query import SqlQuery
from loader.sources.sql.refusal import no_columns, no_valid_url
from loader.sources.sql.row_text import Render

ROWS = 20
"""Rows that libpq holds at once. More are hardly faster, and long rows take memory."""

_CONNECT_SECONDS = 30
_KEEPALIVES = {"keepalives_idle": 60, "keepalives_interval": 15, "keepalives_count": 4}
"""Parameters of libpq: a host that is gone is noticed after two minutes, not after the system's two hours."""

_SESSION = (
    ("timezone", "UTC"),
    ("datestyle", "ISO, YMD"),
    ("intervalstyle", "iso_8601"),
    ("bytea_output", "hex"),
    ("extra_float_digits", "3"),  # any above 0 gives the shortest text of the same double; before version 12, only 3
    ("lc_monetary", "C"),
    ("xmlbinary", "base64"),
)
"""Settings that change the text of values. They are set for the transaction, so that a pooler cannot lose them."""


_ELEMENTS = """
WITH RECURSIVE element AS (
    SELECT typarray AS of_array, typdelim, oid, typtype, typbasetype FROM pg_type
    WHERE typarray = ANY(%s::int8[]::oid[])
  UNION ALL
    SELECT of_array, element.typdelim, base.oid, base.typtype, base.typbasetype
    FROM element JOIN pg_type base ON base.oid = element.typbasetype WHERE element.typtype = 'd'
)
SELECT of_array::int8, oid::int8, typdelim::text FROM element WHERE typtype <> 'd'
"""
"""Of those of these types that are arrays, the type of the elements; of domains, what they are made of."""


class PostgresQuery:
    """A query in a read-only transaction of isolation level REPEATABLE READ. See ``OpenQuery``.

    Args:
        reached: Gets the query as soon as there is something that can be cancelled. What it raises ends the opening.

    Raises:
        UsageError: ``--from`` is not valid, or the statement gives no rows.
        SourceError: The server cannot be reached, or refuses.
    """

    def __init__(self, query: SqlQuery, reached: Callable[[OpenQuery], None]) -> None:
        self._query = query
        self._connection = _connect(query)
        self._elements = {info.array_oid: info.oid for info in self._connection.adapters.types if info.array_oid}
        try:
            reached(self)
            self._begin()
            self._columns = self._described()
        except BaseException:
            self.close()
            raise
        info = self._connection.info
        where = info.get_parameters()
        self._address = f"postgresql://{where.get('host', info.host)}:{where.get('port', info.port)}/{info.dbname}"

    @property
    def address(self) -> str:
        return self._address

    @property
    def names(self) -> Sequence[str]:
        return [name for name, _, _ in self._columns]

    def renders(self, nan: NanMode) -> Sequence[Render]:
        return [self._render(oid, modifier, nan) for _, oid, modifier in self._columns]

    def rank(self, column: int) -> Rank:
        _, oid, _ = self._columns[column]
        return rank_of(self._type_name(oid))

    def chunks(self) -> Iterator[list[Sequence[Any]]]:
        # Before libpq 17, rows come one by one.
        size = ROWS if psycopg.capabilities.has_stream_chunked() else 1
        rows: Any = self._connection.cursor().stream(self._query.statement.encode(), size=size)
        read = 0
        while True:
            try:
                chunk = list(islice(rows, ROWS))
            except psycopg.Error as error:
                raise refused(self._query, error, read) from None
            if not chunk:
                return
            read += len(chunk)
            try:
                yield chunk
            except GeneratorExit:  # psycopg itself would read all that is left
                self.cancel()
                self.close()
                raise

    def cancel(self) -> None:
        with suppress(psycopg.Error):
            self._connection.cancel_safe(timeout=5)
        # The server may have stopped answering. This ends what libpq waits for in the other thread.
        with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(self._connection.fileno())) as connected:
            connected.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with suppress(psycopg.Error):
            self._connection.close()

    def _begin(self) -> None:
        connection = self._connection
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        settings = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in _SESSION)
        try:
            connection.execute(f"SELECT {settings}".encode())
        except psycopg.Error as error:
            raise refused(self._query, error, None) from None

    def _described(self) -> list[tuple[str, int, int]]:
        """The name, type and type modifier of each output column, before anything is executed."""
        connection = self._connection.pgconn
        try:
            for result in (
                connection.prepare(b"", self._query.statement.encode()),
                connection.describe_prepared(b""),
            ):
                if result.status != pq.ExecStatus.COMMAND_OK:
                    raise psycopg.errors.error_from_result(result, "utf-8")
            columns = [
                ((result.fname(at) or b"").decode(), result.ftype(at), result.fmod(at)) for at in range(result.nfields)
            ]
            self._know_arrays({oid for _, oid, _ in columns})
        except psycopg.Error as error:
            raise refused(self._query, error, None) from None
        if not columns:
            raise no_columns()
        return columns

    def _know_arrays(self, types: set[int]) -> None:
        """Has psycopg take arrays of types apart that PostgreSQL does not come with, such as enums."""
        known = self._connection.adapters.types
        asked: set[int] = set()
        while unknown := {oid for oid in types if known.get(oid) is None} - asked:
            asked |= unknown
            found = self._connection.execute(_ELEMENTS, [sorted(unknown)]).fetchall()
            for array, element, delimiter in found:
                self._elements[int(array)] = int(element)
                info = TypeInfo("own", int(element), int(array), delimiter=delimiter)
                register_array(info, self._connection)  # info.register() would have the element's type forgotten
            types = {int(element) for _, element, _ in found}  # of a domain over an array, that is one as well

    def _type_name(self, oid: int) -> str:
        """The name of a type that PostgreSQL comes with; '' for others, whose names may be the same."""
        info = self._connection.adapters.types.get(oid)
        return info.name if info is not None and info.oid == oid < _FIRST_OWN else ""

    def _render(self, oid: int, modifier: int, nan: NanMode) -> Render:
        if oid in self._elements:
            return array_render(self._render(self._elements[oid], modifier, nan))
        return render_of(self._type_name(oid), modifier, nan)


_FIRST_OWN = 16384
"""The first number of an object that a user has made (``FirstNormalObjectId`` in PostgreSQL's transam.h)."""


def _connect(query: SqlQuery) -> psycopg.Connection[tuple[Any, ...]]:
    url = f"postgresql://{query.url.partition('://')[2]}"
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error:
        raise no_valid_url("PostgreSQL", "postgresql://[USER@]HOST[:PORT]/DATABASE") from None
    given.setdefault("fallback_application_name", "runqy-loader")
    given["client_encoding"] = "UTF8"
    if "service" not in given and "PGSERVICE" not in os.environ:  # what is given here counts more than a service
        given = {**_KEEPALIVES, **given}
    given.setdefault("connect_timeout", connect_timeout(str(given.get("service", ""))))
    try:
        connection = psycopg.connect(**given, context=_all_text())  # type: ignore[arg-type]
    except psycopg.Error as error:
        raise not_connected(query, error) from None
    connection.prepare_threshold = None
    return connection


def connect_timeout(service: str) -> str:
    """Seconds to wait for a connection, if the URL does not say it.

    Args:
        service: The name of a service that the URL gives; '' for none.
    """
    before = os.environ.get("PGSERVICE")
    if service:
        os.environ["PGSERVICE"] = service  # libpq tells the values of a service only to whom it is named so
    try:
        defaults = {option.keyword: option.val for option in pq.Conninfo.get_defaults()}
    finally:
        if service:
            if before is None:
                del os.environ["PGSERVICE"]
            else:
                os.environ["PGSERVICE"] = before
    # psycopg counts the seconds itself and does not look into the service. Without any, libpq waits without end.
    return (defaults.get(b"connect_timeout") or b"%d" % _CONNECT_SECONDS).decode()


def _all_text() -> AdaptersMap:
    """Adapters that leave values as the server has written them. Arrays are lists of such values."""
    adapters = AdaptersMap(psycopg.adapters)
    for info in psycopg.adapters.types:
        adapters.register_loader(info.oid, TextLoader)
    return adapters

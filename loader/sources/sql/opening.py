"""Opens a query so that a stop reaches it at any time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from contextlib import closing, contextmanager
from threading import Thread

from loader.errors import SourceError
from loader.extras import require
from loader.sources.sql.open_query import OpenQuery
from loader.sources.sql.query import SqlQuery


class Opening:
    """A query that is opened once, in a thread of its own.

    Some of what is waited for meanwhile cannot be ended: the name of a host, or a database whose driver knows no other
    thread. A stop leaves that thread behind, which ends with the program or with what it waits for.
    """

    def __init__(self, query: SqlQuery) -> None:
        self._query = query
        self._reached: OpenQuery | None = None
        self._outcome: Future[OpenQuery] = Future()

    @contextmanager
    def opened(self) -> Iterator[OpenQuery]:
        """The open query.

        Raises:
            UsageError, SourceError: It cannot be opened; SourceError also if it is cancelled before it is open.
        """
        Thread(target=self._open, daemon=True).start()
        try:
            query = self._outcome.result()
        except CancelledError:
            raise _stopped() from None
        with closing(query):
            yield query

    def cancel(self) -> None:
        """Makes all that waits for the query, now or later, end soon. From another thread."""
        self._outcome.cancel()
        if self._reached is not None:
            self._reached.cancel()

    def _reach(self, query: OpenQuery) -> None:
        self._reached = query  # before the look at the outcome, which cancel() sets first
        if self._outcome.cancelled():
            raise _stopped()

    def _open(self) -> None:
        try:
            query = self._connected()
        except BaseException as error:
            if self._outcome.set_running_or_notify_cancel():
                self._outcome.set_exception(error)
            return
        if self._outcome.set_running_or_notify_cancel():
            self._outcome.set_result(query)
        else:
            query.close()

    def _connected(self) -> OpenQuery:
        """Imports the packages only here: no other load needs them."""
        scheme = self._query.scheme
        if self._query.is_postgres:
            require("postgres", f"--from {scheme}://")
            from loader.sources.sql.postgres import PostgresQuery

            return PostgresQuery(self._query, self._reach)
        require("sql", f"--from {scheme}://")
        from loader.sources.sql.alchemy import AlchemyQuery

        return AlchemyQuery(self._query, self._reach)


def _stopped() -> SourceError:
    return SourceError("the query was stopped before it gave a row", "Run the same command again")

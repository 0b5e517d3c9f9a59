"""A private temporary database, for any number of ids in little memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from loader.outputs.set_aside import set_aside

_CACHE_KIB = 64 * 1024
_CHUNK = 1000
Row = Sequence[str | bytes | int | None]


class PrivateDatabase:
    """SQLite keeps it in its cache (64 MiB), and the rest in an unnamed temporary file.

    Several threads may use it, but never two at the same time.

    Raises:
        LoaderError: From each method: there is no room for the temporary file.
    """

    def __init__(self) -> None:
        with set_aside():
            self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIB}"):
            self.run(f"PRAGMA {pragma}")

    def close(self) -> None:
        self._db.close()

    def run(self, statement: str) -> None:
        """Runs a statement that returns nothing."""
        with set_aside():
            self._db.execute(statement)

    def many(self, statement: str, rows: Sequence[Row]) -> int:
        """Runs a statement for each row, as one transaction. Returns the number of rows changed."""
        if not rows:
            return 0
        with set_aside():
            self._db.execute("BEGIN")
            changed = self._db.executemany(statement, rows).rowcount
            self._db.execute("COMMIT")
        return changed

    def chunks(self, statement: str, values: Row = ()) -> Iterator[list[Any]]:
        """The rows that a statement returns, as tuples, some at a time."""
        with set_aside():
            cursor = self._db.execute(statement, values)
        while True:
            with set_aside():
                chunk = cursor.fetchmany(_CHUNK)
            if not chunk:
                return
            yield chunk

    def rows(self, statement: str, values: Row = ()) -> Iterator[Any]:
        """The rows that a statement returns, as tuples."""
        return chain.from_iterable(self.chunks(statement, values))

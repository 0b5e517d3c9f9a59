"""The interface between the source and a database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from loader.settings.tables import NanMode
from loader.sources.sql.order import Rank
from loader.sources.sql.row_text import Render


class OpenQuery(Protocol):
    """A query in a transaction of its own that only reads. It is used in one thread at a time, but for ``cancel``.

    Its methods raise SourceError for what the database says.
    """

    @property
    def address(self) -> str:
        """The database that was reached: no two databases have the same, and no user or password is in it."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """The output columns, in order."""
        ...

    def renders(self, nan: NanMode) -> Sequence[Render]:
        """How the values of each column become text."""
        ...

    def rank(self, column: int) -> Rank:
        """How the values of a column are ordered."""
        ...

    def chunks(self) -> Iterator[list[Sequence[Any]]]:
        """The rows, some at a time, as the database gives them. It is called once."""
        ...

    def cancel(self) -> None:
        """Makes what waits for the database end soon, also while it is opened. From another thread."""
        ...

    def close(self) -> None: ...

"""The ids that are still awaited, in a private temporary database, so that any number of them needs little memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

from loader.outputs.private_database import PrivateDatabase

_CHUNK = 20_000
GONE = "gone"
"""State of a task that existed and was not found in the last sweep."""


T = TypeVar("T")


class Waiting(NamedTuple):
    """An awaited task.

    Attributes:
        queue: Full name of its queue, if known.
        known: Whether it is known to have existed: from the loader's record, or because it has been seen.
        state: Its state in the last lookup; None if nothing was found.
    """

    id: str
    queue: str | None
    known: bool
    state: str | None


class WaitingIds:
    """A set of ids, in a private database."""

    def __init__(self) -> None:
        self._db = PrivateDatabase()
        self._db.run(
            "CREATE TABLE waiting (id TEXT PRIMARY KEY, queue INTEGER, known INTEGER, state TEXT) WITHOUT ROWID"
        )
        self._queues: list[str] = []
        self._numbers: dict[str, int] = {}
        self.count = 0

    def close(self) -> None:
        self._db.close()

    def add(self, tasks: Iterable[Waiting]) -> None:
        """Adds tasks. A task that is in the set already stays unchanged."""
        rows = [(task.id, self._number(task.queue), task.known, task.state) for task in tasks]
        self._many("INSERT OR IGNORE INTO waiting VALUES (?, ?, ?, ?)", rows, counts=1)

    def drop(self, ids: Iterable[str]) -> None:
        """Removes ids. An id that is not in the set is no error."""
        self._many("DELETE FROM waiting WHERE id = ?", [(task_id,) for task_id in ids], counts=-1)

    def update(self, tasks: Iterable[Waiting]) -> None:
        """Stores the new state of tasks."""
        rows = [(self._number(task.queue), task.known, task.state, task.id) for task in tasks]
        self._many("UPDATE waiting SET queue = ?, known = ?, state = ? WHERE id = ?", rows)

    def page(self, after: str, most: int, *, gone: bool = False) -> Sequence[Waiting]:
        """The next tasks in the order of their ids.

        Args:
            after: The last id of the page before; empty for the first page.
            gone: Whether to return only tasks in state ``GONE``.
        """
        where = f"AND state = '{GONE}'" if gone else ""
        rows = self._db.rows(
            f"SELECT id, queue, known, state FROM waiting WHERE id > ? {where} ORDER BY id LIMIT ?",  # noqa: S608 - no text from outside
            (after, most),
        )
        return [
            Waiting(task_id, None if queue is None else self._queues[queue], bool(known), state)
            for task_id, queue, known, state in rows
        ]

    def _many(self, statement: str, rows: Sequence[tuple[str | int | None, ...]], counts: int = 0) -> None:
        self.count += counts * self._db.many(statement, rows)

    def _number(self, queue: str | None) -> int | None:
        if queue is None:
            return None
        if queue not in self._numbers:
            self._numbers[queue] = len(self._queues)
            self._queues.append(queue)
        return self._numbers[queue]


def in_chunks(items: Iterable[T]) -> Iterator[list[T]]:
    """Divides items into lists of a size that suits one transaction of the database."""
    iterator = iter(items)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk

"""Compares the pending lists with the hashes: a task needs both.

Workers take tasks meanwhile. So the hashes are looked up first, then the lists are read. A task without a hash that is
in a list afterwards is damage, however fast workers are. A task that seems to be missing in its list may have been
taken in between: its state tells, and it is looked at twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from enum import IntEnum

from loader.jobs.records import prefix_of
from loader.outputs.private_database import PrivateDatabase
from loader.verify.report import Difference, Kind
from loader.verify.states import PENDING, STORED

_NOTE = "INSERT INTO listed VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET times = times + 1"
_NOTE_KNOWN = (
    "INSERT INTO listed SELECT queue, id, 1 FROM task WHERE queue = ? AND id = ? "
    "ON CONFLICT DO UPDATE SET times = times + 1"
)


class Wanted(IntEnum):
    """What a task's hash says of the pending list: nothing; the task must be in it; it must not be in it."""

    NOT_KNOWN = 0
    LISTED = 1
    NOT_LISTED = 2


ReadList = Callable[[str], AsyncIterator[list[bytes]]]
"""The ids in the pending list of a queue (full name), chunk by chunk."""

States = Callable[[str, Sequence[bytes]], Awaitable[list[str | None]]]
"""The states of tasks of a queue; None for those without a hash."""


class Listed:
    """The tasks of the input, kept in a private temporary database, so that any number of them needs little memory."""

    def __init__(self) -> None:
        self._db = PrivateDatabase()
        columns = "queue INTEGER, id BLOB, {}, PRIMARY KEY (queue, id)"
        self._db.run(f"CREATE TABLE task ({columns.format('wanted INTEGER')}) WITHOUT ROWID")
        self._db.run(f"CREATE TABLE listed ({columns.format('times INTEGER')}) WITHOUT ROWID")
        self._db.run("CREATE TABLE twice (queue INTEGER, id BLOB)")
        self._queues: list[str] = []
        self._prefixes: set[bytes] = set()

    def close(self) -> None:
        self._db.close()

    def add(self, queue: str, prefix: bytes, tasks: Iterable[tuple[bytes, Wanted]]) -> None:
        """Adds tasks of a queue: the id of each, and what its hash says of the list.

        Args:
            prefix: What all generated ids of this piece of the input begin with; empty if they are not generated.
        """
        if prefix:
            self._prefixes.add(prefix)
        if queue not in self._queues:
            self._queues.append(queue)
        number = self._queues.index(queue)
        rows = [(number, task_id, int(wanted)) for task_id, wanted in tasks]
        self._db.many("INSERT OR IGNORE INTO task VALUES (?, ?, ?)", rows)

    async def differences(self, read_list: ReadList, states: States) -> AsyncIterator[Difference]:
        """Reads the lists. Yields what differs, kind by kind."""
        await self._read(read_list)
        # What is proven needs no second look: neither a pending task that is listed, nor one without hash that is not.
        self._db.run(
            "UPDATE task SET wanted = 0 WHERE (queue, id, wanted) IN ("
            " SELECT task.queue, task.id, wanted FROM task LEFT JOIN listed USING (queue, id)"
            " WHERE (wanted = 1 AND times IS NOT NULL) OR (wanted = 2 AND times IS NULL))"
        )
        self._db.run("INSERT INTO twice SELECT queue, id FROM listed WHERE times > 1")
        for queue, task_id in self._rows(
            "SELECT listed.queue, listed.id FROM listed LEFT JOIN task USING (queue, id) WHERE task.id IS NULL"
        ):
            yield _difference(Kind.EXTRA, queue, task_id)
        if not await self._suspicious(states):
            return
        await self._read(read_list)
        await self._suspicious(states)
        for queue, task_id in self._rows("SELECT queue, id FROM twice JOIN listed USING (queue, id) WHERE times > 1"):
            yield _difference(Kind.TWICE, queue, task_id)
        for kind, condition in (
            (Kind.UNLISTED, "wanted = 1 AND times IS NULL"),
            (Kind.WITHOUT_HASH, "wanted = 2"),
        ):
            query = f"SELECT task.queue, task.id FROM task LEFT JOIN listed USING (queue, id) WHERE {condition}"  # noqa: S608 - constants
            for queue, task_id in self._rows(query):
                yield _difference(kind, queue, task_id)

    async def _read(self, read_list: ReadList) -> None:
        """Reads the lists of all queues. Keeps the ids of the input, and others with the prefix of generated ones."""
        self._db.run("DELETE FROM listed")
        for number, queue in enumerate(self._queues):
            async for ids in read_list(queue):
                made: list[tuple[int, bytes]] = []
                others: list[tuple[int, bytes]] = []
                for task_id in ids:
                    (made if prefix_of(task_id, self._prefixes) else others).append((number, task_id))
                self._db.many(_NOTE, made)
                self._db.many(_NOTE_KNOWN, others)

    async def _suspicious(self, states: States) -> bool:
        """Looks once more at the hashes of tasks that seem to differ. Returns whether any still does."""
        cleared: list[tuple[int, bytes]] = []
        left = 0
        for number, queue in enumerate(self._queues):
            for chunk in self._db.chunks("SELECT id, wanted FROM task WHERE queue = ? AND wanted > 0", (number,)):
                found = await states(queue, [task_id for task_id, _ in chunk])
                for (task_id, wanted), state in zip(chunk, found, strict=True):
                    if state in (PENDING, STORED) if wanted == Wanted.LISTED else state is None:
                        left += 1
                    else:
                        cleared.append((number, task_id))
        self._db.many("UPDATE task SET wanted = 0 WHERE queue = ? AND id = ?", cleared)
        ((twice,),) = self._db.rows("SELECT EXISTS (SELECT 1 FROM twice)")
        return bool(left or twice)

    def _rows(self, query: str) -> Iterator[tuple[str, bytes]]:
        for number, task_id in self._db.rows(query):
            yield self._queues[number], task_id


def _difference(kind: Kind, queue: str, task_id: bytes) -> Difference:
    return Difference(kind, task_id.decode(errors="replace"), queue)

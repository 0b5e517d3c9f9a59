"""Reads tasks by their ids, a bounded number of bytes at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

import hiredis

from loader.servers.question import ask
from loader.servers.session import Session
from loader.stored.queue_reader import StoredQueue
from loader.stored.stored_task import StoredTask, UnreadableTaskError
from loader.tasks.profiles import LayoutName
from loader.tasks.reasons import Reason, ReasonCode
from loader.wire.faults import from_reply
from loader.wire.replies import pairs

CHUNK_BYTES = 4 * 1024 * 1024
_LARGE_FIELDS: dict[LayoutName, tuple[bytes, ...]] = {
    "documented": (b"payload",),
    "asynq": (b"msg", b"payload", b"result"),
}
"""Fields of a task's hash that may be large."""


@dataclass(slots=True)
class Fetched:
    """The result of reading some ids. Each list is in the order of the ids.

    Attributes:
        missing: Ids whose hash is gone.
        unreadable: Ids whose hash is not a task's, and the reason.
    """

    tasks: list[StoredTask] = field(default_factory=list)
    missing: list[bytes] = field(default_factory=list)
    unreadable: list[tuple[bytes, Reason]] = field(default_factory=list)

    @property
    def count(self) -> int:
        """The number of ids that were read."""
        return len(self.tasks) + len(self.missing) + len(self.unreadable)


class Fetcher:
    """Reads the tasks of one queue: at most ``max_tasks`` tasks and about 4 MiB at a time.

    A single task may be larger than that.
    """

    def __init__(self, session: Session, queue: StoredQueue, max_tasks: int) -> None:
        self._session = session
        self._queue = queue
        self.max_tasks = max_tasks

    async def each(self, ids: Sequence[bytes]) -> AsyncIterator[Fetched]:
        """Reads the tasks of all these ids, chunk by chunk."""
        position = 0
        while position < len(ids):
            fetched = await self.fetch(ids[position : position + self.max_tasks])
            position += fetched.count
            yield fetched

    async def fetch(self, ids: Sequence[bytes]) -> Fetched:
        """Reads the tasks of the first ids: as many as fit, and at least one.

        Raises:
            SinkError: The server refuses.
        """
        fetched = Fetched()
        if not ids:
            return fetched
        ids = ids[: await self._how_many_fit(ids)]
        keys = [self._queue.task_key(task_id) for task_id in ids]
        replies = await self._session.values([ask(b"HGETALL", key) for key in keys])
        for task_id, key, reply in zip(ids, keys, replies, strict=True):
            if isinstance(reply, hiredis.ReplyError):
                if not str(reply).startswith("WRONGTYPE"):
                    raise from_reply(str(reply), f"{self._session.address}, key {key.decode(errors='replace')}")
                fetched.unreadable.append((task_id, Reason(ReasonCode.WRONG_TYPE, "its key holds another type")))
                continue
            fields = pairs(reply)
            try:
                if fields:
                    fetched.tasks.append(self._queue.read(task_id, fields))
                else:
                    fetched.missing.append(task_id)
            except UnreadableTaskError as error:
                fetched.unreadable.append((task_id, Reason(ReasonCode.UNREADABLE_TASK, str(error))))
        await self._read_locks(fetched)
        return fetched

    async def _how_many_fit(self, ids: Sequence[bytes]) -> int:
        """The number of ids whose tasks fit in one read.

        It asks for the lengths before anything is read, since a task may be a million times as large as the one before.
        If the server refuses to tell a length, the task counts as ``CHUNK_BYTES`` long.
        """
        large = _LARGE_FIELDS[self._queue.layout]
        fields = [(self._queue.task_key(task_id), name) for task_id in ids for name in large]
        replies = await self._session.values([ask(b"HSTRLEN", *field) for field in fields])
        lengths = [_refused_length(reply) if isinstance(reply, hiredis.ReplyError) else int(reply) for reply in replies]
        width, total = len(large), 0
        for count in range(len(ids)):
            total += sum(lengths[count * width : (count + 1) * width])
            if total > CHUNK_BYTES:
                return max(1, count)
        return len(ids)

    async def _read_locks(self, fetched: Fetched) -> None:
        """Sets ``unique_ttl`` of unique tasks to the time that their locks have left."""
        locked = [position for position, task in enumerate(fetched.tasks) if task.lock]
        if not locked:
            return
        keys = [fetched.tasks[position].lock.encode() for position in locked]
        questions = [ask(name, key) for key in keys for name in (b"GET", b"TTL")]
        replies = await self._session.call(questions, "uniqueness locks")
        for position, holder, ttl in zip(locked, replies[::2], replies[1::2], strict=True):
            task = fetched.tasks[position]
            if holder == task.id and ttl > 0:
                fetched.tasks[position] = replace(task, options=replace(task.options, unique_ttl=ttl))


def _refused_length(reply: hiredis.ReplyError) -> int:
    return 0 if str(reply).startswith("WRONGTYPE") else CHUNK_BYTES

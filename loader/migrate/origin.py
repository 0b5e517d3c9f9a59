"""What a migration reads: a queue of runqy or asynq, or one of another system."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Protocol

from loader.migrate.options import MigrateOptions
from loader.migrate.source import Snapshot, TaskSource
from loader.migrate.translate import Translates, Translation
from loader.servers.question import ask
from loader.servers.session import Session
from loader.stored.existence import require_queue
from loader.stored.queue_reader import StoredQueue, stored_queue
from loader.stored.snapshot import count_in_other_layout
from loader.stored.spool import Spool
from loader.stored.states import count_of, count_other_states


class Origin(Protocol):
    """A queue to read."""

    async def require(self, session: Session) -> None:
        """Raises UnknownQueueError if there is no such queue."""
        ...

    async def waiting(self, session: Session) -> int:
        """About how many tasks there are, for the display."""
        ...

    async def staying(self, session: Session) -> dict[str, int]:
        """The number of tasks that are not migrated, by state."""
        ...

    async def elsewhere(self, session: Session) -> int:
        """The number of tasks in the queue of this name in the other layout, for a hint."""
        ...

    async def snapshot(self, session: Session, stack: ExitStack) -> TaskSource:
        """What a copy reads.

        Args:
            stack: Closes temporary files.
        """
        ...

    def translation(self) -> Translates:
        """What the target's options of its tasks are."""
        ...


class StoredOrigin:
    """See ``Origin``: a queue of runqy or asynq.

    Attributes:
        queue: Reads it.
    """

    def __init__(self, options: MigrateOptions) -> None:
        self._options = options
        self.queue: StoredQueue = stored_queue(options.source_layout, options.source_queue)

    async def require(self, session: Session) -> None:
        await require_queue(session, self.queue, name_option="--from-queue", layout_option="--from-layout")

    async def waiting(self, session: Session) -> int:
        pending = self.queue.pending_key
        (count,) = await session.call([ask(b"LLEN", pending)], f"key {pending.decode()}")
        return count_of(count)

    async def staying(self, session: Session) -> dict[str, int]:
        return await count_other_states(session, self.queue)

    async def elsewhere(self, session: Session) -> int:
        return await count_in_other_layout(session, self.queue)

    async def snapshot(self, session: Session, stack: ExitStack) -> TaskSource:
        return Snapshot(session, self.queue, stack.enter_context(Spool()), self._options.batch_size)

    def translation(self) -> Translates:
        return Translation(self._options)

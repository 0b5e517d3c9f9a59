"""Takes the tasks of a job out of a long queue: the ids that stay are copied, and the copy takes the queue's place.

A copy takes the same time for each id, wherever it is. To remove ids from the middle of a list takes longer the longer
it is. The queue is in use while it is copied: others push on its left, and consumers take from its right. Both is taken
over when the copy takes its place, in one step. If anything else has happened, that step does nothing.

The ids that are taken are then in a list, from which the rest of their tasks is deleted. A rollback that goes on after
a kill begins with that list.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from loader.jobs.job_keys import swap_keys
from loader.undo.scripts import COPY, SWAP

_AT_ONCE = 2000
_ATTEMPTS = 3


class Swap:
    """A copy of one queue, and its exchange.

    Args:
        base: The beginning of its keys.
        step: Runs a script on the given keys, and pauses after it.
        drop: Deletes the rest of some taken tasks, whose list is the given key; returns how many are left.
        delete: Deletes the given keys.
    """

    def __init__(
        self,
        base: bytes,
        pending: bytes,
        step: Callable[..., Awaitable[Any]],
        drop: Callable[[bytes], Awaitable[int]],
        delete: Callable[..., Awaitable[Any]],
    ) -> None:
        self._kept, self._mine, self._taken, self._old = swap_keys(base)
        self._pending = pending
        self._step = step
        self._drop = drop
        self._delete = delete

    async def finish(self) -> None:
        """Deletes the rest of tasks whose ids were taken: by this run, or by one that was killed."""
        while await self._drop(self._taken):
            pass

    async def clear(self) -> None:
        """Deletes a copy that has not taken the queue's place."""
        await self._delete(self._kept, self._mine, self._old)

    async def take(self, mine_of: Callable[[list[bytes]], list[bytes]], looked_at: Callable[[int], None]) -> int | None:
        """Takes all ids that are the job's.

        Args:
            mine_of: Returns those ids of a window that are the job's.

        Returns:
            How many it has taken; None if others have changed the queue too often meanwhile.
        """
        for _ in range(_ATTEMPTS):
            # The reply to an exchange that was done may have been lost.
            await self.clear()
            await self.finish()
            copied = await self._copy(mine_of, looked_at)
            if copied is None:
                continue
            first, count = copied
            if not count:
                return 0
            keys = (self._pending, self._kept, self._mine, self._taken, self._old)
            taken: int = await self._step(SWAP, keys, first, count)
            if taken >= 0:
                await self.clear()
                await self.finish()
                return taken
        await self.clear()
        await self.finish()
        return None

    async def _copy(
        self, mine_of: Callable[[list[bytes]], list[bytes]], looked_at: Callable[[int], None]
    ) -> tuple[bytes, int] | None:
        """Copies the queue. Returns its first id and how many there are; None if it was changed meanwhile."""
        position, anchor, copied, first, more = 0, b"", 0, b"", _AT_ONCE
        window: list[bytes] = []
        while True:
            last = window[-1] if window else b""
            arguments = (position, anchor, copied, len(window), last, more, *mine_of(window))
            reply = await self._step(COPY, (self._pending, self._kept, self._mine), *arguments)
            if reply[0] == -1:
                return None
            before = copied
            position, anchor, copied, window, begun = reply
            first = first or begun
            looked_at(len(window))
            more = min(2 * more, 16 * _AT_ONCE) if copied == before and before else _AT_ONCE
            if not window:
                return first, copied

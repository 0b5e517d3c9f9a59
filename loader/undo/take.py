"""Takes the tasks of a job out of one queue, a bounded number at a time.

Scheduled tasks come first, then those that wait in groups, then the pending ones: a task may move in this direction
only. The pending list is looked through from the left, where producers push: what they push is not the job's. Consumers
take from the right, so they may be faster for some tasks, and what they have taken stays.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from loader.jobs.job_keys import note_key, undone_key
from loader.layouts.look_up import DROP_LOOK_UP
from loader.layouts.lua import as_sent
from loader.queues.asynq_keys import base_of
from loader.servers.retry import Repeat
from loader.servers.routing import Servers
from loader.servers.scatter import ask_each, eval_each
from loader.stored.queue_reader import stored_queue
from loader.stored.stored_task import UnreadableTaskError
from loader.tasks.profiles import LayoutName
from loader.undo.report import RollbackReport
from loader.undo.scripts import TRY, taking_scripts
from loader.undo.selection import Distinct, Selection
from loader.undo.swap import Swap
from loader.wire.client import Argument
from loader.wire.connection import Reply
from loader.wire.faults import translated

log = logging.getLogger("runqy_loader")

_LONG = 5000
"""From this length on, a list is copied: to remove ids from its middle would take longer."""

_FEW = 0.02
"""If less than this share of a list is the job's, it is not copied."""

_WINDOW = 8000
"""The most ids that a step looks at."""

_FEWEST, _MOST = 1500, 4000
"""The bounds of the number of ids that a step takes. To remove any number of ids from the middle of a list costs a look
at all that is between them and the nearer end: in a list of 1.5 million, 4 ms. Smaller steps would do mostly that."""

_STEP_SECONDS = 0.008
"""Steps become larger or smaller, so that each takes about this long: consumers are served in between."""

_REST = 0.3
"""The pause after a step, relative to its time."""


class StoppedEarlyError(Exception):
    """The user has stopped the rollback between two steps."""


class QueueTaker:
    """Takes tasks out of one queue.

    Args:
        queue: Its full name.
        look_up: Whether its tasks have runqy's look-up.
        repeat: Repeats a step after a transient fault. Each step may be repeated: what it has taken is not there again.
        stopping: Whether to stop before the next step.
    """

    def __init__(
        self,
        servers: Servers,
        job: str,
        layout: LayoutName,
        queue: str,
        report: RollbackReport,
        repeat: Repeat,
        stopping: Callable[[], bool],
        *,
        look_up: bool,
    ) -> None:
        self._servers = servers
        self._layout = layout
        self._queue = queue
        self._report = report
        self._repeat = repeat
        self._stopping = stopping
        self._stored = stored_queue(layout, queue)
        self._scripts = taking_scripts(layout, queue, look_up=look_up, cluster=servers.is_cluster)
        self._note = note_key(layout, queue, job)
        self._keys = (self._stored.pending_key, undone_key(layout, queue, job), self._note)
        self._swap = Swap(self._note, self._stored.pending_key, self._paced, self._drop_taken, self._delete)
        self._marker = b"runqy-loader:taken-back:" + secrets.token_hex(16).encode()
        self._most = _FEWEST
        self._would_be = Distinct()

    async def take(self, selection: Selection, expected: int | None) -> None:
        """Takes all tasks of a selection that no consumer has taken, or only counts them.

        Args:
            expected: How many there are at the most; None if this is not known.

        Raises:
            StoppedEarlyError: The user has stopped the rollback.
            LoaderError: The server refuses, or cannot be reached.
        """
        if not self._report.dry_run:
            await self._ask("EVAL", as_sent(TRY), 1, self._note + b":try")
            await self._swap.clear()
            await self._swap.finish()
        await self.finish_noted()
        if self._layout == "asynq":
            base = base_of(self._queue)
            await self._take_waiting(selection, "scheduled", base + b"scheduled", b"")
            for group in sorted(await self._ask("SMEMBERS", base + b"groups")):
                await self._take_waiting(selection, "aggregating", base + b"g:" + group, group)
        if not self._report.dry_run:
            await self._take_from_end(selection)
            length = await self._ask("LLEN", self._stored.pending_key)
            if length >= _LONG and (expected is None or expected >= length * _FEW) and await self._exchange(selection):
                return
        await self._walk(selection)
        # An id that is there more than once is one task. The further places are in the pending list, as it comes last.
        self._count("pending", -self._would_be.repeated())

    async def _exchange(self, selection: Selection) -> bool:
        """Takes ids from everywhere in a long list. Returns whether others have let it be done."""

        def looked_at(number: int) -> None:
            self._report.looked_at += number

        taken = await self._swap.take(lambda ids: selection.of(self._queue, ids), looked_at)
        self._count("pending", taken or 0)
        return taken is not None

    # --- the pending list ----------------------------------------------------------------------------------------

    async def _take_from_end(self, selection: Selection) -> None:
        """Takes ids from the right end while they are the job's: it costs least, and consumers take these next."""
        ids: list[bytes] = []
        while True:
            taken, window = await self._step(self._scripts.end, len(ids), self._most, *ids)
            self._count("pending", taken)
            mine = set(selection.of(self._queue, window))
            ids = []
            for task_id in reversed(window):
                if task_id not in mine:
                    break
                ids.append(task_id)
            if not ids:
                return

    async def _walk(self, selection: Selection) -> None:
        """Takes ids from everywhere in the list."""
        position, anchor, more = 0, b"", _FEWEST
        window: list[bytes] = []
        while True:
            ids = [] if self._report.dry_run else selection.of(self._queue, window)
            share = (len(ids) + 1) / (len(window) + 1)
            last = window[-1] if window else b""
            arguments: tuple[Argument, ...] = (position, anchor, len(window), last, more, self._marker, *ids)
            taken, place, anchor, following = await self._step(self._scripts.walk, len(ids), *arguments)
            if taken < 0:
                place, anchor = await self._found_again(anchor)
                window = []
            else:
                self._count("pending", taken)
                if self._report.dry_run:
                    await self._would_take("pending", selection.of(self._queue, following))
                self._report.looked_at += len(following)
                if not following:
                    return
                # Where others push faster than a step looks, it must look at more.
                stands = place == position and bool(window) and not taken
                more = min(2 * more, 8 * _WINDOW) if stands else min(_WINDOW, int(self._most / share))
                window = following
            position = place

    async def _found_again(self, anchor: bytes) -> tuple[int, bytes]:
        """Where to go on after somebody has removed ids on the left, or consumers have come that far."""
        key = self._stored.pending_key
        (found,) = await self._repeat(lambda: self._servers.client_of(key).ask([("LPOS", key, anchor)]))
        # Without the right to LPOS, from the beginning.
        return (found + 1, anchor) if isinstance(found, int) else (0, b"")

    # --- sorted sets ---------------------------------------------------------------------------------------------

    async def _take_waiting(self, selection: Selection, state: str, key: bytes, group: bytes) -> None:
        async for ids in self._members(key):
            mine = selection.of(self._queue, ids)
            self._report.looked_at += len(ids)
            if self._report.dry_run:
                await self._would_take(state, mine)
            elif mine:
                locks = await self._locks(mine) if group else [b""] * len(mine)
                pairs = [word for pair in zip(mine, locks, strict=True) for word in pair]
                keys = (key, base_of(self._queue) + b"groups")
                taken = await self._step(self._scripts.waiting, len(mine), group, *pairs, keys=keys)
                self._count(state, taken)

    async def _members(self, key: bytes) -> AsyncIterator[list[bytes]]:
        # ZSCAN returns what is there during the whole time. Members that are taken meanwhile change nothing in that.
        cursor, seen = b"0", set[bytes]()
        while True:
            cursor, pairs = await self._ask("ZSCAN", key, cursor, "COUNT", 1000)
            ids = pairs[::2]
            if self._report.dry_run:  # it may return some twice
                ids = [one for one in ids if one not in seen]
                seen.update(ids)
            yield ids
            if cursor == b"0":
                return

    async def _locks(self, ids: Sequence[bytes]) -> list[bytes]:
        """The locks of tasks that wait in groups. Only their messages have them."""
        hashes = await self._repeat(
            lambda: ask_each(self._servers, [("HGETALL", self._stored.task_key(one)) for one in ids])
        )
        return [self._lock_in(one, fields) for one, fields in zip(ids, hashes, strict=True)]

    def _lock_in(self, task_id: bytes, fields: dict[bytes, bytes]) -> bytes:
        try:
            return self._stored.read(task_id, fields).lock.encode() if fields else b""
        except UnreadableTaskError as error:  # somebody has changed it
            log.warning("the lock of task %s is not known, and stays: %s", task_id.decode(errors="replace"), error)
            return b""

    # --- keys in other slots -------------------------------------------------------------------------------------

    async def finish_noted(self) -> None:
        """Deletes the keys in other slots of tasks that were taken: by this run, or by one that was killed."""
        if not self._scripts.notes or self._report.dry_run:
            return
        while ids := await self._ask("LRANGE", self._note, 0, 999):
            await drop(self._servers, self._repeat, self._layout, self._queue, ids)
            await self._ask("LTRIM", self._note, len(ids), -1)

    # --- calls ---------------------------------------------------------------------------------------------------

    async def _step(self, script: bytes, count: int, *arguments: Argument, keys: Sequence[bytes] = ()) -> Any:
        """Runs a script, deletes what it has noted, and leaves the server to others for a moment."""
        began = time.monotonic()
        reply = await self._paced(script, (*self._keys, *keys), *arguments)
        took = time.monotonic() - began
        if count:
            # Between two steps, it changes little: the machine may have been busy with something else.
            is_quick = took < _STEP_SECONDS * (1 + _REST)
            self._most = max(_FEWEST, min(_MOST, int(self._most * (1.2 if is_quick else 0.8))))
            await self.finish_noted()
        return reply

    async def _paced(self, script: bytes, keys: Sequence[bytes], *arguments: Argument) -> Any:
        if self._stopping():
            raise StoppedEarlyError
        began = time.monotonic()
        reply = await self._ask("EVAL", as_sent(script), len(keys), *keys, *arguments)
        if not self._report.dry_run:
            await asyncio.sleep(_REST * (time.monotonic() - began))
        return reply

    async def _drop_taken(self, taken: bytes) -> int:
        """Deletes the rest of some tasks that were taken. Returns how many are left."""
        left: int = await self._paced(self._scripts.drop, (*self._keys, taken), _FEWEST)
        await self.finish_noted()
        return left

    async def _delete(self, *keys: bytes) -> None:
        await self._ask("UNLINK", *keys)

    async def _ask(self, *command: Argument) -> Reply:
        key = self._stored.pending_key

        async def once() -> Reply:
            with translated(f"{self._servers}, key {key.decode()}"):
                return await self._servers.client_of(key).execute(*command)

        return await self._repeat(once)

    async def _would_take(self, state: str, ids: Sequence[bytes]) -> None:
        """Counts what a rollback would take: as the scripts do, tasks and not ids, where they can tell."""
        if self._scripts.counts_tasks:
            keys = [self._stored.task_key(one) for one in ids]
            there = await self._repeat(lambda: ask_each(self._servers, [("EXISTS", key) for key in keys]))
            ids = [one for one, is_there in zip(ids, there, strict=True) if is_there]
        for one in ids:
            self._would_be.add(one)
        self._count(state, len(ids))

    def _count(self, state: str, number: int) -> None:
        self._report.count(state, self._queue, number)


async def drop(servers: Servers, repeat: Repeat, layout: LayoutName, queue: str, ids: Sequence[bytes]) -> None:
    """Deletes the keys ``asynq:t:<id>`` of tasks: their hashes, or in layout asynq runqy's look-ups.

    Raises:
        LoaderError: A server refuses, or cannot be reached.
    """
    keys = [b"asynq:t:" + task_id for task_id in ids]
    if layout == "documented":
        await repeat(lambda: ask_each(servers, [("DEL", key) for key in keys]))
        return
    script = as_sent(DROP_LOOK_UP)
    await repeat(lambda: eval_each(servers, script, keys, queue))

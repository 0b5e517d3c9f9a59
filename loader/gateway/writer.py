"""Puts the tasks of concurrent requests into Redis by shared pipelined writes.

While writes are on their way, what arrives waits and becomes the next one: an idle gateway writes at once, a busy one
in large pieces, and nobody waits for a timer.

Of each write, the hashes go first; once every one of their replies is known to be good, the ids are pushed, and only
when that is acknowledged are the requests answered.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import hiredis

from loader.errors import LoaderError, TransientError
from loader.gateway.encoders import Encoders
from loader.gateway.idempotency import Mark
from loader.gateway.link import Link
from loader.gateway.metrics import Metrics
from loader.layouts.base import QueueEncoder
from loader.wire.connection import Reply
from loader.wire.faults import from_reply
from loader.wire.resp import array, command

IN_FLIGHT = 2
"""Writes on the way: the server works on one while the next is built."""

MAX_TASKS = 20_000
MAX_BYTES = 8 * 1024 * 1024
"""Tasks and bytes of payloads a write, more or less: requests are not torn apart."""

log = logging.getLogger("runqy_loader")


class NotEnqueuedError(TransientError):
    """Redis is away or refuses: the request left no task behind."""


class UnknownOutcomeError(TransientError):
    """The connection was lost before the push was acknowledged: the tasks may be in or not."""


@dataclass(slots=True, eq=False)
class Entry:
    """The tasks of one request, all for one queue.

    Attributes:
        queue: Full name.
        ids: Of the tasks, the first of them to be consumed first.
        payloads: One a task.
        timeouts: Seconds a task may run, one a task, 0 for what the gateway's options say.
        mark: What the push notes, in the same step, for a request with an Idempotency-Key.
        done: Whether the tasks are in: done once the push is acknowledged. Its value is the ids that an earlier request
            with this mark made, or None.
    """

    queue: str
    ids: Sequence[bytes]
    payloads: Sequence[bytes]
    timeouts: Sequence[int]
    mark: Mark | None
    done: asyncio.Future[list[bytes] | None]


class Writer:
    """Writes what ``put`` gives it."""

    def __init__(self, link: Link, encoders: Encoders, metrics: Metrics) -> None:
        self._link = link
        self._encoders = encoders
        self._metrics = metrics
        self._waiting: deque[Entry] = deque()
        self._writes: set[asyncio.Task[None]] = set()
        self._is_due = False

    async def put(
        self,
        queue: str,
        ids: Sequence[bytes],
        payloads: Sequence[bytes],
        timeouts: Sequence[int],
        mark: Mark | None = None,
    ) -> list[bytes] | None:
        """Puts the tasks of a request into a queue; see ``Entry``.

        Raises:
            NotEnqueuedError: None of them is in.
            UnknownOutcomeError: It is not known whether they are in.
        """
        if not self._link.is_up:
            raise NotEnqueuedError("Redis is away; nothing was enqueued")
        loop = asyncio.get_running_loop()
        entry = Entry(queue, ids, payloads, timeouts, mark, loop.create_future())
        self._waiting.append(entry)
        if not self._is_due:
            # Not at once: the other requests that this turn of the event loop has read are to share the write.
            self._is_due = True
            loop.call_soon(self._start_writes)
        return await entry.done

    async def drain(self) -> None:
        """Returns once nothing waits or is on its way."""
        while self._writes or self._waiting:
            await asyncio.sleep(0)
            if self._writes:
                await asyncio.wait(self._writes)

    def _start_writes(self) -> None:
        self._is_due = False
        while self._waiting and len(self._writes) < IN_FLIGHT:
            entries: list[Entry] = []
            tasks = size = 0
            while self._waiting and tasks < MAX_TASKS and size < MAX_BYTES:
                entry = self._waiting.popleft()
                if not entry.done.done():  # else it was cancelled, before anything was written for it
                    entries.append(entry)
                    tasks += len(entry.ids)
                    size += sum(map(len, entry.payloads))
            if not entries:
                return
            write = asyncio.create_task(self._write(entries))
            self._writes.add(write)
            write.add_done_callback(self._finished)

    def _finished(self, write: asyncio.Task[None]) -> None:
        self._writes.discard(write)
        self._start_writes()

    async def _write(self, entries: Sequence[Entry]) -> None:
        shares = _shares(entries)
        try:
            await self._write_hashes(entries)
            pushed = self._link.call(b"".join(map(self._push_command, shares)), replies=len(shares))
            if pushed.done():  # it has failed before anything was sent
                await pushed
        except Exception as error:  # whatever it is, a request must not wait for ever
            _fail(entries, NotEnqueuedError("Redis does not take the tasks now; nothing was enqueued"), error)
            return
        try:
            for share, reply in zip(shares, await pushed, strict=True):
                self._settle(share, reply)
        except Exception as error:
            what = "the connection to Redis was lost; it is not known whether this was enqueued"
            _fail(entries, UnknownOutcomeError(what), error)

    async def _write_hashes(self, entries: Sequence[Entry]) -> None:
        """Raises LoaderError if a hash could not be written: then no task of this write is in."""
        pieces: list[bytes] = []
        count = 0
        for encoder, ids, payloads in self._grouped(entries):
            pieces.append(encoder.write_tasks(b"", ids, payloads))
            count += len(ids) * encoder.commands_a_task
        for queue in {entry.queue for entry in entries}:
            if key := self._encoders.get(queue).queues_key:
                pieces.append(command(b"SADD", key.encode(), queue.encode()))
                count += 1
        self._metrics.wrote(sum(len(entry.ids) for entry in entries))
        replies = await self._link.call(b"".join(pieces), replies=count)
        if not set(map(type, replies)) <= {int}:  # hot path: a C loop, 20 ns a task
            self._remove(entries)
            raise from_reply(next(str(reply) for reply in replies if isinstance(reply, hiredis.ReplyError)), "Redis")

    def _grouped(self, entries: Sequence[Entry]) -> Iterable[tuple[QueueEncoder, list[bytes], list[bytes]]]:
        """The tasks by encoder: one for each queue and timeout."""
        groups: dict[tuple[str, int], tuple[list[bytes], list[bytes]]] = {}
        for entry in entries:
            if len(set(entry.timeouts)) == 1:
                ids, payloads = groups.setdefault((entry.queue, entry.timeouts[0]), ([], []))
                ids += entry.ids
                payloads += entry.payloads
                continue
            for task_id, payload, timeout in zip(entry.ids, entry.payloads, entry.timeouts, strict=True):
                ids, payloads = groups.setdefault((entry.queue, timeout), ([], []))
                ids.append(task_id)
                payloads.append(payload)
        for (queue, timeout), (ids, payloads) in groups.items():
            yield self._encoders.get(queue, timeout), ids, payloads

    def _push_command(self, share: Sequence[Entry]) -> bytes:
        key = self._encoders.get(share[0].queue).pending_key
        if share[0].mark is not None:
            return share[0].mark.push(key, share[0].ids)
        return array([b"LPUSH", key, *(task_id for entry in share for task_id in entry.ids)])

    def _settle(self, share: Sequence[Entry], reply: Reply) -> None:
        if isinstance(reply, hiredis.ReplyError):
            self._remove(share)
            what = f"Redis does not take tasks for queue {share[0].queue} now; nothing was enqueued"
            _fail(share, NotEnqueuedError(what), from_reply(str(reply), f"queue {share[0].queue}"))
            return
        earlier = share[0].mark.earlier(reply) if share[0].mark is not None else None
        if earlier is not None:
            self._remove(share)  # of this request's own tasks, which it made in vain
        else:
            self._metrics.enqueued(share[0].queue, sum(len(entry.ids) for entry in share))
        for entry in share:
            if not entry.done.done():
                entry.done.set_result(earlier)

    def _remove(self, entries: Sequence[Entry]) -> None:
        """Removes the hashes of tasks that were not pushed, if it can be done: nothing depends on it."""
        keys: list[bytes] = []
        for entry in entries:
            encoder = self._encoders.get(entry.queue)
            keys += map(encoder.task_key, entry.ids)
            if encoder.commands_a_task > 1:
                keys += (b"asynq:t:" + task_id for task_id in entry.ids)
        try:
            removed = self._link.call(array([b"DEL", *keys]), replies=1)
        except LoaderError:
            return
        removed.add_done_callback(lambda future: future.cancelled() or future.exception())


def _shares(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Who shares a push: requests for the same queue, but each with a mark has its own."""
    plain: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.mark is None:
            plain.setdefault(entry.queue, []).append(entry)
    return [*plain.values(), *([entry] for entry in entries if entry.mark is not None)]


def _fail(entries: Iterable[Entry], error: LoaderError, cause: Exception) -> None:
    """Fails requests. What Redis and the network say is for the log, not for clients."""
    if isinstance(cause, LoaderError):
        log.warning("%s: %s", error.args[0], cause)
    else:
        log.error("%s; this is a bug", error.args[0], exc_info=cause)
    for entry in entries:
        if not entry.done.done():
            entry.done.set_exception(error)

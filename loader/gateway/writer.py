"""Puts the tasks of concurrent requests into Redis through shared, pipelined writes.

While writes are in flight, new requests wait; together they become the next write. So an idle gateway writes at once, a
busy gateway writes large pieces, and no request waits for a timer.

Each write sends the hashes first. Once all their replies are known to be good, it pushes the ids. Requests are answered
only when the push is acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import hiredis

from loader.errors import LoaderError, OversizedError, SinkError, TransientError
from loader.gateway.encoders import Encoders
from loader.gateway.idempotency import Mark
from loader.gateway.link import Link, WrongTypeError, wrong_type
from loader.gateway.metrics import Metrics
from loader.gateway.push import Written, push
from loader.gateway.queue_check import A_SET
from loader.gateway.rare_warnings import RareWarnings
from loader.layouts.base import QueueEncoder
from loader.queues.existing import QUEUES_KEY
from loader.servers.value_limit import SMALLEST_LIMIT
from loader.sinks.replies import DumpRefusedError, refuse_dumps
from loader.wire.connection import Reply
from loader.wire.faults import from_reply
from loader.wire.resp import array, command

IN_FLIGHT = 2
"""Writes in flight: the server works on one while the next is built."""

MAX_TASKS = 20_000
MAX_BYTES = 8 * 1024 * 1024
"""Approximate limits of one write, in tasks and in bytes of payloads: a request is never split."""

_SLICE = 500
"""Commands that are built and sent at once."""

_ENCODERS = 16
"""Encoders that are made at once: each takes about half a millisecond."""

_AROUND = 64 * 1024
"""More than a stored message has beside its payload."""

log = logging.getLogger("runqy_loader")


class NotEnqueuedError(TransientError):
    """Redis is not available, or refuses. None of the request's tasks is in."""


class UnknownOutcomeError(TransientError):
    """The connection was lost before the push was acknowledged. The tasks may or may not be in."""


class PayloadTooLongError(SinkError):
    """A payload is longer than Redis accepts. None of the request's tasks is in."""


@dataclass(slots=True, eq=False)
class Entry:
    """The tasks of one request, all for one queue.

    Attributes:
        queue: Full name.
        ids: One a task; the first one is consumed first.
        payloads: One a task.
        timeouts: Seconds a task may run, one a task; 0 for the value in the gateway's options.
        mark: For a request with an Idempotency-Key, the mark that the push sets in the same step.
        done: Completed once the push is acknowledged. Its value is the ids that an earlier request with this mark made,
            or None.
    """

    queue: str
    ids: Sequence[bytes]
    payloads: Sequence[bytes]
    timeouts: Sequence[int]
    mark: Mark | None
    done: asyncio.Future[list[bytes] | None]


class Writer:
    """Writes the requests that ``put`` collects.

    Args:
        longest: The longest payload that Redis accepts, in bytes; None if no request is longer, or it is not known.
        looks: Whether a push looks if Redis still has the hashes; see ``can_look``.
    """

    def __init__(
        self,
        link: Link,
        encoders: Encoders,
        metrics: Metrics,
        warnings: RareWarnings,
        longest: int | None = None,
        *,
        looks: bool = True,
    ) -> None:
        self._link = link
        self._warnings = warnings
        self._looks = looks
        self._longest = longest
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
            NotEnqueuedError: None of the tasks is in.
            UnknownOutcomeError: It is not known whether the tasks are in.
            PayloadTooLongError: Redis accepts no payload of this length. It would close the connection of all requests.
        """
        if self._longest is not None and (length := max(map(len, payloads))) > self._longest:
            raise PayloadTooLongError(f"a payload is {length} bytes long; Redis accepts {self._longest}")
        if not self._link.is_up:
            raise NotEnqueuedError("Redis is not available; nothing was enqueued")
        loop = asyncio.get_running_loop()
        entry = Entry(queue, ids, payloads, timeouts, mark, loop.create_future())
        self._waiting.append(entry)
        if not self._is_due:
            # Not at once, so that the other requests read in this turn of the event loop share the write.
            self._is_due = True
            loop.call_soon(self._start_writes)
        return await entry.done

    async def drain(self) -> None:
        """Returns once no request waits and no write is in flight."""
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
                if not entry.done.done():  # otherwise it was cancelled before anything was written for it
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
        self._metrics.wrote(sum(len(entry.ids) for entry in entries))
        try:
            written = await self._write_hashes(entries)
            pushes = [self._push_command(share, written) for share in shares]
            pushed = self._link.call(b"".join(pushes), replies=len(shares))
            if pushed.done():  # the call failed before anything was sent
                await pushed
        except Exception as error:  # on any error: a request must not wait for ever
            if isinstance(error, OversizedError):
                self._fail(
                    _with_long_payloads(entries), PayloadTooLongError("Redis refuses the size of a payload"), error
                )
            why = error.args[0] if isinstance(error, WrongTypeError) else "Redis does not take the tasks now"
            self._fail(entries, NotEnqueuedError(f"{why}; nothing was enqueued"), error)
            self._link.leave_replica(error)
            return
        try:
            for share, reply in zip(shares, await pushed, strict=True):
                self._settle(share, reply)
        except Exception as error:
            what = "the connection to Redis was lost; it is not known whether this was enqueued"
            self._fail(entries, UnknownOutcomeError(what), error)

    async def _write_hashes(self, entries: Sequence[Entry]) -> Written:
        """Writes the hashes. Raises LoaderError if one could not be written; then no task of this write is in."""
        try:
            return await self._send_hashes(entries)
        except DumpRefusedError as refusal:
            is_new = self._encoders.write_by_hset()
            written = await self._send_hashes(entries)
            if is_new:
                log.warning("%s", refusal)
            return written

    async def _send_hashes(self, entries: Sequence[Entry]) -> Written:
        """Writes the hashes once. Returns which ones were first and last.

        Raises:
            DumpRefusedError: The server does not take dumps.
            LoaderError: A hash could not be written.
        """
        commands: list[bytes] = []
        count, compact, first, last = 0, False, b"", b""
        for queue in {entry.queue for entry in entries}:
            if key := self._encoders.get(queue).queues_key:
                commands.append(command(b"SADD", key.encode(), queue.encode()))
                count += 1
        calls: list[asyncio.Future[list[Reply]]] = []
        try:
            for number, (encoder, ids, payloads) in enumerate(self._grouped(entries), 1):
                if number % _ENCODERS == 0:
                    await asyncio.sleep(0)  # for other requests, as below
                compact = compact or encoder.is_compact
                first, last = first or encoder.task_key(ids[0]), encoder.task_key(ids[-1])
                for start in range(0, len(ids), _SLICE):
                    if count >= _SLICE:
                        calls.append(self._link.call(b"".join(commands), replies=count))
                        commands, count = [], 0
                        await asyncio.sleep(0)  # for other requests: a large write takes many milliseconds
                    part = ids[start : start + _SLICE]
                    commands.append(encoder.write_tasks(b"", part, payloads[start : start + _SLICE]))
                    count += len(part) * encoder.commands_a_task
            calls.append(self._link.call(b"".join(commands), replies=count))
        except LoaderError:
            await asyncio.gather(*calls, return_exceptions=True)  # they have failed as well
            raise
        replies = await calls[0] if len(calls) == 1 else list(chain.from_iterable(await asyncio.gather(*calls)))
        if not set(map(type, replies)) <= {int, bytes}:  # hot path: a C loop, 20 ns a task
            self._remove(entries)
            if (error := wrong_type(replies[0], QUEUES_KEY, A_SET)) is not None:
                raise error
            text = next(str(reply) for reply in replies if isinstance(reply, hiredis.ReplyError))
            if compact:
                refuse_dumps(text, "Redis")
            raise from_reply(text, "Redis")
        return first, last

    def _grouped(self, entries: Sequence[Entry]) -> Iterable[tuple[QueueEncoder, list[bytes], list[bytes]]]:
        """The tasks grouped by encoder. Each queue and timeout has an encoder."""
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

    def _push_command(self, share: Sequence[Entry], written: Written) -> bytes:
        key = self._encoders.get(share[0].queue).pending_key
        if share[0].mark is not None:
            return share[0].mark.push(key, share[0].ids, written)
        ids = (task_id for entry in share for task_id in entry.ids)
        return push(key, ids, written) if self._looks else array([b"LPUSH", key, *ids])

    def _settle(self, share: Sequence[Entry], reply: Reply) -> None:
        if isinstance(reply, hiredis.ReplyError):
            self._remove(share)
            what = f"Redis does not take tasks for queue {share[0].queue} now; nothing was enqueued"
            key = self._encoders.get(share[0].queue).pending_key.decode(errors="replace")
            if (named := wrong_type(reply, key, "a list of tasks")) is not None:
                what = f"{named.args[0]}; nothing was enqueued"
            error = from_reply(str(reply), f"queue {share[0].queue}")
            self._fail(share, NotEnqueuedError(what), error)
            self._link.leave_replica(error)
            return
        earlier = share[0].mark.earlier(reply) if share[0].mark is not None else None
        if earlier is not None:
            self._remove(share)  # the hashes of this request's own tasks, which were not pushed
        else:
            self._metrics.enqueued(share[0].queue, sum(len(entry.ids) for entry in share))
        for entry in share:
            if not entry.done.done():
                entry.done.set_result(earlier)

    def _fail(self, entries: Iterable[Entry], error: LoaderError, cause: Exception) -> None:
        """Fails requests. Errors of Redis and of the network go to the log, not to clients."""
        if isinstance(cause, LoaderError):
            self._warnings.warn(f"{error.args[0]}: {cause}")
        else:
            log.error("%s; this is a bug", error.args[0], exc_info=cause)
        for entry in entries:
            if not entry.done.done():
                entry.done.set_exception(error)

    def _remove(self, entries: Sequence[Entry]) -> None:
        """Tries to remove the hashes of tasks that were not pushed. Nothing depends on its success."""
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
    """Groups requests by push. Requests for the same queue share one; a request with a mark has its own."""
    plain: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.mark is None:
            plain.setdefault(entry.queue, []).append(entry)
    return [*plain.values(), *([entry] for entry in entries if entry.mark is not None)]


def _with_long_payloads(entries: Iterable[Entry]) -> list[Entry]:
    return [entry for entry in entries if max(map(len, entry.payloads)) >= SMALLEST_LIMIT - _AROUND]

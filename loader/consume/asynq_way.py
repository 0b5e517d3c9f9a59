"""Takes and ends tasks as asynq's server does (0.26; the names of its functions are given where they are followed)."""

from __future__ import annotations

import math
import random
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace

import hiredis

from loader.consume.asynq_message import MessageReader
from loader.consume.asynq_scripts import SENT
from loader.consume.asynq_server import AsynqServer
from loader.consume.calls import Call, Script, run_calls
from loader.consume.way import MOST_AT_ONCE, Ending, Taken, Turn
from loader.layouts.task_message import decode, encode_message
from loader.queues.asynq_keys import base_of
from loader.servers.question import ask
from loader.servers.session import Session
from loader.tasks.profiles import LayoutName
from loader.wire.connection import Reply
from loader.wire.faults import from_reply

LEASE_SECONDS = 30
"""``LeaseDuration``: for how long a task is taken, and for how long each heartbeat extends it (``rdb.go``)."""

_MARKS = 2**20
"""A lease ends at a fraction of a second that is a consumer's own. asynq's servers write whole seconds. A double has 20
bits for it, and more, until the year 2242."""

_RECOVER_AFTER = 30
"""Seconds after the end of its lease at which a task is recovered (``recoverer.go``)."""

_STATS_SECONDS = 90 * 86_400
"""``statsTTL``: how long the counters of a day are kept (``rdb.go``)."""

_MOST = b"9223372036854775807"
"""At this value a counter begins anew (``rdb.go``)."""

_ARCHIVE_SIZE, _ARCHIVE_SECONDS = b"10000", 90 * 86_400
"""``maxArchiveSize``, ``archivedExpirationInDays`` (``rdb.go``)."""

_SCRIPTS = {name: Script(text) for name, text in SENT.items()}


class AsynqWay:
    """See ``Way``.

    Args:
        queue: Its full name.
        retry_delay: Seconds that a failed task waits; None for asynq's own delay.
        retention: Seconds that a completed task is kept; None for what the task says.
        consumers: How many tasks are in service at once.
    """

    layout: LayoutName = "asynq"

    def __init__(
        self, session: Session, queue: str, *, retry_delay: float | None, retention: int | None, consumers: int
    ) -> None:
        self.queue = queue
        self._session = session
        self._retry_delay = retry_delay
        self._retention = retention
        self._where = f"queue {queue}"
        base = self._base = base_of(queue)
        self._tasks = base + b"t:"
        self._pending, self._active, self._lease = base + b"pending", base + b"active", base + b"lease"
        self._take_keys = (self._pending, base + b"paused", self._active, self._lease)
        self._messages = MessageReader()
        self._server = AsynqServer(session, queue, consumers)
        self._mark = (1 + secrets.randbelow(_MARKS - 1)) / _MARKS

    @property
    def name(self) -> str:
        return self._server.name

    @property
    def repeats(self) -> int:
        return self._session.repeats

    async def turn(self, endings: Sequence[Ending], wanted: int) -> Turn:
        now = time.time()
        calls = [self._end(ending, now) for ending in endings]
        take = Call(_SCRIPTS["take"], self._take_keys, (self._lease_end(now), self._tasks))
        replies = await run_calls(self._session, [*calls, *[take] * wanted])
        turn = Turn()
        for reply in replies[: len(calls)]:
            turn.ended.append(_ended(self._checked(reply, turn)))
        for reply in replies[len(calls) :]:
            if isinstance(found := self._checked(reply, turn), list):
                self._add(turn, *found)
        return turn

    def _checked(self, reply: Reply, turn: Turn) -> Reply:
        """The reply; None for an error, of which the turn keeps the first one."""
        if isinstance(reply, hiredis.ReplyError):
            turn.error = turn.error or from_reply(str(reply), f"{self._session.address}, {self._where}")
            return None
        return reply

    def _add(self, turn: Turn, task_id: bytes, message: bytes | None, since: bytes | None) -> None:
        turn.found += 1
        if (task := self._messages.read(task_id, message)) is None:
            turn.unreadable += 1  # as with asynq, it stays active
            return
        task.pending_since = int(since) / 1e9 if since is not None and since.isdigit() else None
        turn.taken.append(task)

    def _end(self, ending: Ending, now: float) -> Call:
        task = ending.task
        day = time.strftime("%Y-%m-%d", time.gmtime(now)).encode()
        counters = (self._base + b"processed:" + day, self._base + b"processed")
        keys = (self._active, self._lease, self._tasks + task.id, *counters)
        arguments = (task.id, b"%d" % (now + _STATS_SECONDS), _MOST)
        lock = (task.lock,) if task.lock else ()
        if ending.kind == "done":
            retention = task.retention if self._retention is None else self._retention
            if retention <= 0:
                return Call(_SCRIPTS["done"], (*keys, *lock), arguments)
            kept = encode_message(replace(decode(task.data), completed_at=int(now)))
            until = b"%d" % (int(now) + retention)
            return Call(_SCRIPTS["complete"], (*keys, self._base + b"completed", *lock), (*arguments, until, kept))
        both = (*keys, self._base + b"failed:" + day, self._base + b"failed")
        again = ending.kind == "retry"
        retried = task.retried + again
        failed = replace(decode(task.data), retried=retried, error_msg=ending.error, last_failed_at=int(now))
        text = encode_message(failed)
        if again:
            at = b"%d" % (now + self._delay(task.retried))
            return Call(_SCRIPTS["retry"], (*both, self._base + b"retry"), (*arguments, at, text))
        oldest = b"%d" % (now - _ARCHIVE_SECONDS)
        archive = (*arguments, b"%d" % now, text, oldest, _ARCHIVE_SIZE, self._tasks)
        return Call(_SCRIPTS["archive"], (*both, self._base + b"archived"), archive)

    def _delay(self, retried: int) -> float:
        """``DefaultRetryDelayFunc`` (``server.go``), if no delay is given."""
        if self._retry_delay is not None:
            return self._retry_delay
        return int(math.pow(retried, 4)) + 15 + random.randrange(30) * (retried + 1)

    async def put_back(self, ids: Sequence[bytes]) -> Turn:
        script = _SCRIPTS["put-back"]
        keys = self._active, self._lease, self._pending
        calls = [Call(script, (*keys, self._tasks + name), (name,)) for name in ids]
        turn = Turn()
        turn.ended = [_ended(self._checked(reply, turn)) for reply in await run_calls(self._session, calls)]
        return turn

    async def beat(self, active: Sequence[Taken], *, stopping: bool) -> None:
        if active:  # first, before any of them can have ended
            until = self._lease_end(time.time())
            pairs = [part for task in active for part in (until, task.id)]
            await self._session.call([ask(b"ZADD", self._lease, b"XX", *pairs)], self._where)
        await self._server.write(active, stopping=stopping)

    async def leave(self) -> None:
        await self._server.clear()

    async def forward(self) -> int:
        now = time.time()
        arguments = (b"%d" % now, self._tasks, b"%d" % time.time_ns(), self._base + b"g:")
        kinds = (b"scheduled", b"retry")
        calls = [Call(_SCRIPTS["forward"], (self._base + kind, self._pending), arguments) for kind in kinds]
        return await self._until_none(calls)

    async def clean(self) -> int:
        arguments = (b"%d" % time.time(), self._tasks)
        return await self._until_none([Call(_SCRIPTS["clean"], (self._base + b"completed",), arguments)])

    async def expired(self) -> list[Taken]:
        before = b"%d" % (time.time() - _RECOVER_AFTER)
        (found,) = await self._called([Call(_SCRIPTS["expired"], (self._lease,), (before, self._tasks))])
        tasks = (
            self._messages.read(task_id, message) for task_id, message in zip(found[::2], found[1::2], strict=True)
        )
        return [task for task in tasks if task is not None]

    async def pending(self) -> int:
        (count,) = await self._session.call([ask(b"LLEN", self._pending)], self._where)
        return int(count)

    async def paused(self) -> bool:
        (found,) = await self._session.call([ask(b"EXISTS", self._base + b"paused")], self._where)
        return bool(found)

    async def mine(self) -> list[bytes]:
        (ids,) = await self._session.call([ask(b"LRANGE", self._active, b"0", b"-1")], self._where)
        found: list[bytes] = []
        for at in range(0, len(ids), MOST_AT_ONCE):
            some = ids[at : at + MOST_AT_ONCE]
            ends = await self._session.call([ask(b"ZSCORE", self._lease, name) for name in some], self._where)
            found += [name for name, end in zip(some, ends, strict=True) if end and float(end) % 1 == self._mark]
        return found

    def _lease_end(self, now: float) -> bytes:
        """Unix time at which a lease ends that begins now, with this consumer's mark."""
        return repr(int(now) + LEASE_SECONDS + self._mark).encode()

    async def _until_none(self, calls: list[Call]) -> int:
        """Repeats calls that do a part of the work at a time. Returns how many tasks they were in all."""
        total = 0
        while moved := sum(await self._called(calls)):
            total += moved
        return total

    async def _called(self, calls: Sequence[Call]) -> list[Reply]:
        turn = Turn()
        replies = [self._checked(reply, turn) for reply in await run_calls(self._session, calls)]
        if turn.error is not None:
            raise turn.error
        return replies


def _ended(reply: Reply) -> bool | None:
    return None if reply is None else reply == 1

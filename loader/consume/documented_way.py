"""Takes and ends tasks with the keys of runqy's enqueueing guide.

The guide describes the pending list and the task's hash; what else a worker writes is that of runqy-worker from before
January 2026 (``internal/redis/redis.go``, ``heartbeat.go``): the list ``asynq:<queue>:active``, the hash's field
``state``, the result under ``asynq:result:<id>``, and the heartbeat. The error is in the field ``error_msg``, where
``runqy-loader wait`` looks for it. A failed task is pending again at once: these keys have no place for tasks that
wait.
"""

from __future__ import annotations

from collections.abc import Sequence

import hiredis

from loader.consume.calls import Call, Script, run_calls
from loader.consume.documented_scripts import SENT
from loader.consume.documented_worker import DocumentedWorker
from loader.consume.way import Ending, Taken, Turn
from loader.servers.question import Question, ask
from loader.servers.session import Session
from loader.tasks.profiles import LayoutName
from loader.wire.connection import Reply
from loader.wire.faults import from_reply

_SCRIPTS = {name: Script(text) for name, text in SENT.items()}

_TASKS = b"asynq:t:"
_RESULTS = b"asynq:result:"
_RESULT = b'{"consumed_by":"runqy-loader"}'
_FIELDS = (b"payload", b"type", b"retry", b"max_retry", b"queue", b"pending_since", b"enqueued_at", b"created_at")
"""The guide's fields, which a worker reads, and those in which producers may say when they enqueued the task."""

_GUIDE_MAX_RETRY = 3
_NANOSECONDS, _MICROSECONDS, _MILLISECONDS = 1e17, 1e14, 1e11
"""Numbers above these are no times in seconds, so they are times in smaller units: asynq's clients write nanoseconds,
node-asynq seconds."""


class DocumentedWay:
    """See ``Way``: for a single server, by scripts.

    Args:
        queue: Its full name.
        retention: Seconds that a completed task and its result are kept; 0 to delete it.
        consumers: How many tasks are in service at once.
    """

    layout: LayoutName = "documented"

    def __init__(self, session: Session, queue: str, *, retention: int, consumers: int) -> None:
        self.queue = queue
        self._session = session
        self._retention = b"%d" % retention
        self._where = f"queue {queue}"
        self._pending = b"asynq:%b:pending" % queue.encode()
        self._active = b"asynq:%b:active" % queue.encode()
        self._worker = DocumentedWorker(session, queue, consumers)

    @property
    def name(self) -> str:
        return self._worker.name

    @property
    def repeats(self) -> int:
        return self._session.repeats

    async def turn(self, endings: Sequence[Ending], wanted: int) -> Turn:
        take = Call(_SCRIPTS["take"], (self._pending, self._active), (_TASKS, *_FIELDS))
        replies = await run_calls(self._session, [*map(self._end, endings), *[take] * wanted])
        turn = Turn()
        for reply in replies[: len(endings)]:
            turn.ended.append(self._checked(reply, turn) == 1)
        for reply in replies[len(endings) :]:
            if isinstance(found := self._checked(reply, turn), list):
                task_id, *fields = found
                self._add(turn, task_id, fields)
        return turn

    def _checked(self, reply: Reply, turn: Turn) -> Reply:
        """The reply; None for an error, of which the turn keeps the first one."""
        if isinstance(reply, hiredis.ReplyError):
            turn.error = turn.error or from_reply(str(reply), f"{self._session.address}, {self._where}")
            return None
        return reply

    def _add(self, turn: Turn, task_id: bytes, fields: Sequence[bytes | None]) -> None:
        turn.found += 1
        if not fields or fields[0] is None:
            turn.unreadable += 1
            return
        _, _, retry, max_retry, _, *times = fields
        since = next((found for text in times if (found := _unix_time(text)) is not None), None)
        task = Taken(task_id, _number(retry, 0), _number(max_retry, _GUIDE_MAX_RETRY), pending_since=since)
        turn.taken.append(task)

    def _end(self, ending: Ending) -> Call:
        task = ending.task
        keys = (self._active, _TASKS + task.id)
        if ending.kind == "done":
            return Call(_SCRIPTS["done"], (*keys, _RESULTS + task.id), (task.id, self._retention, _RESULT))
        if ending.kind == "retry":
            return Call(_SCRIPTS["retry"], (*keys, self._pending), (task.id, b"%d" % (task.retried + 1)))
        return Call(_SCRIPTS["archive"], keys, (task.id, ending.error.encode()))

    async def put_back(self, ids: Sequence[bytes]) -> list[bool]:
        script = _SCRIPTS["put-back"]
        calls = [Call(script, (self._active, _TASKS + name, self._pending), (name,)) for name in ids]
        turn = Turn()
        replies = [self._checked(reply, turn) for reply in await run_calls(self._session, calls)]
        if turn.error is not None:
            raise turn.error
        return [reply == 1 for reply in replies]

    async def beat(self, active: Sequence[Taken], *, stopping: bool) -> None:
        await self._worker.write()

    async def leave(self) -> None:
        await self._worker.clear()

    async def forward(self) -> int:
        return 0

    async def clean(self) -> int:
        return 0

    async def expired(self) -> list[Taken]:
        return []

    async def pending(self) -> int:
        (count,) = await self._session.call([ask(b"LLEN", self._pending)], self._where)
        return int(count)

    async def active_ids(self) -> set[bytes]:
        (ids,) = await self._session.call([ask(b"LRANGE", self._active, b"0", b"-1")], self._where)
        return set(ids)


class ClusterDocumentedWay(DocumentedWay):
    """The same for a cluster, by single commands: there, the keys of one task are in different slots.

    Between RPOP and LPUSH, a task is in neither list, as with any consumer of the guide's keys.
    """

    async def turn(self, endings: Sequence[Ending], wanted: int) -> Turn:
        turn = Turn()
        pops = [ask(b"RPOP", self._pending)] * wanted
        replies = await self._values([*(self._released(ending.task.id) for ending in endings), *pops], turn)
        turn.ended = [reply == 1 for reply in replies[: len(endings)]]
        ids = [reply for reply in replies[len(endings) :] if isinstance(reply, bytes)]
        questions = [
            question
            for ending, ours in zip(endings, turn.ended, strict=True)
            if ours
            for question in self._commands(ending)
        ]
        reads = [ask(b"HMGET", _TASKS + task_id, *_FIELDS) for task_id in ids]
        pushes = [ask(b"LPUSH", self._active, *ids)] if ids else []
        found = await self._values([*pushes, *reads, *questions], turn)
        for task_id, fields in zip(ids, found[len(pushes) : len(pushes) + len(ids)], strict=True):
            self._add(turn, task_id, fields or ())
        readable = {task.id for task in turn.taken}
        states = [ask(b"HSET", _TASKS + task_id, b"state", b"active") for task_id in ids if task_id in readable]
        dropped = [self._released(task_id) for task_id in ids if task_id not in readable]
        await self._values([*states, *dropped], turn)
        return turn

    async def put_back(self, ids: Sequence[bytes]) -> list[bool]:
        turn = Turn()
        released = await self._values([self._released(task_id) for task_id in ids], turn)
        ours = [task_id for task_id, reply in zip(ids, released, strict=True) if reply == 1]
        states = [ask(b"HDEL", _TASKS + task_id, b"state") for task_id in ours]
        await self._values([*states, *(ask(b"RPUSH", self._pending, task_id) for task_id in ours)], turn)
        if turn.error is not None:
            raise turn.error
        return [reply == 1 for reply in released]

    def _commands(self, ending: Ending) -> list[Question]:
        """What is left to do with a task that is no longer active."""
        task_id = ending.task.id
        key = _TASKS + task_id
        if ending.kind == "retry":
            count = b"%d" % (ending.task.retried + 1)
            return [ask(b"HSET", key, b"retry", count, b"state", b"pending"), ask(b"LPUSH", self._pending, task_id)]
        if ending.kind == "archive":
            return [ask(b"HSET", key, b"state", b"archived", b"error_msg", ending.error.encode())]
        if self._retention == b"0":
            return [ask(b"DEL", key)]
        return [
            ask(b"SET", _RESULTS + task_id, _RESULT, b"EX", self._retention),
            ask(b"HSET", key, b"state", b"completed"),
            ask(b"EXPIRE", key, self._retention),
        ]

    def _released(self, task_id: bytes) -> Question:
        return ask(b"LREM", self._active, b"1", task_id)

    async def _values(self, questions: Sequence[Question], turn: Turn) -> list[Reply]:
        if not questions:
            return []
        return [self._checked(reply, turn) for reply in await self._session.values(questions)]


def _number(text: bytes | None, default: int) -> int:
    return int(text) if text is not None and text.isdigit() and len(text) < 10 else default


def _unix_time(text: bytes | None) -> float | None:
    """Unix seconds of a time; None for what is no number of seconds, or of a smaller unit, since 1970."""
    if text is None or not text.replace(b".", b"", 1).isdigit() or len(text) > 30:
        return None
    value = float(text)
    for above, unit in ((_NANOSECONDS, 1e9), (_MICROSECONDS, 1e6), (_MILLISECONDS, 1e3)):
        if value > above:
            return value / unit
    return value or None

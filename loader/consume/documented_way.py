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
from loader.consume.documented_scripts import OWNER, SENT
from loader.consume.documented_worker import DocumentedWorker
from loader.consume.way import MOST_AT_ONCE, Ending, Taken, Turn
from loader.servers.question import Question, ask
from loader.servers.session import Session
from loader.tasks.profiles import LayoutName
from loader.wire.connection import Reply
from loader.wire.faults import code_of, from_reply

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
        self._owner = self._worker.name.encode()

    @property
    def name(self) -> str:
        return self._worker.name

    @property
    def repeats(self) -> int:
        return self._session.repeats

    async def turn(self, endings: Sequence[Ending], wanted: int) -> Turn:
        take = Call(_SCRIPTS["take"], (self._pending, self._active), (_TASKS, self._owner, *_FIELDS))
        replies = await run_calls(self._session, [*map(self._end, endings), *[take] * wanted])
        turn = Turn()
        for reply in replies[: len(endings)]:
            turn.ended.append(_ended(self._checked(reply, turn)))
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

    async def put_back(self, ids: Sequence[bytes]) -> Turn:
        script = _SCRIPTS["put-back"]
        calls = [Call(script, (self._active, _TASKS + name, self._pending), (name,)) for name in ids]
        turn = Turn()
        turn.ended = [_ended(self._checked(reply, turn)) for reply in await run_calls(self._session, calls)]
        return turn

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

    async def paused(self) -> bool:
        return False

    async def mine(self) -> list[bytes]:
        (ids,) = await self._session.call([ask(b"LRANGE", self._active, b"0", b"-1")], self._where)
        found: list[bytes] = []
        for at in range(0, len(ids), MOST_AT_ONCE):
            some = ids[at : at + MOST_AT_ONCE]
            owners = await self._session.values([ask(b"HMGET", _TASKS + name, OWNER) for name in some])
            found += [name for name, owner in zip(some, owners, strict=True) if owner == [self._owner]]
        return found


class ClusterDocumentedWay(DocumentedWay):
    """The same for a cluster, by single commands: there, the keys of one task are in different slots.

    Between RPOP and LPUSH, a task is in neither list, as with any consumer of the guide's keys.
    """

    async def turn(self, endings: Sequence[Ending], wanted: int) -> Turn:
        turn = Turn()
        pops = [ask(b"RPOP", self._pending)] * wanted
        replies = await self._values([*(self._released(ending.task.id) for ending in endings), *pops], turn)
        turn.ended = [_ended(reply) for reply in replies[: len(endings)]]
        ids = [reply for reply in replies[len(endings) :] if isinstance(reply, bytes)]
        await self._finish([ending for ending, ours in zip(endings, turn.ended, strict=True) if ours], turn)
        if ids:
            await self._take(ids, turn)
        return turn

    async def _finish(self, endings: Sequence[Ending], turn: Turn) -> None:
        """Does what is left to do with tasks that are no longer active."""
        questions = [question for ending in endings for question in self._commands(ending)]
        await self._values(questions, turn)

    async def _take(self, ids: Sequence[bytes], turn: Turn) -> None:
        """Makes tasks active that are in no list, or pending again if the server refuses."""
        pushed, *found = await self._session.values(
            [ask(b"LPUSH", self._active, *ids), *(ask(b"HMGET", _TASKS + task_id, *_FIELDS) for task_id in ids)]
        )
        is_pushed = not isinstance(pushed, hiredis.ReplyError)
        back: list[bytes] = []
        for task_id, reply in zip(ids, found, strict=True):
            if is_pushed and not _refused(reply):
                self._add(turn, task_id, reply if isinstance(reply, list) else ())
            else:
                self._checked(reply if is_pushed else pushed, turn)
                back.append(task_id)
        readable = {task.id for task in turn.taken}
        marks = (b"state", b"active", OWNER, self._owner)
        states = [ask(b"HSET", _TASKS + task_id, *marks) for task_id in ids if task_id in readable]
        dropped = [self._released(task_id) for task_id in ids if task_id not in readable]
        again = [ask(b"RPUSH", self._pending, *reversed(back))] if back else []
        await self._values([*again, *states, *(dropped if is_pushed else ())], turn)

    async def put_back(self, ids: Sequence[bytes]) -> Turn:
        turn = Turn()
        released = await self._values([self._released(task_id) for task_id in ids], turn)
        turn.ended = [_ended(reply) for reply in released]
        ours = [task_id for task_id, was_active in zip(ids, turn.ended, strict=True) if was_active]
        states = [ask(b"HDEL", _TASKS + task_id, b"state", OWNER) for task_id in ours]
        await self._values([*states, *(ask(b"RPUSH", self._pending, task_id) for task_id in ours)], turn)
        return turn

    def _commands(self, ending: Ending) -> list[Question]:
        """What is left to do with a task that is no longer active."""
        task_id = ending.task.id
        key = _TASKS + task_id
        unmark = ask(b"HDEL", key, OWNER)
        if ending.kind == "retry":
            count = b"%d" % (ending.task.retried + 1)
            state = ask(b"HSET", key, b"retry", count, b"state", b"pending")
            return [unmark, state, ask(b"LPUSH", self._pending, task_id)]
        if ending.kind == "archive":
            return [unmark, ask(b"HSET", key, b"state", b"archived", b"error_msg", ending.error.encode())]
        if self._retention == b"0":
            return [ask(b"DEL", key)]
        return [
            unmark,
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


def _ended(reply: Reply) -> bool | None:
    return None if reply is None else reply == 1


def _refused(reply: Reply) -> bool:
    """Whether it is an error; that a key holds no hash only means that there is no task."""
    return isinstance(reply, hiredis.ReplyError) and code_of(reply) != "WRONGTYPE"


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

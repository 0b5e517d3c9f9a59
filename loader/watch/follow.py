"""Follows sampled tasks of a queue from the pending list to their end, to know how long they take.

A worker that takes a task deletes the time at which it became pending (asynq 0.26, ``dequeueCmd``), and nothing else
that stays behind has it. So a task is chosen while it is pending, and looked at until it is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from loader.layouts.task_message import MessageError, decode
from loader.servers.question import Question, ask
from loader.servers.session import Session
from loader.stored.queue_reader import StoredQueue
from loader.watch.asking import values
from loader.watch.look import pending_since
from loader.watch.times import TaskTimes, Timer
from loader.wire.connection import Reply

GIVE_UP_SECONDS = 24 * 3600.0
"""A followed task that shows no change for so long is given up."""

NEAR_THE_END = 1000
"""How far from its end the pending list of the documented layout is searched. The search costs as many steps."""

_NEW_SHARE = 10
"""Each look begins to follow at most this part of the sample, so that it is spread over time."""

_FAILED = (b"archived", b"failed")

_WHOLE_SECOND = 1.0


@dataclass(slots=True)
class Followed:
    """A task that is followed.

    Attributes:
        since: Unix seconds at which it became pending.
        mark: Its ``pending_since``, which changes if it becomes pending again.
        weight: How many tasks it stands for.
        taken: Whether it has left the pending list.
        near: Whether it was seen near the end of the pending list.
    """

    id: bytes
    since: float
    mark: Reply
    weight: int
    taken: bool = False
    near: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look tells about a followed task.

    Attributes:
        waits: Whether it is still in the pending list; None if the look does not tell.
        done: Whether it is completed: a worker says so, or has deleted it.
        failed: Whether it has failed for good.
        completed_at: Unix time in whole seconds at which its worker completed it, if the worker has left it.
    """

    waits: bool | None
    done: bool = False
    failed: bool = False
    completed_at: int | None = None


class Follower(Protocol):
    """The part that differs between the layouts."""

    def questions(self, task: Followed) -> list[Question]:
        """The commands that tell the state of a task."""
        ...

    def seen(self, task: Followed, replies: Sequence[Reply]) -> Seen:
        """What their replies tell."""
        ...


class AsynqFollower:
    """Reads the state that workers keep in a task's hash."""

    def __init__(self, queue: StoredQueue) -> None:
        self._queue = queue

    def questions(self, task: Followed) -> list[Question]:
        return [ask(b"HMGET", self._queue.task_key(task.id), b"state", b"pending_since", b"completed_at")]

    def seen(self, task: Followed, replies: Sequence[Reply]) -> Seen:
        state, since, completed_at = replies[0] if isinstance(replies[0], list) else (None, None, None)
        if state is None and since is None:
            return Seen(waits=False, done=True)
        if state == b"completed":
            return Seen(waits=False, done=True, completed_at=_whole_seconds(completed_at))
        # Another time: it was taken, and is pending again after a failed attempt.
        return Seen(waits=state in (None, b"pending") and since == task.mark, failed=state in _FAILED)


class DocumentedFollower:
    """Reads what there is: the result, the hash, and the end of the pending list."""

    def __init__(self, queue: StoredQueue) -> None:
        self._queue = queue

    def questions(self, task: Followed) -> list[Question]:
        place = [b"RANK", b"-1", b"MAXLEN", b"%d" % NEAR_THE_END]
        return [
            ask(b"HMGET", self._queue.task_key(task.id), b"payload", b"state"),
            ask(b"EXISTS", b"asynq:result:" + task.id),
            # The place first: a task that enters the list between the two makes it longer, never shorter.
            *([] if task.taken else [ask(b"LPOS", self._queue.pending_key, task.id, *place)]),
            *([] if task.taken else [ask(b"LLEN", self._queue.pending_key)]),
        ]

    def seen(self, task: Followed, replies: Sequence[Reply]) -> Seen:
        fields, result, *place = replies
        payload, state = fields if isinstance(fields, list) else (None, None)
        if result == 1 or state == b"completed" or (payload is None and state is None):
            return Seen(waits=False, done=True)
        if state in _FAILED:
            return Seen(waits=False, failed=True)
        if task.taken or state not in (None, b"pending"):
            return Seen(waits=False)
        at, length = place
        if isinstance(at, int):
            task.near = True
            return Seen(waits=True)
        # Workers take from the end, so a task only comes nearer to it. Further away, its place is not known.
        is_gone = task.near or (isinstance(length, int) and length <= NEAR_THE_END)
        return Seen(waits=False if is_gone else None)


class Sample:
    """The followed tasks of one queue, and their times.

    In each look, the newest tasks of the pending list are read: those that were pushed since the look before. A part of
    them is followed. A look sends at most ``commands(layout, most)`` commands.

    Args:
        most: The most tasks to follow at the same time.
    """

    def __init__(self, session: Session, queue: StoredQueue, most: int) -> None:
        self._session = session
        self._queue = queue
        self._most = most
        self._new = max(1, most // _NEW_SHARE)
        self._follower: Follower = AsynqFollower(queue) if queue.layout == "asynq" else DocumentedFollower(queue)
        self._followed: list[Followed] = []
        self._newest: bytes | None = None
        self._looked_at: float | None = None
        self._entered = 0
        self._unseen: int | None = 0 if queue.layout == "asynq" else None
        self._failed = self._lost = 0
        self._losses = session.losses
        self._in_queue, self._to_completion = Timer(), Timer()

    @property
    def times(self) -> TaskTimes:
        """The times so far."""
        return TaskTimes(
            self._in_queue.percentiles(),
            self._to_completion.percentiles(),
            self._unseen,
            following=len(self._followed),
            failed=self._failed,
            lost=self._lost,
        )

    async def look(self, now: float, pending: int, entered: int | None) -> None:
        """Looks at the followed tasks, and begins to follow new ones.

        Args:
            now: Unix seconds of this look.
            pending: How many tasks are pending.
            entered: How many have become pending since the look before; None if that is not known.

        Raises:
            SinkError: The server cannot be reached.
        """
        if self._session.losses != self._losses:
            self._start_again()
        asked = [self._follower.questions(task) for task in self._followed]
        newest = ask(b"LRANGE", self._queue.pending_key, b"0", b"%d" % (self._new - 1))
        replies = iter(await values(self._session, [newest, *(one for questions in asked for one in questions)]))
        head = next(replies)
        if self._session.losses != self._losses:
            return  # what was asked after the loss is not to be trusted; the next look begins anew
        seen = [
            self._follower.seen(task, [next(replies) for _ in questions])
            for task, questions in zip(self._followed, asked, strict=True)
        ]
        await self._note(now, seen)
        await self._choose(now, head if isinstance(head, list) else [], pending, entered)
        self._looked_at = now

    def _start_again(self) -> None:
        """Gives up all followed tasks: the server was away, and it may have lost tasks, which would look done."""
        self._losses = self._session.losses
        self._lost += len(self._followed)
        self._followed.clear()
        self._entered = 0
        self._looked_at = None

    async def _note(self, now: float, seen: Sequence[Seen]) -> None:
        """Records what has ended."""
        ends = await self._ends(now, seen)
        resolution = now - (self._looked_at or now)
        still: list[Followed] = []
        for task, one, end in zip(self._followed, seen, ends, strict=True):
            if one.waits is False and not task.taken:
                task.taken = True
                self._in_queue.add(end - task.since, task.weight, resolution)
            if one.done:
                self._to_completion.add(end - task.since, task.weight, resolution)
            elif one.failed:
                self._failed += 1
            elif now - task.since > GIVE_UP_SECONDS:
                self._lost += 1
            else:
                still.append(task)
        self._followed = still

    async def _ends(self, now: float, seen: Sequence[Seen]) -> list[float]:
        """The time at which each task has changed, if it has: this look, or earlier if its worker has left a time."""
        ends = [now if one.completed_at is None else min(now, one.completed_at + 1) for one in seen]
        # asynq's workers leave whole seconds, in the message, which may be large. It is read only where it tells more.
        reads_messages = self._looked_at is not None and now - self._looked_at > _WHOLE_SECOND
        asked = {
            at: ask(b"HGET", self._queue.task_key(task.id), b"msg")
            for at, (task, one) in enumerate(zip(self._followed, seen, strict=True))
            if one.done and one.completed_at is None and self._queue.layout == "asynq" and reads_messages
        }
        replies = await values(self._session, list(asked.values()))
        for at, reply in zip(asked, replies, strict=True):
            if (completed_at := _completed_at(reply)) is not None:
                ends[at] = min(now, completed_at + 1)
        # Its worker's clock may be behind. It was not completed before the look before.
        return [max(end, self._looked_at or end) for end in ends]

    async def _choose(self, now: float, head: Sequence[bytes], pending: int, entered: int | None) -> None:
        """Begins to follow some of the tasks that were pushed since the look before."""
        before, newest = self._looked_at, self._newest
        self._newest = head[0] if head else None
        if before is None:
            return  # when these tasks became pending is not known, or they have waited for long
        # If the newest task of the look before is not among these, it has been taken, or is behind them.
        new = head[: head.index(newest)] if newest in head else head
        if entered is None:
            self._unseen = None  # these workers keep no counts
        elif self._unseen is not None:
            passed = max(0, entered - pending)
            self._unseen += passed
            if passed:
                self._in_queue.add(now - before, passed, now - before, sampled=False)
            self._entered += min(entered, pending)
        free = self._most - len(self._followed)
        followed = {task.id for task in self._followed}  # a retry is pushed again
        new = [task_id for task_id in new if task_id not in followed][: max(0, free)]
        if not new:
            return
        weight = max(1, round(self._entered / len(new)))
        self._entered = 0
        asked = [ask(b"HGET", self._queue.task_key(task_id), b"pending_since") for task_id in new]
        for task_id, reply in zip(new, await values(self._session, asked), strict=True):
            since = pending_since(reply)
            in_the_past = since if since is not None and since <= now else before
            self._followed.append(Followed(task_id, in_the_past, reply, weight))


def commands(layout: str, most: int) -> int:
    """The most commands that a look at a sample sends."""
    each = 2 if layout == "asynq" else 4
    return 1 + each * most + max(1, most // _NEW_SHARE)


def _completed_at(message: Reply) -> int | None:
    try:
        return (decode(message).completed_at or None) if isinstance(message, bytes) else None
    except MessageError:
        return None


def _whole_seconds(value: Reply) -> int | None:
    return int(value) if isinstance(value, bytes) and value.isdigit() and len(value) < 12 else None

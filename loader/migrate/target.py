"""Places tasks in the target, each once: a set holds the ids that this job has placed there."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence

import hiredis

from loader.errors import OversizedError
from loader.jobs.ledger import parse_skipped
from loader.jobs.ledger_scripts import REFUSED_IF_FULL, placing_script
from loader.layouts.base import QueueEncoder
from loader.layouts.look_up import DROP_LOOK_UP, SET_LOOK_UP
from loader.layouts.lua import as_sent
from loader.migrate.translate import Translates
from loader.servers.question import Question, ask, ask_script
from loader.servers.session import Session
from loader.servers.value_limit import SETTINGS, ValueLimit
from loader.sinks.replies import DumpRefusedError, check_script
from loader.stored.queue_reader import StoredQueue
from loader.stored.stored_task import StoredTask
from loader.tasks.reasons import Reason, ReasonCode
from loader.wire.connection import Reply
from loader.wire.faults import from_reply
from loader.wire.resp import bulks

log = logging.getLogger("runqy_loader")

_AROUND = 4096
"""Bytes that a stored message may have beside its payload."""

_HEAD = b"""\
-- Writes and pushes tasks of another queue, each once, and notes their ids.
-- KEYS[1]: the queue's pending list
-- KEYS[2]: the set of ids that this job has placed
-- ARGV[1]: the source's queue, if source and target may share a task's key; otherwise ''
-- ARGV[2]: 1 if that key is the task itself; 0 if it is only runqy's look-up, a hash with only the queue's name
-- ARGV[3]: the time in nanoseconds since 1970
-- ARGV[4] and on: each task's arguments, the first task to be consumed first
-- Reply: the positions not placed, comma-separated, each with a letter for the reason: 'a' if this job has placed the
--        task before, otherwise another letter of loader/jobs/ledger.py
"""
_PLACE = b"""\
%(write)b
local placed, seen = {}, {}
local function shared(key)
  return ARGV[1] ~= '' and redis.call('TYPE', key).ok == 'hash' and redis.call('HGET', key, 'queue') == ARGV[1]
    and redis.call('HEXISTS', key, 'payload') == tonumber(ARGV[2])
end
local function place()
  local taken = {}
  for at = 4, #ARGV, %(width)d do
    local id, verdict = ARGV[at], ''
    if seen[id] or redis.call('SISMEMBER', KEYS[2], id) == 1 then verdict = 'a'
    else
      local key = key_of(id)
      verdict = write(key, at, undo)
      if verdict == '' and shared(key) then
        local old = redis.call('HGETALL', key)
        undo[#undo + 1] = {'HSET', key, unpack(old)}
        redis.call('DEL', key)
        verdict = write(key, at, undo)
        -- What the layout does not write itself stays, and so does all of a task that is not placed.
        for i = 1, #old, 2 do redis.call('HSETNX', key, old[i], old[i + 1]) end
      end
      if verdict == true or verdict == false then placed[#placed + 1], seen[id] = id, true end
    end
    if verdict == true then ids[#ids + 1] = id
    elseif verdict then taken[#taken + 1] = (at - 4) / %(width)d .. verdict end
  end
  return table.concat(taken, ',')
end
"""
MARK = b"""\
  if #placed > 0 then
    undo[#undo + 1] = {'SREM', KEYS[2], unpack(placed)}
    redis.call('SADD', KEYS[2], unpack(placed))
  end"""
"""Lua for ``placing_script``: it notes the ids in ``placed`` in the set KEYS[2]."""

TRIM = b"""\
-- Removes all ids from a set except the given ones.
-- KEYS[1]: the set
-- ARGV: the ids to keep
-- Reply: the number of ids left
local kept = {}
for i = 1, #ARGV do
  if redis.call('SISMEMBER', KEYS[1], ARGV[i]) == 1 then kept[#kept + 1] = ARGV[i] end
end
redis.call('DEL', KEYS[1])
for i = 1, #kept do redis.call('SADD', KEYS[1], kept[i]) end
return #kept
"""


def place_script(encoder: QueueEncoder) -> bytes:
    """The script of ``Target.insert``."""
    write = {b"write": encoder.insert_script, b"width": encoder.insert_width}
    return placing_script(_HEAD, _PLACE % write, MARK, full=REFUSED_IF_FULL % b"KEYS[2] .. ':room'")


class Target:
    """The queue to write to.

    Args:
        encoder: Writes tasks by HSET.
        compact: Writes them as dumps; None if the server does not take dumps.
        queue: This queue.
        limit: The longest value that the servers accept; None if it is not known.
        shared_with: The source's queue, if source and target are one server and may share keys; otherwise empty.
        shares_tasks: Whether the shared key is the task itself in both queues.

    Attributes:
        in_doubt: Whether it is unknown if the last tasks were placed.
        repeated: Whether the last tasks were sent more than once.
    """

    def __init__(
        self,
        session: Session,
        encoder: QueueEncoder,
        compact: QueueEncoder | None,
        queue: StoredQueue,
        job: str,
        translation: Translates,
        limit: ValueLimit | None,
        *,
        shared_with: str = "",
        shares_tasks: bool = False,
    ) -> None:
        self._session = session
        self._hsets = encoder
        self._translation = translation
        self._queue, self._job = queue, job
        self._head = [shared_with.encode(), b"1" if shares_tasks else b"0"]
        self.migrated_key = b"%b:runqy-loader:%b:migrated" % (encoder.slot_tag, job.encode())
        self._use(encoder if compact is None else compact)
        self._forget: list[bytes] = []
        self._limit = limit
        self.in_doubt = self.repeated = False

    def _use(self, encoder: QueueEncoder) -> None:
        self._encoder = encoder
        script = as_sent(place_script(encoder))
        self._eval = bulks((b"EVAL", script, b"2", encoder.pending_key, self.migrated_key))

    async def begin(self) -> None:
        """Settles what a killed run has left half written."""

    async def insert(self, tasks: Sequence[StoredTask]) -> dict[int, Reason]:
        """Writes and pushes tasks, the first to be consumed first, except those that this job has placed before.

        Returns:
            The positions of tasks that were not placed now, with the reasons.

        Raises:
            SinkError: The server refuses, or cannot be reached any more.
        """
        too_long = self._too_long(tasks)
        kept = [position for position in range(len(tasks)) if position not in too_long]
        short = [tasks[position] for position in kept]
        try:
            placed = await self._insert(short)
        except DumpRefusedError as refusal:  # a failover, for example, may lead to an older server
            self._use(self._hsets)
            placed = await self._insert(short)
            log.warning("%s", refusal)
        return too_long | {kept[position]: why for position, why in placed.items()}

    def _too_long(self, tasks: Sequence[StoredTask]) -> dict[int, Reason]:
        """The positions of tasks that the server does not accept, as far as it tells its limits."""
        if self._limit is None:
            return {}
        limit, longest = self._limit, self._limit.size - _AROUND
        text = f"with its options it may take over {limit.size} bytes, which the server's {limit.setting} allows"
        why = Reason(ReasonCode.TOO_LARGE, text)
        return {position: why for position, task in enumerate(tasks) if len(task.payload) > longest}

    async def _insert(self, tasks: Sequence[StoredTask]) -> dict[int, Reason]:
        if not tasks:
            return {}
        if not self._encoder.on_other_slots:
            return await self._place(self._placing(tasks), tasks)
        left, new = await self._write_look_ups(tasks)
        kept = [position for position in range(len(tasks)) if position not in left]
        if kept:
            written = [tasks[position] for position in kept]
            placed = await self._place(self._placing(written), written)
            left |= {kept[position]: why for position, why in placed.items()}
        refused = [tasks[at].id for at, why in left.items() if why.code is not ReasonCode.ALREADY_MIGRATED]
        await self._drop_look_ups(new.intersection(refused))
        return left

    def _placing(self, tasks: Sequence[StoredTask]) -> Question:
        """The script that writes and pushes tasks."""
        arguments = self._arguments(tasks)
        return Question(self._encoder.pending_key, bulks(arguments, b"*%d\r\n%b" % (5 + len(arguments), self._eval)))

    async def _place(self, placing: Question, tasks: Sequence[StoredTask]) -> dict[int, Reason]:
        """Sends the script that pushes tasks. Returns the positions of those that are not placed."""
        where = f"keys {self._encoder.pending_key.decode()} and {self.migrated_key.decode()}"
        losses = self._session.losses
        self.in_doubt = True
        replies = await self._session.values([*self._forgetting(), placing])
        # If the tasks were sent more than once, the first request may have placed them, whatever the last reply says.
        self.in_doubt = self.repeated = self._session.losses > losses
        try:
            check_script(replies[-1], self._encoder, f"{self._session.address}, {where}")
        except OversizedError as error:
            raise with_longest(error, tasks) from None
        self.in_doubt = True  # these are placed, whatever becomes of the ids to forget
        if isinstance(replies[0], hiredis.ReplyError):
            raise from_reply(str(replies[0]), f"{self._session.address}, key {self.migrated_key.decode()}")
        self.in_doubt = False
        self._forget.clear()
        skipped = parse_skipped(replies[-1])
        if self.repeated:  # tasks that the first request placed are 'already' there
            already = ReasonCode.ALREADY_MIGRATED
            skipped = {position: why for position, why in skipped.items() if why.code is not already}
        return skipped

    async def _write_look_ups(self, tasks: Sequence[StoredTask]) -> tuple[dict[int, Reason], set[bytes]]:
        """Writes runqy's look-ups, which are in other slots of a cluster.

        Returns:
            The positions of tasks that cannot be placed, and the ids of tasks that had no look-up before.
        """
        ids = [task.id for task in tasks]
        known = await self._session.call([ask(b"SISMEMBER", self.migrated_key, one) for one in ids])
        left = {at: Reason.of(ReasonCode.ALREADY_MIGRATED) for at, is_in in enumerate(known) if is_in}
        others = [at for at in range(len(ids)) if at not in left]
        new = set[bytes]()
        for at, reply in zip(others, await self._on_look_ups(SET_LOOK_UP, [ids[at] for at in others]), strict=True):
            if isinstance(reply, hiredis.ReplyError):
                left[at] = Reason.of(ReasonCode.WRONG_TYPE)
            elif reply == 1:
                new.add(ids[at])
        return left, new

    async def _drop_look_ups(self, ids: Collection[bytes]) -> None:
        await self._on_look_ups(DROP_LOOK_UP, list(ids))

    async def _on_look_ups(self, script: bytes, ids: Sequence[bytes]) -> list[Reply]:
        """Runs a script for each look-up. A reply may be the error WRONGTYPE."""
        return await on_look_ups(self._session, script, ids, self._queue.name.encode())

    def _forgetting(self) -> list[Question]:
        """What removes the ids that ``forget`` got."""
        return [ask(b"SREM", self.migrated_key, *self._forget)] if self._forget else []

    def _arguments(self, tasks: Sequence[StoredTask]) -> list[bytes]:
        return [*self._head, b"%d" % time.time_ns(), *self._task_arguments(tasks)]

    def _task_arguments(self, tasks: Sequence[StoredTask]) -> list[bytes]:
        ids, payloads = [task.id for task in tasks], [task.payload for task in tasks]
        options = [self._translation.options_of(task) for task in tasks]
        return self._encoder.insert_arguments(ids, payloads, options)

    def lost(self, task: StoredTask) -> list[str]:
        """See ``Translates.lost``."""
        return self._translation.lost(task)

    async def count_placed(self) -> int | None:
        """The number of ids that are noted as placed, which only grows in a copy. None if the server does not tell."""
        (count,) = await self._session.values([ask(b"SCARD", self.migrated_key)])
        return count if isinstance(count, int) else None

    def forget(self, ids: Sequence[bytes]) -> None:
        """Removes the ids of tasks that have left the source from the set, together with the next insert."""
        self._forget += ids

    async def settle(self) -> None:
        """Removes the ids that ``forget`` got and that no insert has removed yet."""
        if self._forget:
            await self._session.call(self._forgetting())
            self._forget.clear()

    async def remember_only(self, ids: Sequence[bytes]) -> list[bytes]:
        """Removes all other ids from the set. Returns those of the given ids that are placed, in their order.

        For a move, only tasks that it holds may be noted as placed: another task may come back under its old id.
        """
        if ids:
            replies = await self._session.call([ask(b"SISMEMBER", self.migrated_key, task_id) for task_id in ids])
            placed = [task_id for task_id, is_in in zip(ids, replies, strict=True) if is_in]
        else:
            placed = []
        await self._session.call([ask_script(as_sent(TRIM), [self.migrated_key], *placed)])
        return placed


async def on_look_ups(session: Session, script: bytes, ids: Sequence[bytes], queue: bytes) -> list[Reply]:
    """Runs a script for the look-up of each task, in its own slot of a cluster. A reply may be the error WRONGTYPE.

    Args:
        queue: The script's argument.

    Raises:
        LoaderError: A server refuses otherwise, or cannot be reached.
    """
    keys = [b"asynq:t:" + task_id for task_id in ids]
    replies = await session.values([ask_script(as_sent(script), [key], queue) for key in keys])
    for key, reply in zip(keys, replies, strict=True):
        if isinstance(reply, hiredis.ReplyError) and "WRONGTYPE" not in str(reply):
            raise from_reply(str(reply), f"{session.address}, key {key.decode(errors='replace')}")
    return replies


def with_longest(error: OversizedError, tasks: Sequence[StoredTask]) -> OversizedError:
    longest = max(tasks, key=lambda task: len(task.payload))
    size = f"{longest.id.decode(errors='backslashreplace')} ({len(longest.payload):,} bytes)"
    hint = f"Raise {' and '.join(SETTINGS)} on the target's server, or take this task out of the queue"
    return OversizedError(f"{error.args[0]}; the longest task is {size}", hint)

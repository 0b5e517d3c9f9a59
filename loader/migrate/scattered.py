"""Places tasks in layout documented on a cluster, each once. There, the hash of a task is in a slot of its own.

The script that writes a hash sets a mark beside it, in the same slot: this job has written it, and has not pushed its
id yet. So a hash that has no mark is a task of somebody else, and is not touched. The steps for some tasks are:

1. Note their ids, in the slot of the queue.
2. Write their hashes and marks.
3. Push those ids, and note them as placed, by one script.
4. Delete the marks, then the note.

Each step may be repeated. A run that finds noted ids deletes the marks of those that are placed, and takes back the
hashes of the others.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache

from loader.errors import LoaderError, OversizedError
from loader.jobs.job_keys import written_key
from loader.jobs.ledger import reason_of
from loader.jobs.ledger_scripts import REFUSED_IF_FULL, placing_script
from loader.layouts.base import QueueEncoder
from loader.layouts.lua import as_sent
from loader.migrate.target import MARK, Target, with_longest
from loader.servers.question import ask, ask_script
from loader.servers.session import Session
from loader.sinks.replies import DumpRefusedError, check_script
from loader.stored.queue_reader import StoredQueue
from loader.stored.stored_task import StoredTask
from loader.tasks.reasons import Reason
from loader.wire.faults import from_reply
from loader.wire.slots import SLOTS, key_slot

log = logging.getLogger("runqy_loader")

_WRITTEN = b"w"
_MOST_WRITES = 3
"""How often hashes are written that a node loses as soon as it has acknowledged them."""

LOOK = b"""\
-- Notes the ids of tasks that are to be placed, and whose hashes are written next.
-- KEYS[1]: the set of ids that this job has placed
-- KEYS[2]: the ids whose hashes are written, and that may have a mark
-- KEYS[3]: the set of the jobs that move tasks out of this queue
-- ARGV[1]: what the keys of such jobs begin with
-- ARGV[2] and on: the ids
-- Reply: for each id, '' if it is noted; 'a' if this job has placed it before; 'h' if another job holds it, which has
--        claimed it here, and is about to delete its hash
local held = {}
for _, job in ipairs(redis.call('SMEMBERS', KEYS[3])) do
  for _, id in ipairs(redis.call('LRANGE', ARGV[1] .. job .. ':moving', 0, -1)) do held[id] = true end
end
local verdicts = {}
for i = 2, #ARGV do
  local verdict = ''
  if redis.call('SISMEMBER', KEYS[1], ARGV[i]) == 1 then verdict = 'a'
  elseif held[ARGV[i]] then verdict = 'h'
  else redis.call('RPUSH', KEYS[2], ARGV[i]) end
  verdicts[i - 1] = verdict
end
return verdicts
"""

_WRITE = b"""\
-- Writes the hash of a task and its mark, unless the key is another task's. Writes it anew if it has the mark.
-- KEYS[1]: the hash
-- KEYS[2]: the mark: an empty string, or a hash that was in the place of the task before
-- ARGV[1]: the source's queue, if source and target may share a task's key; otherwise ''
-- ARGV[2]: 1 if that key is the task itself; 0 if it is only runqy's look-up, a hash with only the queue's name
-- ARGV[3]: not used
-- ARGV[4] and on: the task's arguments
-- Reply: 'w' if it is written; 't' if the key holds another type, otherwise ''
%(full)b\
%(write)b
local key, mark = KEYS[1], KEYS[2]
local function kind(name) return redis.call('TYPE', name).ok end
local before = kind(mark)
if before == 'none' then
  local there = kind(key)
  local shared = ARGV[1] ~= '' and there == 'hash' and redis.call('HGET', key, 'queue') == ARGV[1]
    and redis.call('HEXISTS', key, 'payload') == tonumber(ARGV[2])
  if shared then redis.call('RENAME', key, mark)
  elseif there == 'none' then redis.call('SET', mark, '')
  elseif there == 'hash' then return ''
  else return 't' end
else redis.call('DEL', key) end
local ok, fault = pcall(function()
  if write(key, 4, {}) ~= true then error('its key is not free') end
  -- What the layout does not write itself stays.
  if kind(mark) == 'hash' then
    local old = redis.call('HGETALL', mark)
    for i = 1, #old, 2 do redis.call('HSETNX', key, old[i], old[i + 1]) end
  end
end)
if ok then return 'w' end
redis.pcall('DEL', key)
if kind(mark) == 'hash' then redis.pcall('RENAME', mark, key) else redis.pcall('DEL', mark) end
if type(fault) == 'table' then return fault end
return redis.error_reply('ERR ' .. tostring(fault))
"""

TAKE_BACK = b"""\
-- Takes back a hash that was written and whose id was not pushed.
-- KEYS[1]: the hash
-- KEYS[2]: its mark
-- Reply: 1; 0 if it has no mark
local before = redis.call('TYPE', KEYS[2]).ok
if before == 'none' then return 0 end
redis.call('DEL', KEYS[1])
if before == 'hash' then redis.call('RENAME', KEYS[2], KEYS[1]) else redis.call('DEL', KEYS[2]) end
return 1
"""

_PUSH_HEAD = b"""\
-- Pushes the ids of tasks whose hashes are written in other slots, each once, and notes them.
-- KEYS[1]: the queue's pending list
-- KEYS[2]: the set of ids that this job has placed
-- ARGV: the ids, the first to be consumed first
-- Reply: the positions not placed, comma-separated, each with the letter 'a': this job has placed the task before
"""
_PUSH = b"""\
local placed, seen = {}, {}
local function place()
  local taken = {}
  for i = 1, #ARGV do
    if seen[ARGV[i]] or redis.call('SISMEMBER', KEYS[2], ARGV[i]) == 1 then taken[#taken + 1] = (i - 1) .. 'a'
    else placed[#placed + 1], ids[#ids + 1], seen[ARGV[i]] = ARGV[i], ARGV[i], true end
  end
  return table.concat(taken, ',')
end
"""


def write_script(encoder: QueueEncoder) -> bytes:
    """The script that writes a hash."""
    return _WRITE % {b"full": REFUSED_IF_FULL % b"KEYS[2] .. ':room'", b"write": encoder.insert_script}


def push_script() -> bytes:
    """The script that pushes ids."""
    return placing_script(_PUSH_HEAD, _PUSH, MARK)


_PUSH_IDS = as_sent(push_script())


class Hashes:
    """The hashes of the tasks that a job is about to place.

    Args:
        queue: The queue to place them in.
        migrated_key: The set of ids that this job has placed.
    """

    def __init__(self, session: Session, queue: StoredQueue, job: str, migrated_key: bytes) -> None:
        tag = b"%b:runqy-loader:" % queue.slot_tag
        self._session = session
        self._queue = queue
        self._job = job.encode()
        self._migrated_key = migrated_key
        self._note_key = written_key(queue.layout, queue.name, job)
        self._moves_key, self._holders = tag + b"moves", tag
        self._where = f"keys {migrated_key.decode()} and {self._note_key.decode()}"

    async def note(self, ids: Sequence[bytes]) -> dict[int, Reason]:
        """Notes ids whose hashes are written next. Returns the positions of the others, and why they are left out."""
        keys = (self._migrated_key, self._note_key, self._moves_key)
        (verdicts,) = await self._session.call([ask_script(as_sent(LOOK), keys, self._holders, *ids)], self._where)
        letters = {b"a": "a", b"h": ""}
        return {at: reason_of(letters[verdict]) for at, verdict in enumerate(verdicts) if verdict}

    async def write(
        self, encoder: QueueEncoder, head: Sequence[bytes], tasks: Sequence[Sequence[bytes]]
    ) -> dict[int, Reason]:
        """Writes hashes. Returns the positions of those that are not written, because the key is another task's.

        Args:
            head: The first two arguments of the script.
            tasks: The script's arguments for each task. The first is its id.

        Raises:
            DumpRefusedError: A server does not take dumps.
            LoaderError: A server refuses, cannot be reached, or has lost what it has just acknowledged.
        """
        script = as_sent(write_script(encoder))
        questions = [ask_script(script, self._keys(words[0]), *head, b"0", *words) for words in tasks]
        for attempt in range(1, _MOST_WRITES + 1):
            replies = await self._session.values(questions)
            for question, reply in zip(questions, replies, strict=True):
                check_script(reply, encoder, f"{self._session.address}, key {question.key.decode(errors='replace')}")
            found = enumerate(replies)
            left = {at: reason_of(verdict.decode()) for at, verdict in found if verdict != _WRITTEN}
            lost = await self._lost([questions[at].key for at in range(len(questions)) if at not in left])
            if lost is None:
                break
            if attempt == _MOST_WRITES:
                raise from_reply("LOST the hash of a task that is to be pushed", f"key {lost.decode(errors='replace')}")
        return left

    async def _lost(self, keys: Sequence[bytes]) -> bytes | None:
        """The first or last key of a node, if the node has lost it: the script that pushes cannot see other nodes."""
        places = self._session.servers.by_node(keys).values()
        ends = [keys[at] for positions in places for at in {positions[0], positions[-1]}]
        for key, reply in zip(ends, await self._session.values([ask(b"EXISTS", key) for key in ends]), strict=True):
            if reply == 0:  # an error: the user has no right to EXISTS, and does without this
                return key
        return None

    async def placed(self, ids: Iterable[bytes]) -> None:
        """Deletes the marks of tasks that are placed, and the note of all."""
        await self._session.call([ask(b"DEL", self._keys(task_id)[1]) for task_id in ids], "marks of written tasks")
        await self._session.call([ask(b"DEL", self._note_key)], self._where)

    async def settle(self) -> None:
        """Deletes the marks of noted tasks that are placed, and takes back the hashes of those that are not."""
        (ids,) = await self._session.call([ask(b"LRANGE", self._note_key, b"0", b"-1")], self._where)
        ids = list(dict.fromkeys(ids))
        known = await self._session.call([ask(b"SISMEMBER", self._migrated_key, one) for one in ids], self._where)
        placed = [task_id for task_id, is_in in zip(ids, known, strict=True) if is_in]
        script = as_sent(TAKE_BACK)
        others = [ask_script(script, self._keys(one)) for one, is_in in zip(ids, known, strict=True) if not is_in]
        await self._session.call(others, "marks of written tasks")
        if ids:
            await self.placed(placed)

    def _keys(self, task_id: bytes) -> tuple[bytes, bytes]:
        """The hash of a task, and its mark."""
        key = self._queue.task_key(task_id)
        return key, mark_key(key, task_id, self._job)


def mark_key(key: bytes, task_id: bytes, job: bytes) -> bytes:
    """A key for the mark of a task, in the slot of its hash."""
    opened, closed = key.find(b"{"), key.find(b"}", key.find(b"{") + 1)
    tag = key[opened + 1 : closed] if 0 <= opened < closed - 1 else key
    if b"}" in tag:
        tag = _number_in(key_slot(key))
    return b"{%b}:runqy-loader:%b:written:%b" % (tag, job, task_id)


@lru_cache(maxsize=1024)
def _number_in(slot: int) -> bytes:
    """A number in a slot, for a key that no tag can hold."""
    return next(number for n in range(100 * SLOTS) if key_slot(number := b"%d" % n) == slot)


class ScatteredTarget(Target):
    """The queue to write to, in layout documented on a cluster. Otherwise as ``Target``."""

    @cached_property
    def _hashes(self) -> Hashes:
        return Hashes(self._session, self._queue, self._job, self.migrated_key)

    async def begin(self) -> None:
        await self._hashes.settle()

    async def _insert(self, tasks: Sequence[StoredTask]) -> dict[int, Reason]:
        if not tasks:
            return {}
        self.in_doubt = False
        try:
            left = await self._write(tasks)
            kept = [position for position in range(len(tasks)) if position not in left]
            if kept:
                ids = [tasks[position].id for position in kept]
                keys = [self._encoder.pending_key, self.migrated_key]
                placed = await self._place(ask_script(_PUSH_IDS, keys, *ids), [tasks[position] for position in kept])
                left |= {kept[position]: why for position, why in placed.items()}
        except (LoaderError, DumpRefusedError):
            if not self.in_doubt:
                await self._take_back()
            raise
        self.in_doubt = True  # these are placed, whatever becomes of their marks
        await self._hashes.placed([task.id for task in tasks])
        self.in_doubt = False
        return left

    async def _write(self, tasks: Sequence[StoredTask]) -> dict[int, Reason]:
        """Writes the hashes. Returns the positions of tasks that are not to be pushed."""
        left = await self._hashes.note([task.id for task in tasks])
        kept = [position for position in range(len(tasks)) if position not in left]
        words, width = self._task_arguments([tasks[position] for position in kept]), self._encoder.insert_width
        each = [words[at : at + width] for at in range(0, len(words), width)]
        try:
            refused = await self._hashes.write(self._encoder, self._head, each)
        except OversizedError as error:
            raise with_longest(error, tasks) from None
        return left | {kept[position]: why for position, why in refused.items()}

    async def _take_back(self) -> None:
        """Takes back the hashes of tasks that are not pushed. If that fails, the next run does it."""
        self.in_doubt = True
        try:
            await self._hashes.settle()
        except LoaderError as error:
            log.debug("hashes that were written could not be taken back: %s", error)
        else:
            self.in_doubt = False

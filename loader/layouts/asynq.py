"""Layout ``asynq``: the keys that asynq's workers read, and runqy's workers since January 2026.

All keys of a queue hold its name in braces, so that they share one cluster slot (asynq 0.26, ``internal/base``):
``asynq:{<queue>}:t:<id>`` is a hash with the message, ``asynq:{<queue>}:pending`` a list of ids and
``asynq:{<queue>}:scheduled`` a sorted set of ids by the time at which they become pending.
``asynq:{<queue>}:g:<group>`` is a sorted set of the ids that wait in a group, by the time at which they came, and
``asynq:{<queue>}:groups`` a set of the names of groups (``internal/rdb``, ``addToGroupCmd``).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loader.layouts.lua import FURTHER, IS_FREE, further, lua_string
from loader.layouts.task_message import after_id, before_payload, join, varint
from loader.queues.slot_tag import slot_tag
from loader.tasks.ids import ID_BYTES
from loader.tasks.options import TaskOptions
from loader.wire.lengths import ByLength
from loader.wire.resp import bulk, command

_PAYLOAD_TAG = varint(2 << 3 | 2)
_ID_TAG = varint(3 << 3 | 2) + varint(ID_BYTES)

_SCRIPT = b"""\
local function key_of(id) return %(tasks)b .. id end
%(is_free)b\
%(further)b\
%(look_up)b\
-- Puts a task in its place: '' for the pending list, a Unix time for the scheduled set, '=' and a name for that group.
-- Its hash is made from the dump; without a dump (''), from the message and further fields.
-- lock: its lock's key ('' for none), with the lock's seconds
local function put(key, undo, id, dump, message, place, lock, seconds, fields)
  if not is_free(key, undo) then return '' end
  local group = place ~= '' and string.sub(place, 1, 1) == '=' and string.sub(place, 2)
  if lock ~= '' then
    if not redis.call('SET', lock, id, 'NX', 'EX', seconds) then return 'u' end
    undo[#undo + 1] = lock
  end
%(begin)b\
    redis.call('HSET', key, 'msg', message, 'state', 'pending', 'pending_since', ARGV[3])
  elseif group then
    redis.call('HSET', key, 'msg', message, 'state', 'aggregating', 'group', group)
  else
    redis.call('HSET', key, 'msg', message, 'state', 'scheduled')
  end
  -- As asynq, which leaves this field out for a task that waits in a group.
  if lock ~= '' and dump == '' and not group then redis.call('HSET', key, 'unique_key', lock) end
  if fields ~= '' then write_further(key, fields) end
  if not look_up(id, undo) then
    redis.call('DEL', key)
    if lock ~= '' then redis.call('DEL', lock) end
    return 't'
  end
  if place == '' then return true end
  if group then
    local members, groups = %(group)b .. group, %(groups)b
    -- The time in seconds: ARGV[3] without its last nine digits.
    redis.call('ZADD', members, string.sub(ARGV[3], 1, -10), id)
    undo[#undo + 1] = {'ZREM', members, id}
    if redis.call('SADD', groups, group) == 1 then undo[#undo + 1] = {'SREM', groups, group} end
    return false
  end
  redis.call('ZADD', %(scheduled)b, place, id)
  undo[#undo + 1] = {'ZREM', %(scheduled)b, id}
  return false
end
%(write)b"""
_BEGIN = b"""\
  if place == '' then
"""
_WRITE = b"""\
-- A task's arguments: id, message, where it waits, its lock's key, the lock's seconds, further fields; see put().
local function write(key, at, undo)
  local place, lock, seconds, fields = ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5]
  return put(key, undo, ARGV[at], '', ARGV[at + 1], place, lock, seconds, fields)
end
"""
_LOOK_UP = b"""\
-- Writes the key by which the runqy server finds the queue of a task. Returns false if it holds another type.
local function look_up(id, undo)
  local reverse = 'asynq:t:' .. id
  if redis.call('EXISTS', reverse) == 0 then undo[#undo + 1] = reverse end
  local reply = redis.pcall('HSET', reverse, 'queue', %b)
  if type(reply) == 'number' then return true end
  if string.find(reply.err, 'WRONGTYPE', 1, true) then return false end
  error(reply)
end
"""
_NO_LOOK_UP = b"local function look_up() return true end\n"


@dataclass(frozen=True, slots=True)
class _Shared:
    """Script arguments that are the same for all tasks with the same options."""

    before_payload: bytes
    after_id: bytes
    place: bytes
    lock_seconds: bytes
    fields: bytes


class AsynqEncoder:
    """See ``QueueEncoder``.

    Args:
        queue: Full name of the queue.
        options: Options of tasks that have none of their own.
        reverse_lookup: Whether to write ``asynq:t:<id>`` too, by which the runqy server finds the queue of a task.
        cluster: Whether tasks go to a cluster, where the key ``asynq:t:<id>`` is in another slot.
    """

    queues_key = "asynq:queues"
    elsewhere = b"asynq:t:"
    is_compact = False

    def __init__(self, queue: str, options: TaskOptions, *, reverse_lookup: bool, cluster: bool = False) -> None:
        self.on_other_slots = reverse_lookup and cluster
        reverse_lookup = reverse_lookup and not cluster
        self.insert_width = 6
        self._queue = queue
        self._options = options
        name = queue.encode()
        self._base = b"asynq:{%b}:" % name
        self.pending_key = self._base + b"pending"
        self.slot_tag = slot_tag("asynq", queue)
        self.needs_script = bool(options.unique_ttl or options.process_at or options.process_in)
        self.commands_a_task = 2 if reverse_lookup else 1
        self._look_up = _LOOK_UP % lua_string(name) if reverse_lookup else _NO_LOOK_UP
        self.insert_script = self._script(_BEGIN, _WRITE)
        # Parts of the commands that are the same for all tasks of the queue.
        self._before_payload = before_payload(queue if options.type is None else options.type)
        self._after_id = after_id(queue, options)
        self._extra = b"".join(bulk(name.encode()) + bulk(b"%d" % value) for name, value in options.lifecycle)
        key = self._base + b"t:"
        self._head = b"*%d\r\n$4\r\nHSET\r\n$%d\r\n%b" % (8 + 2 * len(options.lifecycle), len(key) + ID_BYTES, key)
        self._reverse_head = b"*4\r\n$4\r\nHSET\r\n$%d\r\nasynq:t:" % (len(b"asynq:t:") + ID_BYTES)
        self._reverse_tail = b"\r\n$5\r\nqueue\r\n" + bulk(name)
        self._middles = ByLength(self._middle)

    def _script(self, begin: bytes, write: bytes) -> bytes:
        """The insert script.

        Args:
            begin: Lua that begins the choice of the command that writes the hash, with the choice of a pending task.
            write: Lua that defines ``write``.
        """
        return _SCRIPT % {
            b"is_free": IS_FREE,
            b"further": FURTHER,
            b"tasks": lua_string(self._base + b"t:"),
            b"begin": begin,
            b"look_up": self._look_up,
            b"scheduled": lua_string(self._base + b"scheduled"),
            b"group": lua_string(self._base + b"g:"),
            b"groups": lua_string(self._base + b"groups"),
            b"write": write,
        }

    def task_key(self, task_id: bytes) -> bytes:
        return self._base + b"t:" + task_id

    def write_tasks(self, id_prefix: bytes, suffixes: Sequence[bytes], payloads: Sequence[bytes]) -> bytes:
        # Hot path, as in the documented layout: one list for the batch, filled by slices, and one join. The lengths of
        # the message and of the payload both depend only on the payload's length, so both are in one piece.
        between = _ID_TAG + id_prefix
        tail = self._after_id + b"\r\n$5\r\nstate\r\n$7\r\npending\r\n$13\r\npending_since\r\n%b%b" % (
            bulk(b"%d" % time.time_ns()),
            self._extra,
        )
        head = self._head + id_prefix
        count = len(payloads)
        if self.commands_a_task == 1:
            parts: list[bytes] = [tail + head] * (6 * count)
            end = tail
        else:
            end = self._reverse_tail
            parts = [end + head] * (8 * count)
            parts[6::8] = [tail + self._reverse_head + id_prefix] * count
            parts[7::8] = suffixes
        width = len(parts) // count
        parts[0] = head
        parts[1::width] = suffixes
        parts[2::width] = map(self._middles.__getitem__, map(len, payloads))
        parts[3::width] = payloads
        parts[4::width] = [between] * count
        parts[5::width] = suffixes
        parts.append(end)
        return b"".join(parts)

    def _middle(self, length: int) -> bytes:
        start = self._before_payload + _PAYLOAD_TAG + varint(length)
        size = len(start) + length + len(_ID_TAG) + ID_BYTES + len(self._after_id)
        return b"\r\n$3\r\nmsg\r\n$%d\r\n%b" % (size, start)

    def write_elsewhere(self, id_prefix: bytes, suffixes: Sequence[bytes], payloads: Sequence[bytes]) -> bytes:
        # HSETNX, as below. All ids have the same length.
        head = b"*4\r\n$6\r\nHSETNX\r\n$%d\r\nasynq:t:%b" % (len(b"asynq:t:") + ID_BYTES, id_prefix)
        return b"".join((head, (self._reverse_tail + head).join(suffixes), self._reverse_tail))

    def other_slot_commands(self, ids: Sequence[bytes], payloads: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
        # HSETNX, not HSET: an id from the user may already be a task of another queue. Then this task is skipped.
        name = self._queue.encode()
        keys = [b"asynq:t:" + task_id for task_id in ids]
        return [(key, command(b"HSETNX", key, b"queue", name)) for key in keys]

    def rewrite_commands(self, ids: Sequence[bytes], payloads: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
        return self.other_slot_commands(ids, payloads)

    def insert_arguments(
        self, ids: Sequence[bytes], payloads: Sequence[bytes], options: Sequence[TaskOptions] | None
    ) -> list[bytes]:
        given = [self._options] * len(ids) if options is None else options
        now = time.time()
        shared = {number: self._shared(own, now) for number, own in {id(own): own for own in given}.items()}
        arguments: list[bytes] = []
        for task_id, payload, own in zip(ids, payloads, given, strict=True):
            parts = shared[id(own)]
            lock, after = b"", parts.after_id
            if parts.lock_seconds:
                lock = self.unique_key(self._type(own), payload)
                after = after_id(self._queue, own, lock)
            message = join(parts.before_payload, payload, task_id, after)
            arguments += (task_id, message, parts.place, lock, parts.lock_seconds, parts.fields)
        return arguments

    def count_dumps(self, arguments: Sequence[bytes], skipped: Iterable[int]) -> int:
        return 0

    def _shared(self, options: TaskOptions, now: float) -> _Shared:
        start, seconds = options.starts_at(now), options.unique_ttl
        if seconds and start:
            seconds += start - int(now)  # for a task that starts later, asynq counts the lock from the start
        place = b"=%b" % options.group.encode() if options.waits_in_group else b""
        return _Shared(
            before_payload(self._type(options)),
            after_id(self._queue, options),
            b"%d" % start if start else place,
            b"%d" % seconds if seconds else b"",
            further(options.hash_fields),
        )

    def _type(self, options: TaskOptions) -> str:
        return self._queue if options.type is None else options.type

    def unique_key(self, task_type: str, payload: bytes) -> bytes:
        """The lock of a unique task: queue, type and a hash of the payload (asynq 0.26, ``base.UniqueKey``)."""
        digest = hashlib.md5(payload, usedforsecurity=False).hexdigest().encode() if payload else b""
        return b"%bunique:%b:%b" % (self._base, task_type.encode(), digest)

"""Layout ``documented``: the keys of runqy's enqueueing guide, section "Redis Key Format".

``asynq:t:<id>`` is a hash of five string fields, in the guide's order; ``asynq:<queue>:pending`` is a list of ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from loader.layouts.lua import FURTHER, IS_FREE, further, lua_string
from loader.queues.slot_tag import slot_tag
from loader.tasks.ids import ID_BYTES
from loader.tasks.options import TaskOptions
from loader.wire.lengths import ByLength
from loader.wire.resp import bulk, command

_SCRIPT = b"""\
local function key_of(id) return 'asynq:t:' .. id end
%(is_free)b\
-- A task's arguments: id, payload, type, max_retry.
local function write(key, at, undo)
  if not is_free(key, undo) then return '' end
  redis.call('HSET', key, 'type', ARGV[at + 2], 'payload', ARGV[at + 1],
    'retry', '0', 'max_retry', ARGV[at + 3], 'queue', %(queue)b)
  return true
end
"""
_SCRIPT_WITH_FURTHER_FIELDS = b"""\
local function key_of(id) return 'asynq:t:' .. id end
%(is_free)b\
%(further)b\
-- A task's arguments: id, payload, type, max_retry, further fields.
local function write(key, at, undo)
  if not is_free(key, undo) then return '' end
  redis.call('HSET', key, 'type', ARGV[at + 2], 'payload', ARGV[at + 1],
    'retry', '0', 'max_retry', ARGV[at + 3], 'queue', %(queue)b)
  if ARGV[at + 4] ~= '' then write_further(key, ARGV[at + 4]) end
  return true
end
"""


class DocumentedEncoder:
    """See ``QueueEncoder``.

    Args:
        queue: Full name of the queue.
        task_type: Field ``type``.
        max_retry: Field ``max_retry``.
        cluster: Whether tasks go to a cluster, where each hash has its own slot.
        further_fields: Whether tasks may have further fields. The script is 3 % slower then.
    """

    queues_key = ""
    elsewhere = b"asynq:t:"
    needs_script = False
    is_compact = False

    def __init__(
        self, queue: str, task_type: str, max_retry: int, *, cluster: bool = False, further_fields: bool = False
    ) -> None:
        self.on_other_slots = cluster
        self.insert_width = 5 if further_fields else 4
        self.commands_a_task = 0 if cluster else 1
        name = self._name = queue.encode()
        self.pending_key = b"asynq:%b:pending" % name
        self.slot_tag = slot_tag("documented", queue)
        fields = (bulk(task_type.encode()), bulk(b"%d" % max_retry), bulk(name))
        self._head = b"*12\r\n$4\r\nHSET\r\n$%d\r\nasynq:t:" % (len(b"asynq:t:") + ID_BYTES)
        type_and_payload = b"\r\n$4\r\ntype\r\n%b$7\r\npayload\r\n$" % fields[0]
        self._tail = b"\r\n$5\r\nretry\r\n$1\r\n0\r\n$9\r\nmax_retry\r\n%b$5\r\nqueue\r\n%b" % fields[1:]
        self._middles = ByLength(lambda length: b"%b%d\r\n" % (type_and_payload, length))
        self._defaults = (task_type.encode(), b"%d" % max_retry)
        script = _SCRIPT_WITH_FURTHER_FIELDS if further_fields else _SCRIPT
        self.insert_script = script % {b"is_free": IS_FREE, b"further": FURTHER, b"queue": lua_string(name)}

    def task_key(self, task_id: bytes) -> bytes:
        return b"asynq:t:%b" % task_id

    def write_tasks(self, id_prefix: bytes, suffixes: Sequence[bytes], payloads: Sequence[bytes]) -> bytes:
        return b"" if self.on_other_slots else self.write_elsewhere(id_prefix, suffixes, payloads)

    def write_elsewhere(self, id_prefix: bytes, suffixes: Sequence[bytes], payloads: Sequence[bytes]) -> bytes:
        # Hot path: one list for the whole batch, filled by slices, and one join: about 60 ns a task of 110 bytes,
        # where formatting each task took 270 ns.
        head = self._head + id_prefix
        parts: list[bytes] = [self._tail + head] * (4 * len(payloads))
        parts[0] = head  # in the list: to put it before the joined bytes would copy them once more
        parts[1::4] = suffixes
        parts[2::4] = map(self._middles.__getitem__, map(len, payloads))
        parts[3::4] = payloads
        parts.append(self._tail)
        return b"".join(parts)

    def other_slot_commands(self, ids: Sequence[bytes], payloads: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
        task_type, max_retry = self._defaults
        commands: list[tuple[bytes, bytes]] = []
        for task_id, payload in zip(ids, payloads, strict=True):
            key = self.task_key(task_id)
            fields = (b"type", task_type, b"payload", payload, b"retry", b"0", b"max_retry", max_retry)
            commands.append((key, command(b"HSET", key, *fields, b"queue", self._name)))
        return commands

    def rewrite_commands(self, ids: Sequence[bytes], payloads: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
        return self.other_slot_commands(ids, payloads)

    def insert_arguments(
        self, ids: Sequence[bytes], payloads: Sequence[bytes], options: Sequence[TaskOptions] | None
    ) -> list[bytes]:
        task_type, max_retry = self._defaults
        width = self.insert_width
        arguments = [task_type] * (width * len(ids))
        arguments[0::width] = ids
        arguments[1::width] = payloads
        if options is None:
            arguments[3::width] = [max_retry] * len(ids)
        else:
            arguments[2::width] = [task_type if own.type is None else own.type.encode() for own in options]
            arguments[3::width] = [b"%d" % own.max_retry for own in options]
        if width == 5:
            arguments[4::width] = [b""] * len(ids) if options is None else [further_of(own) for own in options]
        return arguments

    def count_dumps(self, arguments: Sequence[bytes], skipped: Iterable[int]) -> int:
        return 0


def further_of(options: TaskOptions) -> bytes:
    """The further fields of a task; the number of its retries so far is the field ``retry``."""
    fields = options.hash_fields
    if options.past.retried:
        fields.append((b"retry", b"%d" % options.past.retried))
    return further(fields) if fields else b""

"""Compact tasks of layout ``documented``: the hashes of ``documented.py`` as dumps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from operator import add
from typing import cast

from loader.layouts.compact import (
    EVERY_LENGTH,
    MOST_FRAMES,
    RESTORE,
    RESTORED,
    TO_DUMP,
    Dumps,
    Group,
    count_dumps,
    dumps_of,
    packed,
    short_ones,
    written,
)
from loader.layouts.documented import DocumentedEncoder, further_of
from loader.layouts.dump import MOST_LENGTHS, After, Frame, after, as_kept, checksums, crc64, restore
from loader.layouts.listpack import DisputedSizeError
from loader.layouts.lua import FURTHER, IS_FREE, as_sent, lua_string
from loader.tasks.ids import ID_BYTES
from loader.tasks.options import TaskOptions
from loader.wire.lengths import ByLength
from loader.wire.resp import command

_SCRIPT = b"""\
local function key_of(id) return 'asynq:t:' .. id end
%(is_free)b\
%(restored)b\
%(further)b\
-- A task's arguments: id, and its dump (which begins with another byte), or 'h' with type, payload, max_retry and
-- further fields, each after its length in four bytes.
local function write(key, at, undo)
  local value = ARGV[at + 1]
  if string.byte(value) ~= 104 then return restored(key, value, undo) or '' end
  if not is_free(key, undo) then return '' end
  local kind, payload, retries, fields = struct.unpack('<I4c0I4c0I4c0I4c0', value, 2)
  redis.call('HSET', key, 'type', kind, 'payload', payload, 'retry', '0', 'max_retry', retries, 'queue', %(queue)b)
  if fields ~= '' then write_further(key, fields) end
  return true
end
"""
REWRITE = b"""\
-- Writes a task that differs from what is there: the hash may be left from a run with other options. A task that is the
-- same is left alone, because a worker may have it already.
-- KEYS[1]: the task's hash
-- ARGV[1]: its type
-- ARGV[2]: its payload
-- ARGV[3]: its max_retry
-- ARGV[4]: its queue
-- Reply: OK if it is left alone and compact, as far as the server tells; otherwise a number
local same = true
for i, name in ipairs({'type', 'payload', 'max_retry', 'queue'}) do
  same = same and redis.call('HGET', KEYS[1], name) == ARGV[i]
end
if same then
  local encoding = redis.pcall('OBJECT', 'ENCODING', KEYS[1])
  return encoding == 'hashtable' and 0 or redis.status_reply('OK')
end
return redis.call('HSET', KEYS[1], 'type', ARGV[1], 'payload', ARGV[2], 'retry', '0', 'max_retry', ARGV[3],
  'queue', ARGV[4])
"""


class CompactDocumented(DocumentedEncoder):
    """See ``QueueEncoder``, and ``DocumentedEncoder`` for the other arguments.

    Args:
        compact: Which tasks are dumped, and how.

    Raises:
        DisputedSizeError: The type or the queue's name has a length that cannot be dumped.
    """

    is_compact = True

    def __init__(
        self, queue: str, task_type: str, max_retry: int, *, cluster: bool = False, compact: Dumps = EVERY_LENGTH
    ) -> None:
        super().__init__(queue, task_type, max_retry, cluster=cluster)
        self.insert_width = 2
        self.insert_script = _SCRIPT % {
            b"is_free": IS_FREE,
            b"restored": RESTORED,
            b"further": FURTHER,
            b"queue": lua_string(queue.encode()),
        }
        self._longest, self._form = compact.longest, compact.its_form
        self._type, self._max_retry = task_type, max_retry
        self._frames: dict[tuple[str, int], tuple[Frame, After]] = {}
        frame, following = self._frame(task_type, max_retry)
        self._restore = RESTORE % (len(b"asynq:t:") + ID_BYTES, b"asynq:t:")
        self._to_dump = ByLength(lambda length: TO_DUMP % (frame.dump_bytes(length), frame.head(length)), MOST_LENGTHS)
        self._tails = ByLength(lambda length: frame.back(length) + following.data, MOST_LENGTHS)
        self._head_crcs = ByLength(frame.head_crc, MOST_LENGTHS)

    def write_elsewhere(self, id_prefix: bytes, suffixes: Sequence[bytes], payloads: Sequence[bytes]) -> bytes:
        hsets = super().write_elsewhere
        if sum(map(len, payloads)) > self._longest * len(payloads):
            return hsets(id_prefix, suffixes, payloads)
        return written(self._restores, hsets, id_prefix, suffixes, payloads)

    def _restores(self, id_prefix: bytes, suffixes: Sequence[bytes], payloads: Sequence[bytes]) -> bytes:
        # Hot path, as in the encoder of HSETs: one list for the batch, and one join. The CRC needs the payload and what
        # follows it in one piece; that of what precedes them is kept by length. Of about 400 ns a task of 110 bytes,
        # the call for the CRC takes 240.
        kept, lengths = as_kept(payloads, self._form)
        bodies = list(map(add, kept, map(self._tails.__getitem__, lengths)))
        crcs = map(crc64, bodies, map(self._head_crcs.__getitem__, lengths))
        head = self._restore + id_prefix
        parts: list[bytes] = [b"\r\n" + head] * (5 * len(bodies))
        parts[0] = head
        parts[1::5] = suffixes
        parts[2::5] = map(self._to_dump.__getitem__, lengths)
        parts[3::5] = bodies
        parts[4::5] = checksums(crcs, len(bodies))
        parts.append(b"\r\n")
        return b"".join(parts)

    def other_slot_commands(self, ids: Sequence[bytes], payloads: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
        commands = super().other_slot_commands(ids, payloads)
        for at, dump in enumerate(self.dumps(payloads)):
            if dump is not None:
                key = commands[at][0]
                commands[at] = key, restore(key, dump)
        return commands

    def rewrite_commands(self, ids: Sequence[bytes], payloads: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
        task_type, max_retry = self._defaults
        keys = [self.task_key(task_id) for task_id in ids]
        return [
            (key, command(b"EVAL", as_sent(REWRITE), b"1", key, task_type, payload, max_retry, self._name))
            for key, payload in zip(keys, payloads, strict=True)
        ]

    def dumps(self, payloads: Sequence[bytes], options: Sequence[TaskOptions] | None = None) -> list[bytes | None]:
        """The dump of each task's hash; None where it must be an HSET.

        Args:
            options: Each task's own options; None for the load's.
        """
        short = short_ones(payloads, self._longest)
        if options is None:
            kinds: Mapping[tuple[str, int], Sequence[int]] = {(self._type, self._max_retry): short}
        else:
            own: dict[tuple[str, int], list[int]] = {}
            for at in short:
                if (kind := self._kind(options[at])) is not None:
                    own.setdefault(kind, []).append(at)
            kinds = own
        groups = []
        for kind, positions in kinds.items():
            with suppress(DisputedSizeError):  # then these tasks have no dumps
                frame, following = self._frame(*kind)
                values = [payloads[at] for at in positions]
                groups.append(Group(frame, positions, values, [following.data] * len(values)))
        return dumps_of(groups, len(payloads))

    def insert_arguments(
        self, ids: Sequence[bytes], payloads: Sequence[bytes], options: Sequence[TaskOptions] | None
    ) -> list[bytes]:
        values = self.dumps(payloads, options)
        for at in [at for at, dump in enumerate(values) if dump is None]:
            task_type, max_retry = self._defaults
            further = b""
            if options is not None:
                task_type, max_retry, further = self._own(options[at])
            values[at] = b"h" + packed(task_type, payloads[at], max_retry, further)
        arguments = [b""] * (2 * len(ids))
        arguments[0::2] = ids
        arguments[1::2] = cast("list[bytes]", values)
        return arguments

    def count_dumps(self, arguments: Sequence[bytes], skipped: Iterable[int]) -> int:
        return count_dumps(arguments[1::2], skipped)

    def _own(self, options: TaskOptions) -> tuple[bytes, bytes, bytes]:
        """Type, retries and further fields."""
        task_type = self._type if options.type is None else options.type
        return task_type.encode(), b"%d" % options.max_retry, further_of(options)

    def _kind(self, own: TaskOptions) -> tuple[str, int] | None:
        """Type and retries of a task with these options; None if its hash has more than the frames have."""
        if own.past.retried or own.hash_fields:
            return None
        return self._type if own.type is None else own.type, own.max_retry

    def _frame(self, task_type: str, max_retry: int) -> tuple[Frame, After]:
        """The frame of tasks with these options, and what follows the payload."""
        found = self._frames.get((task_type, max_retry))
        if found is None:
            fields = (b"retry", b"0", b"max_retry", b"%d" % max_retry, b"queue", self._name)
            following = after(self._form, fields)
            frame = Frame(self._form, [(b"type", task_type.encode())], b"payload", following)
            if len(self._frames) >= MOST_FRAMES:
                self._frames.clear()
            found = self._frames[task_type, max_retry] = frame, following
        return found

"""Compact tasks of layout ``asynq``: the hashes of ``asynq.py`` as dumps.

The runqy server's key ``asynq:t:<id>`` has one short field, so it is written by HSET, which may be repeated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat, starmap
from operator import attrgetter
from typing import cast

from loader.layouts.asynq import AsynqEncoder
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
from loader.layouts.dump import MOST_LENGTHS, After, Frame, after, checksums, crc64
from loader.layouts.form import Form
from loader.layouts.listpack import DisputedSizeError
from loader.layouts.task_message import after_id, before_payload, join, varint
from loader.tasks.ids import ID_BYTES
from loader.tasks.options import LIFECYCLE, TaskOptions
from loader.wire.lengths import ByLength

_BEGIN = b"""\
  if dump ~= '' then
    redis.call('RESTORE', key, 0, dump)
  elseif place == '' then
"""
_WRITE = b"""\
%(restored)b\
-- A dumped task that only has to be pushed.
local function pushed(key, undo, id, dump)
  if not restored(key, dump, undo) then return '' end
  if look_up(id, undo) then return true end
  redis.call('DEL', key)
  return 't'
end
%(write)b"""
_WRITE_PUSHED = b"""\
-- A task's arguments: id, and its dump (which begins with another byte), or 'h' with message and fields, each after its
-- length in four bytes.
local function write(key, at, undo)
  local id, value = ARGV[at], ARGV[at + 1]
  if string.byte(value) ~= 104 then return pushed(key, undo, id, value) end
  local message, fields = struct.unpack('<I4c0I4c0', value, 2)
  return put(key, undo, id, '', message, '', '', '', fields)
end
"""
_WRITE_PLACED = b"""\
-- A task's arguments: id, dump, '' if it only has to be pushed; id, dump, 'd' with place, lock and seconds; or id,
-- message, 'h' with these and fields; see put(). Each part comes after its length in four bytes.
local function write(key, at, undo)
  local id, value, how = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  if how == '' then return pushed(key, undo, id, value) end
  local place, lock, seconds, next = struct.unpack('<I4c0I4c0I4c0', how, 2)
  if string.byte(how) == 100 then return put(key, undo, id, value, '', place, lock, seconds, '') end
  return put(key, undo, id, '', value, place, lock, seconds, struct.unpack('<I4c0', how, next))
end
"""

_PAYLOAD_TAG = varint(2 << 3 | 2)
_ID_TAG = varint(3 << 3 | 2) + varint(ID_BYTES)
_LIFECYCLE: Callable[[TaskOptions], tuple[int, ...]] = attrgetter(*LIFECYCLE)


class CompactAsynq(AsynqEncoder):
    """See ``QueueEncoder``, and ``AsynqEncoder`` for the other arguments.

    Args:
        compact: Which tasks are dumped, and how.
        own_options: Whether tasks may have options of their own. The script takes another argument for each task then,
            with which the server needs a twentieth more of its time.
    """

    is_compact = True

    def __init__(
        self,
        queue: str,
        options: TaskOptions,
        *,
        reverse_lookup: bool,
        cluster: bool = False,
        compact: Dumps = EVERY_LENGTH,
        own_options: bool = True,
    ) -> None:
        super().__init__(queue, options, reverse_lookup=reverse_lookup, cluster=cluster)
        self._longest, self._form = compact.longest, compact.its_form
        self._places = own_options or self.needs_script
        self.insert_width = 3 if self._places else 2
        write = _WRITE_PLACED if self._places else _WRITE_PUSHED
        self.insert_script = self._script(_BEGIN, _WRITE % {b"restored": RESTORED, b"write": write})
        self._frames: dict[tuple[bytes, int, int, int], Frame] = {}
        key = self.task_key(b"")
        self._restore = RESTORE % (len(key) + ID_BYTES, key)
        self._prepare(_after_message(self._form, options, b"pending", time.time_ns()))

    def _prepare(self, following: After) -> None:
        """Sets up what ``write_tasks`` keeps by the payload's length."""
        frame = self._frame(following)

        def message_bytes(length: int) -> int:
            return len(self._start(length)) + length + len(_ID_TAG) + ID_BYTES + len(self._after_id)

        def to_dump(length: int) -> bytes:
            size = message_bytes(length)
            return TO_DUMP % (frame.dump_bytes(size), frame.head(size) + self._start(length))

        def head_crc(length: int) -> int:
            return crc64(self._start(length), frame.head_crc(message_bytes(length)))

        self._to_dump = ByLength(to_dump, MOST_LENGTHS)
        self._head_crcs = ByLength(head_crc, MOST_LENGTHS)
        self._tails = ByLength(lambda length: self._after_id + frame.back(message_bytes(length)), MOST_LENGTHS)
        self._after_bytes = len(following.data)

    def write_tasks(self, id_prefix: bytes, suffixes: Sequence[bytes], payloads: Sequence[bytes]) -> bytes:
        hsets = super().write_tasks
        if sum(map(len, payloads)) > self._longest * len(payloads):
            return hsets(id_prefix, suffixes, payloads)
        return written(self._restores, hsets, id_prefix, suffixes, payloads)

    def _restores(self, id_prefix: bytes, suffixes: Sequence[bytes], payloads: Sequence[bytes]) -> bytes:
        # Hot path, as in the documented layout. A message is longer than what a server keeps as an integer.
        following = _after_message(self._form, self._options, b"pending", time.time_ns())
        if len(following.data) != self._after_bytes:  # where the clock says 1970, the time is shorter
            self._prepare(following)
        lengths = list(map(len, payloads))
        tails = map(self._tails.__getitem__, lengths)
        pieces = zip(payloads, repeat(_ID_TAG + id_prefix), suffixes, tails, repeat(following.data), strict=False)
        bodies = list(map(b"".join, pieces))
        crcs = map(crc64, bodies, map(self._head_crcs.__getitem__, lengths))
        head = self._restore + id_prefix
        count = len(bodies)
        if self.commands_a_task == 1:
            end = b"\r\n"
            parts: list[bytes] = [end + head] * (5 * count)
        else:
            end = self._reverse_tail
            parts = [end + head] * (7 * count)
            parts[5::7] = [b"\r\n" + self._reverse_head + id_prefix] * count
            parts[6::7] = suffixes
        width = len(parts) // count
        parts[0] = head
        parts[1::width] = suffixes
        parts[2::width] = map(self._to_dump.__getitem__, lengths)
        parts[3::width] = bodies
        parts[4::width] = checksums(crcs, count)
        parts.append(end)
        return b"".join(parts)

    def dumps(
        self, ids: Sequence[bytes], payloads: Sequence[bytes], options: Sequence[TaskOptions] | None, now_ns: int
    ) -> list[bytes | None]:
        """The dump of each task's hash; None where it must be an HSET.

        Args:
            options: Each task's own options; None for the load's.
            now_ns: The time, as nanoseconds since 1970. A task that starts later than that is dumped as scheduled.
        """
        given = [self._options] * len(ids) if options is None else options
        made: dict[tuple[bytes, tuple[int, ...]], After] = {}
        shared = {number: self._dumped(own, now_ns, made) for number, own in {id(own): own for own in given}.items()}
        groups: dict[tuple[bytes, int, int, int], tuple[Frame, list[int], list[bytes], list[bytes]]] = {}
        for at in short_ones(payloads, self._longest):
            own, payload = given[at], payloads[at]
            if own.fields or own.waits_in_group:
                continue
            before, after_task_id, following = shared[id(own)]
            if own.unique_ttl:
                lock = self.unique_key(self._type(own), payload)
                after_task_id = after_id(self._queue, own, lock)
                try:
                    following = _after_message(self._form, own, _state(own, now_ns), now_ns, lock)
                except DisputedSizeError:
                    continue
            if (group := groups.get(following.shape)) is None:
                group = groups[following.shape] = self._frame(following), [], [], []
            _, positions, values, afters = group
            positions.append(at)
            values.append(join(before, payload, ids[at], after_task_id))
            afters.append(following.data)
        return dumps_of(starmap(Group, groups.values()), len(ids))

    def insert_arguments(
        self, ids: Sequence[bytes], payloads: Sequence[bytes], options: Sequence[TaskOptions] | None
    ) -> list[bytes]:
        given = [self._options] * len(ids) if options is None else options
        now_ns = time.time_ns()
        values = self.dumps(ids, payloads, options, now_ns)
        width = self.insert_width
        arguments = [b""] * (width * len(ids))
        if self._places:
            for at, how in self._hows(payloads, given, now_ns / 1e9).items():
                arguments[width * at + 2] = how
        for at in [at for at, dump in enumerate(values) if dump is None]:
            _, message, *parts, fields = super().insert_arguments([ids[at]], [payloads[at]], [given[at]])
            if self._places:
                values[at], arguments[width * at + 2] = message, b"h" + packed(*parts, fields)
            else:
                values[at] = b"h" + packed(message, fields)
        arguments[0::width] = ids
        arguments[1::width] = cast("list[bytes]", values)
        return arguments

    def _hows(self, payloads: Sequence[bytes], given: Sequence[TaskOptions], now: float) -> dict[int, bytes]:
        """The third argument of the insert script, for dumped tasks that take more than a push."""
        shared = {
            number: self._shared(own, now)
            for number, own in {id(own): own for own in given}.items()
            if own.unique_ttl or own.process_at or own.process_in
        }
        hows: dict[int, bytes] = {}
        for at, own in enumerate(given) if shared else ():
            if (parts := shared.get(id(own))) is not None and (parts.lock_seconds or parts.place):
                lock = self.unique_key(self._type(own), payloads[at]) if parts.lock_seconds else b""
                hows[at] = b"d" + packed(parts.place, lock, parts.lock_seconds)
        return hows

    def count_dumps(self, arguments: Sequence[bytes], skipped: Iterable[int]) -> int:
        return count_dumps(arguments[2::3] if self._places else arguments[1::2], skipped)

    def _start(self, length: int) -> bytes:
        """The bytes of a message before a payload of this length."""
        return self._before_payload + _PAYLOAD_TAG + varint(length)

    def _dumped(
        self, options: TaskOptions, now_ns: int, made: dict[tuple[bytes, tuple[int, ...]], After]
    ) -> tuple[bytes, bytes, After]:
        """What all dumps with these options have in common; ``made`` keeps what more of them have in common."""
        kind = _state(options, now_ns), _LIFECYCLE(options)
        following = made.get(kind)
        if following is None:
            following = made[kind] = _after_message(self._form, options, kind[0], now_ns)
        return before_payload(self._type(options)), after_id(self._queue, options), following

    def _frame(self, following: After) -> Frame:
        key = following.shape
        found = self._frames.get(key)
        if found is None:
            if len(self._frames) >= MOST_FRAMES:
                self._frames.clear()
            found = self._frames[key] = Frame(self._form, (), b"msg", following)
        return found


def _state(options: TaskOptions, now_ns: int) -> bytes:
    return b"scheduled" if options.starts_at(now_ns / 1e9) else b"pending"


def _after_message(form: Form, options: TaskOptions, state: bytes, now_ns: int, lock: bytes = b"") -> After:
    values = [b"state", state]
    if state == b"pending":
        values += b"pending_since", b"%d" % now_ns
    if lock:
        values += b"unique_key", lock
    for name, value in options.lifecycle:
        values += name.encode(), b"%d" % value
    return after(form, values)

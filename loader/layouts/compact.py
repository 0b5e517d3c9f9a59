"""Compact tasks: the hashes of both layouts as dumps, with the same fields, in the same order, as by HSET.

Nothing here replaces a key: RESTORE without REPLACE answers BUSYKEY if the key exists. Values of a few lengths cannot
be dumped for every server (``listpack.DISPUTED_SIZES``); tasks that have them are written by HSET. So are tasks with
fields that few tasks have: further ones, those of a group in which a task waits, and in layout ``documented`` also the
lifecycle and the number of retries so far.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import add, attrgetter
from typing import Protocol

from loader.layouts.asynq import AsynqEncoder
from loader.layouts.documented import DocumentedEncoder
from loader.layouts.dump import END_OF_DUMP, MOST_LENGTHS, Frame, as_kept, checksums, crc64
from loader.layouts.listpack import DisputedSizeError, entry
from loader.layouts.task_message import after_id, before_payload, join, varint
from loader.tasks.ids import ID_BYTES
from loader.tasks.options import LIFECYCLE, TaskOptions
from loader.wire.lengths import ByLength
from loader.wire.resp import bulk

_RESTORE = b"*4\r\n$7\r\nRESTORE\r\n$%d\r\n%b"
"""The beginning of a command, with the length of the key and the part of it that all tasks have."""
_TO_DUMP = b"\r\n$1\r\n0\r\n$%d\r\n%b"
"""What follows the key: no time to live, the dump's length and first bytes."""

_PAYLOAD_TAG = varint(2 << 3 | 2)
_ID_TAG = varint(3 << 3 | 2) + varint(ID_BYTES)
_MOST_FRAMES = 64
"""For how many kinds of own options an encoder keeps frames."""
_LIFECYCLE: Callable[[TaskOptions], tuple[int, ...]] = attrgetter(*LIFECYCLE)


class CompactEncoder(Protocol):
    """Encodes the hashes of one queue's tasks as dumps. One is made for each job and queue."""

    def write_tasks(self, id_prefix: bytes, suffixes: Sequence[bytes], payloads: Sequence[bytes]) -> bytes:
        """The commands that write tasks with generated ids: in place of ``QueueEncoder.write_tasks``, and as many.

        The reply to each RESTORE is OK, or the error BUSYKEY if the key exists. The reply to an HSET is a number.
        """
        ...

    def dumps(
        self, ids: Sequence[bytes], payloads: Sequence[bytes], options: Sequence[TaskOptions] | None, now_ns: int
    ) -> list[bytes | None]:
        """The dump of each task's hash, for scripts, and for keys in other slots. None where it must be an HSET.

        Args:
            options: Each task's own options; None for the load's.
            now_ns: The time, as nanoseconds since 1970. A task that starts later than that is dumped as scheduled.
        """
        ...


class CompactDocumented:
    """Dumps for layout ``documented``; see ``CompactEncoder``, and ``DocumentedEncoder`` for the arguments.

    Raises:
        DisputedSizeError: The type or the queue's name has a length that cannot be dumped.
    """

    def __init__(self, queue: str, task_type: str, max_retry: int) -> None:
        self._queue = queue.encode()
        self._type, self._max_retry = task_type, max_retry
        self._hsets = DocumentedEncoder(queue, task_type, max_retry)
        self._frames: dict[tuple[str, int], tuple[Frame, bytes]] = {}
        frame, after = self._frame(task_type, max_retry)
        self._restore = _RESTORE % (len(b"asynq:t:") + ID_BYTES, b"asynq:t:")
        self._middles = ByLength(lambda length: _TO_DUMP % (frame.dump_bytes(length), frame.head(length)), MOST_LENGTHS)
        self._tails = ByLength(lambda length: frame.back(length) + after, MOST_LENGTHS)
        self._head_crcs = ByLength(frame.head_crc, MOST_LENGTHS)

    def write_tasks(self, id_prefix: bytes, suffixes: Sequence[bytes], payloads: Sequence[bytes]) -> bytes:
        return _written(self._restores, self._hsets.write_tasks, id_prefix, suffixes, payloads)

    def _restores(self, id_prefix: bytes, suffixes: Sequence[bytes], payloads: Sequence[bytes]) -> bytes:
        # Hot path, as in the encoder of HSETs: one list for the batch, and one join. The CRC needs the payload and what
        # follows it in one piece; that of what precedes them is kept by length. Of about 400 ns a task of 110 bytes,
        # the call for the CRC takes 240.
        kept, lengths = as_kept(payloads)
        bodies = list(map(add, kept, map(self._tails.__getitem__, lengths)))
        crcs = map(crc64, bodies, map(self._head_crcs.__getitem__, lengths))
        head = self._restore + id_prefix
        parts: list[bytes] = [b"\r\n" + head] * (5 * len(bodies))
        parts[0] = head
        parts[1::5] = suffixes
        parts[2::5] = map(self._middles.__getitem__, lengths)
        parts[3::5] = bodies
        parts[4::5] = checksums(crcs, len(bodies))
        parts.append(b"\r\n")
        return b"".join(parts)

    def dumps(
        self, ids: Sequence[bytes], payloads: Sequence[bytes], options: Sequence[TaskOptions] | None, now_ns: int
    ) -> list[bytes | None]:
        if options is None:
            kinds: Iterable[tuple[str, int] | None] = [(self._type, self._max_retry)] * len(payloads)
        else:
            kinds = map(self._kind, options)
        groups: dict[tuple[str, int], tuple[_Group, bytes]] = {}
        for at, (payload, kind) in enumerate(zip(payloads, kinds, strict=True)):
            if kind is None:
                continue
            found = groups.get(kind)
            if found is None:
                try:
                    frame, after = self._frame(*kind)
                except DisputedSizeError:
                    continue
                found = groups[kind] = _Group(frame, [], [], []), after
            group, after = found
            group.positions.append(at)
            group.values.append(payload)
            group.afters.append(after)
        return _made((group for group, _ in groups.values()), len(payloads))

    def _kind(self, own: TaskOptions) -> tuple[str, int] | None:
        """Type and retries of a task with these options; None if its hash has more than the frames have."""
        if own.past.retried or own.hash_fields:
            return None
        return self._type if own.type is None else own.type, own.max_retry

    def _frame(self, task_type: str, max_retry: int) -> tuple[Frame, bytes]:
        """The frame of tasks with these options, and what follows the payload."""
        found = self._frames.get((task_type, max_retry))
        if found is None:
            fields = (b"retry", b"0", b"max_retry", b"%d" % max_retry, b"queue", self._queue)
            after = b"".join(map(entry, fields)) + END_OF_DUMP
            frame = Frame([(b"type", task_type.encode())], b"payload", len(after), len(fields))
            if len(self._frames) >= _MOST_FRAMES:
                self._frames.clear()
            found = self._frames[task_type, max_retry] = frame, after
        return found


class CompactAsynq:
    """Dumps for layout ``asynq``; see ``CompactEncoder``, and ``AsynqEncoder`` for the arguments.

    The runqy server's key ``asynq:t:<id>`` has one short field, so it is written by HSET, which may be repeated.
    """

    def __init__(self, queue: str, options: TaskOptions, *, reverse_lookup: bool, cluster: bool = False) -> None:
        self._queue, self._options = queue, options
        self._hsets = AsynqEncoder(queue, options, reverse_lookup=reverse_lookup, cluster=cluster)
        self._frames: dict[tuple[int, int], Frame] = {}
        key = self._hsets.task_key(b"")
        self._restore = _RESTORE % (len(key) + ID_BYTES, key)
        self._reverse_head = b"*4\r\n$4\r\nHSET\r\n$%d\r\nasynq:t:" % (len(b"asynq:t:") + ID_BYTES)
        self._reverse_tail = b"\r\n$5\r\nqueue\r\n" + bulk(queue.encode())
        # Parts of the messages that are the same for all tasks of the queue.
        self._before_payload = before_payload(queue if options.type is None else options.type)
        self._after_id = after_id(queue, options)
        self._prepare(_after_message(options, b"pending", time.time_ns()))

    def _prepare(self, after: _After) -> None:
        """Sets up what ``write_tasks`` keeps by the payload's length."""
        frame = self._frame(after)

        def message_bytes(length: int) -> int:
            return len(self._start(length)) + length + len(_ID_TAG) + ID_BYTES + len(self._after_id)

        def middle(length: int) -> bytes:
            size = message_bytes(length)
            return _TO_DUMP % (frame.dump_bytes(size), frame.head(size) + self._start(length))

        def head_crc(length: int) -> int:
            return crc64(self._start(length), frame.head_crc(message_bytes(length)))

        self._middles = ByLength(middle, MOST_LENGTHS)
        self._head_crcs = ByLength(head_crc, MOST_LENGTHS)
        self._tails = ByLength(lambda length: self._after_id + frame.back(message_bytes(length)), MOST_LENGTHS)
        self._after_bytes = len(after.data)

    def write_tasks(self, id_prefix: bytes, suffixes: Sequence[bytes], payloads: Sequence[bytes]) -> bytes:
        return _written(self._restores, self._hsets.write_tasks, id_prefix, suffixes, payloads)

    def _restores(self, id_prefix: bytes, suffixes: Sequence[bytes], payloads: Sequence[bytes]) -> bytes:
        # Hot path, as in the documented layout. A message is longer than what a server keeps as an integer.
        after = _after_message(self._options, b"pending", time.time_ns())
        if len(after.data) != self._after_bytes:  # only where the clock says 1970: then the time is a shorter integer
            self._prepare(after)
        lengths = list(map(len, payloads))
        tails = map(self._tails.__getitem__, lengths)
        pieces = zip(payloads, repeat(_ID_TAG + id_prefix), suffixes, tails, repeat(after.data), strict=False)
        bodies = list(map(b"".join, pieces))
        crcs = map(crc64, bodies, map(self._head_crcs.__getitem__, lengths))
        head = self._restore + id_prefix
        count = len(bodies)
        if self._hsets.commands_a_task == 1:
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
        parts[2::width] = map(self._middles.__getitem__, lengths)
        parts[3::width] = bodies
        parts[4::width] = checksums(crcs, count)
        parts.append(end)
        return b"".join(parts)

    def dumps(
        self, ids: Sequence[bytes], payloads: Sequence[bytes], options: Sequence[TaskOptions] | None, now_ns: int
    ) -> list[bytes | None]:
        given = [self._options] * len(ids) if options is None else options
        made: dict[tuple[bytes, tuple[int, ...]], _After] = {}
        shared = {number: self._shared(own, now_ns, made) for number, own in {id(own): own for own in given}.items()}
        groups: dict[tuple[int, int], _Group] = {}
        for at, (task_id, payload, own) in enumerate(zip(ids, payloads, given, strict=True)):
            if own.fields or own.waits_in_group:
                continue
            before, after_task_id, after = shared[id(own)]
            if own.unique_ttl:
                lock = self._hsets.unique_key(self._type(own), payload)
                after_task_id = after_id(self._queue, own, lock)
                try:
                    after = _after_message(own, _state(own, now_ns), now_ns, lock)
                except DisputedSizeError:
                    continue
            group = groups.get((len(after.data), after.entries))
            if group is None:
                group = groups[len(after.data), after.entries] = _Group(self._frame(after), [], [], [])
            group.positions.append(at)
            group.values.append(join(before, payload, task_id, after_task_id))
            group.afters.append(after.data)
        return _made(groups.values(), len(ids))

    def _start(self, length: int) -> bytes:
        """The bytes of a message before a payload of this length."""
        return self._before_payload + _PAYLOAD_TAG + varint(length)

    def _shared(
        self, options: TaskOptions, now_ns: int, made: dict[tuple[bytes, tuple[int, ...]], _After]
    ) -> tuple[bytes, bytes, _After]:
        """What is the same for all tasks with these options; ``made`` keeps what more of them have in common."""
        kind = _state(options, now_ns), _LIFECYCLE(options)
        after = made.get(kind)
        if after is None:
            after = made[kind] = _after_message(options, kind[0], now_ns)
        return before_payload(self._type(options)), after_id(self._queue, options), after

    def _type(self, options: TaskOptions) -> str:
        return self._queue if options.type is None else options.type

    def _frame(self, after: _After) -> Frame:
        key = len(after.data), after.entries
        found = self._frames.get(key)
        if found is None:
            if len(self._frames) >= _MOST_FRAMES:
                self._frames.clear()
            found = self._frames[key] = Frame((), b"msg", *key)
        return found


@dataclass(frozen=True, slots=True)
class _After:
    """What follows the message in a dump, up to the CRC.

    Attributes:
        entries: The number of entries in ``data``.
    """

    data: bytes
    entries: int


def _state(options: TaskOptions, now_ns: int) -> bytes:
    return b"scheduled" if options.starts_at(now_ns / 1e9) else b"pending"


def _after_message(options: TaskOptions, state: bytes, now_ns: int, lock: bytes = b"") -> _After:
    values = [b"state", state]
    if state == b"pending":
        values += b"pending_since", b"%d" % now_ns
    if lock:
        values += b"unique_key", lock
    for name, value in options.lifecycle:
        values += name.encode(), b"%d" % value
    return _After(b"".join(map(entry, values)) + END_OF_DUMP, len(values))


@dataclass(frozen=True, slots=True)
class _Group:
    """Tasks whose dumps have the same frame, with their places in the batch, values, and what follows the values."""

    frame: Frame
    positions: list[int]
    values: list[bytes]
    afters: list[bytes]


def _made(groups: Iterable[_Group], count: int) -> list[bytes | None]:
    """The dumps of all groups, in the order of the batch; None for tasks without."""
    found: list[bytes | None] = [None] * count
    for group in groups:
        for at, dump in zip(group.positions, _dumps(group.frame, group.values, group.afters), strict=True):
            found[at] = dump
    return found


def _dumps(frame: Frame, values: list[bytes], afters: list[bytes]) -> list[bytes | None]:
    """The dumps of a frame, with None for those that cannot be."""
    try:
        return [*frame.dumps(values, afters)]
    except DisputedSizeError:
        if len(values) == 1:
            return [None]
        middle = len(values) // 2
        return _dumps(frame, values[:middle], afters[:middle]) + _dumps(frame, values[middle:], afters[middle:])


_Write = Callable[[bytes, Sequence[bytes], Sequence[bytes]], bytes]


def _written(
    restores: _Write, hsets: _Write, id_prefix: bytes, suffixes: Sequence[bytes], payloads: Sequence[bytes]
) -> bytes:
    """The commands of a batch: tasks that cannot be dumped by ``hsets``, the others by ``restores``."""
    try:
        return restores(id_prefix, suffixes, payloads)
    except DisputedSizeError:
        if len(payloads) == 1:
            return hsets(id_prefix, suffixes, payloads)
    middle = len(payloads) // 2
    halves = (slice(middle), slice(middle, None))
    return b"".join(_written(restores, hsets, id_prefix, suffixes[half], payloads[half]) for half in halves)

"""What the encoders of compact tasks have in common: tasks as dumps, in place of HSETs.

A dump makes the same hash as the HSET would: the same fields, in the same order. Nothing here replaces a key: RESTORE
without REPLACE answers BUSYKEY if the key exists.

Not every task is dumped. Long payloads cost more as a dump than they save (``pays.py``). Values of a few lengths cannot
be dumped for every server (``listpack.DISPUTED_SIZES``). Some fields are so rare that no dump is made for them: further
ones, those of a group in which a task waits, and in layout ``documented`` also the lifecycle and the number of retries
so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from loader.layouts.dump import FORMS, FormName, Frame
from loader.layouts.form import Form
from loader.layouts.listpack import DisputedSizeError

ANY_LENGTH = 2**62
"""More bytes than a payload can have."""


@dataclass(frozen=True, slots=True)
class Dumps:
    """Which tasks are dumped, and how.

    Attributes:
        longest: The longest payload whose task is a dump, in bytes. A batch that no script writes is dumped if its
            payloads are not longer on average.
        form: The form of the dumps that the server takes.
    """

    longest: int = ANY_LENGTH
    form: FormName = "listpack"

    @property
    def its_form(self) -> Form:
        return FORMS[self.form]


EVERY_LENGTH = Dumps()

MOST_FRAMES = 64
"""For how many kinds of own options an encoder keeps frames."""

RESTORE = b"*4\r\n$7\r\nRESTORE\r\n$%d\r\n%b"
"""The beginning of a command, with the length of the key and the part of it that all tasks have."""

TO_DUMP = b"\r\n$1\r\n0\r\n$%d\r\n%b"
"""What follows the key: no time to live, the dump's length and first bytes."""

RESTORED = b"""\
-- Makes a task's hash from its dump, if the key is free. BUSYKEY tells that it is not.
local function restored(key, dump, undo)
  local count = #undo
  -- This DEL deletes nothing. It fails, before anything is written, if the user has no right to undo.
  if count == 0 and redis.call('EXISTS', key) == 0 then redis.call('DEL', key) end
  local reply = redis.pcall('RESTORE', key, '0', dump)
  if reply.err then
    if string.sub(reply.err, 1, 7) == 'BUSYKEY' then return false end
    error(reply)
  end
  undo[count + 1] = key
  return true
end
"""
"""Lua that compact layouts put before their ``write``."""


def packed(*parts: bytes) -> bytes:
    """Parts as Lua's ``struct.unpack`` reads them: each after its length in four bytes."""
    return b"".join(piece for part in parts for piece in (len(part).to_bytes(4, "little"), part))


def count_dumps(ways: Sequence[bytes], skipped: Iterable[int]) -> int:
    """The number of tasks that are dumped, without those at skipped positions.

    Args:
        ways: Of each task, the argument of the insert script that begins with an 'h' if the task is not dumped.
    """
    left_out = set(skipped)
    return sum(not way.startswith(b"h") for at, way in enumerate(ways) if at not in left_out)


@dataclass(frozen=True, slots=True)
class Group:
    """Tasks whose dumps have the same frame, with their places in the batch, values, and what follows the values."""

    frame: Frame
    positions: Sequence[int]
    values: Sequence[bytes]
    afters: Sequence[bytes]


def short_ones(payloads: Sequence[bytes], longest: int) -> Sequence[int]:
    """The positions of payloads of at most this length."""
    if max(map(len, payloads), default=0) <= longest:  # hot path
        return range(len(payloads))
    return [at for at, payload in enumerate(payloads) if len(payload) <= longest]


def dumps_of(groups: Iterable[Group], count: int) -> list[bytes | None]:
    """The dumps of all groups, in the order of the batch; None for tasks without."""
    found: list[bytes | None] = [None] * count
    for group in groups:
        for at, dump in zip(group.positions, _dumps(group.frame, group.values, group.afters), strict=True):
            found[at] = dump
    return found


def _dumps(frame: Frame, values: Sequence[bytes], afters: Sequence[bytes]) -> list[bytes | None]:
    """The dumps of a frame, with None for those that cannot be."""
    try:
        return [*frame.dumps(values, afters)]
    except DisputedSizeError:
        if len(values) == 1:
            return [None]
        middle = len(values) // 2
        return _dumps(frame, values[:middle], afters[:middle]) + _dumps(frame, values[middle:], afters[middle:])


Write = Callable[[bytes, Sequence[bytes], Sequence[bytes]], bytes]
"""``QueueEncoder.write_tasks``."""


def written(
    restores: Write, hsets: Write, id_prefix: bytes, suffixes: Sequence[bytes], payloads: Sequence[bytes]
) -> bytes:
    """The commands of a batch: tasks that cannot be dumped by ``hsets``, the others by ``restores``."""
    try:
        return restores(id_prefix, suffixes, payloads)
    except DisputedSizeError:
        if len(payloads) == 1:
            return hsets(id_prefix, suffixes, payloads)
    middle = len(payloads) // 2
    halves = (slice(middle), slice(middle, None))
    return b"".join(written(restores, hsets, id_prefix, suffixes[half], payloads[half]) for half in halves)

"""Which records a committed batch holds: with the bit of a batch, the ledger notes their numbers.

Key ``<tag>:runqy-loader:<job>:<shard>:records`` has 24 bytes for each batch: the 20 hexadecimal digits of the prefix of
its generated ids (10 bytes), the number of its first record (6 bytes), and its numbers of records and of tasks (4 bytes
each, big-endian). The tasks include those that the ledger has as skipped. Where the bytes are zero or missing, an
earlier version has committed the batch.

So it is known how many tasks of a job are in, and which hashes of a killed run were never pushed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from struct import Struct

from loader.tasks.ids import ID_BYTES

ENTRY_BYTES = 24
PREFIX_BYTES = 24
"""The length of the prefix of a generated id, which is the same for all ids of a piece of a source."""

_ENTRY = Struct(">10s6sII")


@dataclass(frozen=True, slots=True)
class Committed:
    """The records of a committed batch.

    Attributes:
        prefix: The prefix of the ids that are generated for them.
        first: The number of the first one within its piece of the source.
        records: How many they are.
        tasks: How many of them are tasks of the queue, skipped ones included.
    """

    prefix: bytes
    first: int
    records: int
    tasks: int


def entry_of(prefix: bytes, first: int, records: int, tasks: int) -> bytes:
    """The 24 bytes of a batch; empty without a prefix."""
    if not prefix:
        return b""
    return _ENTRY.pack(digits_of(prefix), first.to_bytes(6, "big"), records, tasks)


def entry_at(text: bytes, batch: int) -> Committed | None:
    """What the key's value has for a batch; None if an earlier version has committed it."""
    part = text[ENTRY_BYTES * batch : ENTRY_BYTES * (batch + 1)]
    if len(part) < ENTRY_BYTES or not any(part):
        return None
    digits, first, records, tasks = _ENTRY.unpack(part)
    return Committed(prefix_from(digits), int.from_bytes(first, "big"), records, tasks)


def digits_of(prefix: bytes) -> bytes:
    """The ten bytes of a prefix."""
    return bytes.fromhex(prefix.replace(b"-", b"").decode())


def prefix_from(digits: bytes) -> bytes:
    """The prefix of ten bytes."""
    text = digits.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], "")).encode()


def set_bits(bitmap: bytes) -> Iterator[int]:
    """The numbers of the batches that a bitmap has as loaded, ascending."""
    for index, byte in enumerate(bitmap):
        if byte:
            yield from (8 * index + bit for bit in range(8) if byte >> (7 - bit) & 1)


def prefix_of(task_id: bytes, prefixes: Collection[bytes]) -> bytes | None:
    """The one of these prefixes that a generated id has; None if the id is none of theirs."""
    prefix = task_id[:PREFIX_BYTES]
    return prefix if prefix in prefixes and len(task_id) == ID_BYTES else None


class Ranges:
    """The records of committed batches, to look up an id."""

    def __init__(self, committed: Iterable[Committed]) -> None:
        by_prefix: dict[bytes, list[tuple[int, int]]] = {}
        for batch in committed:
            by_prefix.setdefault(batch.prefix, []).append((batch.first, batch.first + batch.records))
        self._ranges = {prefix: sorted(ranges) for prefix, ranges in by_prefix.items()}

    def holds(self, task_id: bytes) -> bool:
        """Whether the record of a generated id is in a committed batch."""
        ranges = self._ranges.get(task_id[:PREFIX_BYTES], [])
        try:
            number = int(task_id[PREFIX_BYTES:], 16)
        except ValueError:
            return False
        at = bisect_right(ranges, (number, 1 << 48)) - 1
        return at >= 0 and number < ranges[at][1]

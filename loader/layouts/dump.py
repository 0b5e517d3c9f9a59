"""Dumps: hashes in the form that ``RESTORE`` takes, so that a server copies one block in place of building a hash.

A dump is an RDB value type, the value, the RDB version (2 bytes, little endian) and the CRC-64 of all that (8 bytes,
little endian). Type 16 is a hash in one listpack; its length precedes it as RDB writes lengths (Redis 7.0: ``rdb.h``,
``rdb.c``, ``createDumpPayload`` in ``cluster.c``). Redis takes these dumps from 7.0 on, and so does Valkey.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import chain
from struct import Struct

import anycrc

from loader.layouts.listpack import (
    END,
    HEADER_BYTES,
    LONGEST_INTEGER,
    back_length,
    entry,
    header,
    integer,
    listpack,
    string_header,
)
from loader.wire.lengths import ByLength
from loader.wire.resp import bulk

Fields = Sequence[tuple[bytes, bytes]]

HASH_LISTPACK = b"\x10"
"""What a dump begins with."""
_RDB_VERSION = (10).to_bytes(2, "little")  # of Redis 7.0; later servers take it too
_CRC_BYTES = 8

MOST_LENGTHS = 4096
"""For how many lengths of values what depends on them is kept, about 700 bytes each: more than small payloads have."""

END_OF_DUMP = END + _RDB_VERSION
"""What follows the last entry of a hash, before the CRC."""

crc64: Callable[[bytes, int], int] = anycrc.Model("CRC64-REDIS").calc
"""The CRC-64 of data that follows other data, whose CRC-64 is the second argument (0 for none)."""


def hash_dump(fields: Fields) -> bytes:
    """The dump of a hash with these fields, in this order.

    Raises:
        DisputedSizeError: No dump of this hash suits every server.
    """
    packed = listpack(chain.from_iterable(fields))
    dump = b"".join((HASH_LISTPACK, rdb_length(len(packed)), packed, _RDB_VERSION))
    return dump + crc64(dump, 0).to_bytes(_CRC_BYTES, "little")


def restore(key: bytes, dump: bytes) -> bytes:
    """The command that makes a key from a dump. Its reply is the error BUSYKEY if the key exists."""
    return b"*4\r\n$7\r\nRESTORE\r\n%b$1\r\n0\r\n%b" % (bulk(key), bulk(dump))


def rdb_length(length: int) -> bytes:
    """A length of at most 2**32 - 1, as RDB files have it (Redis 7.0, ``rdbSaveLen``)."""
    if length < 64:
        return b"%c" % length
    if length < 16384:
        return (0x4000 | length).to_bytes(2, "big")
    return b"\x80" + length.to_bytes(4, "big")


def checksums(crcs: Iterable[int], count: int) -> Sequence[bytes]:
    """CRCs as the last bytes of dumps.

    Hot path: 25 ns for each, where ``int.to_bytes`` takes 60 ns.
    """
    numbers, pieces = _checksum_structs(count)
    found: Sequence[bytes] = pieces.unpack(numbers.pack(*crcs))
    return found


@lru_cache(maxsize=8)
def _checksum_structs(count: int) -> tuple[Struct, Struct]:
    return Struct(f"<{count}Q"), Struct(f"{_CRC_BYTES}s" * count)


class Frame:
    """What surrounds one value in the dumps of hashes that differ in this value. It depends on the length alone.

    Lengths are those of ``as_kept``. Methods raise DisputedSizeError for a length of which no dump suits every server.

    Args:
        before: The fields before the value's.
        name: The name of the value's field.
        after_bytes: The length of what follows the value's entry up to the CRC: more entries and ``END_OF_DUMP``.
        entries_after: The number of these entries.
    """

    def __init__(self, before: Fields, name: bytes, after_bytes: int, entries_after: int) -> None:
        self._before = b"".join(map(entry, (*chain.from_iterable(before), name)))
        self._after_bytes = after_bytes
        self._entries = 2 * len(before) + 2 + entries_after
        self._heads = ByLength(self.head, MOST_LENGTHS)
        self._crcs = ByLength(self.head_crc, MOST_LENGTHS)
        self._backs = ByLength(self.back, MOST_LENGTHS)

    def head(self, length: int) -> bytes:
        """The bytes of a dump before a value of this length."""
        value_header, value_bytes = _value_header(length)
        size = HEADER_BYTES + len(self._before) + value_bytes + len(back_length(value_bytes))
        size += self._after_bytes - len(_RDB_VERSION)
        lengths = rdb_length(size) + header(size, self._entries)
        return b"".join((HASH_LISTPACK, lengths, self._before, value_header))

    def head_crc(self, length: int) -> int:
        """The CRC-64 of ``head``."""
        return crc64(self.head(length), 0)

    def back(self, length: int) -> bytes:
        """The back length of the value's entry."""
        return back_length(_value_header(length)[1])

    def dump_bytes(self, length: int) -> int:
        """The length of a whole dump."""
        return len(self.head(length)) + abs(length) + len(self.back(length)) + self._after_bytes + _CRC_BYTES

    def dumps(self, values: Sequence[bytes], afters: Iterable[bytes]) -> list[bytes]:
        """Whole dumps.

        Args:
            afters: What follows each value, see above; ``repeat(after)`` where it is the same.
        """
        kept, lengths = as_kept(values)
        backs = map(self._backs.__getitem__, lengths)
        bodies = list(map(b"".join, zip(kept, backs, afters, strict=False)))
        crcs = map(crc64, bodies, map(self._crcs.__getitem__, lengths))
        heads = map(self._heads.__getitem__, lengths)
        return list(map(b"".join, zip(heads, bodies, checksums(crcs, len(bodies)), strict=True)))


def _value_header(length: int) -> tuple[bytes, int]:
    """The header of a value's entry, and the bytes of both, without the back length."""
    found = string_header(length) if length >= 0 else b""
    return found, len(found) + abs(length)


def as_kept(values: Sequence[bytes]) -> tuple[Sequence[bytes], Sequence[int]]:
    """Values as a server keeps them, and their lengths.

    What is kept as an integer becomes its encoding, and its length is that of the encoding, negated.

    Hot path: a batch whose values are all too long for integers costs no more than ``len``.
    """
    lengths = list(map(len, values))
    if min(lengths, default=LONGEST_INTEGER + 1) > LONGEST_INTEGER:
        return values, lengths
    kept = list(values)
    for at, (value, length) in enumerate(zip(values, lengths, strict=True)):
        if length <= LONGEST_INTEGER and (encoded := integer(value)) is not None:
            kept[at], lengths[at] = encoded, -len(encoded)
    return kept, lengths

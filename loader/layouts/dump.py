"""Dumps: hashes in the form that ``RESTORE`` takes, so that a server copies one block in place of building a hash.

A dump is an RDB value type, the value, the RDB version (2 bytes, little endian) and the CRC-64 of all that (8 bytes,
little endian). Type 16 is a hash in one listpack, type 13 one in a ziplist; its length precedes it as RDB writes
lengths (Redis 6.2 and 7.0: ``rdb.h``, ``rdb.c``, ``createDumpPayload`` in ``cluster.c``). Redis takes listpacks from
7.0 on, and so does Valkey. Redis 6.2 takes ziplists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from struct import Struct
from typing import Literal

import anycrc

from loader.layouts import listpack, ziplist
from loader.layouts.form import LONGEST_INTEGER, Form, block, body, entries
from loader.wire.lengths import ByLength
from loader.wire.resp import bulk

Fields = Sequence[tuple[bytes, bytes]]

FormName = Literal["listpack", "ziplist"]

FORMS: Mapping[FormName, Form] = {"listpack": listpack, "ziplist": ziplist}

_CRC_BYTES = 8

MOST_LENGTHS = 4096
"""For how many lengths of values what depends on them is kept, about 700 bytes each: more than small payloads have."""

rdb_length = ziplist.string_header
"""A length of at most 2**32 - 1, as RDB files have it (Redis 7.0, ``rdbSaveLen``): they and ziplists write it alike."""

crc64: Callable[[bytes, int], int] = anycrc.Model("CRC64-REDIS").calc
"""The CRC-64 of data that follows other data, whose CRC-64 is the second argument (0 for none)."""


def hash_dump(fields: Fields, form: Form = listpack) -> bytes:
    """The dump of a hash with these fields, in this order.

    Raises:
        DisputedSizeError: No dump of this hash suits every server.
    """
    packed = block(form, [*chain.from_iterable(fields)])
    dump = b"".join((form.RDB_TYPE, rdb_length(len(packed)), packed, form.RDB_VERSION))
    return dump + crc64(dump, 0).to_bytes(_CRC_BYTES, "little")


def restore(key: bytes, dump: bytes) -> bytes:
    """The command that makes a key from a dump. Its reply is the error BUSYKEY if the key exists."""
    return b"*4\r\n$7\r\nRESTORE\r\n%b$1\r\n0\r\n%b" % (bulk(key), bulk(dump))


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


@dataclass(frozen=True, slots=True)
class After:
    """What follows a value in dumps, up to the CRC.

    Attributes:
        name: The body of the next field's name. It comes with ``Frame.back``, as the links around it may depend on the
            value's length.
        data: What follows that: entries, the end, the RDB version.
        entries: The number of entries, with the name.
        last_bytes: See ``form.Entries``.
    """

    name: bytes
    data: bytes
    entries: int
    last_bytes: int

    @property
    def shape(self) -> tuple[bytes, int, int, int]:
        """What a frame depends on: it suits everything that has the same shape."""
        return self.name, len(self.data), self.entries, self.last_bytes


def after(form: Form, values: Sequence[bytes]) -> After:
    """What follows a value.

    Args:
        values: Names and values of all further fields, at least one. The first name is at most 200 bytes long, so that
            the length of the link after it is always the same.

    Raises:
        DisputedSizeError: No dump with these fields suits every server.
    """
    name = body(form, values[0])
    rest = entries(form, values[1:], len(form.link(len(name), 1)))
    return After(name, rest.closed(form) + form.RDB_VERSION, len(values), rest.last_bytes)


class Frame:
    """What surrounds one value in the dumps of hashes that differ in this value. It depends on the length alone.

    Lengths are those of ``as_kept``. Methods raise DisputedSizeError for a length of which no dump suits every server.

    Args:
        before: The fields before the value's.
        name: The name of the value's field.
        following: What follows the value. Its content may differ, but not its shape.
    """

    def __init__(self, form: Form, before: Fields, name: bytes, following: After) -> None:
        made = entries(form, (*chain.from_iterable(before), name))
        self._form = form
        self._before, self._link_bytes = made.data, made.link_bytes
        self._name, self._after_bytes, entries_after, self._last_bytes = following.shape
        self._entries = 2 * len(before) + 2 + entries_after
        self._heads = ByLength(self.head, MOST_LENGTHS)
        self._crcs = ByLength(self.head_crc, MOST_LENGTHS)
        self._backs = ByLength(self.back, MOST_LENGTHS)

    def head(self, length: int) -> bytes:
        """The bytes of a dump before a value of this length."""
        form, value_header = self._form, self._value_header(length)
        size = form.HEADER_BYTES + len(self._before) + len(value_header) + abs(length) + len(self.back(length))
        size += self._after_bytes - len(form.RDB_VERSION)
        lengths = rdb_length(size) + form.header(size, self._entries, self._last_bytes)
        return b"".join((form.RDB_TYPE, lengths, self._before, value_header))

    def head_crc(self, length: int) -> int:
        """The CRC-64 of ``head``."""
        return crc64(self.head(length), 0)

    def back(self, length: int) -> bytes:
        """What stands between a value of this length and the data of what follows."""
        link = self._form.link(len(self._value_header(length)) + abs(length), self._link_bytes)
        return link + self._name + self._form.link(len(self._name), len(link))

    def dump_bytes(self, length: int) -> int:
        """The length of a whole dump."""
        return len(self.head(length)) + abs(length) + len(self.back(length)) + self._after_bytes + _CRC_BYTES

    def _value_header(self, length: int) -> bytes:
        return self._form.string_header(length) if length >= 0 else b""

    def dumps(self, values: Sequence[bytes], afters: Iterable[bytes]) -> list[bytes]:
        """Whole dumps.

        Args:
            afters: The data of what follows each value.
        """
        kept, lengths = as_kept(values, self._form)
        backs = map(self._backs.__getitem__, lengths)
        bodies = list(map(b"".join, zip(kept, backs, afters, strict=False)))
        crcs = map(crc64, bodies, map(self._crcs.__getitem__, lengths))
        heads = map(self._heads.__getitem__, lengths)
        return list(map(b"".join, zip(heads, bodies, checksums(crcs, len(bodies)), strict=True)))


def as_kept(values: Sequence[bytes], form: Form) -> tuple[Sequence[bytes], Sequence[int]]:
    """Values as a server keeps them, and their lengths.

    What is kept as an integer becomes its encoding, and its length is that of the encoding, negated.

    Hot path: a batch whose values are all too long for integers costs no more than ``len``.
    """
    lengths = list(map(len, values))
    if min(lengths, default=LONGEST_INTEGER + 1) > LONGEST_INTEGER:
        return values, lengths
    kept = list(values)
    integer = form.integer
    for at, (value, length) in enumerate(zip(values, lengths, strict=True)):
        if length <= LONGEST_INTEGER and (encoded := integer(value)) is not None:
            kept[at], lengths[at] = encoded, -len(encoded)
    return kept, lengths

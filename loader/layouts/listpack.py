"""Listpack: the block of bytes in which a server keeps a small hash.

Facts are those of Redis 7.0, ``listpack.c``; for other servers, see ``DISPUTED_SIZES``. A listpack is its size in bytes
(4, little endian), its number of entries (2, little endian), the entries, and ``ff``. An entry is a header, the value,
and the size of both once more, to be read from behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

DISPUTED_SIZES = frozenset((16383, 2097151, 268435455))
"""Sizes of entries, without their back lengths, that no listpack for any server may have.

Redis 7.0 to 8.2 and older Valkeys give them a back length of one byte more than Valkey 9.1 does (its pull request 3601;
Redis has changed this too, in 15151). A server finds the next entry by the width that it expects. So where it does not
check a dump, as by default, it would read beyond the end, and may end itself.
"""


class DisputedSizeError(ValueError):
    """An entry would have one of ``DISPUTED_SIZES``. The hash must be written by HSET."""


LONGEST_INTEGER = 20
"""Bytes of the longest text that is kept as an integer: ``-9223372036854775808``."""

END = b"\xff"
HEADER_BYTES = 6
_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,18}")
_UNKNOWN_COUNT = 0xFFFF


def entry(value: bytes) -> bytes:
    """A whole entry.

    Raises:
        DisputedSizeError: See there.
    """
    encoded = integer(value)
    if encoded is None:
        encoded = string_header(len(value)) + value
    return encoded + back_length(len(encoded))


def integer(text: bytes) -> bytes | None:
    """An integer's entry without its back length. None if a server keeps the text as a string.

    It keeps as integers what it can print again to the same text: no sign of plus, no zeros in front, 64 bits.
    """
    if not _INTEGER.fullmatch(text):
        return None
    value = int(text)
    if 0 <= value < 128:
        return b"%c" % value
    if -4096 <= value < 4096:
        return (0xC000 | value & 0x1FFF).to_bytes(2, "big")
    for mark, width in ((b"\xf1", 2), (b"\xf2", 3), (b"\xf3", 4), (b"\xf4", 8)):
        if -(1 << 8 * width - 1) <= value < 1 << 8 * width - 1:
            return mark + value.to_bytes(width, "little", signed=True)
    return None


def string_header(length: int) -> bytes:
    """What precedes a string of ``length`` bytes, at most 2**32 - 1, in its entry."""
    if length < 64:
        return b"%c" % (0x80 | length)
    if length < 4096:
        return (0xE000 | length).to_bytes(2, "big")
    return b"\xf0" + length.to_bytes(4, "little")


def back_length(size: int) -> bytes:
    """What follows an entry of ``size`` bytes: seven bits a byte, all but the first marked by their highest bit.

    Raises:
        DisputedSizeError: Servers disagree on what it is.
    """
    if size in DISPUTED_SIZES:
        raise DisputedSizeError(f"servers disagree on the form of an entry of {size} bytes")
    more = (size > 127) + (size > 16383) + (size > 2097151) + (size > 268435455)
    return bytes([size >> 7 * more, *(size >> 7 * place & 127 | 128 for place in reversed(range(more)))])


def header(size: int, count: int) -> bytes:
    """The first bytes of a listpack of ``size`` bytes in all, with ``count`` entries."""
    return size.to_bytes(4, "little") + min(count, _UNKNOWN_COUNT).to_bytes(2, "little")


def listpack(values: Iterable[bytes]) -> bytes:
    """A whole listpack.

    Raises:
        DisputedSizeError: See there.
    """
    entries = list(map(entry, values))
    body = b"".join(entries)
    return header(HEADER_BYTES + len(body) + len(END), len(entries)) + body + END

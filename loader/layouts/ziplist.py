"""Ziplist: the block of bytes in which Redis 6.2 and older keep a small hash. Later servers convert it.

Facts are those of Redis 6.2, ``ziplist.c``. A ziplist is its size in bytes (4), the place of its last entry (4), its
number of entries (2), all little endian, the entries, and ``ff``. An entry is the size of the whole entry before it
(one byte, or ``fe`` and four bytes, little endian; 0 for the first), a header, and the value. ``form.Form`` says what
the names below are for.
"""

from __future__ import annotations

from loader.layouts.form import END, UNKNOWN_COUNT, integer_of, signed

RDB_TYPE = b"\x0d"
RDB_VERSION = (9).to_bytes(2, "little")
HEADER_BYTES = 11
LAST_HAS_LINK = False

_NOTHING_BEFORE = b"\x00"  # the first part of the first entry
_LONG = 254
_WIDTHS = ((b"\xfe", 1), (b"\xc0", 2), (b"\xf0", 3), (b"\xd0", 4), (b"\xe0", 8))


def integer(text: bytes) -> bytes | None:
    """An integer's header and value."""
    value = integer_of(text)
    if value is None:
        return None
    if 0 <= value <= 12:
        return b"%c" % (0xF1 + value)
    return signed(value, _WIDTHS)


def string_header(length: int) -> bytes:
    """What precedes a string of ``length`` bytes, at most 2**32 - 1, in its entry."""
    if length < 64:
        return b"%c" % length
    if length < 16384:
        return (0x4000 | length).to_bytes(2, "big")
    return b"\x80" + length.to_bytes(4, "big")


def link(body_bytes: int, link_bytes: int) -> bytes:
    """The first part of the next entry: the size of this one."""
    size = link_bytes + body_bytes
    return b"%c" % size if size < _LONG else b"\xfe" + size.to_bytes(4, "little")


def header(size: int, count: int, last_bytes: int) -> bytes:
    """The first bytes of a ziplist of ``size`` bytes in all, up to the first entry's own header."""
    last_at = size - len(END) - last_bytes
    counted = min(count, UNKNOWN_COUNT).to_bytes(2, "little")
    return size.to_bytes(4, "little") + last_at.to_bytes(4, "little") + counted + _NOTHING_BEFORE

"""Listpack: the block of bytes in which a server keeps a small hash, from Redis 7.0 on and in Valkey.

Facts are those of Redis 7.0, ``listpack.c``; for other servers, see ``DISPUTED_SIZES``. A listpack is its size in bytes
(4, little endian), its number of entries (2, little endian), the entries, and ``ff``. An entry is a header, the value,
and the size of both once more, to be read from behind. ``form.Form`` says what the names below are for.
"""

from __future__ import annotations

from loader.layouts.form import UNKNOWN_COUNT, integer_of, signed

RDB_TYPE = b"\x10"
RDB_VERSION = (10).to_bytes(2, "little")
HEADER_BYTES = 6
LAST_HAS_LINK = True

DISPUTED_SIZES = frozenset((16383, 2097151, 268435455))
"""Sizes of entries, without their back lengths, that no listpack for any server may have.

Redis 7.0 to 8.2 and older Valkeys give them a back length of one byte more than Valkey 9.1 does (its pull request 3601;
Redis has changed this too, in 15151). A server finds the next entry by the width that it expects. So where it does not
check a dump, as by default, it would read beyond the end, and may end itself.
"""

_WIDTHS = ((b"\xf1", 2), (b"\xf2", 3), (b"\xf3", 4), (b"\xf4", 8))


class DisputedSizeError(ValueError):
    """An entry would have one of ``DISPUTED_SIZES``. The hash must be written by HSET."""


def integer(text: bytes) -> bytes | None:
    """An integer's entry without its back length."""
    value = integer_of(text)
    if value is None:
        return None
    if 0 <= value < 128:
        return b"%c" % value
    if -4096 <= value < 4096:
        return (0xC000 | value & 0x1FFF).to_bytes(2, "big")
    return signed(value, _WIDTHS)


def string_header(length: int) -> bytes:
    """What precedes a string of ``length`` bytes, at most 2**32 - 1, in its entry."""
    if length < 64:
        return b"%c" % (0x80 | length)
    if length < 4096:
        return (0xE000 | length).to_bytes(2, "big")
    return b"\xf0" + length.to_bytes(4, "little")


def link(body_bytes: int, link_bytes: int) -> bytes:
    """The back length, which follows an entry's header and value: seven bits a byte, all but the first marked by their
    highest bit.

    Raises:
        DisputedSizeError: Servers disagree on what it is.
    """
    size = body_bytes
    if size in DISPUTED_SIZES:
        raise DisputedSizeError(f"servers disagree on the form of an entry of {size} bytes")
    more = (size > 127) + (size > 16383) + (size > 2097151) + (size > 268435455)
    return bytes([size >> 7 * more, *(size >> 7 * place & 127 | 128 for place in reversed(range(more)))])


def header(size: int, count: int, last_bytes: int) -> bytes:
    """The first bytes of a listpack of ``size`` bytes in all, with ``count`` entries."""
    return size.to_bytes(4, "little") + min(count, UNKNOWN_COUNT).to_bytes(2, "little")

"""Reads dumps of hashes, to check what the loader writes. It shares no code with the loader's encoder.

It also checks what a server relies on without checking it: in a listpack the width of each back length, on which
servers agree for all sizes of entries but three; in a ziplist the size of each entry, at the next one, and the place of
the last entry.
"""

from __future__ import annotations

from dataclasses import dataclass

_JONES = 0x95AC9329AC4BC9B5  # reflected
_LISTPACK, _ZIPLIST = 16, 13
_ZIPLIST_WIDTHS = {0xFE: 1, 0xC0: 2, 0xF0: 3, 0xD0: 4, 0xE0: 8}
_SIGNED_WIDTHS = {0xF1: 2, 0xF2: 3, 0xF3: 4, 0xF4: 8}


@dataclass(frozen=True, slots=True)
class Dump:
    """A dump of a hash in one listpack or ziplist.

    Attributes:
        fields: Names and values, in the order in which they are kept. An integer is one that is kept as an integer.
        block: The bytes of the listpack or ziplist.
    """

    version: int
    fields: list[tuple[bytes | int, bytes | int]]
    block: bytes

    @property
    def texts(self) -> dict[bytes, bytes]:
        """The fields as clients read them."""
        return {_text(name): _text(value) for name, value in self.fields}


def _text(value: bytes | int) -> bytes:
    return value if isinstance(value, bytes) else b"%d" % value


def crc64(data: bytes) -> int:
    """CRC-64 with the polynomial of D. T. Jones, one bit after the other."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_JONES if crc & 1 else 0)
    return crc


_TABLE = [crc64(bytes([byte])) for byte in range(256)]


def crc64_by_table(data: bytes) -> int:
    """The same, a byte at a time."""
    crc = 0
    for byte in data:
        crc = crc >> 8 ^ _TABLE[crc & 0xFF ^ byte]
    return crc


def read(dump: bytes) -> Dump:
    """Decodes a dump; an AssertionError says what is wrong with it."""
    assert crc64_by_table(dump[:-8]) == int.from_bytes(dump[-8:], "little"), "the CRC is wrong"
    version = int.from_bytes(dump[-10:-8], "little")
    assert dump[0] in {_LISTPACK, _ZIPLIST}, f"type {dump[0]} is not a hash in a listpack or a ziplist"
    length, at = _length(dump, 1)
    block = dump[at : at + length]
    assert at + length == len(dump) - 10, "the block's length is wrong"
    values = _listpack(block) if dump[0] == _LISTPACK else _ziplist(block)
    return Dump(version, list(zip(values[0::2], values[1::2], strict=True)), block)


def _length(data: bytes, at: int) -> tuple[int, int]:
    kind = data[at] >> 6
    if kind == 0:
        return data[at], at + 1
    if kind == 1:
        return (data[at] & 0x3F) << 8 | data[at + 1], at + 2
    assert data[at] == 0x80, "a length of a kind that no such dump needs"
    return int.from_bytes(data[at + 1 : at + 5], "big"), at + 5


def _listpack(data: bytes) -> list[bytes | int]:
    assert int.from_bytes(data[:4], "little") == len(data), "the listpack's own length is wrong"
    values: list[bytes | int] = []
    at = 6
    while data[at] != 0xFF:
        value, size = _entry(data, at)
        values.append(value)
        at = _behind(data, at, size)
    assert at == len(data) - 1, "there is something behind the end"
    assert int.from_bytes(data[4:6], "little") == len(values), "the number of entries is wrong"
    return values


def _entry(data: bytes, at: int) -> tuple[bytes | int, int]:
    """The value at a place, and the size of its entry without the back length."""
    mark = data[at]
    if mark < 0x80:
        return mark, 1
    if mark < 0xC0:
        return data[at + 1 : at + 1 + (mark & 63)], 1 + (mark & 63)
    if mark < 0xE0:
        value = (mark & 31) << 8 | data[at + 1]
        return value - (1 << 13 if value >> 12 else 0), 2
    if mark < 0xF0:
        length = (mark & 15) << 8 | data[at + 1]
        return data[at + 2 : at + 2 + length], 2 + length
    if mark == 0xF0:
        length = int.from_bytes(data[at + 1 : at + 5], "little")
        return data[at + 5 : at + 5 + length], 5 + length
    width = _SIGNED_WIDTHS[mark]
    return int.from_bytes(data[at + 1 : at + 1 + width], "little", signed=True), 1 + width


def _behind(data: bytes, at: int, size: int) -> int:
    """The place behind an entry, which a server computes from its size alone."""
    assert size not in (16383, 2097151, 268435455), "servers disagree on an entry of this size"
    width = 1 if size < 128 else 2 if size < 16383 else 3 if size < 2097151 else 4
    end = at + size + width
    backwards = 0
    for place, byte in enumerate(reversed(data[at + size : end])):
        assert (byte & 128 != 0) == (place < width - 1), "a back length has another width than servers expect"
        backwards |= (byte & 127) << 7 * place
    assert backwards == size, "a back length is wrong"
    return end


def _ziplist(data: bytes) -> list[bytes | int]:
    assert int.from_bytes(data[:4], "little") == len(data), "the ziplist's own length is wrong"
    values: list[bytes | int] = []
    at, before = 10, 10
    while data[at] != 0xFF:
        wide = data[at] == 0xFE
        size = int.from_bytes(data[at + 1 : at + 5], "little") if wide else data[at]
        assert wide == (size >= 254), "the size of an entry has another width than servers expect"
        assert size == at - before, "the size of the entry before is wrong"
        before = at
        value, at = _ziplist_value(data, at + (5 if wide else 1))
        values.append(value)
    assert at == len(data) - 1, "there is something behind the end"
    assert int.from_bytes(data[4:8], "little") == before, "the place of the last entry is wrong"
    assert int.from_bytes(data[8:10], "little") == len(values), "the number of entries is wrong"
    return values


def _ziplist_value(data: bytes, at: int) -> tuple[bytes | int, int]:
    """The value of an entry whose header is at a place, and the place behind it."""
    mark = data[at]
    if mark < 0xC0:
        length, at = _length(data, at)
        return data[at : at + length], at + length
    if 0xF1 <= mark <= 0xFD:
        return mark - 0xF1, at + 1
    width = _ZIPLIST_WIDTHS[mark]
    return int.from_bytes(data[at + 1 : at + 1 + width], "little", signed=True), at + 1 + width

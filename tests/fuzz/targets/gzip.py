"""gzip: what zlib makes of the same members, however the file is chunked, and an error for anything else."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from random import Random

from loader.sources.codecs.codec import DamagedError
from tests.fuzz.drawn import Pieces, chunks, packed, parameters, with_parameters
from tests.unit.sources.codecs.test_gzip import COMMENT, EXTRA, HEADER_CRC, NAME, body, header, inflate

_PADDING = b"\0\t\n\r "
_RAW = -zlib.MAX_WBITS


def seeds() -> Iterator[bytes]:
    for number in range(12):
        yield with_parameters(packed([b"content" * number, b"a.jsonl", b"comment", b"", b"\n"]) * 2, number)


def check(data: bytes) -> None:
    random, content = parameters(data)
    stream = whole = content if not random.randrange(4) else _members(content, random)
    if stream and not random.randrange(3):  # damage
        at = random.randrange(len(stream))
        stream = stream[:at] + random.choice([b"", bytes([random.randrange(256)])]) + stream[at + random.randrange(2) :]

    got = _outcome([stream])

    assert _outcome(chunks(stream, random)) == got
    by_format, valid = _reference(stream)
    if got is None:
        assert not valid, "zlib reads it"
    else:
        # ISA-L takes some incomplete codes that zlib refuses. Then the checksum says that the content is what it was.
        assert got == by_format or (by_format is None and got == _reference(whole)[0]), "not what its format says"


def _members(data: bytes, random: Random) -> bytes:
    """Members with any headers, with padding between them."""
    pieces = Pieces(data)
    stream = b""
    while pieces:
        content, extra, name, comment, padding = (pieces.blob() for _ in range(5))
        flags = random.choice([0, NAME, random.randrange(32)])
        head = header(flags, extra, name.replace(b"\0", b"0"), comment.replace(b"\0", b"0"))
        stream += head + body(content) + bytes(_PADDING[byte % len(_PADDING)] for byte in padding)
    return stream


def _outcome(parts: list[bytes]) -> bytes | None:
    """The content; None for a file that is refused."""
    try:
        return inflate(parts)
    except DamagedError:
        return None


def _reference(stream: bytes) -> tuple[bytes | None, bool]:
    """The content by RFC 1952, with neither flags nor header CRCs checked, and whether zlib takes it too."""
    content, valid, members = b"", True, 0
    while True:
        if members:
            stream = stream.lstrip(_PADDING)
        if not stream:
            return (content, valid) if members else (None, False)
        read = _member(stream)
        if read is None:
            return None, False
        piece, length = read
        content += piece
        try:
            inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
            valid = valid and inflater.decompress(stream[:length]) == piece and inflater.eof
        except zlib.error:
            valid = False
        stream = stream[length:]
        members += 1


def _member(stream: bytes) -> tuple[bytes, int] | None:
    """The content of a member and its length; None if it is damaged."""
    if stream[:3] != b"\x1f\x8b\x08" or len(stream) < 10:
        return None
    flags, at = stream[3], 10
    if flags & EXTRA:
        at += 2 + int.from_bytes(stream[at : at + 2], "little")
    for flag in (NAME, COMMENT):
        if flags & flag:
            end = stream.find(b"\0", at)
            if end < 0:
                return None
            at = end + 1
    if flags & HEADER_CRC:
        at += 2
    inflater = zlib.decompressobj(_RAW)
    try:
        content = inflater.decompress(stream[at:])
    except zlib.error:
        return None
    end = len(stream) - len(inflater.unused_data)
    ok = inflater.eof and stream[end : end + 8] == (
        zlib.crc32(content).to_bytes(4, "little") + (len(content) & 0xFFFF_FFFF).to_bytes(4, "little")
    )
    return (content, end + 8) if ok else None

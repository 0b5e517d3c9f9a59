"""Inflating gzip: chunks never show, and damage never goes unnoticed."""

from __future__ import annotations

import gzip
import random
import struct
import tracemalloc
import zlib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.errors import SourceError
from loader.sources.codecs.codec import DamagedError
from loader.sources.codecs.gzip import GZIP
from tests.unit.strategies import chunkings

CONTENTS = st.binary(max_size=200) | st.builds(
    lambda unit, times: unit * times, st.binary(min_size=1, max_size=9), st.integers(1, 2000)
)
MEMBERS = st.builds(
    lambda content, level: (content, gzip.compress(content, level, mtime=0)), CONTENTS, st.sampled_from([0, 1, 9])
)
PADDING = st.text("\0\n\r\t ", max_size=20).map(str.encode)
"""What may stand after a member: what tapes, block devices and ``echo >>`` add."""

MIB = 1 << 20
TEXT, HEADER_CRC, EXTRA, NAME, COMMENT = 1, 2, 4, 8, 16
ANY_FLAGS = st.integers(0, 31)


def header(
    flags: int, extra: bytes = b"AB\x03\x00xyz", name: bytes = b"a.jsonl", comment: bytes = b"of tests"
) -> bytes:
    """A member's header with these fields (RFC 1952, 2.3)."""
    parts = [b"\x1f\x8b\x08", bytes([flags]), b"\0\0\0\0\0\x03"]
    if flags & EXTRA:
        parts += [struct.pack("<H", len(extra)), extra]
    if flags & NAME:
        parts += [name, b"\0"]
    if flags & COMMENT:
        parts += [comment, b"\0"]
    if flags & HEADER_CRC:
        parts.append(struct.pack("<H", zlib.crc32(b"".join(parts)) & 0xFFFF))
    return b"".join(parts)


def body(content: bytes) -> bytes:
    """What follows the header of a member with this content."""
    return gzip.compress(content, mtime=0)[10:]


@st.composite
def members_with_headers(draw: st.DrawFn) -> bytes:
    """A member with any header."""
    no_zero = st.binary(max_size=30).map(lambda content: content.replace(b"\0", b"0"))
    head = header(draw(ANY_FLAGS), draw(st.binary(max_size=40)), draw(no_zero), draw(no_zero))
    return head + body(draw(st.binary(max_size=60)))


def inflate(chunks: Iterable[bytes]) -> bytes:
    inflater = GZIP.decompressor("in.gz")
    content = b"".join(piece for chunk in chunks for piece in inflater.feed(chunk))
    inflater.finish()
    return content


@given(st.data(), st.lists(st.tuples(MEMBERS, PADDING), min_size=1, max_size=4))
def test_members_are_one_stream_however_they_are_chunked_and_padded(
    data: st.DataObject, padded: list[tuple[tuple[bytes, bytes], bytes]]
) -> None:
    members = [member for member, _ in padded]
    stream = b"".join(compressed + padding for (_, compressed), padding in padded)
    _, chunks = data.draw(chunkings(st.just(stream)))

    assert inflate(chunks) == b"".join(content for content, _ in members)


@given(st.binary(max_size=100))
def test_single_bytes_are_enough(content: bytes) -> None:
    assert inflate(bytes([byte]) for byte in gzip.compress(content)) == content


@given(st.data(), MEMBERS)
def test_a_stream_that_is_cut_anywhere_is_an_error(data: st.DataObject, member: tuple[bytes, bytes]) -> None:
    _, compressed = member
    cut = data.draw(st.integers(0, len(compressed) - 1))
    _, chunks = data.draw(chunkings(st.just(compressed[:cut])))
    with pytest.raises(SourceError, match=r"in\.gz ends in the middle"):
        inflate(chunks)


def test_a_stream_cut_at_each_of_its_bytes_is_an_error_also_in_its_second_member() -> None:
    first, second = gzip.compress(b"one\n" * 50), gzip.compress(b"two\n" * 50)
    for cut in range(1, len(second)):
        with pytest.raises(SourceError, match="ends in the middle"):
            inflate([first + second[:cut]])


def test_what_came_before_the_cut_is_given_all_the_same() -> None:
    content = random.Random(1).randbytes(100_000)
    inflater = GZIP.decompressor("in.gz")
    got = b"".join(inflater.feed(gzip.compress(content)[:60_000]))
    assert len(got) > 50_000 and content.startswith(got)


@given(st.data(), st.binary(min_size=2).filter(lambda content: not content.startswith(b"\x1f\x8b")))
def test_bytes_that_are_no_gzip_are_an_error(data: st.DataObject, garbage: bytes) -> None:
    _, chunks = data.draw(chunkings(st.just(garbage)))
    with pytest.raises(SourceError, match="not a gzip file"):
        inflate(chunks)


@pytest.mark.parametrize("padding", [b"\n", b"\r\n", b"\0" * 512, b"\n\n \t"])
@pytest.mark.parametrize("alone", [False, True], ids=["in one chunk", "in a chunk of its own"])
@pytest.mark.parametrize("members", [1, 2])
def test_padding_may_stand_after_each_member(padding: bytes, alone: bool, members: int) -> None:
    member = gzip.compress(b"1\n")
    chunks = [member, padding] * members if alone else [(member + padding) * members]
    assert inflate(chunks) == b"1\n" * members


@given(
    st.data(), MEMBERS, PADDING, st.binary(min_size=1, max_size=30).filter(lambda b: not b"\x1f\x8b".startswith(b[:2]))
)
def test_garbage_after_the_stream_is_an_error(
    data: st.DataObject, member: tuple[bytes, bytes], padding: bytes, garbage: bytes
) -> None:
    garbage = b"x" + garbage if garbage[:1] in b"\0\n\r\t " else garbage
    _, chunks = data.draw(chunkings(st.just(member[1] + padding + garbage)))
    with pytest.raises(DamagedError, match="other bytes after the end of its gzip stream"):
        inflate(chunks)


def test_padding_before_the_first_member_is_not_gzip() -> None:
    with pytest.raises(DamagedError, match="not a gzip file"):
        inflate([b"\n", gzip.compress(b"1\n")])


def test_a_damaged_checksum_is_an_error() -> None:
    stream = bytearray(gzip.compress(b"x" * 1000))
    stream[-6] ^= 1
    with pytest.raises(SourceError, match="damaged"):
        inflate([bytes(stream)])


@given(st.integers(10, 10_000), st.integers(1, 255))
def test_a_damaged_byte_never_gives_other_content(at: int, change: int) -> None:
    content = bytes(range(256)) * 20
    stream = bytearray(gzip.compress(content, 6, mtime=0))
    stream[10 + at % (len(stream) - 10)] ^= change
    with pytest.raises(SourceError):
        inflate([bytes(stream)])


@pytest.mark.parametrize("before", [b"", gzip.compress(b"first\n", mtime=0)], ids=["first", "second member"])
@pytest.mark.parametrize("flags", range(32))
def test_a_header_may_be_cut_at_each_of_its_bytes(flags: int, before: bytes) -> None:
    stream = before + header(flags) + body(b'{"n": 1}\n' * 20)
    expected = gzip.decompress(stream)
    for cut in range(len(before), len(before) + len(header(flags)) + 1):
        assert inflate([stream[:cut], stream[cut:]]) == expected
    assert inflate(bytes([byte]) for byte in stream) == expected


@given(chunkings(st.lists(members_with_headers(), min_size=1, max_size=3).map(b"".join)))
def test_members_with_any_headers_are_inflated_however_they_are_chunked(case: tuple[bytes, list[bytes]]) -> None:
    stream, chunks = case
    assert inflate(chunks) == gzip.decompress(stream)


@pytest.mark.parametrize("flags", range(32))
def test_a_stream_cut_at_each_byte_of_a_header_is_an_error(flags: int) -> None:
    head = header(flags)
    for cut in range(1, len(head) + 1):
        with pytest.raises(SourceError, match="ends in the middle"):
            inflate([head[:cut]])


def test_fields_of_a_header_may_be_longer_than_a_chunk() -> None:
    head = header(31, extra=b"e" * 65_535, name=b"n" * 200_000, comment=b"c" * 200_000)
    stream = head + body(b"1\n")
    assert inflate(stream[start : start + 10_000] for start in range(0, len(stream), 10_000)) == b"1\n"


@pytest.mark.parametrize("flags", [HEADER_CRC, HEADER_CRC | NAME, 31])
def test_a_damaged_header_is_an_error_where_it_has_a_checksum(flags: int) -> None:
    head = bytearray(header(flags))
    head[5] ^= 1
    with pytest.raises(SourceError, match="damaged"):
        inflate([bytes(head) + body(b"1\n")])


@pytest.mark.parametrize("flags", range(32))
@pytest.mark.parametrize("at", [-8, -1], ids=["checksum", "length"])
def test_a_damaged_trailer_is_an_error_whatever_the_header(flags: int, at: int) -> None:
    stream = bytearray(header(flags) + body(b"1\n"))
    stream[at] ^= 1
    with pytest.raises(SourceError, match="damaged"):
        inflate([bytes(stream)])


@pytest.mark.parametrize("flags", [0, NAME, 31])
def test_what_inflates_a_thousandfold_takes_little_memory(flags: int) -> None:
    stream = header(flags) + body(bytes(64 * MIB))
    tracemalloc.start()
    try:
        inflater = GZIP.decompressor("in.gz")
        total = sum(len(piece) for piece in inflater.feed(stream))
        inflater.finish()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == 64 * MIB
    assert peak < 8 * MIB


def test_what_inflates_a_thousandfold_comes_in_pieces() -> None:
    inflater = GZIP.decompressor("in.gz")
    lengths = [len(piece) for piece in inflater.feed(gzip.compress(bytes(16 * MIB)))]
    inflater.finish()
    assert sum(lengths) == 16 * MIB
    assert max(lengths) <= MIB


@pytest.mark.parametrize("length", [MIB - 1, MIB, MIB + 1, 2 * MIB])
def test_contents_of_about_a_piece_lose_nothing_at_its_edge(length: int) -> None:
    stream = gzip.compress(bytes(length))
    for cut in range(len(stream) - 12, len(stream)):
        assert inflate([stream[:cut], stream[cut:]]) == bytes(length)

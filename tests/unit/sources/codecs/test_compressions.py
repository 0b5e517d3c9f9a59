"""What all compressions have in common: chunks never show, all streams are read, and damage never goes unnoticed."""

from __future__ import annotations

import random
import subprocess
import sys
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.sources.codecs.codec import DamagedError
from loader.sources.codecs.content import Content
from loader.sources.codecs.registry import CODECS, detect, is_undecided
from loader.sources.codecs.streams import PIECE
from tests.unit.sources.codecs.made import MADE, SKIPPED, Made, decompress, run
from tests.unit.strategies import chunkings

CONTENTS = st.binary(max_size=200) | st.builds(
    lambda unit, times: unit * times, st.binary(min_size=1, max_size=9), st.integers(1, 2000)
)
PADDING = st.text("\0\n\r\t ", max_size=20).map(str.encode)
LINES = b"".join(b'{"n": %d}\n' % number for number in range(300))

each = pytest.mark.parametrize("made", MADE.values(), ids=MADE)
padded = pytest.mark.parametrize(
    "made", [made for made in MADE.values() if made.padded], ids=lambda made: made.codec.name
)
skipping = pytest.mark.parametrize("made", [MADE["zstd"], MADE["lz4"]], ids=["zstd", "lz4"])


def test_all_compressions_are_tested() -> None:
    assert set(MADE) == set(CODECS)


@each
@given(st.data())
def test_streams_are_one_however_they_are_chunked_and_padded(made: Made, data: st.DataObject) -> None:
    contents = data.draw(st.lists(CONTENTS, min_size=1, max_size=4))
    stream = b"".join(made.compress(one) + (data.draw(PADDING) if made.padded else b"") for one in contents)
    _, chunks = data.draw(chunkings(st.just(stream)))

    assert decompress(made.codec, chunks) == b"".join(contents)


@each
def test_single_bytes_are_enough(made: Made) -> None:
    stream = made.compress(LINES) + made.compress(b"") + made.compress(LINES)
    assert decompress(made.codec, (bytes([byte]) for byte in stream)) == LINES * 2


@each
def test_a_stream_cut_at_each_of_its_bytes_is_an_error(made: Made) -> None:
    first, second = made.compress(LINES), made.compress(b"2\n" * 50)
    whole = {0, len(second)}
    if made.codec.name == "snappy":
        whole.add(10)  # its stream identifier: nothing marks the end of a stream
    for cut in set(range(len(second))) - whole:
        with pytest.raises(DamagedError, match=r"^in ends in the middle of its"):
            decompress(made.codec, [second[:cut]])
        with pytest.raises(DamagedError, match=r"^in ends in the middle of its"):
            decompress(made.codec, [first + second[:cut]])
    with pytest.raises(DamagedError, match=r"^in ends in the middle of its"):
        decompress(made.codec, [])


@each
def test_what_came_before_a_cut_is_given_all_the_same(made: Made) -> None:
    content = random.Random(1).randbytes(2_000_000)
    stored = made.compress(content)
    decompressor = made.codec.decompressor("in")
    got = b"".join(decompressor.feed(stored[: len(stored) // 2]))
    assert len(got) > 200_000 and content.startswith(got)


@each
def test_a_damaged_byte_never_gives_other_content(made: Made) -> None:
    stream, numbers = made.compress(LINES), random.Random(2)
    for _ in range(300):
        changed = bytearray(stream)
        changed[numbers.randrange(len(stream))] ^= numbers.randrange(1, 256)
        # A few bits are of no consequence, such as gzip's time.
        with suppress(DamagedError):
            assert decompress(made.codec, [bytes(changed)]) == LINES


@each
def test_a_wrong_checksum_is_an_error(made: Made) -> None:
    stream = bytearray(made.compress(b"1\n" * 200))
    at = {"gzip": -6, "zstd": -1, "xz": -40, "bzip2": 10, "lz4": -1, "snappy": 14}[made.codec.name]
    stream[at] ^= 1
    with pytest.raises(DamagedError, match=f"^in is a damaged {made.codec.name} file"):
        decompress(made.codec, [bytes(stream)])


@each
@pytest.mark.parametrize("garbage", [b"x", b"{}\n", b"\n\0 more", bytes(4) + b"\xff" * 30], ids=repr)
def test_other_bytes_after_a_stream_are_an_error(made: Made, garbage: bytes) -> None:
    for chunks in ([made.compress(LINES) + garbage], [made.compress(LINES), garbage]):
        with pytest.raises(
            DamagedError, match="other bytes after the end of its" if made.padded else "damaged|ends in"
        ):
            decompress(made.codec, chunks)


@each
def test_another_compression_after_a_stream_is_an_error(made: Made) -> None:
    for other in MADE.values():
        if other is not made:
            with pytest.raises(DamagedError):
                decompress(made.codec, [made.compress(LINES) + other.compress(LINES)])


@each
@given(st.data(), st.binary(min_size=1))
def test_bytes_that_are_no_such_stream_are_an_error(made: Made, data: st.DataObject, garbage: bytes) -> None:
    _, chunks = data.draw(chunkings(st.just(b"{" + garbage)))
    with pytest.raises(DamagedError, match=rf"^in is not an? {made.codec.name} file"):
        decompress(made.codec, chunks)


@padded
@pytest.mark.parametrize("padding", [b"\n", b"\r\n", b"\0" * 4, b"\0" * 512, b"\n\n \t"], ids=repr)
def test_padding_may_stand_after_each_stream(made: Made, padding: bytes) -> None:
    stream = made.compress(b"1\n")
    assert decompress(made.codec, [(stream + padding) * 2]) == b"1\n" * 2
    assert decompress(made.codec, [stream, padding] * 2) == b"1\n" * 2
    with pytest.raises(DamagedError, match="is not a"):
        decompress(made.codec, [padding + stream])


@each
@pytest.mark.parametrize("length", [PIECE - 1, PIECE, PIECE + 1, 16 * PIECE])
def test_what_expands_much_comes_in_pieces(made: Made, length: int) -> None:
    stream = made.compress(bytes(length))
    for cut in (len(stream), len(stream) - 1, len(stream) // 2):
        decompressor = made.codec.decompressor("in")
        lengths = [len(piece) for chunk in (stream[:cut], stream[cut:]) for piece in decompressor.feed(chunk)]
        decompressor.finish()
        assert sum(lengths) == length
        assert max(lengths) <= PIECE


_PEAK = """
import resource, sys
from loader.sources.codecs.registry import CODECS
codec, stream = CODECS[sys.argv[1]], sys.stdin.buffer.read()
decompressor = codec.decompressor("in")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
total = sum(len(piece) for piece in decompressor.feed(stream))
decompressor.finish()
unit = 1 if sys.platform == "darwin" else 1024
print(total, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit)
"""


@each
def test_what_expands_a_thousandfold_takes_little_memory(made: Made) -> None:
    stream = made.compress(bytes(16 * PIECE)) * 16
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, made.codec.name], input=stream, capture_output=True, check=True, timeout=60
    )
    total, grown = map(int, done.stdout.split())
    assert total == 256 * PIECE
    assert grown < 24 * PIECE


# --- detection --------------------------------------------------------------------------------------------------------


@each
def test_a_stream_is_told_by_its_first_bytes_however_they_come_and_whatever_its_name_says(made: Made) -> None:
    stream = made.compress(LINES)
    for said in [None, *CODECS.values()]:
        for chunks in ([stream], [bytes([byte]) for byte in stream]):
            content = Content("in", said)
            got = b"".join(piece for chunk in chunks for piece in content.feed(chunk)) + b"".join(content.finish())
            assert (got, content.codec) == (LINES, made.codec)


@each
def test_what_has_no_magic_is_not_what_its_name_says(made: Made) -> None:
    with pytest.raises(DamagedError, match=f"is not an? {made.codec.name} file"):
        list(Content("in", made.codec).feed(LINES))


@skipping
@pytest.mark.parametrize("skipped", [SKIPPED, SKIPPED * 3, b"\x5f\x2a\x4d\x18" + bytes(4)], ids=["one", "3", "empty"])
def test_skippable_frames_may_stand_first_between_and_last(made: Made, skipped: bytes) -> None:
    stream = skipped + made.compress(b"1\n") + skipped + made.compress(b"2\n") + skipped
    for chunks in ([stream], [bytes([byte]) for byte in stream]):
        content = Content("in", None)
        got = b"".join(piece for chunk in chunks for piece in content.feed(chunk)) + b"".join(content.finish())
        assert (got, content.codec) == (b"1\n2\n", made.codec)
    for cut in set(range(1, len(skipped))) - {len(SKIPPED), 2 * len(SKIPPED)}:
        with pytest.raises(DamagedError, match="ends in the middle"):
            decompress(made.codec, [made.compress(b"1\n") + skipped[:cut]])


def test_skippable_frames_alone_have_no_content() -> None:
    for chunks in ([SKIPPED * 2], [SKIPPED, SKIPPED]):
        content = Content("in", None)
        assert [*(piece for chunk in chunks for piece in content.feed(chunk)), *content.finish()] == []
    content = Content("in", None)
    assert list(content.feed(SKIPPED[:-1])) == []
    with pytest.raises(DamagedError, match="ends in the middle of its zstd stream"):
        list(content.finish())


def test_a_skippable_frame_that_is_longer_than_what_is_looked_at_is_read() -> None:
    skipped = b"\x50\x2a\x4d\x18" + (5 * PIECE).to_bytes(4, "little") + bytes(5 * PIECE)
    content = Content("in", None)
    stream = skipped + MADE["zstd"].compress(LINES)
    chunks = [stream[at : at + 100_000] for at in range(0, len(stream), 100_000)]
    assert b"".join([*(piece for chunk in chunks for piece in content.feed(chunk)), *content.finish()]) == LINES


@given(st.binary(max_size=40))
def test_detection_waits_only_while_more_bytes_can_matter(following: bytes) -> None:
    for head in (following, SKIPPED + following, b"\x50\x2a\x4d\x18" + following):
        if is_undecided(head):
            assert detect(head) is None
            assert any(detect(head + end) for end in _ENDS(head))


def _ENDS(head: bytes) -> list[bytes]:  # noqa: N802
    """What may follow, so that the whole is a stream of a compression."""
    starts = [made.codec.magic for made in MADE.values()]
    return (
        [start[n:] for start in starts for n in range(len(start))]
        + [bytes(70_000)]
        + [SKIPPED[n:] + MADE["zstd"].codec.magic for n in range(len(SKIPPED))]
    )


# --- the programs that users have these files from --------------------------------------------------------------------

PROGRAMS = [
    ("gzip", "-c"),
    ("zstd", "-c"),
    ("zstd", "-c", "--no-check", "-19"),
    ("zstd", "-c", "--long=27"),
    ("zstd", "-c", "--fast=5", "-B100"),
    ("pzstd", "-c", "-p", "2"),
    ("xz", "-c"),
    ("xz", "-c", "--check=none"),
    ("xz", "-c", "--check=sha256", "--block-size=1000"),
    ("xz", "-c", "-T2", "-9"),
    ("bzip2", "-c"),
    ("bzip2", "-c", "-1"),
    ("lz4", "-c"),
    ("lz4", "-c", "-9", "-BX", "-B4"),
    ("lz4", "-c", "-BD", "--no-frame-crc"),
    ("lz4", "-c", "--content-size"),
]


@pytest.mark.parametrize("command", PROGRAMS, ids=" ".join)
def test_what_the_programs_write_is_read(command: tuple[str, ...]) -> None:
    content = LINES * 1000 + random.Random(3).randbytes(300_000)
    stream = run(*command, given=content) + run(*command, given=b"") + run(*command, given=b"last\n")
    for size in (len(stream), 1000):
        found = Content("in", None)
        chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
        got = b"".join(piece for chunk in chunks for piece in found.feed(chunk)) + b"".join(found.finish())
        assert got == content + b"last\n"


@pytest.mark.parametrize("made", [made for made in MADE.values() if made.reads], ids=lambda made: made.codec.name)
def test_the_programs_read_the_same_from_streams_that_follow_each_other(made: Made) -> None:
    first, second = made.compress(LINES), made.compress(b"last\n")
    padding = bytes(8) if made.codec.name == "xz" else b""
    skipped = SKIPPED if made.codec.skips else b""
    stream = skipped + first + padding + made.compress(b"") + skipped + second

    assert decompress(made.codec, [stream]) == run(*made.reads, given=stream) == LINES + b"last\n"

"""zstd, xz, bzip2, lz4 and snappy: what another library makes of the same streams, however the file is chunked."""

from __future__ import annotations

import bz2
import io
import lzma
from collections.abc import Callable, Iterator
from itertools import combinations
from random import Random

import cramjam
import lz4.frame

from loader.sources.codecs.codec import DamagedError
from loader.sources.codecs.content import Content
from tests.fuzz.drawn import Pieces, chunks, packed, parameters, with_parameters
from tests.unit.sources.codecs.made import MADE, SKIPPED

_PADDING = b"\0\t\n\r "
_NAMES = [name for name in MADE if name != "gzip"]


def _lz4(stream: bytes) -> bytes:
    with lz4.frame.open(io.BytesIO(stream)) as file:
        return bytes(file.read())


def _whole(read: Callable[[bytes], bytes]) -> Callable[[bytes], bytes | None]:
    def reading(stream: bytes) -> bytes | None:
        try:
            return read(stream)
        except (
            OSError,
            EOFError,
            ValueError,
            RuntimeError,
            lzma.LZMAError,
            cramjam.DecompressionError,
        ):
            return None

    return reading


ORACLES: dict[str, Callable[[bytes], bytes | None]] = {
    "zstd": _whole(lambda stream: bytes(cramjam.zstd.decompress(stream))),
    "xz": _whole(lambda stream: lzma.decompress(stream)),
    "bzip2": _whole(lambda stream: bz2.decompress(stream)),
    "lz4": _whole(lambda stream: _lz4(stream)),
    "snappy": _whole(lambda stream: bytes(cramjam.snappy.decompress(stream))),
}
"""They read whole streams, one after the other, without padding."""


def seeds() -> Iterator[bytes]:
    for number in range(12):
        yield with_parameters(packed([b"content" * number, b"\n", b"", b"more"]) * 2, number)


def check(data: bytes) -> None:
    random, content = parameters(data)
    name = random.choice(_NAMES)
    blobs, streams = _streams(name, content, random)
    expected = b"".join(blobs) if blobs else None
    whole = b"".join(streams)
    if expected and not (MADE[name].padded and random.randrange(2)):
        assert ORACLES[name](whole) == expected, "the oracle is of another opinion"
    elif MADE[name].padded:
        whole = b"".join(one + random.choice([b"", bytes(random.choices(_PADDING, k=5))]) for one in streams)
    assert _outcome(name, [whole]) == expected
    assert _outcome(name, chunks(whole, random)) == expected

    damaged = _damaged(whole, random)
    got = _outcome(name, [damaged])
    in_pieces = _outcome(name, chunks(damaged, random))
    # libzstd sees some damage (a reserved bit) only in a block that comes in one piece. The content is the right one.
    assert in_pieces == got or (name == "zstd" and None in (in_pieces, got) and expected in (in_pieces, got))
    # What is cut off may be whole streams. A damaged byte may be of a skippable frame or of padding, and of snappy it
    # may make a piece one that is skipped.
    assert got is None or expected is None or expected.startswith(got) or got in _parts(blobs)


def _parts(blobs: list[bytes]) -> set[bytes]:
    """What is left if some of these are left out."""
    return {b"".join(left) for count in range(len(blobs) + 1) for left in combinations(blobs, count)}


def _streams(name: str, data: bytes, random: Random) -> tuple[list[bytes], list[bytes]]:
    """The contents of some streams of one compression, and the streams."""
    pieces = Pieces(data)
    blobs: list[bytes] = []
    streams: list[bytes] = []
    while pieces and len(streams) < 5:
        blobs.append(blob := pieces.blob())
        streams.append((SKIPPED if MADE[name].codec.skips and random.randrange(2) else b"") + MADE[name].compress(blob))
    return blobs, streams


def _damaged(stream: bytes, random: Random) -> bytes:
    if not stream:
        return stream
    at = random.randrange(len(stream))
    if random.randrange(2):
        return stream[:at]
    return stream[:at] + bytes([stream[at] ^ random.randrange(1, 256)]) + stream[at + 1 :]


def _outcome(name: str, parts: list[bytes]) -> bytes | None:
    """The content; None for a file that is refused."""
    content = Content("in", MADE[name].codec)
    try:
        return b"".join([*(piece for part in parts for piece in content.feed(part)), *content.finish()])
    except DamagedError:
        return None

"""What single compressions have: dictionaries, windows, other formats of the same name, missing packages."""

from __future__ import annotations

import lzma
import random
import re
import struct
import sys

import cramjam
import pytest

from loader.errors import UsageError
from loader.sources.codecs.codec import Codec, DamagedError
from loader.sources.codecs.lz4 import LZ4
from loader.sources.codecs.snappy import SNAPPY
from loader.sources.codecs.xz import XZ
from loader.sources.codecs.zstd import ZSTD
from tests.unit.sources.codecs.made import MADE, decompress, run

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LINES = b"".join(b'{"n": %d, "name": "of the tests"}\n' % number for number in range(3000))


def zstd_with_window(log: int) -> bytes:
    """A stream whose header asks for a window of 2 to this power, as ``zstd --long`` writes it from a pipe."""
    compressor = zstd.ZstdCompressor(options={int(zstd.CompressionParameter.window_log): log})
    return compressor.compress(LINES) + compressor.flush()


def test_windows_up_to_128_mib_are_read() -> None:
    assert decompress(ZSTD, [zstd_with_window(27)]) == LINES
    with pytest.raises(DamagedError, match=r"window of more than 128 MiB.* zstd -dc --long=31 FILE"):
        decompress(ZSTD, [zstd_with_window(28)])


@pytest.mark.parametrize("size", [64, 128])
def test_xz_dictionaries_up_to_128_mib_are_read(size: int) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": size << 20}]
    assert decompress(XZ, [lzma.compress(LINES, filters=filters)]) == LINES


def test_a_longer_xz_dictionary_is_an_error() -> None:
    stream = run("xz", "-c", "--lzma2=preset=0,dict=192MiB", given=LINES)
    with pytest.raises(DamagedError, match=r"dictionary of more than 128 MiB.* xz -dc FILE"):
        decompress(XZ, [stream])


def test_a_zstd_stream_that_needs_a_dictionary_is_an_error() -> None:
    numbers = random.Random(4)
    samples = [b'{"n": %d, "name": "%d"}\n' % (numbers.randrange(999), numbers.randrange(999)) for _ in range(2000)]
    trained = zstd.train_dict(samples, 2000)
    stream = zstd.compress(b"".join(samples[:50]), zstd_dict=trained)
    with pytest.raises(DamagedError, match="with a dictionary, which is not in the file"):
        decompress(ZSTD, [stream])


def test_an_lz4_frame_that_needs_a_dictionary_is_an_error() -> None:
    # lz4_Frame_format.md: flags with version 01 and DictID, the block size, the dictionary's id.
    with pytest.raises(DamagedError, match="with a dictionary, which is not in the file"):
        decompress(LZ4, [b"\x04\x22\x4d\x18" + b"\x41\x40" + b"\x01\0\0\0" + b"\0" * 20])


def test_a_legacy_lz4_frame_after_others_is_an_error() -> None:
    stream = MADE["lz4"].compress(LINES) + run("lz4", "-lc", given=LINES)
    with pytest.raises(DamagedError, match=r"legacy LZ4 frame.* lz4 -dc FILE"):
        decompress(LZ4, [stream])


def test_thousands_of_small_streams_are_read() -> None:
    for name in ("zstd", "lz4", "gzip"):
        stream = MADE[name].compress(b"1\n") * 5_000
        assert decompress(MADE[name].codec, [stream]) == b"1\n" * 5_000


# --- snappy -----------------------------------------------------------------------------------------------------------


def chunk(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "little") + body


def snappy_chunks(stream: bytes) -> list[bytes]:
    """The chunks of a stream, without its identifier."""
    found, at = [], len(SNAPPY.magic)
    while at < len(stream):
        end = at + 4 + int.from_bytes(stream[at + 1 : at + 4], "little")
        found.append(stream[at:end])
        at = end
    return found


def test_chunks_without_content_are_skipped_and_blocks_that_are_stored_are_read() -> None:
    stored = random.Random(5).randbytes(100_000)
    stream = SNAPPY.magic + chunk(0xFE, bytes(70_000)) + chunk(0x80, b"") + chunk(0xFD, b"own")
    stream += b"".join(snappy_chunks(MADE["snappy"].compress(LINES + stored))) + SNAPPY.magic
    for size in (len(stream), 1, 1000):
        chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
        assert decompress(SNAPPY, chunks) == LINES + stored
    assert bytes(cramjam.snappy.decompress(stream)) == LINES + stored


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (chunk(0x02, b"abcd"), "unknown type 0x02"),
        (chunk(0x7F, b""), "unknown type 0x7f"),
        (chunk(0x00, b"abc"), "a chunk of 3 bytes"),
        (chunk(0x01, bytes(4 + 65_537)), "more than 64 KiB"),
        (chunk(0x00, bytes(4) + b"\xff\xff\xff\xff\x0f" + bytes(9)), "damaged"),
        (chunk(0x01, bytes(200_000)), "a chunk of 200000 bytes"),
        (chunk(0xFF, b"sNaPpX"), "another stream identifier"),
        (chunk(0x01, bytes(4) + b"1\n"), "a wrong checksum"),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_chunks_that_cannot_be_are_an_error(bad: bytes, why: str) -> None:
    stream = MADE["snappy"].compress(LINES)
    decompressor = SNAPPY.decompressor("in")
    assert b"".join(decompressor.feed(stream)) == LINES
    with pytest.raises(DamagedError, match=why):
        list(decompressor.feed(bad))


@pytest.mark.parametrize("form", ["hadoop", "raw"])
def test_other_formats_of_snappy_are_an_error_that_tells_how_to_read_them(form: str) -> None:
    block = bytes(cramjam.snappy.compress_raw(LINES))
    stream = struct.pack(">II", len(LINES), len(block)) + block if form == "hadoop" else block
    with pytest.raises(DamagedError, match=re.escape("snzip -dc -t hadoop-snappy FILE")):
        decompress(SNAPPY, [stream])


# --- packages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "module", "package"),
    [(ZSTD, zstd.__name__, "backports-zstd"), (LZ4, "lz4.frame", "lz4"), (SNAPPY, "cramjam", "cramjam")],
    ids=["zstd", "lz4", "snappy"],
)
def test_a_missing_package_is_told_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, codec: Codec, module: str, package: str
) -> None:
    if module.startswith("compression."):
        pytest.skip("zstd is in this Python")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError) as caught:
        codec.decompressor("in.jsonl.x")
    told = f"in.jsonl.x needs the package {package}. Install it: pip install 'runqy-loader[{codec.name}]'"
    assert str(caught.value) == told

"""Streams of each compression, made by libraries, and by the programs that users have them from."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cramjam
import lz4.frame
import pytest

from loader.sources.codecs.bzip2 import BZIP2
from loader.sources.codecs.codec import Codec
from loader.sources.codecs.gzip import GZIP
from loader.sources.codecs.lz4 import LZ4
from loader.sources.codecs.snappy import SNAPPY
from loader.sources.codecs.xz import XZ
from loader.sources.codecs.zstd import ZSTD

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SKIPPED = b"\x50\x2a\x4d\x18\x05\0\0\0abcde"
"""A skippable frame of zstd and lz4 with five bytes."""

CHECKED: dict[int, int] = {zstd.CompressionParameter.checksum_flag: 1}


@dataclass(frozen=True, slots=True)
class Made:
    """A compression, a library that writes it, and whatever reads it independently of the loader.

    Attributes:
        compress: Makes a stream with a checksum.
        reads: A program that decompresses standard input, several streams of it.
        padded: Whether zeros and white space may stand after a stream.
    """

    codec: Codec
    compress: Callable[[bytes], bytes]
    reads: tuple[str, ...]
    padded: bool = True


def _snappy(content: bytes) -> bytes:
    return bytes(cramjam.snappy.compress(content)) or SNAPPY.magic


MADE = {
    made.codec.name: made
    for made in (
        Made(GZIP, lambda content: gzip.compress(content, mtime=0), ("gzip", "-dc")),
        Made(ZSTD, lambda content: zstd.compress(content, options=CHECKED), ("zstd", "-dc")),
        Made(XZ, lzma.compress, ("xz", "-dc")),
        Made(BZIP2, bz2.compress, ("bzip2", "-dc")),
        Made(LZ4, lambda content: lz4.frame.compress(content, content_checksum=True), ("lz4", "-dc")),
        Made(SNAPPY, _snappy, (), padded=False),
    )
}


def decompress(codec: Codec, chunks: Iterable[bytes]) -> bytes:
    """What the loader reads."""
    decompressor = codec.decompressor("in")
    content = b"".join(piece for chunk in chunks for piece in decompressor.feed(chunk))
    decompressor.finish()
    return content


def run(*command: str, given: bytes) -> bytes:
    """What a program makes of its standard input; skips the test if it is not installed."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    return subprocess.run(command, input=given, capture_output=True, check=True, timeout=60).stdout

"""Compressed arguments of jobs, decompressed to a bounded size."""

from __future__ import annotations

import bz2
import zlib

from loader.foreign.job import UnreadableJobError

MOST_BYTES = 512 * 1024 * 1024
"""No value of Redis is longer by default (``proto-max-bulk-len``), so no task could hold more."""


def inflated(data: bytes) -> bytes:
    """Content of zlib's format (RFC 1950).

    Raises:
        UnreadableJobError: It is not such data, it is cut off, or it holds more than ``MOST_BYTES``.
    """
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(data, MOST_BYTES)
    except zlib.error as error:
        raise UnreadableJobError(f"its compressed data is damaged: {error}") from None
    return _whole(content, is_whole=stream.eof)


def bunzipped(data: bytes) -> bytes:
    """Content of bzip2's format; errors as for ``inflated``."""
    stream = bz2.BZ2Decompressor()
    try:
        content = stream.decompress(data, MOST_BYTES)
    except OSError as error:
        raise UnreadableJobError(f"its compressed data is damaged: {error}") from None
    return _whole(content, is_whole=stream.eof)


def _whole(content: bytes, *, is_whole: bool) -> bytes:
    if not is_whole:
        raise UnreadableJobError(f"its compressed data is cut off, or holds more than {MOST_BYTES:,} bytes")
    return content

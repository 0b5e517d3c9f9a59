"""How far back in its content a stream may refer, which is what its decompressor must keep in memory."""

from __future__ import annotations

from loader.sources.codecs.codec import DamagedError

MOST_WINDOW = 128 * 1024 * 1024
"""Bytes. zstd(1) reads no longer windows either, unless it is told to; the largest preset of xz(1) has 64 MiB."""


def window_error(name: str, what: str, command: str) -> DamagedError:
    """The error for a stream that needs more memory.

    Args:
        what: What the compression calls it.
        command: A program that decompresses a file to standard output all the same.
    """
    return DamagedError(
        f"{name} was compressed with a {what} of more than {MOST_WINDOW // 1024**2} MiB, which takes too much memory",
        f"Run: {command} FILE | runqy-loader load - …",
    )

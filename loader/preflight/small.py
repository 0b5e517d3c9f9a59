"""Whether an input is so small that it certainly fits, so that nothing needs to be estimated."""

from __future__ import annotations

from collections.abc import Sequence

from loader.sources.base import Source

_MOST_PER_BYTE = 512
"""The memory of a task for each byte of its line. The shortest line is a digit and a newline, and becomes a task of 300
to 700 bytes, by layout (measured on Redis 7 and Valkey 9); a lock of a unique task takes 200 more."""

_MOST_COMPRESSION = 1032
"""Bytes that a byte of gzip may stand for (zlib's documentation: "the limiting factor is about 1032:1")."""


def surely_fits(sources: Sequence[Source], room: int | None) -> bool:
    """Whether the tasks of these sources take less than ``room`` bytes, whatever is in them."""
    most = 0
    for source in sources:
        size = source.identity.size
        if size is None:
            return False
        most += size * _MOST_PER_BYTE * (_MOST_COMPRESSION if "." in source.identity.format else 1)
    return room is None or most < room

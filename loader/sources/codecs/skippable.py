"""Frames without content, which zstd and lz4 share (RFC 8878, 3.1.2; lz4_Frame_format.md): pzstd begins with one."""

from __future__ import annotations

SKIPPABLE = tuple(bytes((number, 0x2A, 0x4D, 0x18)) for number in range(0x50, 0x60))
"""The magics of these frames."""

_HEADER = 8
"""The magic, and the number of bytes that follow, little-endian."""


def skipped(head: bytes) -> int:
    """The number of bytes of the skippable frames at the beginning, of which the last may go on after these bytes.

    It is more than ``len(head)`` if these bytes end within such a frame.
    """
    at = 0
    while head.startswith(SKIPPABLE, at):
        at += _HEADER
        if at <= len(head):
            at += int.from_bytes(head[at - 4 : at], "little")
    return at

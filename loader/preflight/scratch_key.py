"""Keys that checks write and delete again."""

from __future__ import annotations

import secrets


def scratch_key(slot_tag: bytes, use: bytes) -> bytes:
    """A unique key of the loader, which no consumer looks at.

    Args:
        slot_tag: See ``QueueEncoder``.
        use: What it is for.
    """
    return b"%b:runqy-loader:%b-%b" % (slot_tag, use, secrets.token_hex(8).encode())

"""The slot of a Redis Cluster that a key is in (Redis Cluster specification, "Key distribution model")."""

from __future__ import annotations

from binascii import crc_hqx

SLOTS = 16_384


def key_slot(key: bytes) -> int:
    """The slot of a key: of what stands between its first ``{`` and the next ``}``, if that is not empty."""
    _, opened, rest = key.partition(b"{")
    tag, closed, _ = rest.partition(b"}")
    return crc_hqx(tag if opened and closed and tag else key, 0) % SLOTS

"""The slot of a Redis Cluster that a key is in (Redis Cluster specification, "Key distribution model")."""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Iterable, Iterator
from itertools import repeat

SLOTS = 16_384
CHECKSUMS = 65_536
"""The number of values that the CRC-16 of a key may have. The slot is its remainder by ``SLOTS``."""


def key_slot(key: bytes) -> int:
    """The slot of a key: of what stands between its first ``{`` and the next ``}``, if that is not empty."""
    _, opened, rest = key.partition(b"{")
    tag, closed, _ = rest.partition(b"}")
    return crc_hqx(tag if opened and closed and tag else key, 0) % SLOTS


def checksums(before: bytes, ends: Iterable[bytes]) -> Iterator[int]:
    """The CRC-16 of keys that begin alike and hold no braces. Hot path: a C loop, about 50 ns a key."""
    return map(crc_hqx, ends, repeat(crc_hqx(before, 0)))

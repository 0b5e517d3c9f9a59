"""Numbers that look random, a function of a seed and a place: there is no state, so any block can be made alone.

SHAKE-128 (FIPS 202) gives any number of bytes for one key, in C: about 20 ns for 64 bits. It is in Python's standard
library and never changes, so the same seed gives the same numbers everywhere.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import shake_128

WORD = 1 << 64
"""Words are whole numbers from 0 up to this."""


@dataclass(frozen=True, slots=True)
class Draws:
    """The draws for one block of records.

    Attributes:
        seed: The seed of the run.
        block: Number of the block.
    """

    seed: int
    block: int

    def words(self, place: str, count: int) -> Sequence[int]:
        """Words for a place in the template, one for each value that it needs in this block."""
        return struct.unpack(f"<{count}Q", self.bytes(place, 8 * count))

    def bytes(self, place: str, count: int) -> bytes:
        """Bytes for a place in the template."""
        return shake_128(f"{self.seed}\0{self.block}\0{place}".encode()).digest(count)

"""The text that texts are cut from: a pool of made-up words, the same for each seed."""

from __future__ import annotations

import struct
from functools import lru_cache
from hashlib import shake_128

POOL = 1 << 18
"""Characters of the pool. Texts are stretches of it: longer ones repeat it."""

_ONSETS = ("b", "c", "d", "f", "g", "l", "m", "n", "p", "r", "s", "t", "v", "br", "cl", "st")
_VOWELS = ("a", "e", "i", "o", "u", "a", "e", "io")
_CODAS = ("", "", "", "n", "r", "s", "t", "l")


@lru_cache(maxsize=2)
def pool(seed: int) -> str:
    """``POOL`` characters of words in ASCII, with one space between two. It begins with a word."""
    words: list[str] = []
    size, block = 0, 0
    while size < POOL:
        for word in struct.unpack("<4096Q", shake_128(f"{seed}\0{block}\0words".encode()).digest(8 * 4096)):
            words.append(_word(word))
            size += len(words[-1]) + 1
        block += 1
    return " ".join(words)[:POOL]


@lru_cache(maxsize=2)
def twice(seed: int) -> str:
    """The pool, a space, and the pool again."""
    return f"{pool(seed)} {pool(seed)}"


@lru_cache(maxsize=2)
def starts(seed: int) -> tuple[int, ...]:
    """Where the words of the pool begin."""
    text = pool(seed)
    return (0, *(at + 1 for at in range(len(text) - 1) if text[at] == " "))


def _word(bits: int) -> str:
    found = ""
    for _ in range(1 + (bits & 3) // 2 + (bits >> 2 & 1)):
        bits >>= 3
        found += _ONSETS[bits & 15] + _VOWELS[bits >> 4 & 7] + _CODAS[bits >> 7 & 7]
        bits >>= 10
    return found

"""Turns the bytes of the fuzzer into what a target needs: chunks, numbers, strings of lengths that matter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

_SEED_BYTES = 2
_LONG = 200
"""A first byte of this or more stands for one of ``LENGTHS``."""

LENGTHS: tuple[int, ...] = (
    *range(244, 257),
    *(length + more for length in (63, 127, 4095, 16_383) for more in range(-12, 3)),
)
"""Lengths at which encodings change."""


def parameters(data: bytes) -> tuple[Random, bytes]:
    """A source of parameters that the first bytes decide, and the rest of the bytes."""
    return Random(data[:_SEED_BYTES]), data[_SEED_BYTES:]


def with_parameters(content: bytes, number: int = 0) -> bytes:
    """The bytes of which ``parameters`` returns this content."""
    return number.to_bytes(_SEED_BYTES, "big") + content


def chunks(content: bytes, random: Random) -> list[bytes]:
    """The content in one to six chunks, or byte by byte."""
    if not random.randrange(8) and 0 < len(content) < 500:
        return [content[at : at + 1] for at in range(len(content))]
    cuts = sorted(random.randint(0, len(content)) for _ in range(random.randrange(6)))
    return [content[start:end] for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True)]


class Pieces:
    """Strings and numbers, read from the bytes one after the other. At the end of the bytes, all are empty or 0."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken

    def number(self, most: int = 255) -> int:
        """A number from 0 to ``most``, with the fewest bytes."""
        width = max(1, (most.bit_length() + 7) // 8)
        return int.from_bytes(self._take(width), "little") % (most + 1)

    def blob(self) -> bytes:
        """Bytes: their own, or one byte repeated to one of ``LENGTHS``."""
        first = self.number()
        if first < _LONG:
            return self._take(first)
        return (self._take(1) or b"x") * LENGTHS[self.number() % len(LENGTHS)]

    def text(self) -> str:
        """Text, as far as the bytes are UTF-8."""
        return self.blob().decode(errors="ignore")

    def blobs(self) -> Iterator[bytes]:
        """All further strings."""
        while self:
            yield self.blob()


def packed(blobs: Sequence[bytes]) -> bytes:
    """The bytes from which ``Pieces`` reads these strings, each shorter than 200 bytes."""
    return b"".join(b"%c%b" % (len(blob), blob) for blob in blobs)

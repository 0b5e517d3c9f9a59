"""Pieces of a protocol that depend on the length of what follows them."""

from __future__ import annotations

from collections.abc import Callable

_MOST_LENGTHS = 100_000


class ByLength(dict[int, bytes]):
    """What stands before an argument that may be this long, made when a length is first met: lengths repeat.

    Args:
        make: Makes it.
    """

    def __init__(self, make: Callable[[int], bytes]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, length: int) -> bytes:
        if len(self) >= _MOST_LENGTHS:
            self.clear()
        made = self[length] = self._make(length)
        return made

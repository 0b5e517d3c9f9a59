"""Protocol headers that depend only on the length of the data that follows them."""

from __future__ import annotations

from collections.abc import Callable

_MAX_LENGTHS = 100_000


class ByLength(dict[int, bytes]):
    """Headers by the length of their data. Each is made when its length first occurs, since lengths repeat.

    Args:
        make: Makes the header for a length.
    """

    def __init__(self, make: Callable[[int], bytes]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, length: int) -> bytes:
        if len(self) >= _MAX_LENGTHS:
            self.clear()
        made = self[length] = self._make(length)
        return made

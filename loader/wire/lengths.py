"""What depends only on the length of data: protocol headers, and what else is worth to be kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeVar

T = TypeVar("T")

_MAX_LENGTHS = 100_000


class ByLength(dict[int, T]):
    """Values, such as headers, by the length of their data. Each is made when its length first occurs, since lengths
    repeat.

    Args:
        make: Makes the value for a length.
        most: How many are kept.

    Attributes:
        made: How many values all instances have made together.
    """

    made: ClassVar[int] = 0

    def __init__(self, make: Callable[[int], T], most: int = _MAX_LENGTHS) -> None:
        super().__init__()
        self._make = make
        self._most = most

    def __missing__(self, length: int) -> T:
        if len(self) >= self._most:
            self.clear()
        ByLength.made += 1
        made = self[length] = self._make(length)
        return made

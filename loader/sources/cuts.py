"""Where a source of many parts may be cut."""

from __future__ import annotations

from collections.abc import Iterable


def cuts_between(sizes: Iterable[int], size: int) -> list[int]:
    """The numbers of the parts with which a piece of the source begins that is not the first.

    Args:
        sizes: The bytes of each part.
        size: A piece has at least this many bytes, except for the last one.
    """
    found: list[int] = []
    total = 0
    for number, part in enumerate(sizes):
        if total >= size:
            found.append(number)
            total = 0
        total += part
    return found

"""Names of queues that are nearly the same: most likely, one of them is misspelt."""

from __future__ import annotations

from loader.queues.names import DEFAULT_SUB_QUEUE

_SHORTEST = 3
"""Names of fewer characters are often one character apart on purpose."""


def nearly_same(one: str, other: str) -> bool:
    """Whether two different names differ only in case, or by one edit (``one_edit_apart``).

    Numbered names, such as ``shard-1`` and ``shard-2``, are not nearly the same. Short names are, only by case.
    """
    if one == other:
        return False
    if one.casefold() == other.casefold():
        return True
    suffix = f".{DEFAULT_SUB_QUEUE}"
    if min(len(one.removesuffix(suffix)), len(other.removesuffix(suffix))) < _SHORTEST:
        return False
    return one_edit_apart(one, other) and not _numbered(one, other)


def one_edit_apart(one: str, other: str) -> bool:
    """Whether one inserted, missing or other character, or two swapped neighbours, make one text from the other.

    This is a Damerau-Levenshtein distance of 1.
    """
    start = _shared(one, other)
    a, b = one[start:], other[start:]
    if a == b:
        return False
    swapped = a[:2] == b[1::-1] and len(a) > 1 and a[2:] == b[2:]
    return a[1:] == b or a == b[1:] or a[1:] == b[1:] or swapped


def _numbered(one: str, other: str) -> bool:
    """Whether the characters in which the names differ include a digit."""
    start = _shared(one, other)
    a, b = one[start:], other[start:]
    end = _shared(a[::-1], b[::-1])
    return any(character.isdigit() for character in a[: len(a) - end] + b[: len(b) - end])


def _shared(one: str, other: str) -> int:
    """The number of characters that both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))

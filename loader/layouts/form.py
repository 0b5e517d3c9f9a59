"""Forms of a hash in one block of bytes: what listpacks and ziplists have in common.

A block is a header, entries, and ``ff``. Here, an entry is a *body* (its kind, its length and the value) and a *link*,
which stands between this body and the next: a listpack has the size of the body before there, to be read from behind; a
ziplist has it as the first part of the next entry. So the last body of a ziplist has no link, and the first body
follows an empty one, which is part of the header here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

LONGEST_INTEGER = 20
"""Bytes of the longest text that is kept as an integer: ``-9223372036854775808``."""

END = b"\xff"
UNKNOWN_COUNT = 0xFFFF
"""A block of so many entries or more does not know their number."""

_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,18}")
_SHORT = 20  # bytes of a value whose body is kept
_FIRST_LINK = 1  # the bytes of the link before the first body, where a form has one


class Form(Protocol):
    """A module with the facts of one form.

    Attributes:
        RDB_TYPE: What the dump of a hash in this form begins with.
        RDB_VERSION: The oldest version of RDB files that has it.
        HEADER_BYTES: The length of ``header``.
        LAST_HAS_LINK: Whether the last body is followed by a link.
    """

    RDB_TYPE: bytes
    RDB_VERSION: bytes
    HEADER_BYTES: int
    LAST_HAS_LINK: bool

    def integer(self, text: bytes) -> bytes | None:
        """The body of an integer. None if a server keeps the text as a string."""
        ...

    def string_header(self, length: int) -> bytes:
        """What precedes a string of ``length`` bytes, at most 2**32 - 1, in its body."""
        ...

    def link(self, body_bytes: int, link_bytes: int) -> bytes:
        """The link after a body.

        Args:
            body_bytes: The length of the body.
            link_bytes: The length of the link before that body.
        """
        ...

    def header(self, size: int, count: int, last_bytes: int) -> bytes:
        """What precedes the first body.

        Args:
            size: The bytes of the whole block.
            count: The number of entries.
            last_bytes: The bytes of the last body and of the link before it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Entries:
    """Entries in a row.

    Attributes:
        data: Bodies and links, the last one's link too.
        link_bytes: The bytes of the last link.
        last_bytes: The bytes of the last body and of the link before it.
    """

    data: bytes
    link_bytes: int
    last_bytes: int

    def closed(self, form: Form) -> bytes:
        """The last entries of a block, with its end."""
        return (self.data if form.LAST_HAS_LINK else self.data[: -self.link_bytes]) + END


def body(form: Form, value: bytes) -> bytes:
    """The body of a value's entry."""
    encoded = form.integer(value)
    return form.string_header(len(value)) + value if encoded is None else encoded


_short_body = lru_cache(maxsize=256)(body)
"""Names of fields and states come again in each task, also where tasks have ends of their own."""


def entries(form: Form, values: Iterable[bytes], link_bytes: int = _FIRST_LINK) -> Entries:
    """The entries of values, at least one.

    Args:
        link_bytes: The bytes of the link before them.

    Raises:
        DisputedSizeError: Servers disagree on the form of an entry.
    """
    parts: list[bytes] = []
    last_bytes = 0
    for value in values:
        its = _short_body(form, value) if len(value) < _SHORT else body(form, value)  # type: ignore[arg-type] # modules are hashable
        link = form.link(len(its), link_bytes)
        parts += its, link
        last_bytes, link_bytes = link_bytes + len(its), len(link)
    return Entries(b"".join(parts), link_bytes, last_bytes)


def block(form: Form, values: Sequence[bytes]) -> bytes:
    """A whole block of values, at least one.

    Raises:
        DisputedSizeError: See ``entries``.
    """
    made = entries(form, values)
    data = made.closed(form)
    return form.header(form.HEADER_BYTES + len(data), len(values), made.last_bytes) + data


def integer_of(text: bytes) -> int | None:
    """The integer that a server keeps in place of this text. None if it keeps the text.

    It keeps as integers what it can print again to the same text: no sign of plus, no zeros in front, 64 bits.
    """
    if not _INTEGER.fullmatch(text):
        return None
    value = int(text)
    return value if -(1 << 63) <= value < 1 << 63 else None


def signed(value: int, widths: Iterable[tuple[bytes, int]]) -> bytes:
    """An integer of 64 bits in the first width that it fits in, little endian, after the mark of that width."""
    for mark, width in widths:
        if -(1 << 8 * width - 1) <= value < 1 << 8 * width - 1:
            return mark + value.to_bytes(width, "little", signed=True)
    raise ValueError(f"{value} has more than 64 bits")

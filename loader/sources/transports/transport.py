"""What the formats ask of a transport."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from loader.sources.base import SourceIdentity

CHUNK = 1024 * 1024
"""Bytes that are read at once."""


class Transport(Protocol):
    """Gives bytes as they are stored, in chunks of any size."""

    def identity(self, form: str) -> SourceIdentity:
        """Of a source that is made of this alone; ``form`` is the name of its format."""
        ...

    def chunks(self, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes from an offset to another, or to the end. Closing it at any time is fine.

        Raises:
            SourceError: They cannot be read.
            SourceChangedError: They are not what they were.
        """
        ...

"""The interface between formats and transports."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from loader.sources.base import SourceIdentity

CHUNK = 1024 * 1024
"""The number of bytes to read at once."""


class Transport(Protocol):
    """Returns bytes as they are stored, in chunks of any size."""

    def identity(self, form: str) -> SourceIdentity:
        """The identity of a source that consists only of this; ``form`` is the name of its format."""
        ...

    def chunks(self, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes from one offset to another, or to the end. It may be closed at any time.

        Raises:
            SourceError: The bytes cannot be read.
            SourceChangedError: The bytes have changed.
        """
        ...

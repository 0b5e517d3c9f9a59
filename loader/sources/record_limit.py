"""The longest record that is accepted, and what sets this limit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RecordLimit:
    """The longest record that is accepted.

    Attributes:
        size: Bytes, without the newline.
        name: What sets the limit, for rejects: ``the limit of --max-record-bytes``.
    """

    size: int
    name: str

    @classmethod
    def of_option(cls, size: int) -> RecordLimit:
        """The limit of the option."""
        return cls(size, "the limit of --max-record-bytes")

    @classmethod
    def of_server(cls, size: int, setting: str) -> RecordLimit:
        """A limit that the server's configuration sets."""
        return cls(size, f"{size} bytes, which the server's {setting} allows")

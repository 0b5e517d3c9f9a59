"""The beginning of a source's content, without its compression."""

from __future__ import annotations

from collections.abc import Iterable

from loader.sources.codecs.codec import Codec, DamagedError
from loader.sources.codecs.content import Content
from loader.sources.recognition.recognize import has_line, is_enough


class Head:
    """Collects the beginning of a source.

    Args:
        name: The source's name, for errors.
        codec: The compression from its name or from ``--format``; None if these say none.

    Attributes:
        ended: Whether ``content`` is all of it.
        has_line: Whether there is a complete line that is not blank.
        is_enough: Whether more is of no use.
    """

    __slots__ = ("_content", "_is_empty", "_name", "_searched", "_stored", "ended", "has_line", "is_enough")

    def __init__(self, name: str, codec: Codec | None) -> None:
        self._name = name
        self._stored = Content(name, codec)
        self._is_empty = True
        self._content = bytearray()
        self._searched = 0  # bytes that have no complete line
        self.ended = False
        self.has_line = False
        self.is_enough = False

    @property
    def codec(self) -> Codec | None:
        """The compression that was removed."""
        return self._stored.codec

    @property
    def content(self) -> bytes:
        """A copy of the content so far, without compression. It may lack the first bytes, which may be a magic."""
        return bytes(self._content)

    def feed(self, stored: bytes) -> None:
        """Adds the next bytes as they are stored; no bytes for the end.

        Raises:
            SourceError: The bytes do not have the compression, or are damaged before there is enough of their content.
                Later damage is found when the source is loaded, and what comes before it is loaded. No bytes at all
                are none of a compression.
            UsageError: A package is not installed that the compression needs.
        """
        if stored:
            self._is_empty = False
            self._add(self._stored.feed(stored))
            return
        self.ended = True
        if self._is_empty and self.codec is not None:
            what = f"{self._name} is empty, which no {self.codec.name} file is"
            raise DamagedError(what, "Get it again, or leave it out")
        self._add(self._stored.finish())

    def _add(self, pieces: Iterable[bytes]) -> None:
        # The first line may be an array of many MiB that comes in pieces of 4 KiB: no byte is copied or searched again.
        for piece in pieces:
            self._content += piece
            self.has_line = self.has_line or has_line(self._content, self._searched)
            self.is_enough = is_enough(self._content, self._searched)
            if not self.has_line:
                self._searched = len(self._content)
            if self.is_enough:
                return

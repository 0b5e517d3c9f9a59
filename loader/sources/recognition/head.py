"""The beginning of a source's content, without its compression."""

from __future__ import annotations

from loader.errors import SourceError
from loader.sources.codecs.codec import Codec, Decompressor
from loader.sources.codecs.registry import detect, is_undecided
from loader.sources.recognition.recognize import has_line, is_enough


class Head:
    """Collects the beginning of a source.

    Args:
        name: The source's name, for errors.
        codec: The compression from its name or from ``--format``; None to detect it.

    Attributes:
        codec: The compression that was removed.
        ended: Whether ``content`` is all of it.
        has_line: Whether there is a complete line that is not blank.
        is_enough: Whether more is of no use.
    """

    __slots__ = (
        "_content",
        "_decompressor",
        "_is_empty",
        "_name",
        "_searched",
        "_undecided",
        "codec",
        "ended",
        "has_line",
        "is_enough",
    )

    def __init__(self, name: str, codec: Codec | None) -> None:
        self._name = name
        self._decompressor: Decompressor | None = None if codec is None else codec.decompressor(name)
        self._undecided = codec is None
        self._is_empty = True
        self.codec = codec
        self._content = bytearray()
        self._searched = 0  # bytes that have no complete line
        self.ended = False
        self.has_line = False
        self.is_enough = False

    @property
    def content(self) -> bytes:
        """A copy of the content so far, without compression."""
        return bytes(self._content)

    def feed(self, stored: bytes) -> None:
        """Adds the next bytes as they are stored; no bytes for the end.

        Raises:
            SourceError: The bytes do not have the compression, or are damaged before there is enough of their content.
                Later damage is found when the source is loaded, and what comes before it is loaded. No bytes at all
                are none of a compression.
        """
        if not stored:
            self.ended = True
            if self._is_empty and self.codec is not None:
                what = f"{self._name} is empty, which no {self.codec.name} file is"
                raise SourceError(what, "Get it again, or leave it out")
            if self._decompressor is not None:
                self._decompressor.finish()
            return
        self._is_empty = False
        if self._undecided:
            stored = bytes(self._content) + stored
            self._content.clear()
            self._searched = 0
            self._undecided = is_undecided(stored)
            if not self._undecided and (codec := detect(stored)) is not None:
                self.codec, self._decompressor = codec, codec.decompressor(self._name)
        if self._decompressor is None:
            self._add(stored)
            return
        for piece in self._decompressor.feed(stored):
            self._add(piece)
            if self.is_enough:
                return

    def _add(self, piece: bytes) -> None:
        # The first line may be an array of many MiB that comes in pieces of 4 KiB: no byte is copied or searched again.
        self._content += piece
        self.has_line = self.has_line or has_line(self._content, self._searched)
        self.is_enough = is_enough(self._content, self._searched)
        if not self.has_line:
            self._searched = len(self._content)

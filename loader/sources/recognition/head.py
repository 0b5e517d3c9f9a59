"""The beginning of a source's content, without its compression."""

from __future__ import annotations

from loader.sources.codecs.codec import Codec, Decompressor
from loader.sources.codecs.registry import detect, is_undecided
from loader.sources.recognition.recognize import is_enough


class Head:
    """Collects the beginning of a source.

    Args:
        name: The source's name, for errors.
        codec: The compression from its name or from ``--format``; None to detect it.

    Attributes:
        content: The content so far, without compression.
        codec: The compression that was removed.
        ended: Whether ``content`` is all of it.
        is_enough: Whether more is of no use.
    """

    __slots__ = ("_decompressor", "_name", "_undecided", "codec", "content", "ended", "is_enough")

    def __init__(self, name: str, codec: Codec | None) -> None:
        self._name = name
        self._decompressor: Decompressor | None = None if codec is None else codec.decompressor(name)
        self._undecided = codec is None
        self.codec = codec
        self.content = b""
        self.ended = False
        self.is_enough = False

    def feed(self, stored: bytes) -> None:
        """Adds the next bytes as they are stored; no bytes for the end.

        Raises:
            SourceError: The bytes do not have the compression, or are damaged before there is enough of their content.
                Later damage is found when the source is loaded, and what comes before it is loaded.
        """
        if not stored:
            self.ended = True
            if self._decompressor is not None:
                self._decompressor.finish()
            return
        if self._undecided:
            stored, self.content = self.content + stored, b""
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
        self.content += piece
        self.is_enough = is_enough(self.content)

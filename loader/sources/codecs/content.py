"""Converts bytes as they are stored into their content."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from loader.sources.codecs.codec import Codec, Decompressor
from loader.sources.codecs.registry import detect, is_undecided


class Content:
    """Converts the bytes of a file into its content. Compressed bytes are decompressed, others are unchanged.

    The first bytes say which compression a file has. Only if they say none, its name or ``--format`` counts.

    Args:
        name: The file's name, for errors.
        codec: The compression from its name or from ``--format``; None if these say none.
        whole: Whether the bytes start at the file's beginning. If not, nothing is detected.

    Attributes:
        codec: The compression that is removed. It may still change while ``is_undecided``.
    """

    def __init__(self, name: str, codec: Codec | None, *, whole: bool = True) -> None:
        self._name = name
        self.codec = codec
        self._decompressor: Decompressor | None = None
        self._held = b""
        self._detects = whole
        if not whole:
            self._begin(None)

    @property
    def is_undecided(self) -> bool:
        """Whether more bytes are needed to detect the compression."""
        return self._detects

    def feed(self, chunk: bytes) -> Iterable[bytes]:
        """Converts the next bytes. Returns their content in pieces, which the caller reads before the next call.

        Raises:
            DamagedError: The bytes do not have the compression, or are damaged.
            UsageError: A package is not installed that the compression needs.
        """
        if self._detects:
            chunk = self._held + chunk
            if is_undecided(chunk):  # a pipe may return single bytes
                self._held = chunk
                return ()
            self._begin(detect(chunk))
        return (chunk,) if self._decompressor is None else self._decompressor.feed(chunk)

    def finish(self) -> Iterator[bytes]:
        """Ends the file. Yields the content of bytes that were held back for detection.

        Raises:
            DamagedError: The compressed stream ends too early. A file without any bytes is not a stream either.
        """
        if self._detects:
            held = self._held
            self._begin(detect(held, ended=True))
            if held:
                yield from self.feed(held)
        if self._decompressor is not None:
            self._decompressor.finish()

    def _begin(self, found: Codec | None) -> None:
        self._detects, self._held = False, b""
        self.codec = found or self.codec
        if self.codec is not None:
            self._decompressor = self.codec.decompressor(self._name)

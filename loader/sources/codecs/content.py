"""Converts bytes as they are stored into their content."""

from __future__ import annotations

from collections.abc import Iterable

from loader.sources.codecs.codec import Codec
from loader.sources.codecs.registry import detect, is_undecided


class Content:
    """Converts the bytes of a file into its content. Compressed bytes are decompressed, others are unchanged.

    Args:
        name: The file's name, for errors.
        codec: The compression from its name or from ``--format``; None to detect it from the first bytes.
        whole: Whether the bytes start at the file's beginning. If not, nothing is detected.
    """

    def __init__(self, name: str, codec: Codec | None, *, whole: bool = True) -> None:
        self._name = name
        self._decompressor = None if codec is None else codec.decompressor(name)
        self._detects = codec is None and whole
        self._head = b""

    def feed(self, chunk: bytes) -> Iterable[bytes]:
        """Converts the next bytes. Returns their content in pieces, which the caller reads before the next call.

        Raises:
            DamagedError: The bytes do not have the compression, or are damaged.
        """
        if self._detects:
            chunk = self._head + chunk
            if is_undecided(chunk):  # a pipe may return single bytes
                self._head = chunk
                return ()
            self._detects, self._head = False, b""
            if (codec := detect(chunk)) is not None:
                self._decompressor = codec.decompressor(self._name)
        return (chunk,) if self._decompressor is None else self._decompressor.feed(chunk)

    def finish(self) -> Iterable[bytes]:
        """Ends the file. Returns bytes that were held back for detection.

        Raises:
            DamagedError: The compressed stream ends too early. A file without any bytes is not a stream either.
        """
        if self._decompressor is not None:
            self._decompressor.finish()
        return (self._head,) if self._head else ()

"""From bytes as they are stored to the content that they hold."""

from __future__ import annotations

from collections.abc import Iterable

from loader.sources.codecs.codec import Codec
from loader.sources.codecs.registry import detect, is_undecided


class Content:
    """Takes a file's bytes as stored, gives its content: decompressed where it is compressed, else as it is.

    Args:
        name: The file's name, for errors.
        codec: The compression that its name tells, or the user says; None to go by its first bytes.
        whole: Whether the bytes are those from the file's beginning. From the middle, they are taken as they are.
    """

    def __init__(self, name: str, codec: Codec | None, *, whole: bool = True) -> None:
        self._name = name
        self._decompressor = None if codec is None else codec.decompressor(name)
        self._detects = codec is None and whole
        self._head = b""

    def feed(self, chunk: bytes) -> Iterable[bytes]:
        """Takes the next bytes; gives the content that they complete, in pieces, to be read before the next call.

        Raises:
            SourceError: They are not what they should be, or are damaged.
        """
        if self._detects:
            chunk = self._head + chunk
            if is_undecided(chunk):  # a pipe may give single bytes
                self._head = chunk
                return ()
            self._detects, self._head = False, b""
            if (codec := detect(chunk)) is not None:
                self._decompressor = codec.decompressor(self._name)
        return (chunk,) if self._decompressor is None else self._decompressor.feed(chunk)

    def finish(self) -> Iterable[bytes]:
        """Takes the end; gives what was held back.

        Raises:
            SourceError: The compressed stream ends too early. No bytes at all are no stream either.
        """
        if self._decompressor is not None:
            self._decompressor.finish()
        return (self._head,) if self._head else ()

"""Concatenated streams of one compression, read as one. What the compressions have in common."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from loader.sources.codecs.codec import DamagedError, cut_off, damaged, goes_on, not_such

PIECE = 1024 * 1024
"""Bytes of content to decompress at once, at most."""

_PADDING = re.compile(rb"[\0\t\n\r ]*")
"""Bytes that may stand after a stream: zeros, which tapes, block devices and xz add, and white space, for example the
line feed of an ``echo >> file``. None of them can hold a record. gzip(1) and bzip2(1) ignore any other bytes there as
well, and so lose the streams that follow them."""

_FIRST = 16 * 1024
"""Bytes of a stream to give its decompressor first. What it does not use is copied, so a chunk with thousands of small
streams would be copied thousands of times."""


class Streams(ABC):
    """Reads concatenated streams as one. Skips zeros and white space between and after them.

    A subclass opens a stream with the decompressor of a library, and says how to read it.
    """

    codec: ClassVar[str]
    """The name of the compression, for errors."""

    magics: ClassVar[tuple[bytes, ...]]
    """The bytes with which a stream begins."""

    head: ClassVar[int]
    """The number of bytes that ``_open`` needs: those of the longest magic, or more."""

    errors: tuple[type[Exception], ...]
    """What the library raises for damaged streams."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._stream: Any = None
        self._streams = 0
        self._held = b""

    @abstractmethod
    def _open(self, head: bytes) -> Any:
        """The decompressor of a stream that begins with these bytes."""

    def _read(self, data: bytes) -> tuple[bytes, bytes | None]:
        """Decompresses data of the stream. Returns content, and what to read next, which may be no bytes; None if the
        stream needs more.

        This is for decompressors as in the standard library's ``bz2`` and ``lzma``.
        """
        piece = self._stream.decompress(data, PIECE)
        return piece, None if self._stream.eof or self._stream.needs_input else b""

    def _damage(self, error: Exception) -> DamagedError:
        """The error to raise for one of the library."""
        return damaged(self._name, self.codec, error)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        data = self._held + chunk if self._held else chunk
        self._held = b""
        at = 0
        while at < len(data):
            if self._stream is None:
                if self._streams and (padding := _PADDING.match(data, at)) and padding.end() > at:
                    at = padding.end()
                    continue
                part = data[at : at + _FIRST]
                self._check_magic(part)
                if len(part) < self.head:
                    self._held = part
                    return
                self._stream = self._open(part)
                self._streams += 1
            else:
                part = data[at:]
            at += len(part)
            rest: bytes | None = part
            while rest is not None:
                try:
                    piece, rest = self._read(rest)
                except self.errors as error:
                    raise self._damage(error) from error
                if self._stream.eof:
                    at -= len(self._stream.unused_data or b"")
                    self._stream = rest = None
                if piece:
                    yield piece

    def _check_magic(self, head: bytes) -> None:
        if not head.startswith(self.magics) and not any(magic.startswith(head) for magic in self.magics):
            raise goes_on(self._name, self.codec) if self._streams else not_such(self._name, self.codec)

    def finish(self) -> None:
        if self._stream is not None or self._held or not self._streams:
            raise cut_off(self._name, self.codec)

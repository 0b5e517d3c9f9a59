"""Inflates a gzip stream piece by piece, in bounded memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

from isal import isal_zlib
from isal.igzip_lib import IsalError

from loader.errors import SourceError

GZIP_MAGIC = b"\x1f\x8b"
_PIECE = 1024 * 1024
_GZIP_WRAPPER = 16 + zlib.MAX_WBITS


class GzipInflater:
    """Takes compressed chunks, gives inflated pieces of at most 1 MiB. Concatenated members are one stream (RFC 1952).

    Raises:
        SourceError: From ``feed``: the bytes are no gzip stream, or are damaged. From ``finish``: it ends early.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._member: Any = None  # as zlib.decompressobj gives
        self._members = 0
        self._head = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        data = self._head + chunk
        self._head = b""
        while data:
            if self._member is None:
                if self._members:
                    data = data.lstrip(b"\0")  # padding between or after members is allowed, as gzip(1) does
                if len(data) < len(GZIP_MAGIC):
                    self._head = data
                    return
                if not data.startswith(GZIP_MAGIC):
                    what = "is not a gzip file" if self._members == 0 else "has bytes after the end of its gzip stream"
                    raise SourceError(f"{self._name} {what}", "Compress it again, or say its --format")
                self._member = isal_zlib.decompressobj(_GZIP_WRAPPER)  # twice as fast as zlib itself
                self._members += 1
            try:
                piece = self._member.decompress(data, _PIECE)
            except IsalError as error:  # type: ignore[misc]  # its stub has an instance in the place of the class
                raise SourceError(
                    f"{self._name} is a damaged gzip file ({error})",
                    "Get it again; the whole batches before are loaded",
                ) from error
            data = self._member.unconsumed_tail
            if self._member.eof:
                data = self._member.unused_data
                self._member = None
            if piece:
                yield piece

    def finish(self) -> None:
        if self._member is not None or self._head or not self._members:
            raise SourceError(
                f"{self._name} ends in the middle of its gzip stream", "It is truncated: get it again, whole"
            )

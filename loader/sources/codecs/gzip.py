"""gzip (RFC 1952), with ISA-L and zlib. docs/decisions/0001-gzip.md has the reasons for this choice."""

from __future__ import annotations

import zlib
from typing import Any

from isal import isal_zlib
from isal.igzip_lib import IsalError

from loader.sources.codecs.codec import Codec
from loader.sources.codecs.streams import PIECE, Streams

_MAGIC = b"\x1f\x8b"
_GZIP_WRAPPER = 16 + zlib.MAX_WBITS

# A member begins with the magic, the method and the flags (RFC 1952, 2.3).
_FLAGS_AT = 3
_HEADER_CRC = 0x02
_FIELDS = 0x1C
"""Flags of the optional fields: extra, name, comment."""


class _GzipDecompressor(Streams):
    codec = "gzip"
    magics = (_MAGIC,)
    head = _FLAGS_AT + 1
    errors = (IsalError, zlib.error)  # type: ignore[assignment]  # isal's stub has an instance for the class

    def _open(self, head: bytes) -> Any:
        """The decompressor for a member. It also checks the member's checksum and length.

        ISA-L needs a third of zlib's time. But if a chunk ends within a header, it forgets the flags, and then refuses
        or misreads the bytes after the field in which the chunk ended (isal 1.9.1; findings/isal-gzip-header.sh). A
        header with one optional field is safe, because nothing follows the field; gzip(1) and bgzip(1) write at most
        one.
        """
        flags = head[_FLAGS_AT]
        if flags & _HEADER_CRC or (flags & _FIELDS).bit_count() > 1:
            return zlib.decompressobj(_GZIP_WRAPPER)
        return isal_zlib.decompressobj(_GZIP_WRAPPER)

    def _read(self, data: bytes) -> tuple[bytes, bytes | None]:
        piece = self._stream.decompress(data, PIECE)
        return piece, self._stream.unconsumed_tail or None


GZIP = Codec("gzip", (".gz",), _MAGIC, _GzipDecompressor, "gzip -dc", expansion=1032)
# The expansion is from zlib's documentation: "the limiting factor is about 1032:1".

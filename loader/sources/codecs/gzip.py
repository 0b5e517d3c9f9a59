"""gzip (RFC 1952), with ISA-L and zlib. docs/decisions/0001-gzip.md has the reasons for this choice."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

from isal import isal_zlib
from isal.igzip_lib import IsalError

from loader.sources.codecs.codec import Codec, DamagedError

_MAGIC = b"\x1f\x8b"
_PADDING = b"\0\t\n\r "
"""Bytes that may stand after a member: zeros, which tapes and block devices add, and white space, for example the line
feed of an ``echo >> file``. None of them can hold a record. gzip(1) ignores any other bytes there as well, and so loses
the members that follow them."""
_PIECE = 1024 * 1024
_GZIP_WRAPPER = 16 + zlib.MAX_WBITS

# A member begins with the magic, the method and the flags (RFC 1952, 2.3).
_FLAGS_AT = 3
_HEADER_CRC = 0x02
_FIELDS = 0x1C
"""Flags of the optional fields: extra, name, comment."""


class _GzipDecompressor:
    """Reads concatenated members as one stream. Skips zeros and white space between and after them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._member: Any = None  # an object like that of zlib.decompressobj
        self._members = 0
        self._head = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        data = self._head + chunk
        self._head = b""
        while data:
            if self._member is None:
                if self._members:
                    data = data.lstrip(_PADDING)
                if not _MAGIC.startswith(data[: len(_MAGIC)]):
                    if self._members == 0:
                        raise DamagedError(
                            f"{self._name} is not a gzip file", "Compress it again, or give its --format"
                        )
                    raise DamagedError(
                        f"{self._name} has other bytes after the end of its gzip stream",
                        "Get it again; all complete batches before these bytes are loaded",
                    )
                if len(data) <= _FLAGS_AT:
                    self._head = data
                    return
                self._member = _inflater(data[_FLAGS_AT])
                self._members += 1
            try:
                piece = self._member.decompress(data, _PIECE)
            except (IsalError, zlib.error) as error:  # type: ignore[misc]  # isal's stub has an instance for the class
                raise DamagedError(
                    f"{self._name} is a damaged gzip file ({error})",
                    "Get it again; all complete batches before the damage are loaded",
                ) from error
            data = self._member.unconsumed_tail
            if self._member.eof:
                data = self._member.unused_data
                self._member = None
            if piece:
                yield piece

    def finish(self) -> None:
        if self._member is not None or self._head or not self._members:
            raise DamagedError(
                f"{self._name} ends in the middle of its gzip stream", "It is truncated: get a complete copy"
            )


def _inflater(flags: int) -> Any:
    """The decompressor for a member whose header has these flags. It also checks the member's checksum and length.

    ISA-L needs a third of zlib's time. But if a chunk ends within a header, it forgets the flags, and then refuses or
    misreads the bytes after the field in which the chunk ended (isal 1.9.1; findings/isal-gzip-header.sh). A header
    with one optional field is safe, because nothing follows the field; gzip(1) and bgzip(1) write at most one.
    """
    if flags & _HEADER_CRC or (flags & _FIELDS).bit_count() > 1:
        return zlib.decompressobj(_GZIP_WRAPPER)
    return isal_zlib.decompressobj(_GZIP_WRAPPER)


GZIP = Codec("gzip", (".gz",), _MAGIC, _GzipDecompressor)

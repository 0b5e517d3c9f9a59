"""Snappy's framing format (framing_format.txt), with the package cramjam for the blocks and anycrc for the checksums.

Why this library: docs/decisions/0018-compressions.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from loader.extras import require
from loader.sources.codecs.codec import Codec, cut_off, damaged, not_such

_MAGIC = b"\xff\x06\0\0sNaPpY"
"""The stream identifier, a chunk of its own. It comes again where streams are concatenated."""

# Types of chunks (framing_format.txt, 4). Each has its type in a byte and its length in three, little-endian.
_COMPRESSED, _UNCOMPRESSED, _FIRST_SKIPPABLE, _IDENTIFIER = 0x00, 0x01, 0x80, 0xFF
_HEADER = 4
_CHECKSUM = 4
_MOST = 64 * 1024
"""Bytes of content in a chunk."""
_MOST_STORED = 128 * 1024
"""Bytes of a chunk with content. A compressed chunk is a little longer than its content at worst (by a sixth)."""

_OTHERS = (
    "Only snappy's framing format is read. Hadoop and Spark write another one under the same names: run: "
    "snzip -dc -t hadoop-snappy FILE | runqy-loader load - … (-t raw for one block without a frame)"
)


class _SnappyDecompressor:
    def __init__(self, name: str) -> None:
        require("snappy", name)
        import anycrc
        import cramjam  # imported here: few loads need it

        self._name = name
        self._decompress: Any = cramjam.snappy.decompress_raw
        self._length: Any = cramjam.snappy.decompress_raw_len
        self._crc: Any = anycrc.Model("CRC32-ISCSI")
        self._error: Any = cramjam.DecompressionError
        self._begun = False
        self._held = b""
        self._skip = 0  # bytes of a skippable chunk that are still to come

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        data = self._held + chunk if self._held else chunk
        self._held = b""
        if not self._begun:
            if not _MAGIC.startswith(data[: len(_MAGIC)]):
                raise not_such(self._name, "snappy", _OTHERS)
            if len(data) < len(_MAGIC):
                self._held = data
                return
            self._begun = True
        at = 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
                at += step
                continue
            if len(data) - at < _HEADER:
                break
            kind, length = data[at], int.from_bytes(data[at + 1 : at + _HEADER], "little")
            if _FIRST_SKIPPABLE <= kind < _IDENTIFIER:
                at += _HEADER
                self._skip = length
                continue
            self._check(kind, length)
            end = at + _HEADER + length
            if end > len(data):
                break
            body = data[at + _HEADER : end]
            at = end
            if kind != _IDENTIFIER:
                if content := self._content(kind, body):
                    yield content
            elif body != _MAGIC[_HEADER:]:
                raise damaged(self._name, "snappy", "another stream identifier")
        self._held = data[at:]

    def _check(self, kind: int, length: int) -> None:
        """Raises DamagedError for a header of a chunk that cannot be."""
        if kind not in (_COMPRESSED, _UNCOMPRESSED, _IDENTIFIER):
            raise damaged(self._name, "snappy", f"a chunk of the unknown type {kind:#04x}")
        if kind != _IDENTIFIER and not _CHECKSUM <= length <= _MOST_STORED:
            raise damaged(self._name, "snappy", f"a chunk of {length} bytes")

    def _content(self, kind: int, body: bytes) -> bytes:
        checksum, content = int.from_bytes(body[:_CHECKSUM], "little"), body[_CHECKSUM:]
        if kind == _COMPRESSED:
            try:
                if self._length(content) <= _MOST:
                    content = bytes(self._decompress(content))
                else:
                    raise damaged(self._name, "snappy", "a chunk with more than 64 KiB of content")
            except self._error as error:
                raise damaged(self._name, "snappy", error) from error
        if len(content) > _MOST:
            raise damaged(self._name, "snappy", "a chunk with more than 64 KiB of content")
        crc = self._crc.calc(content)
        masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFF_FFFF  # framing_format.txt, 3
        if masked != checksum:
            raise damaged(self._name, "snappy", "a wrong checksum")
        return content

    def finish(self) -> None:
        if self._skip or self._held or not self._begun:
            raise cut_off(self._name, "snappy")


SNAPPY = Codec("snappy", (".sz", ".snappy"), _MAGIC, _SnappyDecompressor, "snzip -dc")

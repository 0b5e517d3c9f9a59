"""LZ4 frames (lz4_Frame_format.md), with the package lz4. Why this library: docs/decisions/0018-compressions.md."""

from __future__ import annotations

from typing import Any

from loader.extras import require
from loader.sources.codecs.codec import Codec, DamagedError
from loader.sources.codecs.skippable import SKIPPABLE
from loader.sources.codecs.streams import Streams

_MAGIC = b"\x04\x22\x4d\x18"
LEGACY = b"\x02\x21\x4c\x18"
_FLAGS_AT = 4
_HAS_DICTIONARY = 0x01


class _Lz4Decompressor(Streams):
    codec = "lz4"
    magics = (_MAGIC, LEGACY, *SKIPPABLE)
    head = _FLAGS_AT + 1
    errors = (RuntimeError, ValueError)

    def __init__(self, name: str) -> None:
        super().__init__(name)
        require("lz4", name)
        from lz4.frame import LZ4FrameDecompressor  # imported here: few loads need it

        self._new = LZ4FrameDecompressor

    def _open(self, head: bytes) -> Any:
        if head.startswith(LEGACY):
            raise DamagedError(
                f"{self._name} has a legacy LZ4 frame, which does not show whether its end is missing",
                "Run: lz4 -dc FILE | runqy-loader load - …",
            )
        if head.startswith(_MAGIC) and head[_FLAGS_AT] & _HAS_DICTIONARY:
            raise DamagedError(
                f"{self._name} was compressed with a dictionary, which is not in the file",
                "Decompress it with its dictionary: lz4 -dc -D DICTIONARY FILE | runqy-loader load - …",
            )
        return self._new()


LZ4 = Codec("lz4", (".lz4",), _MAGIC, _Lz4Decompressor, "lz4 -dc", skips=True)

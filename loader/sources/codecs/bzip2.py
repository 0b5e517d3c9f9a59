"""bzip2, with the standard library. Why this library: docs/decisions/0018-compressions.md."""

from __future__ import annotations

from typing import Any

from loader.sources.codecs.codec import Codec
from loader.sources.codecs.streams import Streams

_MAGIC = b"BZh"


class _Bzip2Decompressor(Streams):
    codec = "bzip2"
    magics = (_MAGIC,)
    head = len(_MAGIC)
    errors = (OSError, ValueError)

    def _open(self, head: bytes) -> Any:
        from bz2 import BZ2Decompressor  # imported here: few loads need it

        return BZ2Decompressor()


BZIP2 = Codec("bzip2", (".bz2",), _MAGIC, _Bzip2Decompressor, "bzip2 -dc")

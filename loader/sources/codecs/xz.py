"""xz, with the standard library. Why this library: docs/decisions/0018-compressions.md."""

from __future__ import annotations

from functools import partial
from typing import Any

from loader.sources.codecs.codec import Codec, DamagedError
from loader.sources.codecs.streams import Streams
from loader.sources.codecs.window import MOST_WINDOW, window_error

_MAGIC = b"\xfd7zXZ\0"
_BESIDE_THE_DICTIONARY = 1024 * 1024
"""Bytes that liblzma counts for itself; it needs less."""


class _XzDecompressor(Streams):
    codec = "xz"
    magics = (_MAGIC,)
    head = len(_MAGIC)

    def __init__(self, name: str) -> None:
        super().__init__(name)
        import lzma  # imported here: few loads need it

        self.errors = (lzma.LZMAError,)
        self._new = partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, memlimit=MOST_WINDOW + _BESIDE_THE_DICTIONARY)

    def _open(self, head: bytes) -> Any:
        return self._new()

    def _damage(self, error: Exception) -> DamagedError:
        if "Memory usage limit" in str(error):
            return window_error(self._name, "dictionary", "xz -dc")
        return super()._damage(error)


XZ = Codec("xz", (".xz",), _MAGIC, _XzDecompressor, "xz -dc")

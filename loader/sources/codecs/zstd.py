"""Zstandard (RFC 8878), with Python's own module. Why this library: docs/decisions/0018-compressions.md."""

from __future__ import annotations

import sys
from typing import Any

from loader.extras import require
from loader.sources.codecs.codec import Codec, DamagedError
from loader.sources.codecs.skippable import SKIPPABLE
from loader.sources.codecs.streams import Streams
from loader.sources.codecs.window import MOST_WINDOW, window_error

_MAGIC = b"\x28\xb5\x2f\xfd"


class _ZstdDecompressor(Streams):
    codec = "zstd"
    magics = (_MAGIC, *SKIPPABLE)
    head = len(_MAGIC)

    def __init__(self, name: str) -> None:
        super().__init__(name)
        require("zstd", name)
        # Imported here: few loads need it, and it is not in each installation.
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
        self.errors = (zstd.ZstdError,)
        self._new = zstd.ZstdDecompressor
        self._options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: MOST_WINDOW.bit_length() - 1}

    def _open(self, head: bytes) -> Any:
        return self._new(options=self._options)

    def _damage(self, error: Exception) -> DamagedError:
        # libzstd's error codes come as these texts (ZSTD_getErrorString), which have not changed since they exist.
        if "too much memory" in str(error):
            return window_error(self._name, "window", "zstd -dc --long=31")
        if "Dictionary mismatch" in str(error):
            return DamagedError(
                f"{self._name} was compressed with a dictionary, which is not in the file",
                "Decompress it with its dictionary: zstd -dc -D DICTIONARY FILE | runqy-loader load - …",
            )
        return super()._damage(error)


ZSTD = Codec("zstd", (".zst", ".zstd"), _MAGIC, _ZstdDecompressor, "zstd -dc", skips=True)

"""The known compressions. A new one is one new module and one line here; see ``loader.sources.open_sources``."""

from __future__ import annotations

from loader.sources.codecs.bzip2 import BZIP2
from loader.sources.codecs.codec import Codec
from loader.sources.codecs.gzip import GZIP
from loader.sources.codecs.lz4 import LZ4
from loader.sources.codecs.skippable import SKIPPABLE, skipped
from loader.sources.codecs.snappy import SNAPPY
from loader.sources.codecs.xz import XZ
from loader.sources.codecs.zstd import ZSTD

CODECS: dict[str, Codec] = {codec.name: codec for codec in (GZIP, ZSTD, XZ, BZIP2, LZ4, SNAPPY)}

DETECTABLE = 64 * 1024
"""Bytes after which ``detect`` always has a result."""


def detect(head: bytes, *, ended: bool = False) -> Codec | None:
    """The compression of a stream that begins with these bytes; None if it has no known compression.

    Args:
        ended: Whether these are all bytes.
    """
    if not head.startswith(SKIPPABLE):
        return next((codec for codec in CODECS.values() if head.startswith(codec.magic)), None)
    following = head[skipped(head) :]
    skipping = [codec for codec in CODECS.values() if codec.skips]
    found = next((codec for codec in skipping if following.startswith(codec.magic)), None)
    # Only skippable frames, or more of them than are looked at: whatever skips them reads that.
    return skipping[0] if found is None and (ended or len(head) >= DETECTABLE) else found


def is_undecided(head: bytes) -> bool:
    """Whether ``detect`` needs more bytes. Of a stream that begins like JSON, it does so for ``[`` alone."""
    skipping = head.startswith(SKIPPABLE)
    if skipping and len(head) >= DETECTABLE:
        return False
    following = head[skipped(head) :] if skipping else head
    codecs = (codec for codec in CODECS.values() if codec.skips or not skipping)
    magics = (*(codec.magic for codec in codecs), *SKIPPABLE)
    return any(len(following) < len(magic) and magic.startswith(following) for magic in magics)

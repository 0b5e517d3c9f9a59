"""The known compressions. A new one is one new module and one line here; see ``loader.sources.open_sources``."""

from __future__ import annotations

from loader.sources.codecs.codec import Codec
from loader.sources.codecs.gzip import GZIP

CODECS: dict[str, Codec] = {codec.name: codec for codec in (GZIP,)}


def detect(head: bytes) -> Codec | None:
    """The compression of a stream that begins with these bytes; None if it has no known compression."""
    return next((codec for codec in CODECS.values() if head.startswith(codec.magic)), None)


def is_undecided(head: bytes) -> bool:
    """Whether ``detect`` needs more bytes. It never does for a stream that begins like JSON."""
    return any(len(head) < len(codec.magic) and codec.magic.startswith(head) for codec in CODECS.values())


def most_magic() -> int:
    """The number of bytes after which ``detect`` always has a result."""
    return max(len(codec.magic) for codec in CODECS.values())

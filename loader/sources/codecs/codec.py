"""The declaration of a compression."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from loader.errors import SourceError


class DamagedError(SourceError):
    """The bytes of a file are not what its compression says. To read them again does not help."""


class Decompressor(Protocol):
    """Decompresses one stream piece by piece, in bounded memory."""

    def feed(self, chunk: bytes) -> Iterable[bytes]:
        """Decompresses the next bytes, of any number. Returns their content in pieces.

        The caller reads the pieces before the next call. Each piece is at most a few MiB, even if a chunk expands to
        more.

        Raises:
            DamagedError: The bytes are not such a stream, or are damaged.
        """
        ...

    def finish(self) -> None:
        """Ends the stream.

        Raises:
            DamagedError: The stream ends too early.
        """
        ...


@dataclass(frozen=True, slots=True)
class Codec:
    """A compression of whole files.

    Attributes:
        name: For people, such as ``gzip``.
        endings: Endings of file names, in lower case with the dot. The first is also the ending in ``--format``.
        magic: The bytes with which each stream begins, and no JSON begins. They identify a stream under any name.
        decompressor: Makes the decompressor of one stream. Its argument is the file's name, for errors.
    """

    name: str
    endings: tuple[str, ...]
    magic: bytes
    decompressor: Callable[[str], Decompressor]

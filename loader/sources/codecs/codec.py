"""What a compression is to the sources."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol


class Decompressor(Protocol):
    """Decompresses one stream piece by piece, in bounded memory."""

    def feed(self, chunk: bytes) -> Iterable[bytes]:
        """Takes the next compressed bytes, as many as there happen to be; gives what they hold, in pieces.

        The pieces are read before the next call. Each is at most a few MiB, however much a chunk holds.

        Raises:
            SourceError: The bytes are no such stream, or are damaged.
        """
        ...

    def finish(self) -> None:
        """Takes the end of the stream.

        Raises:
            SourceError: It ends too early.
        """
        ...


@dataclass(frozen=True, slots=True)
class Codec:
    """A compression of whole files.

    Attributes:
        name: For people, such as ``gzip``.
        endings: What it adds to a file's name, in lower case with the dot. The first is what ``--format`` adds, too.
        magic: The bytes with which each of its streams begins, and no JSON does. It is known by them under any name.
        decompressor: Makes the decompressor of one stream; takes the file's name, for errors.
    """

    name: str
    endings: tuple[str, ...]
    magic: bytes
    decompressor: Callable[[str], Decompressor]

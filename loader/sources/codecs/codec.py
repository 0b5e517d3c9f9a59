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
        decompressor: Makes the decompressor of one stream. Its argument is the file's name, for errors. It raises
            UsageError if the package that it needs is not installed.
        command: A program that decompresses standard input to standard output.
        skips: Whether frames that have no content may stand before the first one; see ``skippable``.
        expansion: Bytes of content that a stored byte may stand for at most; None if there is no limit worth knowing.
    """

    name: str
    endings: tuple[str, ...]
    magic: bytes
    decompressor: Callable[[str], Decompressor]
    command: str = ""
    skips: bool = False
    expansion: int | None = None


def not_such(name: str, codec: str, hint: str = "Compress it again, or give its --format") -> DamagedError:
    """The error for a file whose first bytes are not of its compression."""
    return DamagedError(f"{name} is not {_article(codec)} {codec} file", hint)


def damaged(name: str, codec: str, why: object) -> DamagedError:
    """The error for a stream that its decompressor does not take."""
    return DamagedError(
        f"{name} is a damaged {codec} file ({why})", "Get it again; all complete batches before the damage are loaded"
    )


def goes_on(name: str, codec: str) -> DamagedError:
    """The error for bytes after a stream that are neither padding nor another stream."""
    return DamagedError(
        f"{name} has other bytes after the end of its {codec} stream",
        "Get it again; all complete batches before these bytes are loaded",
    )


def cut_off(name: str, codec: str) -> DamagedError:
    """The error for a stream that ends too early."""
    return DamagedError(f"{name} ends in the middle of its {codec} stream", "It is truncated: get a complete copy")


def _article(word: str) -> str:
    return "an" if word in ("xz", "lz4") else "a"

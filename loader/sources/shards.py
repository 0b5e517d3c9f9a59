"""Cuts the input into shards: parts that can be loaded by different processes, each with a ledger of its own.

The plan depends on the input alone, not on how many processes there are, so a job can be resumed with any number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loader.sources.base import Source

SHARD_BYTES = 16 * 1024 * 1024
"""A shard is about this large (bytes as stored), larger where the input would make more than ``MOST_SHARDS``."""

MOST_SHARDS = 1024


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a source between two of its cuts; ``end`` is None at its end."""

    source: int
    start: int
    end: int | None


@dataclass(frozen=True, slots=True)
class Shard:
    """Consecutive pieces. ``number`` is its place in the plan and names its ledger."""

    number: int
    pieces: tuple[Piece, ...]


def shard_bytes(sources: Sequence[Source]) -> int:
    """The size at which this input is cut; part of the job's manifest."""
    total = sum(source.identity.size or 0 for source in sources)
    return max(SHARD_BYTES, -(-total // MOST_SHARDS))


def plan(sources: Sequence[Source], size: int) -> list[Shard]:
    """All of the input as shards, in the order of the sources.

    Raises:
        SourceError: A source cannot be read.
    """
    shards: list[Shard] = []
    pieces: list[Piece] = []
    held = 0

    def close() -> None:
        nonlocal held
        if pieces:
            shards.append(Shard(len(shards), tuple(pieces)))
            pieces.clear()
        held = 0

    for index, source in enumerate(sources):
        cuts = source.cuts(size)
        if cuts:
            close()
            bounds = [0, *cuts]
            for start, end in zip(bounds, [*cuts, None], strict=True):
                pieces.append(Piece(index, start, end))
                close()
            continue
        pieces.append(Piece(index, 0, None))
        held += source.identity.size or 0
        if held >= size:
            close()
    close()
    return shards

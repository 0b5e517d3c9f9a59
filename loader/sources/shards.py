"""Cuts the input into shards: parts that different processes can load, each with a ledger of its own.

The plan depends only on the input, not on the number of processes. So a job can be resumed with any number of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from loader.sources.base import Source

SHARD_BYTES = 16 * 1024 * 1024
"""The approximate size of a shard (bytes as stored). It is larger if the input would have more than ``MOST_SHARDS``."""

MOST_SHARDS = 8192
"""So a thousand workers have several shards each of a large input. Jobs that were begun keep their size."""

MOST_IN_VERSION_1 = 1024


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a source between two of its cuts. ``end`` is None for the source's end."""

    source: int
    start: int
    end: int | None


@dataclass(frozen=True, slots=True)
class Shard:
    """Consecutive pieces. ``number`` is the shard's index in the plan and a part of its ledger's name."""

    number: int
    pieces: tuple[Piece, ...]


def shard_bytes(sources: Sequence[Source], most: int | None = None) -> int:
    """The shard size for this input; part of the job's manifest.

    Args:
        most: About how many shards there may be; None for ``MOST_SHARDS``.
    """
    return shard_bytes_of(sum(source.identity.size or 0 for source in sources), most)


def shard_bytes_of(total: int, most: int | None = None) -> int:
    """The shard size for so many bytes of input. ``most`` as for ``shard_bytes``."""
    return max(SHARD_BYTES, -(-total // (most or MOST_SHARDS)))


def plan(sources: Sequence[Source], size: int, *, empty_apart: bool = True) -> list[Shard]:
    """The whole input as shards, in the order of the sources.

    Args:
        empty_apart: Whether empty sources have a shard of their own, the last one. So they do not change the other
            shards, and a job is the same with and without them. Jobs that version 1 of the manifest began had them
            among the others.

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

    empty = {index for index, source in enumerate(sources) if empty_apart and source.identity.is_empty}
    for index, source in enumerate(sources):
        if index in empty:
            continue
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
    pieces += [Piece(index, 0, None) for index in sorted(empty)]
    close()
    return shards


def longest_first(shards: Sequence[Shard], sources: Sequence[Source]) -> list[Shard]:
    """The shards by their bytes, the longest first; those that are equal stay in their order.

    So the last ones to run are short, and none is begun when all others are done: what several workers need together is
    at most a third more than the best order needs (R. L. Graham, "Bounds on Multiprocessing Timing Anomalies", 1969).
    """
    pieces = Counter(piece.source for shard in shards for piece in shard.pieces)
    share = {index: (sources[index].identity.size or 0) / count for index, count in pieces.items()}
    return sorted(shards, key=lambda shard: -sum(share[piece.source] for piece in shard.pieces))

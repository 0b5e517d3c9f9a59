"""A few hundred tasks from all over the input, and how many each stands for. No more is read than that takes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from copy import copy
from dataclasses import dataclass

from loader.engine.assign import Assigner
from loader.settings import LoadOptions
from loader.sinks.base import Delivery
from loader.sources.base import Source
from loader.sources.batch import RawBatch
from loader.sources.validate import validate

_POINTS = 16
_FEWEST = 4
"""Points that fall at least on the sources of one format."""

_RECORDS = 32
"""Records in a row at each point: enough that a point's mean size means something."""

_READ_WHOLE = 1024 * 1024
"""Sources up to this size (bytes as stored) are read to their end, so that their records are counted exactly."""

_MOST_BYTES = 256 * 1024 * 1024
"""Of a source that cannot be cut (gzip), no more records than this many bytes are read. That makes too little of a
megabyte of gzip that holds more."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Sampled tasks, and the part of the input that they stand for.

    Attributes:
        deliveries: The sampled tasks, by queue.
        tasks: How many tasks that part of the input holds.
        exact: Whether these were counted.
    """

    deliveries: list[Delivery]
    tasks: float
    exact: bool

    @property
    def sampled(self) -> int:
        """How many tasks are in the sample."""
        return sum(len(delivery.payloads) for delivery in self.deliveries)


async def sample(sources: Sequence[Source], options: LoadOptions, job: str) -> list[Stretch] | None:
    """Samples the input; None where it cannot be read ahead (standard input, an iterable).

    Points are spread evenly over the bytes of all sources of a format, as a byte of gzip holds more than one of text.

    Raises:
        SourceError: A source cannot be read.
    """
    sizes = [source.identity.size for source in sources]
    if not all(source.identity.repeatable for source in sources) or None in sizes:
        return None
    assigner = Assigner(options, job, [source.identity.digest for source in sources], None)
    total = max(1, sum(size or 0 for size in sizes))
    stretches: list[Stretch] = []
    for form in dict.fromkeys(source.identity.format for source in sources):
        group = [index for index, source in enumerate(sources) if source.identity.format == form]
        share = [sizes[index] or 0 for index in group]
        for place, points, stands_for in _spread(share, max(_FEWEST, round(_POINTS * sum(share) / total))):
            index = group[place]
            reader = _Reader(copy(sources[index]), index, options, assigner)  # a copy: reading moves its position
            stretches += await reader.stretches(points, stands_for)
    return stretches


def _spread(sizes: Sequence[int], points: int) -> list[tuple[int, int, int]]:
    """Which sources to sample at how many points, and for how many bytes each source stands: its own, and those of
    sources behind it that are so small that no point falls on them."""
    total, begin, spread = sum(sizes), 0, [(0, 0, 0)]
    for index, size in enumerate(sizes):
        here = sum(begin <= (2 * at + 1) * total / (2 * points) < begin + size for at in range(points))
        begin += size
        last, its_points, stands_for = spread[-1]
        if here and its_points:
            spread.append((index, here, size))
        elif here:
            spread[-1] = (index, here, stands_for + size)
        else:
            spread[-1] = (last, its_points, stands_for + size)
    return [entry for entry in spread if entry[1]]


class _Reader:
    def __init__(self, source: Source, index: int, options: LoadOptions, assigner: Assigner) -> None:
        self._source = source
        self._index = index
        self._options = options
        self._assigner = assigner

    async def stretches(self, points: int, stands_for: int) -> list[Stretch]:
        """Samples of the source at about this many points, which together stand for so many bytes."""
        size = self._source.identity.size or 0
        cuts = self._source.cuts(max(1, size // points)) if size > _READ_WHOLE else []
        if not cuts:
            return [await self._from_the_beginning(stands_for)]
        starts = [0, *cuts][:points]
        share = stands_for / len(starts)
        return [await self._from(start, share) for start in starts]

    async def _from(self, start: int, stands_for: float) -> Stretch:
        """The first records behind a cut."""
        position = self._source.position
        async with aclosing(self._source.batches(_RECORDS, self._options.max_record_bytes, start)) as batches:
            async for raw in batches:
                # A file of lines is read by the megabyte, so its position says nothing of these records; they and
                # their newlines do. Documents have files of their own.
                stored = _length(raw) if raw.names is None else self._source.position - position
                deliveries = self._deliveries(raw)
                tasks = sum(len(delivery.payloads) for delivery in deliveries)
                return Stretch(deliveries, tasks * stands_for / max(1, stored), exact=False)
        return Stretch([], 0.0, exact=False)

    async def _from_the_beginning(self, stands_for: int) -> Stretch:
        """Evenly spread batches of a source that is small, or cannot be cut.

        A large gzip file is read until more of its bytes are asked for: what came until then came of the bytes
        before.
        """
        kept: list[RawBatch] = []
        records = number = seen = position = 0
        every, exact = 1, False
        limit = self._options.max_record_bytes
        async with aclosing(self._source.batches(_RECORDS, limit)) as batches:
            async for raw in batches:
                if not position:
                    position = self._source.position
                elif self._source.position != position and (self._source.identity.size or 0) > _READ_WHOLE:
                    break
                records += len(raw.records)
                seen += _length(raw)
                if number % every == 0:
                    kept.append(raw)
                    if len(kept) > 2 * _POINTS:
                        kept, every = kept[::2], every * 2
                number += 1
                if seen > _MOST_BYTES:
                    break
            else:
                exact = True
        deliveries = [delivery for raw in kept for delivery in self._deliveries(raw)]
        sampled = sum(len(raw.records) for raw in kept)
        tasks = sum(len(delivery.payloads) for delivery in deliveries)
        size = self._source.identity.size or 0
        total = records * stands_for / max(1, size if exact else position)
        exact = exact and stands_for == size and tasks == sampled
        return Stretch(deliveries, total * tasks / max(1, sampled), exact)

    def _deliveries(self, raw: RawBatch) -> list[Delivery]:
        parsed = self._assigner.needs_values
        return self._assigner.assign(validate(raw, 0, self._index, parsed=parsed))


def _length(raw: RawBatch) -> int:
    """Bytes of a batch of lines, with their newlines."""
    return sum(raw.oversized.get(index, len(record)) + 1 for index, record in enumerate(raw.records))

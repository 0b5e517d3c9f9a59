"""Samples a few hundred tasks from all parts of the input, with the number of tasks that each part stands for.

No more of the input is read than this needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loader.engine.assign import Assigner
from loader.jobs.counts import SourceCounts
from loader.settings import LoadOptions
from loader.shaping.settle import shape_of
from loader.sinks.base import Delivery
from loader.sources.base import Source
from loader.sources.batch import RawBatch
from loader.sources.codecs.codec import DamagedError
from loader.sources.record_limit import RecordLimit
from loader.sources.validate import validate

if TYPE_CHECKING:
    from loader.shaping.shape import Shape

_POINTS = 16
_FEWEST = 4
"""The minimum number of points on the sources of one format."""

_RECORDS = 32
"""Consecutive records at each point: enough for a meaningful mean size."""

_READ_WHOLE = 1024 * 1024
"""Sources up to this size (bytes as stored) are read to the end, so that their records are counted exactly."""

_MOST_BYTES = 256 * 1024 * 1024
"""The maximum number of bytes of records to read from a source that cannot be cut (gzip). If a megabyte of gzip holds
more, its records are underestimated."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Sampled tasks, and the part of the input that they represent.

    Attributes:
        deliveries: The sampled tasks, by queue.
        tasks: The number of tasks in that part of the input.
        exact: Whether these tasks were counted.
        from_beginning: Whether they were extrapolated from the beginning of a source that cannot be cut.
    """

    deliveries: list[Delivery]
    tasks: float
    exact: bool
    from_beginning: bool = False

    @property
    def sampled(self) -> int:
        """The number of tasks in the sample."""
        return sum(len(delivery.payloads) for delivery in self.deliveries)


async def sample(sources: Sequence[Source], options: LoadOptions, job: str) -> list[Stretch] | None:
    """Samples the input; None if it cannot be read ahead (standard input, an iterable).

    The points are spread evenly over the bytes of all sources of one format. Each format has its own points, because a
    byte of gzip holds more records than a byte of text.

    Raises:
        SourceError: A source cannot be read.
    """
    sizes = [source.identity.size for source in sources]
    if not all(source.identity.repeatable for source in sources) or None in sizes:
        return None
    assigner = Assigner(options, job, [(0, source.identity.digest) for source in sources], None)
    each = replace(options, offset=0, limit=None, dedup=None)  # what can be told of a record alone
    shape = shape_of(each, RecordLimit.of_option(options.max_record_bytes), keep_values=assigner.needs_values)
    total = max(1, sum(size or 0 for size in sizes))
    stretches: list[Stretch] = []
    for form in dict.fromkeys(source.identity.format for source in sources):
        group = [index for index, source in enumerate(sources) if source.identity.format == form]
        share = [sizes[index] or 0 for index in group]
        for place, points, stands_for in _spread(share, max(_FEWEST, round(_POINTS * sum(share) / total))):
            index = group[place]
            reader = _Reader(
                copy(sources[index]), index, options, assigner, shape
            )  # a copy, because reading moves the position
            stretches += await reader.stretches(points, stands_for)
    return _within(stretches, options)


def _within(stretches: list[Stretch], options: LoadOptions) -> list[Stretch]:
    """The same sample, for the tasks that ``--offset`` and ``--limit`` leave."""
    total = sum(stretch.tasks for stretch in stretches)
    left = max(0.0, total - options.offset)
    left = left if options.limit is None else min(left, options.limit)
    return stretches if left == total else [replace(one, tasks=one.tasks * left / total) for one in stretches]


def _spread(sizes: Sequence[int], points: int) -> list[tuple[int, int, int]]:
    """The sources to sample, each with its number of points and the bytes that it represents: its own, and those of the
    sources after it that are so small that no point falls on them."""
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
    def __init__(
        self, source: Source, index: int, options: LoadOptions, assigner: Assigner, shape: Shape | None
    ) -> None:
        self._source = source
        self._index = index
        self._options = options
        self._assigner = assigner
        self._shape = shape

    async def stretches(self, points: int, stands_for: int) -> list[Stretch]:
        """Samples of the source at about this many points. Together, they represent ``stands_for`` bytes."""
        size = self._source.identity.size or 0
        cuts = self._source.cuts(max(1, size // points)) if size > _READ_WHOLE else []
        if not cuts:
            return [await self._from_the_beginning(stands_for)]
        starts = [0, *cuts][:points]
        share = stands_for / len(starts)
        return [await self._from(start, share) for start in starts]

    async def _from(self, start: int, stands_for: float) -> Stretch:
        """The first records after a cut."""
        position = self._source.position
        async with aclosing(self._source.batches(_RECORDS, self._options.max_record_bytes, start)) as batches:
            async for raw in batches:
                # A file of lines is read in chunks of a megabyte, so the position is not the size of these records.
                # Their lengths with newlines are. Documents are files of their own.
                stored = _length(raw) if raw.names is None else self._source.position - position
                deliveries = self._deliveries(raw)
                tasks = sum(len(delivery.payloads) for delivery in deliveries)
                return Stretch(deliveries, tasks * stands_for / max(1, stored), exact=False)
        return Stretch([], 0.0, exact=False)

    async def _from_the_beginning(self, stands_for: int) -> Stretch:
        """Evenly spread batches of a source that is small, or cannot be cut.

        A large gzip file is read until the source needs its second chunk: all records before that come from the first.
        """
        kept: list[RawBatch] = []
        records = number = seen = position = 0
        every, exact = 1, False
        limit = self._options.max_record_bytes
        async with aclosing(self._source.batches(_RECORDS, limit)) as batches:
            try:
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
            except DamagedError:
                if not self._options.skip_bad_files:
                    raise
                exact = True  # there are no more records than those before the damage
        deliveries = [delivery for raw in kept for delivery in self._deliveries(raw)]
        sampled = sum(len(raw.records) for raw in kept)
        tasks = sum(len(delivery.payloads) for delivery in deliveries)
        size = self._source.identity.size or 0
        total = records * stands_for / max(1, size if exact else position)
        counted = exact and stands_for == size and tasks == sampled
        return Stretch(deliveries, total * tasks / max(1, sampled), counted, from_beginning=not exact)

    def _deliveries(self, raw: RawBatch) -> list[Delivery]:
        parsed = self._assigner.needs_values and self._shape is None
        batch = validate(raw, 0, self._index, parsed=parsed)
        if self._shape is not None:
            self._shape.apply(batch, SourceCounts())
        return self._assigner.assign(batch)


def _length(raw: RawBatch) -> int:
    """The bytes of a batch of lines, newlines included."""
    return sum(raw.oversized.get(index, len(record)) + 1 for index, record in enumerate(raw.records))

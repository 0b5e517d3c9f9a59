"""A ``--queue-field`` that no record has, with ``--queue`` as the fallback: all tasks would go to one queue."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from copy import copy
from typing import Any

from loader.errors import UsageError
from loader.jobs.counts import SourceCounts
from loader.settings import LoadOptions
from loader.settings.error_limit import FIRST_RECORDS
from loader.shaping.settle import shape_of
from loader.sources.base import Source
from loader.sources.codecs.codec import DamagedError
from loader.sources.record_limit import RecordLimit
from loader.sources.validate import validate

_MOST_SHAPED_BYTES = 16 * 1024 * 1024
"""Where options leave nearly all records out, the first ones that are kept may be far on in the input. No more of it
than this is read for them."""


async def require_queue_field(options: LoadOptions, sources: Sequence[Source]) -> None:
    """Reads the first records that are loaded, and makes sure that one of them has the field for the queue's name.

    An input that cannot be read twice is judged while it is loaded; see ``Assigner.judge_queue_field``. A damaged file
    is judged by what can be read of it: the load itself tells the damage, or goes on without the rest.

    Raises:
        UsageError: None has it.
        SourceError: A source cannot be read.
    """
    field = options.queue_field
    if field is None or options.queue is None or not all(source.identity.repeatable for source in sources):
        return
    seen = read = 0
    async with aclosing(_records(options, sources)) as batches:
        async for values, size in batches:
            if any(has_field(value, field) for value in values):
                return
            seen += len(values)
            read += size
            if seen >= FIRST_RECORDS:
                break
            if options.shape and read > _MOST_SHAPED_BYTES:
                return
    if seen:
        raise no_queue_field(options, seen)


async def _records(options: LoadOptions, sources: Sequence[Source]) -> AsyncGenerator[tuple[list[Any], int]]:
    """The records that are loaded, batch by batch, each with the number of bytes that were read for it."""
    limit = RecordLimit.of_option(options.max_record_bytes)
    shape = shape_of(options, limit, keep_values=True)
    for index, source in enumerate(sources):
        reader = copy(source)  # reading moves the position
        with suppress(DamagedError):
            async with aclosing(reader.batches(FIRST_RECORDS, limit.size)) as batches:
                async for raw in batches:
                    batch = validate(raw, 0, index, parsed=shape is None)
                    if shape is not None:
                        shape.apply(batch, SourceCounts())
                    yield batch.values or [], batch.size
                    if shape is not None and shape.is_over:
                        return


def has_field(value: object, field: str) -> bool:
    """Whether a record has this field."""
    return isinstance(value, dict) and field in value


def no_queue_field(options: LoadOptions, seen: int) -> UsageError:
    """The error for a field that none of these records has."""
    records = "no record has" if seen < FIRST_RECORDS else f"none of the first {seen:,} records has"
    return UsageError(
        f"--queue-field {options.queue_field!r}: {records} this field",
        f"Correct its name, or give only --queue to load all records into {options.default_queue}",
    )

"""A ``--queue-field`` that no record has, with ``--queue`` as the fallback: all tasks would go to one queue."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing, suppress
from copy import copy

from loader.errors import UsageError
from loader.settings import LoadOptions
from loader.settings.error_limit import FIRST_RECORDS
from loader.sources.base import Source
from loader.sources.codecs.codec import DamagedError
from loader.sources.validate import validate


async def require_queue_field(options: LoadOptions, sources: Sequence[Source]) -> None:
    """Reads the first records of the input, and makes sure that one of them has the field for the queue's name.

    An input that cannot be read twice is judged while it is loaded; see ``Assigner.judge_queue_field``. A damaged file
    is judged by what can be read of it: the load itself tells the damage, or goes on without the rest.

    Raises:
        UsageError: None has it.
        SourceError: A source cannot be read.
    """
    field = options.queue_field
    if field is None or options.queue is None or not all(source.identity.repeatable for source in sources):
        return
    seen = 0
    for index, source in enumerate(sources):
        reader = copy(source)  # reading moves the position
        with suppress(DamagedError):
            async with aclosing(reader.batches(FIRST_RECORDS, options.max_record_bytes)) as batches:
                async for raw in batches:
                    values = validate(raw, 0, index, parsed=True).values or []
                    if any(has_field(value, field) for value in values):
                        return
                    seen += len(values)
                    if seen >= FIRST_RECORDS:
                        break
        if seen >= FIRST_RECORDS:
            break
    if seen:
        raise no_queue_field(options, seen)


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

"""Input that cannot be read again may end too early: its producer dies. A later run may then go on with more of it.

The ledger counts batches, and the last batch of such input is short. So the record number at which the input ended is
noted before that batch is delivered, and in every later run a batch ends there, too. A last record that is cut off
belongs to no batch.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from loader.errors import SourceError
from loader.sources.base import Source
from loader.sources.batch import BatchLimit, RawBatch
from loader.sources.json_text import JSON_SPACE, is_json
from loader.tasks.reasons import Reason, ReasonCode

NoteEnd = Callable[[int, int], Awaitable[None]]
"""Notes that a source has ended before a record. Both are numbers."""


CUT_OFF = Reason(ReasonCode.CUT_OFF, f"{ReasonCode.CUT_OFF.meaning}; is the input complete?")
"""The reason for the last record of an input that ends in the middle of it."""


async def not_noted(source: int, record: int) -> None:
    """For a destination that keeps no job."""


@dataclass(frozen=True, slots=True)
class Ends:
    """The ends of input that cannot be read again.

    Attributes:
        noted: For each source, the numbers of records at which it has ended in earlier runs, ascending.
        queues: Full names of the queues that earlier runs may have loaded into, if records name queues: those of a
            later run may name others.
    """

    noted: Mapping[int, Sequence[int]] = field(default_factory=dict)
    note: NoteEnd = not_noted
    queues: Sequence[str] = ()

    def split(self, source: int, raw: RawBatch) -> list[RawBatch]:
        """A batch in parts, so that a part ends where the source has ended before."""
        parts: list[RawBatch] = []
        for number in self.noted.get(source, ()):
            if raw.first_record < number < raw.first_record + len(raw.records):
                part, raw = raw.split(number - raw.first_record)
                parts.append(part)
        return [*parts, raw]


def is_last(raw: RawBatch, batch_size: int) -> bool:
    """Whether this batch is shorter than any but the last one of its source."""
    count = len(raw.records)
    return count < batch_size and not BatchLimit(batch_size).is_reached(count, raw.size)


def ends_in_a_record(raw: RawBatch) -> bool:
    """Whether the last line has no line end, and is not blank."""
    return raw.unended and bool(raw.records[-1].strip(JSON_SPACE))


def is_cut_off(raw: RawBatch) -> bool:
    """Whether the last record has no line end, and is not JSON: most likely, the rest of it is missing.

    JSON is what RFC 8259 says. What orjson refuses of it, such as a lone surrogate, is complete.
    """
    if not ends_in_a_record(raw) or len(raw.records) - 1 in raw.oversized:
        return False
    return not is_json(raw.records[-1])


async def no_line_end(source: Source, raw: RawBatch) -> SourceError:
    """The error for input whose last record has no line end, with ``--require-final-newline``."""
    place = await source.place(raw, len(raw.records) - 1)
    return SourceError(
        f"{place.text}: the last record has no line end, so the input may be incomplete",
        "Get the complete input, or leave out --require-final-newline",
    )

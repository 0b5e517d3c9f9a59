"""Learns a template from a sample of records."""

from __future__ import annotations

import json
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loader.errors import SourceError
from loader.generate.seen import Seen
from loader.shaping.number_text import read
from loader.sources.base import Source
from loader.sources.open_sources import open_sources
from loader.sources.verdict import all_json

_BATCH = 1000
_MOST_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Learnt:
    """A template, and what it was made from.

    Attributes:
        value: Its JSON value.
        records: The records that were read.
        unreadable: How many records beside them are no JSON.
        left_out: Names of members that are so rare, or so many, that they may be data.
    """

    value: Any
    records: int
    unreadable: int
    left_out: int

    @property
    def template(self) -> str:
        """The text of the template."""
        return json.dumps(self.value, indent=2, ensure_ascii=False)

    @property
    def counts(self) -> dict[str, int]:
        """What is told beside the template."""
        return {"records": self.records, "unreadable": self.unreadable, "left_out": self.left_out}


async def learn(path: Path, records: int) -> Learnt:
    """The template for records like the first ones of a file, of any format that a load reads.

    Raises:
        SourceError: The file cannot be read, or has no records.
    """
    seen, unreadable = Seen(), 0
    for source in await open_sources([path], None):
        unreadable += await _read(source, seen, records)
    if not seen.total:
        raise SourceError(f"--like {path}: there is no record in it", "Name a file with records")
    return Learnt(seen.template(), seen.total, unreadable, seen.all_left_out())


async def _read(source: Source, seen: Seen, records: int) -> int:
    """Reads records of a source. Returns how many are no JSON."""
    unreadable = 0
    async with aclosing(source.batches(_BATCH, _MOST_BYTES)) as batches:
        async for raw in batches:
            for index, record in enumerate(raw.records):
                if seen.total >= records:
                    return unreadable
                if not record.strip():
                    continue
                if index in raw.refused or index in raw.oversized or not all_json([record], len(record)):
                    unreadable += 1
                    continue
                try:
                    seen.add(read(record))
                except (ValueError, RecursionError):
                    unreadable += 1
    return unreadable

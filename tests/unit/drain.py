"""Reads sources to their end."""

from __future__ import annotations

import asyncio

import orjson

from loader.sources.base import Source
from loader.sources.batch import RawBatch


def drain(source: Source, batch_size: int = 1000, max_record_bytes: int = 1 << 24) -> list[RawBatch]:
    """All batches of a source, read in an event loop of their own."""

    async def collect() -> list[RawBatch]:
        return [batch async for batch in source.batches(batch_size, max_record_bytes)]

    batches = asyncio.run(collect())
    for batch in batches:
        check_json(batch)
    return batches


def check_json(batch: RawBatch) -> None:
    """Asserts that what a batch says of its records is true."""
    if batch.is_json:
        for index, record in enumerate(batch.records):
            if index not in batch.refused and index not in batch.oversized:
                orjson.loads(record)


def records(batches: list[RawBatch]) -> list[bytes]:
    return [record for batch in batches for record in batch.records]

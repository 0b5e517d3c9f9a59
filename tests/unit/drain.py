"""Reads sources to their end."""

from __future__ import annotations

import asyncio

from loader.sources.base import Source
from loader.sources.batch import RawBatch


def drain(source: Source, batch_size: int = 1000, max_record_bytes: int = 1 << 24) -> list[RawBatch]:
    """All batches of a source, read in an event loop of their own."""

    async def collect() -> list[RawBatch]:
        return [batch async for batch in source.batches(batch_size, max_record_bytes)]

    return asyncio.run(collect())


def records(batches: list[RawBatch]) -> list[bytes]:
    return [record for batch in batches for record in batch.records]

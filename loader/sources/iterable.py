"""A source of payloads from a program: any iterable or async iterable."""

from __future__ import annotations

import asyncio
import reprlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from typing import Any

import orjson

from loader.sources.base import Place, SourceIdentity
from loader.sources.batch import SHOWN_OF_OVERSIZED, BatchLimit, RawBatch
from loader.sources.json_text import to_keep
from loader.sources.made_source import MadeSource
from loader.tasks.reasons import Reason, ReasonCode

Payload = bytes | bytearray | memoryview | dict[str, Any] | list[Any] | str | int | float | bool | None
"""Bytes are JSON text and are stored unchanged. orjson writes any other payload as JSON."""

_REPR = reprlib.Repr()
_REPR.maxdict = _REPR.maxlist = _REPR.maxtuple = 100
_REPR.maxstring = _REPR.maxother = SHOWN_OF_OVERSIZED


class IterablePayloads(MadeSource):
    """Batches the payloads of an iterable. The n-th payload is record number n; its 'line' is n + 1."""

    def __init__(self, payloads: Iterable[Payload] | AsyncIterable[Payload], name: str = "payloads") -> None:
        super().__init__(SourceIdentity(name, "payloads", None, "", repeatable=False))
        self._payloads = payloads

    def cuts(self, size: int) -> list[int]:
        return []

    async def place(self, raw: RawBatch, index: int) -> Place:
        return Place(self._identity.name, *raw.locate(index))

    async def batches(
        self, batch_size: int, max_record_bytes: int, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[RawBatch, None]:
        assert start == 0 and end is None  # noqa: S101, PT018 - this source has no cuts
        is_reached = BatchLimit(batch_size).is_reached
        records: list[bytes] = []
        batch = RawBatch(0, 0, records)
        count = total = 0  # records in the batch, and their bytes
        async for payload in _async(self._payloads):
            try:
                text = _text(payload)
                length = len(text)
            except TypeError as error:  # orjson.JSONEncodeError is a TypeError
                why = f"{ReasonCode.UNWRITABLE.meaning}: {error}"
                batch.refused[count] = Reason(ReasonCode.UNWRITABLE, why)
                text = _REPR.repr(payload).encode(errors="backslashreplace")[:SHOWN_OF_OVERSIZED]
                length = 0
            if length > max_record_bytes:
                batch.oversized[count] = length
                text = text[: min(SHOWN_OF_OVERSIZED, max_record_bytes)]
            records.append(text)
            count += 1
            total += length
            self._position += length
            if is_reached(count, total):
                yield batch
                # Other tasks must run: neither the iterable nor a batch that is in already need ever wait.
                await asyncio.sleep(0)
                records = []
                batch = RawBatch(batch.first_record + count, batch.byte_offset + total + count, records)
                count = total = 0
        if records:
            yield batch


def _text(payload: Payload) -> bytes:
    if isinstance(payload, bytes):
        return payload
    if isinstance(payload, bytearray | memoryview):
        return bytes(payload)
    return to_keep(orjson.dumps(payload))


async def _async(payloads: Iterable[Payload] | AsyncIterable[Payload]) -> AsyncIterator[Payload]:
    if isinstance(payloads, AsyncIterable):
        async for payload in payloads:
            yield payload
    else:
        for payload in payloads:
            yield payload

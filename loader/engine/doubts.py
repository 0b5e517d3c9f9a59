"""Batches that were sent with an unknown outcome."""

from __future__ import annotations

from collections.abc import Sequence

from loader.jobs.report import InDoubt, LoadReport
from loader.sinks.base import Delivery
from loader.sources.base import Source


class Doubts:
    """Notes them in the report, until they are sent again and acknowledged."""

    def __init__(self, sources: Sequence[Source], report: LoadReport) -> None:
        self._sources = sources
        self._report = report
        self._open: dict[Delivery, InDoubt] = {}

    async def note(self, delivery: Delivery, why: str) -> InDoubt:
        """What the report says of this delivery; see ``Observer.in_doubt``."""
        if (known := self._open.get(delivery)) is not None:
            return known
        source, raw = self._sources[delivery.batch.source_index], delivery.batch.raw
        first = await source.place(raw, delivery.records[0])
        last = await source.place(raw, delivery.records[-1])
        doubt = InDoubt(delivery.queue, first.name, first.line, last.name, last.line, len(delivery.payloads), why)
        noted = self._open.setdefault(delivery, doubt)
        if noted is doubt:  # another request may have noted it in the meantime
            self._report.in_doubt.append(doubt)
        return noted

    def settle(self, delivery: Delivery) -> None:
        """The delivery is acknowledged."""
        if (doubt := self._open.pop(delivery, None)) is not None:
            doubt.repeated = True

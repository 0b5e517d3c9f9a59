"""A source of records that are generated. It is read like a file: again, in pieces, from any record on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from loader.errors import SourceChangedError
from loader.sources.base import Place, SourceIdentity
from loader.sources.batch import RawBatch
from loader.sources.generated.generator import Generator
from loader.sources.generated.wanted import FORMAT, GeneratedRecords
from loader.sources.made_source import MadeSource
from loader.sources.tables.row_batcher import RowBatcher
from loader.sources.tables.rows import Rows

_IF_CHANGED = "The template makes other records now: give another --job name to load them as a new job"


class GeneratedSource(MadeSource):
    """Records of a template. Create it in a thread: it reads the template and its data files.

    Its size is an estimate from some records, the same in each run. A process that gets it reads the template
    again.

    Raises:
        UsageError: The template, or a file that it names, cannot be used.
    """

    def __init__(self, wanted: GeneratedRecords) -> None:
        self._wanted = wanted
        made = Generator(wanted.template, wanted.seed)
        self._generator: Generator | None = made
        self._digest = made.digest
        self._record_bytes = made.mean_size(wanted.first - 1, wanted.count)
        self._block = made.block
        identity = SourceIdentity(
            str(wanted.template),
            FORMAT,
            int(self._record_bytes * wanted.count),
            made.digest_of(wanted.first, wanted.count),
            if_changed=_IF_CHANGED,
            generated=wanted.recorded(made.made_by),
        )
        super().__init__(identity)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_generator": None}  # functions do not go to another process

    def __copy__(self) -> GeneratedSource:
        copied = object.__new__(GeneratedSource)
        copied.__dict__.update(self.__dict__)
        return copied

    def cuts(self, size: int) -> list[int]:
        """Numbers of records from the first one on. Pieces hold whole blocks, so that no block is made twice."""
        blocks = max(1, int(size / self._record_bytes / self._block))
        return list(range(blocks * self._block, self._wanted.count, blocks * self._block))

    async def place(self, raw: RawBatch, index: int) -> Place:
        row, _ = raw.locate(index)
        return Place(self._identity.name, row, None, f"record {row}")

    async def batches(
        self, batch_size: int, max_record_bytes: int, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[RawBatch, None]:
        if self._generator is None:
            self._generator = await asyncio.to_thread(self._read_again)
        before = self._wanted.first - 1
        number = before + start
        batcher = RowBatcher(batch_size, max_record_bytes, start, makes_json=True)
        for texts in self._generator.blocks(number, before + (self._wanted.count if end is None else end)):
            # Hot path: one encoding for a block. No text has a line feed, because JSON escapes it in strings.
            data = "\n".join(texts).encode()
            self._position += len(data) + 1
            for batch in batcher.add(Rows(number, data.split(b"\n"))):
                yield batch
                await asyncio.sleep(0)  # other tasks must run, also if the batch is in already
            number += len(texts)
        for batch in batcher.finish():
            yield batch

    def _read_again(self) -> Generator:
        found = Generator(self._wanted.template, self._wanted.seed)
        if found.digest != self._digest:
            raise SourceChangedError(
                f"template {self._wanted.template}, or a file that it names, has changed since the load began",
                _IF_CHANGED,
            )
        return found

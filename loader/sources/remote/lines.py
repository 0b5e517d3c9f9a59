"""JSON lines of an object, which can be cut where small parts of it can be read."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial

from loader.sources.batch import RawBatch
from loader.sources.format import InputFile
from loader.sources.record_batcher import MakeBatcher
from loader.sources.remote.remote_file import TRIES, RemoteFile, pause_seconds
from loader.sources.remote.site import LostError, SiteOfParts, not_reached
from loader.sources.stream_source import StreamSource
from loader.sources.transports.transport import CHUNK

_AT_ONCE = 16
_FIRST_PART = 64 * 1024
"""Bytes in which the next line begins, as a rule."""


class RemoteLines(StreamSource):
    """Lines of an object. It has the same cuts as a file of the same content."""

    def __init__(self, file: InputFile, remote: RemoteFile, make_batcher: MakeBatcher) -> None:
        super().__init__(file, remote, make_batcher)
        self._remote = remote
        self._counted = (0, 0)  # a byte offset, and the number of lines that end before it

    def cuts(self, size: int) -> list[int]:
        """Offsets of the first line that begins at or after each multiple of ``size``; none if it is compressed.

        Raises:
            SourceError: The object cannot be read.
        """
        remote, site = self._remote, self._remote.site
        if self._file.codec is not None or not isinstance(site, SiteOfParts) or remote.size <= size:
            return []
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = set(pool.map(partial(self._line_from, site), range(size, remote.size, size)))
        return sorted(found - {remote.size})

    def _line_from(self, site: SiteOfParts, target: int) -> int:
        """The offset of the first line that begins there or later; the size of the object if there is none."""
        at, step = target - 1, _FIRST_PART
        while at < self._remote.size:
            part = _part(self._remote, site, at, min(self._remote.size, at + step))
            if (found := part.find(b"\n")) >= 0:
                return at + found + 1
            at, step = at + len(part), CHUNK
        return self._remote.size

    async def _lines_before(self, offset: int) -> int:
        """Counts lines, to name a record of a later piece. The object is read again, unless its pieces have been read
        one after the other."""
        at, lines = self._counted
        if offset < at:
            at = lines = 0
        async with aclosing(self._remote.chunks(at, offset)) as chunks:
            async for chunk in chunks:
                lines += chunk.count(b"\n")
        self._counted = (offset, lines)
        return lines

    async def batches(
        self, batch_size: int, max_record_bytes: int, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[RawBatch, None]:
        lines = 0
        async with aclosing(super().batches(batch_size, max_record_bytes, start, end)) as batches:
            async for raw in batches:
                lines = raw.first_record + len(raw.records)
                yield raw
        if end is not None and self._counted[0] == start:
            self._counted = (end, self._counted[1] + lines)


def _part(file: RemoteFile, site: SiteOfParts, start: int, end: int) -> bytes:
    """Some bytes. Call it in a thread. Raises what ``RemoteFile.chunks`` raises."""
    failures = 0
    while True:
        try:
            return site.part(file.key, start, end, file.state)
        except LostError as lost:
            failures += 1
            if failures == TRIES:
                raise not_reached(file.name, f"{lost}, {TRIES} times") from lost
            time.sleep(pause_seconds(failures))

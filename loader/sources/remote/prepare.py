"""Makes remote files ready to be read: asks for their ETags and looks at their beginnings, or copies them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace

from loader.errors import SourceChangedError, SourceError, UsageError
from loader.sources.format import InputFile
from loader.sources.formats import FORMATS
from loader.sources.problems import Problem
from loader.sources.recognition.head import Head
from loader.sources.recognition.peek import judge
from loader.sources.recognition.recognize import HEAD
from loader.sources.remote.copies import copy
from loader.sources.remote.expand import AT_ONCE
from loader.sources.remote.remote_file import RemoteFile, state_of
from loader.sources.remote.spool import Spool
from loader.sources.transports.transport import CHUNK

_COPIES_AT_ONCE = 4


class Preparation:
    """Prepares the files of a load.

    Args:
        given: Whether the format is from ``--format``.
        force: Whether any content is taken.
    """

    def __init__(self, spool: Spool, *, given: bool, force: bool) -> None:
        self._spool = spool
        self._given = given
        self._force = force
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._copies = asyncio.Semaphore(_COPIES_AT_ONCE)

    async def of(self, files: Sequence[InputFile]) -> list[InputFile | Problem]:
        """The same files, in their order: remote ones pinned, or with the path of a copy; or their problems."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._ready(file)) for file in files]
        return [task.result() for task in tasks]

    async def _ready(self, file: InputFile) -> InputFile | Problem:
        if file.remote is None:
            return file
        async with self._slots:
            try:
                return await self._ready_remote(file, file.remote)
            except (SourceError, UsageError) as error:
                return Problem.of(file.name, error)

    async def _ready_remote(self, file: InputFile, remote: RemoteFile) -> InputFile | Problem:
        if remote.state.is_pinned:
            try:
                return await self._taken(file, remote)
            except SourceChangedError:
                pass  # a listing may be older than the object, and Azure writes ETags there in another way
        return await self._taken(file, remote.pinned(await state_of(remote)))

    async def _taken(self, file: InputFile, remote: RemoteFile) -> InputFile | Problem:
        """The file with the path of a copy, or with what its beginning tells."""
        if remote.state.is_pinned and not FORMATS[file.format].random_access:
            return await self._looked_at(file, remote)
        async with self._copies:
            return replace(file, path=await copy(remote, self._spool), remote=None)

    async def _looked_at(self, file: InputFile, remote: RemoteFile) -> InputFile | Problem:
        """The file with the compression that it has, or its problem; see ``without_bad_files``."""
        head = Head(file.name, file.codec)
        start, step = 0, HEAD
        while not head.is_enough and not head.ended:
            end = min(remote.size, start + step)
            async with aclosing(remote.chunks(start, end)) as chunks:
                async for chunk in chunks:
                    if not head.is_enough:
                        head.feed(chunk)
            if start == end and not head.is_enough:
                head.feed(b"")
            start, step = end, CHUNK
        found = None if self._force else judge(file, head, given=self._given)
        return found or replace(file, remote=remote, codec=head.codec)

"""Reading tasks and pending lists from the servers of a comparison, again after a lost connection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import count
from typing import TypeVar

from loader.results.reader import Reader
from loader.servers.retry import retry
from loader.servers.routing import Servers
from loader.servers.session import Session
from loader.settings import LoadOptions
from loader.stored.queue_reader import stored_queue
from loader.stored.snapshot import pending_ids
from loader.tasks.profiles import LayoutName
from loader.verify.listed import Listed
from loader.verify.look import LOOKUPS, Stored
from loader.verify.report import Kind, VerifyReport
from loader.verify.states import PENDING, STORED

T = TypeVar("T")

_NAME = "runqy-loader-verify"


class Access:
    """The servers of one comparison."""

    def __init__(self, servers: Servers, load: LoadOptions) -> None:
        self.servers = servers
        self._timeout = load.timeout
        self._seconds = load.retry_seconds

    async def reach(self) -> None:
        """Connects.

        Raises:
            LoaderError: The server cannot be reached, or refuses.
        """
        await retry(lambda: self.servers.reach(f"{_NAME}:0"), self._seconds, connected=False)

    async def retry(self, step: Callable[[], Awaitable[T]]) -> T:
        """Repeats a step after transient faults."""
        return await retry(step, self._seconds, between=self.servers.reconnect)

    def reader(self) -> Reader:
        """A reader with connections of its own. The caller drops it."""
        return Reader(self.servers, self._timeout, _NAME)

    async def stored(self, reader: Reader, layout: LayoutName, queue: str, ids: Sequence[bytes]) -> list[Stored | None]:
        """See ``loader.verify.look.Lookup``; repeated after transient faults."""
        return await self._repeated(reader, lambda: LOOKUPS[layout]().stored(reader, queue, ids))

    async def compare_lists(self, layout: LayoutName, listed: Listed, report: VerifyReport) -> None:
        """Reads the pending lists, and counts what differs from the hashes."""
        reader = self.reader()

        async def states(queue: str, ids: Sequence[bytes]) -> list[str | None]:
            return await self._repeated(reader, lambda: LOOKUPS[layout]().states(reader, queue, ids))

        try:
            async for difference in listed.differences(lambda queue: self._pending(layout, queue), states):
                report.add(difference)
                if difference.kind is Kind.UNLISTED:
                    report.same -= 1
                    report.states[PENDING if report.states[PENDING] else STORED] -= 1
                elif difference.kind is Kind.WITHOUT_HASH and report.gone:
                    report.gone -= 1
        finally:
            reader.drop()
        report.lists_read = True

    async def _pending(self, layout: LayoutName, queue: str) -> AsyncIterator[list[bytes]]:
        stored, servers, names = stored_queue(layout, queue), self.servers, count(1)
        session = Session(servers, self._timeout, self._seconds, lambda: f"{_NAME}:list.{next(names)}")
        try:
            async for ids in pending_ids(session, stored):
                yield ids
        finally:
            await session.close()

    async def _repeated(self, reader: Reader, look: Callable[[], Awaitable[T]]) -> T:
        async def between() -> None:
            reader.drop()
            await self.servers.reconnect()

        return await retry(look, self._seconds, between=between)

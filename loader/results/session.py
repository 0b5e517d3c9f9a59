"""One wait from its options to its files: what ``runqy-loader wait`` runs."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from pathlib import Path

from loader.errors import UsageError
from loader.results.files import MissingFile, ResultsFile
from loader.results.options import WaitOptions
from loader.results.outstanding import WaitingIds, in_chunks
from loader.results.polling import Waiter, WaitReport
from loader.results.wanted_ids import IdsSource, ids_of_job, ids_source, read_ids
from loader.servers.retry import retry
from loader.servers.routing import Servers
from loader.settings.server_address import server_address

log = logging.getLogger("runqy_loader")


class WaitSession:
    """Waits for the tasks of an ids file or a job, and writes their results.

    Attributes:
        report: Counts, updated during the wait.

    Raises:
        UsageError: From the constructor: options out of range, missing or contradicting each other.
    """

    def __init__(self, options: WaitOptions) -> None:
        options.check()
        if (options.ids is None) == (options.job is None):
            raise UsageError("give --ids FILE or --job NAME, one of them", "A load writes the ids with --ids-out")
        if options.out is None:
            raise UsageError("no --out given", "Name the file for the results, or - for standard output")
        self._options = options
        self._out = ResultsFile(options.out)
        self._address = server_address(options)
        self._waiter: Waiter | None = None
        self._stopping = False
        self._filled = False
        self.report = WaitReport()
        self.missing_file: Path | None = options.missing
        if options.missing is None and not self._out.is_stdout:
            self.missing_file = options.out.with_name(f"{options.out.name}.missing.jsonl")

    def stop(self) -> None:
        """Makes ``run`` end soon. The results so far are in the file, and the same wait can go on from there."""
        self._stopping = True
        if self._waiter is not None:
            self._waiter.stop()

    async def run(self) -> WaitReport:
        """Waits until all are done, the time is up, or ``stop``.

        Raises:
            LoaderError: The ids cannot be read, a file cannot be written, or the server fails.
        """
        source = await self._source()
        options, waiting = self._options, WaitingIds()
        try:
            await asyncio.to_thread(self._fill, waiting, source)
            given = None if options.layout == "auto" else options.layout
            layout = given or source.layout or options.known_layout
            self._waiter = waiter = Waiter(self._address, options, waiting, layout, self.report, _loaded_by(source))
            if self._stopping:
                waiter.stop()
            async with aclosing(waiter.results()) as results:
                async for chunk in results:
                    await self._out.add(chunk)
            self.report.interrupted = self._stopping and (waiting.count > 0 or not self._filled)
            if not self.report.interrupted:
                await self._list_missing(waiter)
        finally:
            await self._out.close()
            waiting.close()
        return self.report

    async def _source(self) -> IdsSource:
        options = self._options
        if options.ids is not None:
            return await asyncio.to_thread(ids_source, options.ids)
        assert options.job is not None  # noqa: S101 - it is one or the other
        job, servers = options.job, Servers(self._address, options.reply_timeout)

        async def ask() -> IdsSource:
            await servers.reach("runqy-loader-wait:0")
            return await ids_of_job(servers, job)

        try:
            return await retry(ask, options.retry_for, connected=False)
        finally:
            await servers.aclose()

    def _fill(self, waiting: WaitingIds, source: IdsSource) -> None:
        for chunk in in_chunks(read_ids(source, self._options.default_queue)):
            if self._stopping:
                return
            waiting.add(chunk)
        self.report.total = waiting.count
        for done in in_chunks(self._out.ids()):
            waiting.drop(done)
        self.report.already = self.report.total - waiting.count
        self._filled = True

    async def _list_missing(self, waiter: Waiter) -> None:
        if self.missing_file is not None:
            await asyncio.to_thread(MissingFile(self.missing_file).replace, waiter.unfinished())
            return
        for chunk in waiter.unfinished():
            await self._out.add(chunk)


def _loaded_by(source: IdsSource) -> str | None:
    """What has the ids, if it shows that their tasks were loaded."""
    return source.name if source.loaded else None

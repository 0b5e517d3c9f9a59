"""Notes in the job's record how a load goes, so that others can look on: ``runqy-loader jobs attach``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from loader.errors import LoaderError
from loader.jobs.course import note_begin, note_outcome, note_progress
from loader.jobs.lease import Lease
from loader.jobs.report import LoadReport
from loader.servers.closing import close_quietly
from loader.servers.routing import Servers

_SECONDS = 1.0

log = logging.getLogger("runqy_loader")


class CourseNote:
    """Notes the course of one run.

    Args:
        lease: Of the run. A run that has lost it notes no outcome.
    """

    def __init__(self, servers: Servers, lease: Lease, report: LoadReport) -> None:
        self._servers = servers
        self._lease = lease
        self._report = report

    @asynccontextmanager
    async def noting(self) -> AsyncIterator[None]:
        """Notes the progress while the block runs."""
        await note_begin(self._servers, self._report.job, self._progress())
        noting = asyncio.create_task(self._note())
        try:
            yield
        finally:
            noting.cancel()
            await asyncio.wait([noting])

    async def end(self, error: BaseException | None) -> None:
        """Notes the outcome.

        Args:
            error: What has ended the load; None if it has a status.
        """
        await close_quietly(self._end(error))

    async def _end(self, error: BaseException | None) -> None:
        await self._lease.renew()
        report = self._report
        found = report.to_record()
        found.pop("sources", None)
        if error is not None:
            is_known = isinstance(error, LoaderError)
            found |= {"status": "failed" if isinstance(error, Exception) else "interrupted", "error": str(error)}
            found["exit_status"] = error.exit_status if is_known else 1  # type: ignore[attr-defined]
        else:
            found["exit_status"] = report.exit_status
        await note_progress(self._servers, report.job, self._progress())
        await note_outcome(self._servers, report.job, {"run": self._lease.run.token, **found})

    async def _note(self) -> None:
        while True:
            await asyncio.sleep(_SECONDS)
            try:
                await note_progress(self._servers, self._report.job, self._progress())
            except LoaderError as error:
                log.debug("the progress was not noted: %s", error)

    def _progress(self) -> dict[str, Any]:
        report = self._report
        sizes = [source.size for source in report.sources]
        return {
            "run": self._lease.run.token,
            "loaded": report.loaded,
            "already_loaded": report.already_loaded,
            "rejected": report.rejected,
            "bytes_read": report.bytes_read,
            "bytes": None if None in sizes else sum(size or 0 for size in sizes),
            "seconds": round(report.seconds, 1),
            "holding": report.holding.text,
        }

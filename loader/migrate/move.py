"""A move around its transfer: what an earlier run has claimed is settled first, what is left claimed goes back."""

from __future__ import annotations

import asyncio
import logging

from loader.errors import JobBusyError, LoaderError
from loader.jobs.lease import Lease
from loader.migrate.report import MigrateReport
from loader.migrate.source import Claims
from loader.migrate.target import Target
from loader.migrate.transfer import Transfer
from loader.servers.retry import retry

_LAST_LOOK_SECONDS = 1.0

log = logging.getLogger("runqy_loader")


class Move:
    """Transfers claimed tasks, and leaves none claimed that can be given back.

    Args:
        lease: The one at the source.
        retry_for: Seconds for which a fault is waited out before tasks are given back.
    """

    def __init__(
        self,
        claims: Claims,
        target: Target,
        transfer: Transfer,
        report: MigrateReport,
        lease: Lease,
        retry_for: float,
    ) -> None:
        self._claims = claims
        self._target = target
        self._transfer = transfer
        self._report = report
        self._lease = lease
        self._retry_for = retry_for

    async def run(self) -> bool:
        """Whether all was dealt with; see ``Transfer.run``.

        Raises:
            JobBusyError: Another run has taken the job, and what is claimed with it.
            LoaderError: See ``Transfer.run``.
        """
        held = await self._claims.held()
        self._transfer.unsettled = len(held)  # until it is known which of them a run that was killed has placed
        try:
            await self._settle_earlier(held)
            complete = await self._transfer.run(self._claims)
            await self._target.settle()
        except JobBusyError:
            raise  # what is claimed is the other run's now
        except asyncio.CancelledError:
            self._report.held = await self._still_held()
            raise
        except LoaderError as error:
            await self._give_back(error)
            raise
        await self._give_back()
        return complete

    async def _settle_earlier(self, held: list[bytes]) -> None:
        """What an earlier run has placed leaves the source before all else, as from here on what is held may be put
        back."""
        placed = await self._target.remember_only(held)
        await self._claims.settle("drop", placed)
        self._target.forget(placed)
        self._report.already += len(placed)
        self._transfer.unsettled = 0

    async def _still_held(self) -> int:
        """For the report of a run that was told to stop at once: a second is all that it asks for."""
        try:
            async with asyncio.timeout(_LAST_LOOK_SECONDS):
                return len(await self._claims.held())
        except (LoaderError, TimeoutError):
            return self._transfer.unsettled

    async def _give_back(self, failure: LoaderError | None = None) -> None:
        """Puts back what is claimed, but for what may be in the target."""
        try:
            # A run that was stalled for long may have lost all this to another.
            await retry(self._lease.renew, self._retry_for)
            self._report.put_back = await self._claims.put_back(self._transfer.unsettled)
            self._report.held = len(await self._claims.held())
            if not self._report.held:
                await self._claims.leave()
        except LoaderError as error:
            self._report.held = self._transfer.unsettled
            if failure is None:
                raise
            log.warning("what is claimed could not be put back: %s", error)

"""A move: it first settles the tasks that an earlier run has claimed, and at the end puts back what is left."""

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
    """Transfers claimed tasks, and at the end puts back every claimed task that is certainly not in the target.

    Args:
        lease: The lease at the source.
        retry_for: Seconds to retry transient faults before tasks are put back.
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
        """Runs the move. Returns whether every task was processed; see ``Transfer.run``.

        Raises:
            JobBusyError: Another run has taken over the job and its claimed tasks.
            LoaderError: See ``Transfer.run``.
        """
        held = await self._claims.held()
        self._transfer.unsettled = len(held)  # until it is known which of them a killed run has placed
        try:
            await self._settle_earlier(held)
            complete = await self._transfer.run(self._claims)
            await self._target.settle()
        except JobBusyError:
            raise  # the claimed tasks belong to the other run now
        except asyncio.CancelledError:
            self._report.held = await self._still_held()
            raise
        except LoaderError as error:
            await self._give_back(error)
            raise
        await self._give_back()
        return complete

    async def _settle_earlier(self, held: list[bytes]) -> None:
        """Removes the tasks that an earlier run has placed from the source.

        This must be the first step, because held tasks may be put back from here on.
        """
        await self._target.begin()
        placed = await self._target.remember_only(held)
        await self._claims.settle("drop", placed)
        self._target.forget(placed)
        self._report.already += len(placed)
        self._transfer.unsettled = 0

    async def _still_held(self) -> int:
        """The number of held tasks, for the report of a run that must stop at once. It takes one second at most."""
        try:
            async with asyncio.timeout(_LAST_LOOK_SECONDS):
                return len(await self._claims.held())
        except (LoaderError, TimeoutError):
            return self._transfer.unsettled

    async def _give_back(self, failure: LoaderError | None = None) -> None:
        """Puts back the claimed tasks, except those that may be in the target."""
        try:
            # Another run may have taken over the tasks of a run that was stalled for long.
            await retry(self._lease.renew, self._retry_for, between=self._lease.reconnect)
            self._report.put_back = await self._claims.put_back(self._transfer.unsettled)
            self._report.held = len(await self._claims.held())
            if not self._report.held:
                await self._claims.leave()
        except LoaderError as error:
            self._report.held = self._transfer.unsettled
            if failure is None:
                raise
            log.warning("the claimed tasks could not be put back: %s", error)

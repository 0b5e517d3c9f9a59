"""Holds back the first records of a load until it is known how many of them are bad."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from loader.engine.first_records import HELD_BYTES, Earlier, FirstRecords, storm_error, storm_text
from loader.jobs.report import LoadReport, SourceReport
from loader.settings.error_limit import ErrorLimit
from loader.sinks.base import Delivery
from loader.sources.base import Source
from loader.sources.validate import Batch, Reject

log = logging.getLogger("runqy_loader")


class Admission(NamedTuple):
    """A batch with its deliveries, on its way to the workers and to the rejects file."""

    batch: Batch
    source: Source
    tally: SourceReport
    deliveries: list[Delivery]


class Callbacks(NamedTuple):
    """Functions of the pipeline.

    Attributes:
        pass_on: Rejects the bad records of a batch, and gives its deliveries to the workers.
        is_in: Whether the job has a part of the batch already.
        rejects: The rejects of a batch.
        judged: Called once, when the first records are judged and good enough.
    """

    pass_on: Callable[[Admission], Awaitable[None]]
    is_in: Callable[[Admission], Awaitable[bool]]
    rejects: Callable[[Batch], Awaitable[list[Reject]]]
    judged: Callable[[], None]


class HoldBack:
    """The first records of a load.

    Args:
        dry_run: Whether nothing is loaded. Then nothing is held back, and only an explicit limit stops the run.
        earlier: What other parts of the load have read before.

    Attributes:
        is_over: Whether the first records are judged, so that all others can be passed on at once.
    """

    def __init__(
        self,
        limit: ErrorLimit,
        report: LoadReport,
        callbacks: Callbacks,
        *,
        dry_run: bool,
        earlier: Earlier,
    ) -> None:
        self._limit = limit
        self._report = report
        self._call = callbacks
        self._dry_run = dry_run
        self._first = FirstRecords(limit)
        self._first.count(earlier.read, earlier.bad, 0)
        self._is_last = earlier.is_last
        self._held: list[Admission] = []
        self._looked_up = 0  # how many of these were looked up in the ledger
        self._passed_on = earlier.read > 0
        self.is_over = False

    async def add(self, admission: Admission) -> None:
        """Adds the next batch.

        Raises:
            TooManyRejectsError: Too many of the first records are bad.
        """
        batch = admission.batch
        self._first.count(len(batch.raw.records) - batch.blank, len(batch.rejected), batch.size)
        self._held.append(admission)
        await self._judge(all_read=False)

    async def end(self) -> Earlier | None:
        """Judges the records of an input that is over, or passes them on if other parts of the load follow.

        Returns:
            What was read so far, if it is not judged.

        Raises:
            TooManyRejectsError: Too many of them are bad.
        """
        if not self.is_over:
            await self._judge(all_read=self._is_last)
        if self.is_over:
            return None
        await self._release()
        return Earlier(self._first.read, self._first.bad)

    async def fail(self) -> None:
        """Passes on what was read before the input failed, unless too much of it is bad."""
        if self._first.is_storm(all_read=True):
            await self._only_count()
        else:
            await self._release()

    async def _judge(self, *, all_read: bool) -> None:
        first = self._first
        if first.is_storm(all_read=all_read):
            await self._forgive_what_is_in()
            if first.is_storm(all_read=all_read):
                await self._stop(all_read=all_read)
        if all_read or first.are_fine() or self.is_over:
            await self._release()
            self.is_over = True
            self._call.judged()
        elif self._dry_run or first.held > HELD_BYTES or (not first.are_too_bad() and self._is_live()):
            await self._release()

    def _is_live(self) -> bool:
        """Whether the input cannot be read again. It may be slow, so it is held back only while too much is bad."""
        return not self._held[-1].source.identity.repeatable

    async def _forgive_what_is_in(self) -> None:
        """Counts batches as good that the job has already: an earlier run has judged them."""
        if self._report.resumed and not self._dry_run:
            for admission in self._held[self._looked_up :]:
                if await self._call.is_in(admission):
                    self._first.count(0, -len(admission.batch.rejected), 0)
            self._looked_up = len(self._held)

    async def _stop(self, *, all_read: bool) -> None:
        if self._dry_run:
            await self._release()
            if not self._limit.text:
                text = storm_text(self._report, self._first, self._limit, all_read=all_read)
                log.warning("without --dry-run, this load would stop: %s", text)
                self.is_over = True
                return
        await self._only_count()
        may_be_in = self._passed_on or self._dry_run
        raise storm_error(self._report, self._first, self._limit, all_read=all_read, loaded=may_be_in)

    async def _only_count(self) -> None:
        """Counts the rejects that are held back, without writing them anywhere."""
        for batch, _, tally, _ in self._held:
            for reject in await self._call.rejects(batch):
                tally.rejected += 1
                self._report.count_reject(reject.why, reject.place, reject.record)
        self._held.clear()

    async def _release(self) -> None:
        held, self._held, self._looked_up = self._held, [], 0
        for admission in held:
            self._passed_on = True
            await self._call.pass_on(admission)

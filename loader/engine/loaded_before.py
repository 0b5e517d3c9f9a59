"""What earlier runs of a job have loaded, and that the input is still the same as far as that goes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from loader.errors import SourceChangedError
from loader.jobs.ledger import LedgerState
from loader.jobs.report import LoadReport
from loader.sinks.base import Delivery
from loader.sources.base import Source
from loader.sources.validate import Batch

StateOf = Callable[[str, int], Awaitable[LedgerState]]
"""Returns the state of the ledger of a queue and a shard."""


class LoadedBefore:
    """The ledgers of the shard that is read, each as it was when this run first asked for it.

    Args:
        state_of: Called once for each shard and queue.
        report: Names the job.
        queues: The queues of earlier runs, if records name them and may name others now; see ``Ends``.
        own_queues: See ``LoadOptions``.
        first_version: See ``Pipeline``.
    """

    def __init__(
        self,
        state_of: StateOf,
        report: LoadReport,
        queues: Sequence[str],
        own_queues: Sequence[str],
        *,
        first_version: bool,
    ) -> None:
        self._state_of = state_of
        self._report = report
        self._queues = queues
        self._own_queues = own_queues
        self._first_version = first_version
        self._states: dict[tuple[str, int], LedgerState] = {}

    async def begin(self, shard: int) -> None:
        """Forgets the shard before, and reads the ledgers that must be known whatever the records of this one name."""
        self._states.clear()
        for queue in self._queues:
            await self.state(queue, shard)

    async def state(self, queue: str, shard: int) -> LedgerState:
        state = self._states.get((queue, shard))
        if state is None:
            state = self._states[queue, shard] = await self._state_of(queue, shard)
        return state

    async def require_unchanged(self, delivery: Delivery, source: Source, state: LedgerState) -> None:
        """Checks that a delivery that is in has the records that were loaded.

        Raises:
            SourceChangedError: It has others.
        """
        batch = delivery.batch
        known = {delivery.checksum, batch.checksum} if self._first_version else {delivery.checksum}
        if state.checksum(batch.number) not in known:
            raise await self._changed(batch, source)

    async def require_same_queues(self, batch: Batch, deliveries: Sequence[Delivery], source: Source) -> None:
        """Checks that no part of a batch is in a queue that none of its records goes to any more.

        Raises:
            SourceChangedError: One is.
        """
        if not self._queues:
            return
        now = {delivery.queue for delivery in deliveries}
        for queue in self._queues:
            if queue not in now and (await self.state(queue, batch.shard)).is_loaded(batch.number):
                raise await self._changed(batch, source)

    async def require_no_more(self, source: Source, shard: int, number: int) -> None:
        """Checks that an earlier run has loaded no batch after this number of them: input that may grow has shrunk.

        Raises:
            SourceChangedError: There is one.
        """
        for queue in self._own_queues:
            await self.state(queue, shard)  # no record has asked for it, or it is held back still
        if any(state.has_after(number) for state in self._states.values()):
            raise SourceChangedError(
                f"{source.identity.name} has ended, and job {self._report.job} has loaded more records of it before",
                source.identity.if_changed,
            )

    async def _changed(self, batch: Batch, source: Source) -> SourceChangedError:
        place = await source.place(batch.raw, 0)
        count = len(batch.raw.records)
        return SourceChangedError(
            f"{place.exact}: the {count} records from here on are not the ones that job {self._report.job} has loaded",
            source.identity.if_changed
            or "Resume with the same input, and with options that accept the same records (load rejected ones from "
            "the rejects file); or give another --job name to load this as a new job",
        )

"""One process's part of a load: shards in, tasks out."""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import redis.asyncio

from loader.assign import Assigner
from loader.control import control_client, say_goodbye
from loader.job import ledger_state
from loader.lease import Lease, Run
from loader.ledger import LedgerState
from loader.pipeline import Pipeline, StateOf
from loader.rejects import RejectsFile
from loader.report import LoadReport
from loader.retry import patiently
from loader.settings import DISCARD, LoadOptions
from loader.sinks.base import Worker
from loader.sinks.discard import discard
from loader.sinks.redis import RedisSink
from loader.sources.base import Source
from loader.sources.shards import Shard
from loader.wire.address import parse_address


@dataclass(frozen=True, slots=True)
class Part:
    """What a process must know to load shards of a job. It can be pickled, if its sources are files.

    Attributes:
        url: The server's; None where nothing is written.
        run: The run of the loader that this part belongs to.
        resumed: Whether earlier runs may have loaded some of it.
        known_queues: Full names of the queues that exist; None where that is not checked.
        rejects: The rejects file; None for none.
        process: Number of the process within the run.
    """

    options: LoadOptions
    job: str
    url: str | None
    run: Run
    resumed: bool
    sources: Sequence[Source]
    known_queues: frozenset[str] | None
    rejects: Path | None
    process: int = 0


class PartialLoad:
    """Loads shards in this process and counts into a report."""

    def __init__(self, part: Part, report: LoadReport) -> None:
        self._part = part
        self._report = report
        self._pipeline: Pipeline | None = None
        self._stopping = False

    @property
    def batches_waiting(self) -> int:
        return 0 if self._pipeline is None else self._pipeline.waiting

    def stop(self) -> None:
        """Reads nothing more; ``run`` returns once what is in flight is acknowledged."""
        self._stopping = True
        if self._pipeline is not None:
            self._pipeline.stop()

    async def run(self, shards: AsyncIterable[Shard]) -> bool:
        """Loads the shards; whether all that they hold was dealt with.

        Raises:
            LoaderError: See ``Pipeline.run``.
        """
        part = self._part
        if part.url is None:
            worker = discard(part.options, part.job) if part.options.redis == DISCARD else None
            return await self._run(shards, worker, _nothing_loaded)
        address = parse_address(part.url)
        control = control_client(address, part.options.timeout)
        try:
            lease = Lease(control, part.job, part.run, str(address), part.process)
            sink = RedisSink(address, part.options, part.job, lease)
            return await self._run(shards, sink.work, self._state_of(control, sink))
        finally:
            await say_goodbye(control.aclose())

    def _state_of(self, control: redis.asyncio.Redis, sink: RedisSink) -> StateOf:
        # Asked of a job that looks new as well: its record may have been lost, with the server's data, during a run.
        async def state_of(queue: str, shard: int) -> LedgerState:
            ledger = sink.ledger(queue, shard)
            where = str(sink.address)
            return await patiently(lambda: ledger_state(control, ledger, where), self._part.options.retry_for)

        return state_of

    async def _run(self, shards: AsyncIterable[Shard], worker: Worker | None, state_of: StateOf) -> bool:
        part = self._part
        digests = [source.identity.digest for source in part.sources]
        assigner = Assigner(part.options, part.job, digests, part.known_queues)
        rejects = RejectsFile(part.rejects, resumed=part.resumed)
        self._pipeline = Pipeline(part.sources, shards, part.options, assigner, rejects, self._report, worker, state_of)
        if self._stopping:
            self._pipeline.stop()
        try:
            await self._pipeline.run()
        finally:
            await rejects.close()
            if rejects.used:
                self._report.rejects_file = str(rejects.path)
        return self._pipeline.complete


async def _nothing_loaded(queue: str, shard: int) -> LedgerState:
    return LedgerState()

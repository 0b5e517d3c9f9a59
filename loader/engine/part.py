"""One process's part of a load: shards in, tasks out."""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from loader.engine.assign import Assigner
from loader.engine.pipeline import Pipeline, StateOf
from loader.jobs.ids_file import IdsFile
from loader.jobs.job import ledger_state
from loader.jobs.lease import Lease, Run
from loader.jobs.ledger import LedgerState
from loader.jobs.rejects import RejectsFile
from loader.jobs.report import LoadReport
from loader.servers.retry import patiently
from loader.servers.routing import Servers
from loader.settings import DISCARD, LoadOptions
from loader.sinks.base import Worker
from loader.sinks.discard import discard
from loader.sinks.redis import RedisSink
from loader.sources.base import Source
from loader.sources.shards import Shard
from loader.wire.address import parse_address
from loader.wire.faults import translated


@dataclass(frozen=True, slots=True)
class Part:
    """What a process must know to load shards of a job. It can be pickled, if its sources are files.

    Attributes:
        url: The server's; None where nothing is written.
        run: The run of the loader that this part belongs to.
        known_queues: Full names of the queues that exist; None where that is not checked.
        rejects: The rejects file; None for none.
        named: Whether the server takes names of connections.
        process: Number of the process within the run.
    """

    options: LoadOptions
    job: str
    url: str | None
    run: Run
    sources: Sequence[Source]
    known_queues: frozenset[str] | None
    rejects: Path | None
    named: bool = True
    process: int = 0


Destination = tuple[Worker, StateOf]
"""A worker, and what tells which batches are in already."""


class PartialLoad:
    """Loads shards in this process and counts into a report.

    Args:
        destination: Where to, if not to the Redis of the part.
    """

    def __init__(self, part: Part, report: LoadReport, destination: Destination | None = None) -> None:
        self._part = part
        self._destination = destination
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
        if self._destination is not None:
            return await self._run(shards, *self._destination)
        if part.url is None:
            worker = discard(part.options, part.job) if part.options.redis == DISCARD else None
            return await self._run(shards, worker, _nothing_loaded)
        address = parse_address(part.url)
        servers = Servers(address, part.options.timeout)
        try:
            await patiently(servers.refresh, part.options.retry_for)
            lease = Lease(servers, part.job, part.run, part.process)
            servers.takes_names = part.named
            sink = RedisSink(servers, part.options, part.job, lease)
            complete = await self._run(shards, sink.work, self._state_of(servers, sink))
            if complete:
                await patiently(sink.confirm, part.options.retry_for, between=servers.reconnect)
            return complete
        finally:
            await servers.aclose()

    def _state_of(self, servers: Servers, sink: RedisSink) -> StateOf:
        # Asked of a job that looks new as well: its record may have been lost, with the server's data, during a run.
        listed: set[str] = set()

        async def state_of(queue: str, shard: int) -> LedgerState:
            ledger = sink.ledger(queue, shard)
            retry_for = self._part.options.retry_for
            index = sink.encoder(queue).queues_key
            if index and queue not in listed:
                await patiently(lambda: _list_queue(servers, index, queue), retry_for, between=servers.reconnect)
                listed.add(queue)
            return await patiently(lambda: ledger_state(servers, ledger), retry_for, between=servers.reconnect)

        return state_of

    async def _run(self, shards: AsyncIterable[Shard], worker: Worker | None, state_of: StateOf) -> bool:
        part = self._part
        digests = [source.identity.digest for source in part.sources]
        assigner = Assigner(part.options, part.job, digests, part.known_queues)
        rejects = RejectsFile(part.rejects)
        ids = None
        if part.options.ids_out is not None:
            ids = IdsFile(part.options.ids_out, passed_over=part.options.to is None)
        self._pipeline = Pipeline(
            part.sources, shards, part.options, assigner, rejects, self._report, worker, state_of, ids
        )
        if self._stopping:
            self._pipeline.stop()
        try:
            try:
                await self._pipeline.run()
            finally:
                if ids is not None:
                    await ids.close()
        finally:
            await rejects.close()
            if rejects.used:
                self._report.rejects_file = str(rejects.path)
        return self._pipeline.complete


async def _list_queue(servers: Servers, key: str, queue: str) -> None:
    with translated(f"{servers}, key {key}"):
        await servers.client_of(key).sadd(key, queue)


async def _nothing_loaded(queue: str, shard: int) -> LedgerState:
    return LedgerState()

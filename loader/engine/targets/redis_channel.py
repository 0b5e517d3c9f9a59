"""A Redis server or cluster as destination of one process: the sink, the ledgers and what is confirmed at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from loader.engine.ends import Ends
from loader.engine.limits.of_server import limits_of
from loader.engine.part import Channel, Part
from loader.jobs.claims import Claims
from loader.jobs.job import Job, ledger_state
from loader.jobs.job_keys import note_queue, noted_queues
from loader.jobs.lease import Lease
from loader.jobs.ledger import LedgerState
from loader.jobs.proof import Proof
from loader.layouts.compact import Dumps
from loader.servers.closing import close_quietly
from loader.servers.retry import Patience, retry
from loader.servers.routing import Servers
from loader.sinks.redis import RedisSink, list_queue
from loader.wire.address import Place


@asynccontextmanager
async def into_redis(place: Place, named: bool, compact: Dumps | None, part: Part) -> AsyncIterator[Channel]:
    """The ``Destination`` of one server, with all arguments bound except the part.

    Args:
        place: The server.
        named: Whether the server accepts names of connections.
        compact: See ``RedisSink``.
    """
    servers = Servers(place.address(), part.options.timeout)
    lease = Lease(servers, part.job, part.run, part.name or part.process)
    servers.accepts_names = named
    sink = RedisSink(servers, part.options, part.job, lease, compact=compact, fenced=bool(part.name))
    try:
        await retry(servers.refresh, sink.patience)
        ends = await _ends(servers, part, lease, sink.patience)
        queues = _Queues(servers, sink)

        async def state_of(queue: str, shard: int) -> LedgerState:
            # The ledger of a new job is read as well: the server may have lost the job's record, with other data,
            # during a run.
            await queues.begin(queue)
            ledger = sink.ledger(queue, shard)
            return await retry(lambda: ledger_state(servers, ledger), sink.patience, between=servers.reconnect)

        def of_shard() -> Channel:
            claims = Claims(servers, lease, part.run.process_name(part.name))

            async def claimed(queue: str, shard: int) -> LedgerState:
                ledger = sink.ledger(queue, shard)

                async def taken() -> LedgerState:
                    await lease.renew()  # a cluster may begin a shard late, when the load is over
                    return await claims.take(ledger)

                state = await retry(taken, sink.patience, between=servers.reconnect)
                await queues.begin(queue)
                return state

            return replace(channel, worker=partial(sink.work, admit=claims.prove), state_of=claimed)

        async with limits_of(servers, sink, place) as limits:
            channel = Channel(
                sink.work,
                state_of,
                lambda: retry(sink.confirm, sink.patience, between=servers.reconnect),
                sink.acknowledged,
                ends=ends,
                proof=Proof(lambda: retry(lease.renew, sink.patience, between=servers.reconnect), lease.is_proved),
                limits=limits,
                of_shard=of_shard,
                take_acknowledged=sink.take_acknowledged,
                is_driven=lease.is_driven,
                note_acknowledged=sink.note_acknowledged,
            )
            yield channel
    finally:
        await close_quietly(sink.close())
        await servers.aclose()


async def _ends(servers: Servers, part: Part, lease: Lease, patience: Patience) -> Ends:
    if not any(source.identity.end_is_noted for source in part.sources):
        return Ends()
    job = Job(servers, part.job)

    async def note(source: int, record: int) -> None:
        await retry(lease.renew, patience, between=servers.reconnect)
        await retry(lambda: job.note_end(source, record), patience, between=servers.reconnect)

    queues: list[str] = []
    if part.options.records_name_queues:
        queues = await retry(lambda: noted_queues(servers, part.job), patience, between=servers.reconnect)
    return Ends(await retry(job.ends, patience, between=servers.reconnect), note, queues)


class _Queues:
    """Lists each queue for programs that show queues, and notes it in the job, before its first batch."""

    def __init__(self, servers: Servers, sink: RedisSink) -> None:
        self._servers = servers
        self._sink = sink
        self._begun: set[str] = set()

    async def begin(self, queue: str) -> None:
        if queue in self._begun:
            return
        servers, sink = self._servers, self._sink
        if index := sink.encoder(queue).queues_key:
            await retry(lambda: list_queue(servers, index, queue), sink.patience, between=servers.reconnect)
        if sink.options.records_name_queues:
            await retry(lambda: note_queue(servers, sink.job, queue), sink.patience, between=servers.reconnect)
        self._begun.add(queue)

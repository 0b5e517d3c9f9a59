"""A Redis server or cluster as destination of one process: the sink, the ledgers and what is confirmed at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loader.engine.ends import Ends
from loader.engine.limits.of_server import limits_of
from loader.engine.loaded_before import StateOf
from loader.engine.part import Channel, Part
from loader.jobs.job import Job, ledger_state
from loader.jobs.job_keys import note_queue, noted_queues
from loader.jobs.lease import Lease
from loader.jobs.ledger import LedgerState
from loader.jobs.proof import Proof
from loader.layouts.compact import Dumps
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
    try:
        lease = Lease(servers, part.job, part.run, part.process)
        servers.accepts_names = named
        sink = RedisSink(servers, part.options, part.job, lease, compact=compact)
        await retry(servers.refresh, sink.patience)
        ends = await _ends(servers, part, lease, sink.patience)
        async with limits_of(servers, sink, place) as limits:
            yield Channel(
                sink.work,
                _state_of(servers, sink),
                lambda: retry(sink.confirm, sink.patience, between=servers.reconnect),
                sink.acknowledged,
                ends=ends,
                proof=Proof(lambda: retry(lease.renew, sink.patience, between=servers.reconnect), lease.is_proved),
                limits=limits,
            )
    finally:
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


def _state_of(servers: Servers, sink: RedisSink) -> StateOf:
    # The ledger of a new job is read as well: the server may have lost the job's record, with other data, during a run.
    listed: set[str] = set()
    noted: set[str] = set()
    names_queues = sink.options.records_name_queues

    async def state_of(queue: str, shard: int) -> LedgerState:
        ledger = sink.ledger(queue, shard)
        index = sink.encoder(queue).queues_key
        if index and queue not in listed:
            await retry(lambda: list_queue(servers, index, queue), sink.patience, between=servers.reconnect)
            listed.add(queue)
        if names_queues and queue not in noted:
            await retry(lambda: note_queue(servers, sink.job, queue), sink.patience, between=servers.reconnect)
            noted.add(queue)
        return await retry(lambda: ledger_state(servers, ledger), sink.patience, between=servers.reconnect)

    return state_of

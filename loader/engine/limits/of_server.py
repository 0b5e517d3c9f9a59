"""The limits of a load that depend on its server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

from loader.engine.limits.headroom import MemoryHeadroom
from loader.engine.limits.latency import ANSWERS_A_SECOND, MaxLatency
from loader.engine.limits.limits import Limit
from loader.engine.limits.pending import MaxPending
from loader.errors import LoaderError
from loader.servers.memory import Memory, read_memory
from loader.servers.retry import retry
from loader.servers.routing import Servers
from loader.sinks.redis import RedisSink
from loader.wire.address import Address, Place
from loader.wire.faults import translated

T = TypeVar("T")


@asynccontextmanager
async def limits_of(servers: Servers, sink: RedisSink, place: Place) -> AsyncIterator[Sequence[Limit]]:
    """The limits that the options of a load want.

    What they ask goes over the control connection of the process, and is repeated as the load's own commands are.
    """
    options, found = sink.options, list[Limit]()

    async def repeat(step: Callable[[], Awaitable[T]]) -> T:
        return await retry(step, sink.patience, progressed_at=lambda: sink.progressed_at, between=servers.reconnect)

    async def pending(queue: str) -> int:
        key = sink.encoder(queue).pending_key

        async def length() -> int:
            with translated(f"{servers}, key {key.decode()}"):
                return int(await servers.client_of(key).execute("LLEN", key))

        return await repeat(length)

    async def memory() -> Mapping[Address, Memory | None]:
        return await repeat(lambda: read_memory(servers))

    def servers_of(queue: str) -> Collection[Address]:
        encoder = sink.encoder(queue)
        try:
            return servers.primaries() if encoder.on_other_slots else [servers.address_of(encoder.pending_key)]
        except LoaderError:  # its slot is not served now: the delivery waits for that
            return []

    async with AsyncExitStack() as stack:
        if options.headroom is not None:
            found.append(MemoryHeadroom(options.headroom, str(options.memory_headroom), memory, servers_of))
        if options.max_pending is not None:
            found.append(MaxPending(options.max_pending, pending))
        if (limit := options.latency_limit) is not None:
            from loader.engine.limits.measured import Measure
            from loader.engine.limits.probing import probing  # only this option needs another process

            latency = MaxLatency(limit, str(options.max_latency))
            wanted = Measure(place, options.timeout, 1 / ANSWERS_A_SECOND, limit)
            await stack.enter_async_context(probing(wanted, latency.answered))
            found.append(latency)
        yield found

"""Which queues exist on the server, and what to say of one that does not."""

from __future__ import annotations

from collections.abc import Collection

import redis.asyncio

from loader.errors import UnknownQueueError
from loader.wire.faults import translated

QUEUES_KEY = "asynq:queues"


async def queues_on_server(client: redis.asyncio.Redis, where: str) -> set[str]:
    """Members of ``asynq:queues``, which servers and workers of the asynq family keep.

    Args:
        client: Of the node that serves ``QUEUES_KEY``.
        where: The server's address, for errors.

    Raises:
        LoaderError: The server does not answer, or refuses.
    """
    with translated(f"{where}, key {QUEUES_KEY}"):
        members = await client.smembers(QUEUES_KEY)
    return {str(member, errors="replace") if isinstance(member, bytes) else member for member in members}


def check_queue(queue: str, known: Collection[str], where: str) -> None:
    """Raises UnknownQueueError, naming the ones that are close."""
    if queue in known:
        return
    parent = queue.split(".")[0]
    near = sorted(name for name in known if name.split(".")[0] == parent) or sorted(known)
    listed = ", ".join(near[:8]) + (", …" if len(near) > 8 else "") if near else "none at all"
    raise UnknownQueueError(f"queue {queue} does not exist in {where}", f"Use one of these: {listed}")

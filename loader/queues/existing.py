"""The queues that exist on the server, and the error for a queue that does not exist."""

from __future__ import annotations

from collections.abc import Collection

from loader.errors import UnknownQueueError
from loader.wire.client import Client
from loader.wire.faults import translated

QUEUES_KEY = "asynq:queues"


async def queues_on_server(client: Client, where: str) -> set[str]:
    """Members of ``asynq:queues``, a set that servers and workers of the asynq family maintain.

    Args:
        client: A client of the node that serves ``QUEUES_KEY``.
        where: The server's address, for errors.

    Raises:
        LoaderError: The server does not answer, or refuses the command.
    """
    with translated(f"{where}, key {QUEUES_KEY}"):
        members = await client.execute("SMEMBERS", QUEUES_KEY)
    return {str(member, errors="replace") for member in members}


def check_queue(queue: str, known: Collection[str], where: str) -> None:
    """Raises UnknownQueueError if ``known`` lacks the queue; the error names queues of the same parent, or else all."""
    if queue in known:
        return
    parent = queue.split(".")[0]
    near = sorted(name for name in known if name.split(".")[0] == parent) or sorted(known)
    listed = ", ".join(near[:8]) + (", …" if len(near) > 8 else "") if near else "none at all"
    raise UnknownQueueError(f"queue {queue} does not exist in {where}", f"Use one of these: {listed}")

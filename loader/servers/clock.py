"""The clock of a server. Times that the server goes by, or that runs on several machines compare, are of this clock."""

from __future__ import annotations

import time

from loader.servers.routing import Servers


def clock_seconds(reply: object) -> float | None:
    """The server's Unix time in seconds; None if TIME is refused.

    Args:
        reply: The reply to TIME, or the error in its place.
    """
    if not isinstance(reply, tuple | list):
        return None
    seconds, microseconds = reply
    return int(seconds) + int(microseconds) / 1_000_000


async def server_time(servers: Servers, key: str) -> float:
    """The Unix time in seconds of the server of a key. Without the right to TIME, this machine's.

    Raises:
        LoaderError: The server cannot be reached.
    """
    (reply,) = await servers.client_of(key).ask([("TIME",)])
    return clock_seconds(reply) or time.time()

"""A search through the keys of a server, in steps between which other clients are served."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from loader.wire.client import Client

STEP = 1000
"""Keys in each step: a server with millions of keys is blocked for a millisecond or two."""


async def scan(
    client: Client, pattern: str | bytes, *, step: int = STEP, rest: float = 0.0
) -> AsyncIterator[list[bytes]]:
    """The keys that match a pattern, step by step. A key may come twice.

    Args:
        step: Keys that the server looks at in each step.
        rest: The pause between two steps, relative to the time of a step: with 1, other clients have half of the
            server's time.

    Raises:
        hiredis.ReplyError: The server refuses.
        LoaderError: The server cannot be reached.
    """
    cursor = b"0"
    while True:
        began = time.monotonic()
        cursor, keys = await client.execute("SCAN", cursor, "MATCH", pattern, "COUNT", step)
        yield keys
        if cursor == b"0":
            return
        if rest:
            await asyncio.sleep(rest * (time.monotonic() - began))

"""Two writers: small requests do not wait behind large ones."""

from __future__ import annotations

from collections.abc import Sequence

from loader.gateway.idempotency import Mark
from loader.gateway.writer import Writer

LARGE_TASKS = 500
LARGE_BYTES = 256 * 1024
LARGE_TIMEOUTS = 50
"""A request is large with more tasks, more bytes of payloads, or more different timeouts: each needs an encoder."""


class Lanes:
    """A writer for small requests and one for large ones, each with a connection of its own.

    Redis serves its connections in turn, a few commands each, so a small write passes a large one.
    """

    def __init__(self, small: Writer, large: Writer) -> None:
        self._small = small
        self._large = large

    async def put(
        self,
        queue: str,
        ids: Sequence[bytes],
        payloads: Sequence[bytes],
        timeouts: Sequence[int],
        mark: Mark | None = None,
    ) -> list[bytes] | None:
        """Puts the tasks of a request into a queue; see ``Writer.put``."""
        is_large = (
            len(ids) > LARGE_TASKS or sum(map(len, payloads)) > LARGE_BYTES or len(set(timeouts)) > LARGE_TIMEOUTS
        )
        return await (self._large if is_large else self._small).put(queue, ids, payloads, timeouts, mark)

    async def drain(self) -> None:
        """Returns once no request waits and no write is in flight."""
        await self._small.drain()
        await self._large.drain()

"""The client for all that is not the hot path: redis-py."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import redis.asyncio
import redis.exceptions
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from loader.wire.address import Address

_GOODBYE_SECONDS = 1.0

log = logging.getLogger("runqy_loader")


def control_client(address: Address, timeout: float) -> redis.asyncio.Redis:
    """A client that does not retry by itself: that is the caller's, who knows what may be repeated.

    Args:
        timeout: Seconds for connecting and for each reply.
    """
    client = redis.asyncio.Redis.from_url(
        address.url,
        socket_connect_timeout=timeout,
        socket_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    pool = client.connection_pool
    pool.connection_class = type("Connection", (_HeedsCancellation, pool.connection_class), {})
    return client


class _HeedsCancellation(AbstractConnection):
    """Ends with CancelledError whenever its task is cancelled.

    redis-py sends by asyncio.wait_for, which before Python 3.12 drops a cancellation that comes in the moment in which
    what it waits for is done. Dropped, a stop hangs: the task goes on as if nobody had asked it to end.
    """

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        task = asyncio.current_task()
        asked = 0 if task is None else task.cancelling()
        await super().send_packed_command(command, check_health)
        if task is not None and task.cancelling() > asked:
            await self.disconnect(nowait=True)  # the reply that is due now must not be taken for the next command's
            raise asyncio.CancelledError


async def say_goodbye(step: Coroutine[Any, Any, Any]) -> None:
    """Runs a last step with a server that may be gone or silent. Nothing depends on it: a lease ends by itself."""
    try:
        async with asyncio.timeout(_GOODBYE_SECONDS):
            await step
    except (redis.exceptions.RedisError, OSError, RuntimeError) as error:  # TimeoutError is an OSError
        log.debug("while closing: %s", error)

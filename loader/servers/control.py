"""The client for everything outside the hot path: redis-py."""

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

_LAST_STEP_SECONDS = 1.0

log = logging.getLogger("runqy_loader")


def control_client(address: Address, timeout: float) -> redis.asyncio.Redis:
    """A client that never retries by itself. Retries are up to the caller, who knows which steps may be repeated.

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
    pool.connection_class = type("Connection", (_CancellableConnection, pool.connection_class), {})
    return client


class _CancellableConnection(AbstractConnection):
    """Raises CancelledError whenever its task is cancelled.

    redis-py sends through asyncio.wait_for. Before Python 3.12, wait_for drops a cancellation that arrives at the
    moment in which the awaited operation completes. The task then goes on as if it had not been cancelled, and a stop
    hangs.
    """

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        task = asyncio.current_task()
        cancellations = 0 if task is None else task.cancelling()
        await super().send_packed_command(command, check_health)
        if task is not None and task.cancelling() > cancellations:
            # The reply to this command must not be read as the reply to the next one.
            await self.disconnect(nowait=True)
            raise asyncio.CancelledError


async def close_quietly(step: Coroutine[Any, Any, Any]) -> None:
    """Runs a last step with a server that may be gone or silent.

    A failure is only logged, since nothing depends on the step: a lease ends by itself.
    """
    try:
        async with asyncio.timeout(_LAST_STEP_SECONDS):
            await step
    except (redis.exceptions.RedisError, OSError, RuntimeError) as error:  # TimeoutError is an OSError
        log.debug("while closing: %s", error)

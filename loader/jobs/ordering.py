"""Notes orders in a job's record, and reads them."""

from __future__ import annotations

import logging
import time

import hiredis

from loader.errors import TransientError
from loader.jobs.orders import PAUSED, RATE, Orders, orders_of
from loader.jobs.standing import job_key
from loader.layouts.lua import as_sent
from loader.servers.routing import Servers
from loader.servers.scatter import eval_each
from loader.wire.faults import from_reply

ORDER = b"""\
-- Notes an order in a job's record, unless the job does not go on.
-- KEYS[1]: the job
-- ARGV[1]: the field
-- ARGV[2]: its value
-- Reply: 1 if it is noted
if redis.call('HGET', KEYS[1], 'state') ~= 'loading' then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
"""


log = logging.getLogger("runqy_loader")


async def order_pause(servers: Servers, job: str) -> bool:
    """Has the runs of a job pause. Returns whether it is noted: a job that is finished, or gone, takes no orders.

    Raises:
        LoaderError: The server refuses, or cannot be reached.
    """
    return await _note(servers, job, PAUSED, f"{time.time():.3f}")


async def order_resume(servers: Servers, job: str) -> bool:
    """Has the runs of a job go on. Otherwise as ``order_pause``."""
    return await _note(servers, job, PAUSED, "")


async def order_rate(servers: Servers, job: str, rate: float | None) -> bool:
    """Has the runs of a job load at a rate. Otherwise as ``order_pause``.

    Args:
        rate: Tasks a second; None: as the options of the load say.
    """
    return await _note(servers, job, RATE, "" if rate is None else repr(rate))


async def _note(servers: Servers, job: str, field: str, value: str) -> bool:
    (noted,) = await eval_each(servers, as_sent(ORDER), [job_key(job).encode()], field, value)
    return bool(noted)


async def read_orders(servers: Servers, job: str) -> Orders | None:
    """The orders for a job, over a connection that is open already; None if there is none now, or it was lost.

    No connection is opened: a server that is away is for the load itself to find out, and to tell.

    Raises:
        LoaderError: The server refuses.
    """
    key = job_key(job)
    try:
        client = servers.client_of(key)
        if client.connection is None or not client.connection.is_open:
            return None
        replies = await client.ask([("HGET", key, PAUSED), ("HGET", key, RATE)])
    except TransientError as error:
        log.debug("orders were not read: %s", error)
        return None
    for reply in replies:
        if isinstance(reply, hiredis.ReplyError):
            refusal = from_reply(str(reply), f"{servers}, key {key}")
            if isinstance(refusal, TransientError):
                return None
            raise refusal
    return orders_of(*replies)

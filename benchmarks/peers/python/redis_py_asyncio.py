"""redis-py's asyncio client: a pipeline a batch, over several connections, on uvloop with the hiredis parser."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator

import redis.asyncio
import uvloop

from benchmarks.peers.python.arguments import Arguments, batches, parse, write_report


async def send(client: redis.asyncio.Redis, queue: str, payloads: list[bytes]) -> None:
    """Enqueues one batch: the hashes, then their ids. Raises if any command fails."""
    pipe = client.pipeline(transaction=False)
    ids = [str(uuid.uuid4()) for _ in payloads]
    for task_id, payload in zip(ids, payloads, strict=True):
        pipe.hset(
            f"asynq:t:{task_id}",
            mapping={"type": "task", "payload": payload, "retry": "0", "max_retry": "3", "queue": queue},
        )
    pipe.lpush(f"asynq:{queue}:pending", *ids)
    await pipe.execute()


async def worker(arguments: Arguments, source: Iterator[list[bytes]]) -> None:
    """Sends batches until there are no more."""
    async with redis.asyncio.Redis(**arguments.connection) as client:
        for payloads in source:
            await send(client, arguments.queue, payloads)


async def main(arguments: Arguments) -> None:
    """Runs the workers on one iterator of batches."""
    source = batches(arguments.payloads, arguments.batch)
    async with asyncio.TaskGroup() as group:
        for _ in range(arguments.workers):
            group.create_task(worker(arguments, source))


if __name__ == "__main__":
    given = parse()
    started = time.perf_counter()
    uvloop.run(main(given))
    write_report(given.report, started)

"""redis-py's ordinary client: a pipeline a batch, one connection, the hiredis parser."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable

import redis

from benchmarks.peers.python.arguments import Arguments, batches, parse, write_report


def main(arguments: Arguments) -> None:
    """Enqueues everything. Raises if any command fails."""
    enqueue(arguments, batches(arguments.payloads, arguments.batch))


def enqueue(arguments: Arguments, batches_of_payloads: Iterable[list[bytes]]) -> None:
    """Enqueues these payloads. Raises if any command fails."""
    queue = arguments.queue
    with redis.Redis(**arguments.connection) as client:
        for payloads in batches_of_payloads:
            pipe = client.pipeline(transaction=False)
            ids = [str(uuid.uuid4()) for _ in payloads]
            for task_id, payload in zip(ids, payloads, strict=True):
                pipe.hset(
                    f"asynq:t:{task_id}",
                    mapping={"type": "task", "payload": payload, "retry": "0", "max_retry": "3", "queue": queue},
                )
            pipe.lpush(f"asynq:{queue}:pending", *ids)
            pipe.execute()


if __name__ == "__main__":
    given = parse()
    started = time.perf_counter()
    main(given)
    write_report(given.report, started)

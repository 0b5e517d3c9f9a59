"""The enqueueing guide's Python example with one client for all payloads: an HSET and an LPUSH for each, one by one."""

from __future__ import annotations

import json
import time
import uuid

import redis

from benchmarks.peers.python.arguments import Arguments, parse, write_report


def main(arguments: Arguments) -> None:
    """Enqueues every line of the file."""
    queue = arguments.queue
    with redis.Redis(**arguments.connection) as client, arguments.payloads.open("rb") as file:
        for line in file:
            task_id = str(uuid.uuid4())
            client.hset(
                f"asynq:t:{task_id}",
                mapping={
                    "type": "task",
                    "payload": json.dumps(json.loads(line)),
                    "retry": "0",
                    "max_retry": "3",
                    "queue": queue,
                },
            )
            client.lpush(f"asynq:{queue}:pending", task_id)


if __name__ == "__main__":
    given = parse()
    started = time.perf_counter()
    main(given)
    write_report(given.report, started)

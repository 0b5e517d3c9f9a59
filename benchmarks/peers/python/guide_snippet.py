"""The enqueueing guide's Python example, called for each payload: a new client, an HSET and an LPUSH, one by one."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import redis

from benchmarks.peers.python.arguments import Arguments, parse, write_report


def enqueue_task(connection: dict[str, Any], queue: str, payload: dict[str, Any], max_retry: int = 3) -> str:
    """The guide's function; only the address is a parameter here."""
    r = redis.Redis(**connection)
    task_id = str(uuid.uuid4())
    r.hset(
        f"asynq:t:{task_id}",
        mapping={
            "type": "task",
            "payload": json.dumps(payload),
            "retry": "0",
            "max_retry": str(max_retry),
            "queue": queue,
        },
    )
    r.lpush(f"asynq:{queue}:pending", task_id)
    return task_id


def main(arguments: Arguments) -> None:
    """Enqueues every line of the file."""
    with arguments.payloads.open("rb") as file:
        for line in file:
            enqueue_task(arguments.connection, arguments.queue, json.loads(line))


if __name__ == "__main__":
    given = parse()
    started = time.perf_counter()
    main(given)
    write_report(given.report, started)

"""Enqueues the way the guide's Python example does. Usage: python.py URL QUEUE MAX_RETRY < lines of ID<tab>PAYLOAD"""

from __future__ import annotations

import json
import sys
from typing import Any

import redis


def enqueue_task(r: redis.Redis, task_id: str, queue: str, payload: dict[str, Any], max_retry: int) -> None:
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


def main(url: str, queue: str, max_retry: str) -> None:
    with redis.Redis.from_url(url) as r:
        for line in sys.stdin.buffer:
            task_id, payload = line.split(b"\t", 1)
            enqueue_task(r, task_id.decode(), queue, json.loads(payload), int(max_retry))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""What running asynq servers and runqy workers leave in Redis; a load tells by it which layout they read."""

from __future__ import annotations

import time
from typing import Any

SOON, LONG_AGO = 3600, -3600
"""Seconds from now at which what they leave ends."""


def server_info(*queues: str) -> bytes:
    """asynq's ``ServerInfo`` (protobuf): host (1), pid (2), id (3), concurrency (4), queues (5), status (7)."""

    def field(number: int, value: bytes) -> bytes:
        return bytes([number << 3 | 2, len(value)]) + value

    entries = b"".join(field(5, field(1, queue.encode()) + b"\x10\x01") for queue in queues)
    return field(1, b"host") + b"\x10\xa2\x8d\x06" + field(3, b"5f7c") + b"\x20\x0a" + entries + field(7, b"active")


def asynq_server(db: Any, *queues: str, ends: float = SOON, number: int = 1, living: bool = True) -> None:
    """What a server of asynq's leaves in Redis; without queues, something that cannot be read."""
    key = f"asynq:servers:{{host:{number}:5f7c}}"
    db.zadd("asynq:servers", {key: time.time() + ends})
    db.zadd("asynq:workers", {f"asynq:workers:{{host:{number}:5f7c}}": time.time() + ends})
    if living:
        db.set(key, server_info(*queues) if queues else b"\x2a\xff")


def runqy_worker(db: Any, *queues: str, living: bool = True, status: str = "running", old: bool = False) -> None:
    """What a worker of runqy's leaves in Redis; an old one is of before January 2026."""
    if old:
        db.sadd("asynq:workers", "host:7")
    else:
        db.zadd("asynq:workers", {"host:7": time.time() + SOON})
    if living:
        text = f"map[{' '.join(f'{queue}:1' for queue in queues)}]"
        db.hset("asynq:workers:host:7", mapping={"worker_id": "host:7", "queues": text, "status": status})

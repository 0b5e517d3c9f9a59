"""redis-py: pipelined, with and without asyncio, and the guide's example."""

from __future__ import annotations

from functools import partial

from benchmarks.contestants.program import Program, python_peer

ASYNCIO = Program(
    "redis-py-asyncio",
    "redis-py asyncio pipeline",
    partial(python_peer, "redis_py_asyncio"),
    connections=4,
    note="4 connections, uvloop, hiredis; lines are sent as they are, not validated",
)
SYNC = Program(
    "redis-py",
    "redis-py pipeline",
    partial(python_peer, "redis_py_sync"),
    note="1 connection, hiredis; lines are sent as they are, not validated",
)
GUIDE_ONE_CLIENT = Program(
    "guide-one-client",
    "guide's Python example, one client kept",
    partial(python_peer, "guide_one_client"),
    most_tasks=20_000,
    note="HSET and LPUSH one by one over one connection",
)
GUIDE = Program(
    "guide",
    "guide's Python example, verbatim",
    partial(python_peer, "guide_snippet"),
    most_tasks=5_000,
    note="as printed: it makes a new client, so a new connection, for every task",
)

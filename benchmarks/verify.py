"""Checks what a contestant left in Redis: everything, field by field. A fast wrong loader scores nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.errors import WrongResultError
from benchmarks.payloads import Content, Tally
from benchmarks.raw import Raw

QUEUE = "inference.default"
PENDING = f"asynq:{QUEUE}:pending".encode()
TASK_KEY = b"asynq:t:"
FIELDS = {b"type": b"task", b"retry": b"0", b"max_retry": b"3", b"queue": QUEUE.encode()}
"""The five fields of a task are these and ``payload``."""

_MASK = 2**64 - 1


def check_tasks(tasks: Sequence[Sequence[bytes]], tally: Tally) -> None:
    """Checks hashes (each as fields and values in turn) and adds their payloads to the tally.

    Raises:
        WrongResultError: A hash has not exactly the five fields with the right values.
    """
    payloads: list[bytes] = []
    for flat in tasks:
        found = dict(zip(flat[::2], flat[1::2], strict=True))
        payload = found.pop(b"payload", None)
        if payload is None or found != FIELDS:
            raise WrongResultError(f"a task is stored with the fields {dict(zip(flat[::2], flat[1::2], strict=True))}")
        payloads.append(payload)
    tally.add(payloads)


def check_content(found: Content, expected: Content) -> None:
    """Raises WrongResultError unless the payloads are the input's, each as often as there."""
    if found != expected:
        raise WrongResultError(
            f"the payloads are not the input's: {found.tasks} tasks and {found.payload_bytes} bytes, "
            f"expected {expected.tasks} and {expected.payload_bytes}"
            + (", but other content" if found.payload_bytes == expected.payload_bytes else "")
        )


def check_load(client: Raw, expected: Content) -> int:
    """Checks the pending list, every id and every task.

    Returns:
        A digest of the set of ids, to compare runs within this process.

    Raises:
        WrongResultError: Anything is missing, twice, or different.
    """
    length = client.call("LLEN", PENDING)
    if length != expected.tasks:
        raise WrongResultError(f"the pending list has {length} ids, not {expected.tasks}")
    if (stored := _count_tasks(client)) != expected.tasks:
        raise WrongResultError(f"{stored} tasks are stored, not {expected.tasks}")
    # Asked for in pieces whose replies fit the sockets' buffers, as Raw sends before it receives.
    piece = max(1, min(1000, 200_000 * expected.tasks // max(1, expected.payload_bytes)))
    tally, seen = Tally(), set[bytes]()
    for first in range(0, length, piece):
        ids: list[bytes] = client.call("LRANGE", PENDING, first, first + piece - 1)
        seen.update(ids)
        tasks: list[Any] = client.many([(b"HGETALL", TASK_KEY + task_id) for task_id in ids])
        check_tasks(tasks, tally)
    if len(seen) != length:
        raise WrongResultError(f"{length - len(seen)} ids are in the list more than once")
    check_content(tally.content, expected)
    return sum(map(hash, seen)) & _MASK


def _count_tasks(client: Raw) -> int:
    """How many tasks are stored, whether in the list or not."""
    keys, cursor = set[bytes](), b"0"
    while True:
        cursor, found = client.call("SCAN", cursor, "MATCH", TASK_KEY + b"*", "COUNT", 10_000)
        keys.update(found)  # SCAN may name a key twice
        if cursor == b"0":
            return len(keys)

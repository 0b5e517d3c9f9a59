"""Checks all that a contestant left in Redis, field by field. A fast loader with a wrong result does not count."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from benchmarks.errors import WrongResultError
from benchmarks.nodes import Nodes
from benchmarks.outcome import QUEUES_KEY, Outcome, Window
from benchmarks.payloads import Content, Tally

_BOOKKEEPING = b"runqy-loader:"
"""A text in the names of all keys of the loader itself."""

_MASK = 2**64 - 1


def check_tasks(
    outcome: Outcome, queue: str, ids: Sequence[bytes], hashes: Sequence[Sequence[bytes]], window: Window, tally: Tally
) -> None:
    """Checks hashes (each a list of fields and values in turn) and adds their payloads to the tally.

    Raises:
        WrongResultError: A hash is not as the outcome requires.
    """
    payloads: list[bytes] = []
    for task_id, flat in zip(ids, hashes, strict=True):
        payload = outcome.layout.payload(queue, task_id, _fields(flat), window)
        outcome.check_record_fields(queue, task_id, payload)
        payloads.append(payload)
    tally.add(payloads)


def check_content(found: Content, expected: Content) -> None:
    """Raises WrongResultError unless the payloads are those of the input, each as often as in the input."""
    if found != expected:
        raise WrongResultError(
            f"the payloads are not the input's: {found.tasks} tasks and {found.payload_bytes} bytes, "
            f"expected {expected.tasks} and {expected.payload_bytes}"
            + (", but other content" if found.payload_bytes == expected.payload_bytes else "")
        )


def check_load(nodes: Nodes, expected: Content, outcome: Outcome, window: Window, *, listed: bool = True) -> int:
    """Checks the pending lists, every id and every task, that no other keys exist, and that no key of it expires.

    How a task was written, by HSET or by RESTORE, makes no difference.

    Args:
        window: The time in which tasks can have been made.
        listed: Whether the list of queues must exist, if the layout has one.

    Returns:
        A digest of the set of ids, to compare runs within this process.

    Raises:
        WrongResultError: Something is missing, doubled or different.
    """
    layout = outcome.layout
    lengths = {queue: _length(nodes, layout.pending_key(queue)) for queue in outcome.queues}
    if sum(lengths.values()) != expected.tasks:
        raise WrongResultError(f"the pending lists have {sum(lengths.values())} ids, not {expected.tasks}")
    unexpected, own = _stored(nodes)
    # Read in pieces whose replies fit in the sockets' buffers, because Raw sends all commands before it receives.
    piece_size = max(1, min(1000, 200_000 * expected.tasks // max(1, expected.payload_bytes)))
    tally, seen = Tally(), set[bytes]()
    for queue, length in lengths.items():
        pending = layout.pending_key(queue)
        unexpected.discard(pending)
        node = nodes.of(pending)  # in a layout without braces, this is correct only for a single server
        for first in range(0, length, piece_size):
            ids: list[bytes] = node.call("LRANGE", pending, first, first + piece_size - 1)
            seen.update(ids)
            keys = [layout.task_key(queue, task_id) for task_id in ids]
            unexpected.difference_update(keys)
            hashes: list[Any] = node.many([(b"HGETALL", key) for key in keys])
            check_tasks(outcome, queue, ids, hashes, window, tally)
            reverse_hashes = [found for task_id in ids if (found := layout.look_up(queue, task_id)) is not None]
            unexpected.difference_update(key for key, _ in reverse_hashes)
            for (key, fields), flat in zip(
                reverse_hashes, node.many([(b"HGETALL", key) for key, _ in reverse_hashes]), strict=True
            ):
                if _fields(flat) != fields:
                    raise WrongResultError(f"{key.decode()} holds {_fields(flat)}, not {fields}")
    if len(seen) != expected.tasks:
        raise WrongResultError(f"{expected.tasks - len(seen)} ids are in the list more than once")
    if layout.lists_queues and listed:
        unexpected.discard(QUEUES_KEY)
        names: list[bytes] = nodes.of(QUEUES_KEY).call("SMEMBERS", QUEUES_KEY)
        if set(names) != {queue.encode() for queue in outcome.queues}:
            raise WrongResultError(f"{QUEUES_KEY.decode()} has {sorted(names)}")
    if unexpected:
        raise WrongResultError(f"{len(unexpected)} keys are stored that should not be, such as {min(unexpected)!r}")
    _check_expiry(nodes, own)
    check_content(tally.content, expected)
    return sum(map(hash, seen)) & _MASK


def _fields(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """The fields of a hash. A dump can hold a field twice, and a server may restore it as it is."""
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    if 2 * len(fields) != len(flat):
        raise WrongResultError(f"a hash has a field more than once: {flat}")
    return fields


def _check_expiry(nodes: Nodes, own: set[bytes]) -> None:
    """Raises WrongResultError if a key expires that is not the loader's own: RESTORE can set a time to live."""
    expiring = sum(nodes.of(key).call("PTTL", key) != -1 for key in own)
    counts = [re.search(r"db0:.*expires=(\d+)", node.call("INFO", "keyspace").decode()) for node in nodes.all]
    found = sum(int(count[1]) for count in counts if count is not None)
    if found > expiring:  # there may be fewer: some of the loader's own keys may have expired in between
        raise WrongResultError(f"{found - expiring} keys have a time to live")


def _length(nodes: Nodes, key: bytes) -> int:
    length: int = nodes.of(key).call("LLEN", key)
    return length


def _stored(nodes: Nodes) -> tuple[set[bytes], set[bytes]]:
    """All keys except those of the loader itself, and these."""
    keys, own = set[bytes](), set[bytes]()
    for node in nodes.all:
        cursor = b"0"
        while True:
            cursor, found = node.call("SCAN", cursor, "COUNT", 10_000)
            keys.update(key for key in found if _BOOKKEEPING not in key)  # SCAN may return a key twice
            own.update(key for key in found if _BOOKKEEPING in key)
            if cursor == b"0":
                break
    return keys, own

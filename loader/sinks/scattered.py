"""Writes the keys of a delivery that are in other slots of a cluster than its queue, to all nodes at once.

In the documented layout, these are the hashes of the tasks. In the asynq layout, with runqy's profile, these are the
look-ups.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from operator import itemgetter

from loader.layouts.base import QueueEncoder
from loader.servers.routing import Servers
from loader.sinks.base import Delivery
from loader.sinks.connections import Connections
from loader.sinks.replies import Outcome, outcome_of
from loader.tasks.reasons import Reason
from loader.wire.faults import from_reply
from loader.wire.resp import command

Where = Callable[[int], str]
"""The place of the task at a position, for errors."""


async def scatter(
    servers: Servers, connections: Connections, delivery: Delivery, encoder: QueueEncoder, where: Where
) -> dict[int, Reason]:
    """Writes the keys in other slots, and counts the dumps in the delivery.

    Returns:
        The positions of tasks whose key holds another type.

    Raises:
        DumpRefusedError: A node does not take dumps.
        LoaderError: A node refuses, was lost, or has lost what it has just acknowledged.
    """
    parts = _parts(servers, delivery, encoder)
    connected = [await connections.to(_key(delivery, encoder, positions[0])) for positions in parts]
    calls = [
        connection.call(_commands(delivery, encoder, positions), replies=len(positions))
        for connection, positions in zip(connected, parts, strict=True)
    ]
    refused: dict[int, Reason] = {}
    existing: list[int] = []
    for positions, replies in zip(parts, await asyncio.gather(*calls), strict=True):
        outcome = _outcome(replies, encoder, positions, where)
        refused |= {positions[at]: why for at, why in outcome.refused.items()}
        existing += [positions[at] for at in outcome.existing]
        delivery.compact += outcome.dumped
    await _look(
        connections, [_key(delivery, encoder, at) for positions in parts for at in (positions[0], positions[-1])]
    )
    if existing:
        refused |= await _rewrite(connections, delivery, encoder, existing, where)
    return refused


def _parts(servers: Servers, delivery: Delivery, encoder: QueueEncoder) -> list[Sequence[int]]:
    """The positions of the tasks, one part for each node."""
    if delivery.id_prefix:
        return servers.parts(encoder.elsewhere + delivery.id_prefix, delivery.ids)
    return list(servers.by_node([encoder.elsewhere + task_id for task_id in delivery.ids]).values())


def _commands(delivery: Delivery, encoder: QueueEncoder, positions: Sequence[int]) -> bytes:
    """The commands of one node."""
    ids, payloads = delivery.ids, delivery.payloads
    if len(positions) < len(ids):  # hot path: a C loop
        pick = itemgetter(*positions) if len(positions) > 1 else itemgetter(slice(positions[0], positions[0] + 1))
        ids, payloads = pick(ids), pick(payloads)
    if delivery.id_prefix:
        return encoder.write_elsewhere(delivery.id_prefix, ids, payloads)
    return b"".join(one for _, one in encoder.other_slot_commands(ids, payloads))


def _outcome(replies: Sequence[object], encoder: QueueEncoder, positions: Sequence[int], where: Where) -> Outcome:
    return outcome_of(replies, encoder, lambda at: where(positions[at]), 1)


async def _look(connections: Connections, keys: Sequence[bytes]) -> None:
    """Checks that no node has lost what it has just acknowledged; the script cannot see the keys of other nodes.

    This does not cover the time until the script runs, which is about one round trip.

    Args:
        keys: The first and the last one that was written to each node.

    Raises:
        TransientError: A node has lost its first or last key.
    """
    replies = await connections.scatter([(key, command(b"EXISTS", key)) for key in keys])
    for key, reply in zip(keys, replies, strict=True):
        if reply == 0:  # an error: the user has no right to EXISTS, and does without this
            raise from_reply("LOST the hash of a task that is to be pushed", f"key {key.decode()}")


async def _rewrite(
    connections: Connections, delivery: Delivery, encoder: QueueEncoder, existing: Sequence[int], where: Where
) -> dict[int, Reason]:
    """Writes tasks whose keys exist, as an earlier attempt may have written them."""
    ids, payloads = delivery.whole_ids, delivery.payloads
    commands = encoder.rewrite_commands([ids[at] for at in existing], [payloads[at] for at in existing])
    outcome = _outcome(await connections.scatter(commands), encoder, existing, where)
    delivery.compact += outcome.dumped
    return {existing[at]: why for at, why in outcome.refused.items()}


def _key(delivery: Delivery, encoder: QueueEncoder, position: int) -> bytes:
    return encoder.elsewhere + delivery.id_prefix + delivery.ids[position]

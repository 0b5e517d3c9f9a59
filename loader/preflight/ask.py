"""Questions to the server: many in one round trip, and an answer that is an error stops none of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import redis.asyncio
import redis.exceptions

from loader.errors import TransientError
from loader.servers.routing import Servers
from loader.wire.faults import from_redis_py

Command = tuple[str | bytes | int, ...]
"""Of those with a key, it is the first argument."""

_KEYLESS = ("INFO", "CONFIG", "TIME", "ACL")


async def ask(servers: Servers, *groups: Sequence[Command]) -> list[list[Any]]:
    """Sends all commands at once; the replies by group. An error reply is a value among them.

    What has no key is asked of one server; in a cluster all else of the node that serves the key.

    Raises:
        redis.exceptions.RedisError, OSError: A connection fails.
    """
    commands = [command for group in groups for command in group]
    by_node: dict[redis.asyncio.Redis, list[int]] = {}
    for position, command in enumerate(commands):
        by_node.setdefault(_node(servers, command), []).append(position)
    parts = await asyncio.gather(
        *(ask_node(node, [commands[at] for at in positions]) for node, positions in by_node.items())
    )
    replies: dict[int, Any] = {}
    for positions, part in zip(by_node.values(), parts, strict=True):
        replies.update(zip(positions, part, strict=True))
    in_order = (replies[at] for at in range(len(commands)))
    return [[next(in_order) for _ in group] for group in groups]


async def ask_node(node: redis.asyncio.Redis, commands: Sequence[Command]) -> list[Any]:
    """The same for one server; the replies in the order of the commands."""
    async with node.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        return list(await pipe.execute(raise_on_error=False))


def raise_transient(replies: Iterable[Any], where: str) -> None:
    """Raises TransientError if a reply is an error that time may heal: then the questions are to be asked again."""
    for reply in replies:
        if isinstance(reply, redis.exceptions.RedisError):
            error = from_redis_py(reply, where)
            if isinstance(error, TransientError):
                raise error


def _node(servers: Servers, command: Command) -> redis.asyncio.Redis:
    key = command[1] if command[0] not in _KEYLESS else None
    return servers.clients()[0] if key is None or isinstance(key, int) else servers.client_of(key)

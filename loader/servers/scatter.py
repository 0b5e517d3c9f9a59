"""Many single commands at once, each to the server that holds its key."""

from __future__ import annotations

from collections.abc import Sequence

from loader.servers.routing import Servers
from loader.wire.client import Argument, Command
from loader.wire.connection import Reply
from loader.wire.faults import translated

_AT_ONCE = 1000


async def ask_each(servers: Servers, commands: Sequence[Command]) -> list[Reply]:
    """Sends each command to the server that holds its key, many at once. The replies come in the order of the commands.

    Args:
        commands: The key is the word after the command's name.

    Raises:
        LoaderError: A server refuses one of them, or cannot be reached. Others may have been executed.
    """
    return await _asked(servers, [_key(command) for command in commands], commands)


async def eval_each(servers: Servers, script: bytes, keys: Sequence[bytes], *arguments: Argument) -> list[Reply]:
    """Runs a script of one key for each key, otherwise as ``ask_each``."""
    return await _asked(servers, keys, [("EVAL", script, 1, key, *arguments) for key in keys])


async def _asked(servers: Servers, keys: Sequence[bytes | str], commands: Sequence[Command]) -> list[Reply]:
    by_client: dict[int, list[int]] = {}
    clients = [servers.client_of(key) for key in keys]
    for position, client in enumerate(clients):
        by_client.setdefault(id(client), []).append(position)
    replies: list[Reply] = [None] * len(commands)
    for positions in by_client.values():
        for start in range(0, len(positions), _AT_ONCE):
            part = positions[start : start + _AT_ONCE]
            with translated(f"{servers}, key {_text(keys[part[0]])}"):
                found = await clients[part[0]].execute_all([commands[position] for position in part])
            for position, reply in zip(part, found, strict=True):
                replies[position] = reply
    return replies


def _key(command: Command) -> bytes | str:
    key = command[1]
    assert isinstance(key, bytes | str)  # noqa: S101 - as the docstring asks
    return key


def _text(key: bytes | str) -> str:
    return key.decode(errors="replace") if isinstance(key, bytes) else key

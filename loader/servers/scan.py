"""A search through the keys of a server or a cluster, in steps between which other clients are served."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import hiredis

from loader.errors import ConnectionFailedError, TransientError
from loader.servers.retry import Repeat
from loader.servers.routing import Servers
from loader.wire.address import Address
from loader.wire.client import Client
from loader.wire.faults import from_reply, translated
from loader.wire.slots import key_slot

T = TypeVar("T")

STEP = 1000
"""Keys in each step: a server with millions of keys is blocked for a millisecond or two."""

_MOST_PASSES = 5
_MOST_STARTS = 5

_MOVING = re.compile(r"\[(\d+)-[<>]-")
"""A slot on its way in or out, in a line of CLUSTER NODES."""


async def once(step: Callable[[], Awaitable[T]]) -> T:
    """A ``Repeat`` that repeats nothing, for a search that is repeated as a whole."""
    return await step()


async def scan(
    client: Client, pattern: str | bytes, *, step: int = STEP, rest: float = 0.0, repeat: Repeat = once
) -> AsyncIterator[list[bytes]]:
    """The keys of one server that match a pattern, step by step. A key may come twice.

    Args:
        step: Keys that the server looks at in each step.
        rest: The pause between two steps, relative to the time of a step: with 1, other clients have half of the
            server's time.
        repeat: Repeats a step after transient faults, such as a server that is busy.

    Raises:
        hiredis.ReplyError: The server refuses.
        LoaderError: The server cannot be reached, or the connection was lost. Another one may lead to another process,
            for which the cursor means nothing.
    """
    connection, cursor = await client.connect(), b"0"
    while True:
        began = time.monotonic()
        cursor, keys = await repeat(partial(client.execute, "SCAN", cursor, "MATCH", pattern, "COUNT", step))
        if client.connection is not connection:
            raise ConnectionFailedError("the connection was lost during a search through the keys")
        yield keys
        if cursor == b"0":
            return
        if rest:
            await asyncio.sleep(rest * (time.monotonic() - began))


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the slots are.

    Attributes:
        owners: See ``Servers.owners``. Where only one slot counts, its owner alone, as if it were slot 0.
        moving: The slots that are on their way between two nodes; None if a node does not tell.
    """

    owners: list[Address | None]
    moving: frozenset[int] | None


def literal(text: bytes) -> bytes:
    """A glob-style pattern that matches only this text."""
    return b"".join(b"\\" + bytes([byte]) if byte in b"*?[]\\^-" else bytes([byte]) for byte in text)


async def scan_all(
    servers: Servers,
    repeat: Repeat,
    pattern: str | bytes,
    *,
    of: bytes | None = None,
    step: int = STEP,
    rest: float = 0.0,
    looked: Callable[[int], None] = lambda keys: None,
) -> AsyncIterator[list[bytes]]:
    """The keys of all primaries that match a pattern, step by step. A key may come more than once.

    Each key comes that is there during the whole search, also if it is moved to another node meanwhile. If slots move
    during a pass over all nodes, one more pass finds what the first one has missed: unless the same slot moves twice.

    Args:
        repeat: Repeats a step after transient faults.
        of: A key: only the node that serves it is searched. None for all nodes.
        step, rest: See ``scan``.
        looked: Called with the number of keys looked at, after each step.

    Raises:
        TransientError: Some slots are not served, or a fault lasted, or the same slots move again and again.
        LoaderError: A server refuses.
    """
    passes = [await repeat(lambda: _places(servers, of))] if servers.is_cluster else list[_Places]()
    while len(passes) <= _MOST_PASSES:
        addresses = [servers.address_of(of)] if of is not None else servers.primaries()
        for address in addresses:
            async for keys in _scan_node(servers, repeat, address, pattern, step, rest):
                looked(step)
                yield keys
        if not servers.is_cluster:
            return
        passes.append(await repeat(lambda: _places(servers, of)))
        if _is_complete(passes):
            return
    raise TransientError(
        f"{servers}: slots of the cluster move again and again, so its keys cannot be listed completely",
        "Run the same command again when the slots have been moved",
    )


async def _scan_node(
    servers: Servers, repeat: Repeat, address: Address, pattern: str | bytes, step: int, rest: float
) -> AsyncIterator[list[bytes]]:
    """The keys of one node. After a lost connection, it begins again, unless the node is no primary any more."""
    for _ in range(_MOST_STARTS):
        client = servers.client_at(address)
        patient = partial(_repeated, repeat, str(address))
        try:
            with translated(str(address)):
                async for keys in scan(client, pattern, step=step, rest=rest, repeat=patient):
                    yield keys
        except TransientError as error:
            failure = servers.located(error, address) if isinstance(error, ConnectionFailedError) else error
        else:
            return
        await repeat(_Again(failure, servers, address))
        if address not in servers.primaries():
            return  # the slots have other owners now, so there will be another pass
    raise failure


async def _repeated(repeat: Repeat, where: str, step: Callable[[], Awaitable[T]]) -> T:
    """Repeats a step, unless its connection is lost: then the search begins again."""

    async def attempt() -> T | ConnectionFailedError:
        try:
            with translated(where):
                return await step()
        except ConnectionFailedError as error:
            return error

    result = await repeat(attempt)
    if isinstance(result, ConnectionFailedError):
        raise result
    return result


class _Again:
    """A step that fails with an error, and when it is repeated, waits for the node to answer."""

    def __init__(self, failure: TransientError, servers: Servers, address: Address) -> None:
        self._failure: TransientError | None = failure
        self._servers = servers
        self._address = address

    async def __call__(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if self._address in self._servers.primaries():
            await self._servers.client_at(self._address).connect()


async def _places(servers: Servers, of: bytes | None) -> _Places:
    """Where the slots are now.

    Raises:
        TransientError: Some of the slots that are needed are not served.
    """
    await servers.refresh()
    if of is not None:  # only its slot counts
        address = servers.address_of(of)
        found = await _moving_at(servers.client_at(address), address)
        return _Places([address], None if found is None else frozenset({0} if key_slot(of) in found else ()))
    servers.require_all_slots()
    moving: set[int] | None = set()
    for address in servers.primaries():
        found = await _moving_at(servers.client_at(address), address)
        moving = None if moving is None or found is None else moving | found
    return _Places(servers.owners(), None if moving is None else frozenset(moving))


async def _moving_at(client: Client, address: Address) -> set[int] | None:
    """The slots that a node gives away or takes over (Redis documentation, "CLUSTER NODES": it tells its own only)."""
    (reply,) = await client.ask([("CLUSTER", "NODES")])
    if isinstance(reply, hiredis.ReplyError):
        error = from_reply(str(reply), str(address))
        if isinstance(error, TransientError):
            raise error
        return None  # most likely, a missing right
    text = reply.decode(errors="replace") if isinstance(reply, bytes) else str(reply)
    return {int(slot) for slot in _MOVING.findall(text)}


def _is_complete(passes: list[_Places]) -> bool:
    """Whether the passes over all nodes between these moments have found every key.

    A pass misses a key that moves during it, to a node that it has behind it. Two passes miss a key that moves in both.
    """
    before, after = passes[-2:]
    changed = _changed(before, after)
    if not changed and before.moving == after.moving == frozenset():
        return True
    if len(passes) < 3:
        return False
    earlier, moving = _changed(passes[-3], before), after.moving or frozenset()
    return not (earlier & (changed | moving) or changed & moving)


def _changed(one: _Places, other: _Places) -> set[int]:
    """The slots whose owner has changed."""
    return {slot for slot, owners in enumerate(zip(one.owners, other.owners, strict=True)) if len(set(owners)) > 1}

"""A session with the nodes of a cluster: what was lost is fenced before anything is sent again."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Collection

import redis

from loader.servers.question import ask
from loader.servers.routing import Servers
from loader.servers.session import Session
from loader.wire.address import parse_address
from tests.integration.cluster import Cluster
from tests.integration.cluster import cluster as cluster


def keys_on_two_nodes(servers: Servers) -> tuple[bytes, bytes]:
    names = [b"k%d" % number for number in range(100)]
    one = names[0]
    return one, next(name for name in names if servers.address_of(name) != servers.address_of(one))


def kill(server: Servers, key: bytes, name: str) -> None:
    """Closes a connection of this name on the node that serves a key."""
    address = server.address_of(key)
    with redis.Redis(host=address.host, port=address.port) as client:
        (found,) = [one["id"] for one in client.client_list() if one["name"] == name]
        client.client_kill_filter(_id=found)


def test_what_is_lost_while_another_loss_is_fenced_is_fenced_too(cluster: Cluster) -> None:
    fenced: list[set[str]] = []
    numbers = itertools.count()

    async def run() -> None:
        async def fence(names: Collection[str]) -> None:
            fenced.append(set(names))
            if len(fenced) == 1:  # meanwhile, the node on which a call waits closes its connection as well
                kill(servers, two, waiting_name)
                while waiting_name not in session._lost:
                    await asyncio.sleep(0.001)

        servers = Servers(parse_address(cluster.url), 10)
        session = Session(servers, 10, 30, lambda: f"test:{next(numbers)}", fence)
        await session.reach()
        one, two = keys_on_two_nodes(servers)
        try:
            await session.call([ask(b"GET", one)])
            quick_name = session._open[servers.address_of(one)][1]
            await session.call([ask(b"LLEN", two)])
            waiting_name = session._open[servers.address_of(two)][1]
            waiting = asyncio.ensure_future(session.call([ask(b"BLPOP", two, b"0")]))
            await asyncio.sleep(0.05)

            kill(servers, one, quick_name)
            await session.call([ask(b"GET", one)])
            await session.call([ask(b"LLEN", one)])
            with cluster.client() as client:
                client.rpush(two, "element")
            assert await waiting == [[two, b"element"]]
            assert set().union(*fenced) == {quick_name, waiting_name}
        finally:
            await session.close()
            await servers.aclose()

    asyncio.run(run())

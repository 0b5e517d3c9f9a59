"""A Redis that refuses: payloads that are too long for it, and a primary that becomes a replica."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import RedisServer, Server
from tests.faults.proxy import Proxy
from tests.gateway.conftest import Start
from tests.gateway.helpers import Gateway, Reply, documented

MakeServer = Callable[..., RedisServer]
SETTINGS = pytest.mark.parametrize("setting", ["proto-max-bulk-len", "client-query-buffer-limit"])


def add(gateway: Gateway, characters: int, headers: dict[str, str] | None = None) -> Reply:
    return gateway.post("/queue/add", {"queue": "simple", "data": "x" * characters}, headers=headers)


def payloads(server: Server) -> list[int]:
    with server.client() as client:
        return [len(json.loads(fields[b"payload"])) for _, fields in documented(client, "simple.default")]


@SETTINGS
def test_a_payload_that_is_too_long_for_redis_is_413(redis_server: MakeServer, start: Start, setting: str) -> None:
    server = redis_server(f"--{setting}", "1mb").start()
    gateway = start(server.url)
    kept = gateway.connect()

    statuses = [add(gateway, size).status for size in (10, 900_000, 1_100_000, 10, 5_000_000, 10)]
    batch = {"queue": "simple", "jobs": [{"data": 1}, {"data": "x" * 1_100_000}]}
    reply = gateway.post("/queue/add-batch", batch, over=kept)

    kept.close()
    assert statuses == [200, 200, 413, 200, 413, 200]
    assert reply.status == 413
    assert "Redis accepts" in reply.errors[0]
    assert sorted(payloads(server)) == [10, 10, 10, 900_000]
    with server.client() as client:
        assert len(client.keys("asynq:t:*")) == 4


def test_without_having_been_told_the_limit_only_the_long_payload_is_413(
    redis_server: MakeServer, start: Start
) -> None:
    server = redis_server("--proto-max-bulk-len", "1mb").start()
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "loader", "on", ">secret", "~*", "&*", "+@all", "-config")
    gateway = start(f"redis://loader:secret@127.0.0.1:{server.port}/0")

    reply = add(gateway, 1_100_000)
    until(lambda: add(gateway, 10).status == 200, "the gateway has connected again")

    assert (reply.status, reply.errors) == (413, ["Redis refuses the size of a payload"])


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}], ids=["without a key", "with a key"])
def test_after_a_failover_behind_one_address_the_new_primary_is_used(
    redis_server: MakeServer, start: Start, headers: dict[str, str]
) -> None:
    options = ("--repl-diskless-sync-delay", "0")
    primary = redis_server(*options).start()
    replica = redis_server("--replicaof", "127.0.0.1", str(primary.port), *options).start()
    with Proxy(primary.port) as proxy, primary.client() as old, replica.client() as new:
        gateway = start(proxy.url)
        assert add(gateway, 1).status == 200
        until(lambda: old.wait(1, 1000) == 1, "the replica has everything")
        new.replicaof("NO", "ONE")
        old.replicaof("127.0.0.1", replica.port)

        refused = add(gateway, 2, headers)
        proxy.target_port = replica.port
        until(lambda: add(gateway, 3, headers).status == 200, "the gateway has found the new primary")

    assert refused.status == 503
    assert "; nothing was " in refused.errors[0]
    assert sorted(payloads(replica)) == [1, 3]


def test_after_a_failover_tasks_are_looked_up_in_the_new_primary(redis_server: MakeServer, start: Start) -> None:
    """Reading from a replica is no error, so nothing else would show that the state is old."""
    primary, other = redis_server().start(), redis_server().start()
    with Proxy(primary.port) as proxy, primary.client() as old:
        gateway = start(proxy.url)
        assert add(gateway, 1).status == 200
        old.replicaof("127.0.0.1", 1)  # of a primary that is away: it keeps what it has
        proxy.target_port = other.port
        reply = add(gateway, 2)
        assert reply.status == 503
        until(lambda: add(gateway, 3).status == 200, "the gateway has found the new primary")
        with other.client() as client:
            ((task_id, _),) = documented(client, "simple.default")
        until(lambda: gateway.get(f"/queue/{task_id}").status == 200, "the task to be found")


def until(holds: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, f"not within 60 s: {what}"
        time.sleep(0.02)

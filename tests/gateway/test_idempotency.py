"""``Idempotency-Key``: the same key never enqueues twice."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conftest import Server
from tests.gateway.conftest import Start
from tests.gateway.helpers import Gateway, Reply, documented

BATCH = {"queue": "simple", "jobs": [{"data": n} for n in range(250)]}


def with_key(gateway: Gateway, key: str, content: Any, path: str = "/queue/add-batch") -> Reply:
    return gateway.post(path, content, headers={"Idempotency-Key": key})


def test_a_repeated_request_gets_the_same_answer_and_enqueues_nothing(gateway: Gateway, client: Any) -> None:
    first = with_key(gateway, "k", BATCH)
    again = with_key(gateway, "k", BATCH)

    assert (first.status, again.status) == (200, 200)
    assert again.body == first.body
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert [task_id for task_id, _ in documented(client, "simple.default")] == first.json["task_ids"]
    assert len(client.keys("asynq:t:*")) == 250


def test_single_tasks_have_keys_as_well(asynq_gateway: Gateway, client: Any) -> None:
    content = {"queue": "simple", "data": {"n": 1}}
    first, again = (with_key(asynq_gateway, "k", content, "/queue/add") for _ in range(2))
    assert first.json["info"]["id"] == again.json["info"]["id"] and first.json["data"] == again.json["data"] == {"n": 1}
    assert client.llen("asynq:{simple.default}:pending") == 1


def test_another_request_with_the_key_is_422(gateway: Gateway, client: Any) -> None:
    with_key(gateway, "k", BATCH)
    for path, content in (
        ("/queue/add-batch", {**BATCH, "timeout": 1}),
        ("/queue/add-batch", {**BATCH, "queue": "inference"}),
        ("/queue/add", {"queue": "simple", "data": 1}),
    ):
        reply = with_key(gateway, "k", content, path)
        assert (reply.status, reply.errors) == (422, ["this Idempotency-Key was used before with a different request"])
    assert client.llen("asynq:simple.default:pending") == 250


def test_other_keys_and_no_key_enqueue(gateway: Gateway, client: Any) -> None:
    with_key(gateway, "k", BATCH)
    with_key(gateway, "l", BATCH)
    gateway.post("/queue/add-batch", BATCH)
    assert client.llen("asynq:simple.default:pending") == 750


@pytest.mark.parametrize("key", ["", " ", "é", "a\tb", "x" * 256])
def test_an_unusable_key_is_400(valkey: Server, start: Start, key: str) -> None:
    reply = with_key(start(valkey.url), key, BATCH)
    assert reply.status == 400
    assert "Idempotency-Key" in reply.errors[0]


def test_a_refused_request_binds_no_key(gateway: Gateway) -> None:
    assert with_key(gateway, "k", {**BATCH, "queue": "nope"}).status == 404
    assert with_key(gateway, "k", {"queue": "simple", "jobs": []}).status == 400
    assert with_key(gateway, "k", BATCH).status == 200


def test_keys_hold_across_gateways_and_restarts(server: Server, start: Start, client: Any) -> None:
    first_gateway = start(server.url)
    first = with_key(first_gateway, "k", BATCH)
    first_gateway.stop()
    again = with_key(start(server.url), "k", BATCH)
    assert again.body == first.body
    assert client.llen("asynq:simple.default:pending") == 250


def test_the_same_key_at_the_same_time_enqueues_once(server: Server, start: Start, client: Any) -> None:
    gateways = [start(server.url), start(server.url)]
    with ThreadPoolExecutor(16) as pool:
        for round_number in range(10):
            content = {"queue": "simple", "jobs": [{"data": [round_number, n]} for n in range(50)]}

            def send(number: int, content: Any = content, key: str = f"k{round_number}") -> Reply:
                return with_key(gateways[number % 2], key, content)

            replies = list(pool.map(send, range(16)))
            assert {reply.status for reply in replies} == {200}
            assert len({reply.body for reply in replies}) == 1
    found = [json.loads(fields[b"payload"]) for _, fields in documented(client, "simple.default")]
    assert sorted(found) == sorted([r, n] for r in range(10) for n in range(50))
    assert len(client.keys("asynq:t:*")) == 500  # those that lost the race have taken their hashes back


def test_keys_are_forgotten_in_time_and_not_stored_in_the_clear(server: Server, start: Start, client: Any) -> None:
    gateway = start(server.url, "--idempotency-ttl", "100s")
    with_key(gateway, "secret-of-the-client", BATCH)
    marks = [key.decode() for key in client.keys("*idempotency*")]
    assert len(marks) == 2
    for mark in marks:
        assert re.search(r"runqy-loader:idempotency:[0-9a-f]{64}$", mark)
        assert 0 < client.ttl(mark) <= 100


def test_a_refused_push_leaves_neither_mark_nor_tasks(gateway: Gateway, client: Any) -> None:
    client.set("asynq:simple.default:pending", "of another type")
    for headers in ({}, {"Idempotency-Key": "k"}):
        reply = gateway.post("/queue/add-batch", BATCH, headers=headers)
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert "nothing was enqueued" in reply.errors[0]
    assert client.keys("asynq:t:*") == []
    client.delete("asynq:simple.default:pending")
    assert with_key(gateway, "k", BATCH).status == 200
    assert client.llen("asynq:simple.default:pending") == 250

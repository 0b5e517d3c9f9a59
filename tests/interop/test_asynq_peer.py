"""What asynq's own client writes: the facts that the layout ``asynq`` is built on, from the library itself."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.conftest import RedisServer
from tests.interop.asynq_peer import AsynqPeer, RefusedError
from tests.unit.task_message_oracle import decode, encode

pytestmark = pytest.mark.slow  # builds the Go program first

FAR = 4_102_444_800
"""A start time far in the future (the year 2100)."""


def keys(client: Any) -> set[bytes]:
    return set(client.scan_iter(count=1000))


def message(client: Any, queue: str, task_id: str) -> bytes:
    found: bytes = client.hget(f"asynq:{{{queue}}}:t:{task_id}", "msg")
    return found


def test_a_task_is_a_hash_of_three_fields_an_id_in_a_list_and_a_name_in_a_set(
    asynq_peer: AsynqPeer, client: Any
) -> None:
    before = time.time_ns()
    info = asynq_peer.enqueue("q", "mail", b'{"n": 1}', id="a")
    after = time.time_ns()

    assert (info.id, info.queue, info.type, info.payload, info.state) == ("a", "q", "mail", b'{"n": 1}', "pending")
    assert keys(client) == {b"asynq:{q}:t:a", b"asynq:{q}:pending", b"asynq:queues"}
    fields = client.hgetall("asynq:{q}:t:a")
    assert list(fields) == [b"msg", b"state", b"pending_since"]
    assert fields[b"state"] == b"pending"
    assert before <= int(fields[b"pending_since"]) <= after
    assert client.lrange("asynq:{q}:pending", 0, -1) == [b"a"]
    assert client.smembers("asynq:queues") == {b"q"}
    assert all(client.ttl(key) == -1 for key in keys(client))


def test_without_options_there_are_25_retries_and_30_minutes(asynq_peer: AsynqPeer, client: Any) -> None:
    asynq_peer.enqueue("q", "mail", b"p", id="a")

    assert message(client, "q", "a") == encode(type="mail", payload=b"p", id="a", queue="q", retry=25, timeout=1800)


def test_with_every_option_the_bytes_are_protobufs(asynq_peer: AsynqPeer, client: Any) -> None:
    asynq_peer.enqueue(
        "q",
        "mail",
        b"\x00\xff",
        id="a",
        max_retry=3,
        timeout=30,
        deadline=FAR,
        retention=86400,
        unique=60,
        group="g",
        headers={"k": "v"},
    )

    assert message(client, "q", "a") == encode(
        type="mail",
        payload=b"\x00\xff",
        id="a",
        queue="q",
        retry=3,
        timeout=30,
        deadline=FAR,
        unique_key="asynq:{q}:unique:mail:" + hashlib.md5(b"\x00\xff", usedforsecurity=False).hexdigest(),
        retention=86400,
        group_key="g",
        headers={"k": "v"},
    )


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ({}, {"timeout": 1800}),
        ({"timeout": 30}, {"timeout": 30}),
        ({"deadline": FAR}, {"deadline": FAR}),
        ({"timeout": 30, "deadline": FAR}, {"timeout": 30, "deadline": FAR}),
        ({"timeout": 0}, {"timeout": 1800}),
        ({"deadline": 0}, {"timeout": 1800}),
        ({"timeout": 1.9}, {"timeout": 1}),
        ({"timeout": 0.5}, {}),
        ({"timeout": -1}, {"timeout": -1}),
        ({"deadline": -1}, {"deadline": -1}),
    ],
    ids=str,
)
def test_the_default_timeout_is_written_only_without_timeout_and_deadline(
    asynq_peer: AsynqPeer, client: Any, given: dict[str, Any], written: dict[str, int]
) -> None:
    asynq_peer.enqueue("q", "mail", id="a", **given)

    found = decode(message(client, "q", "a"))
    assert {name: found[name] for name in ("timeout", "deadline") if name in found} == written


@pytest.mark.parametrize(
    ("given", "written"),
    [(0, None), (1, 1), (-5, None), (2**31 - 1, 2**31 - 1), (2**31, -(2**31)), (2**32 + 7, 7)],
)
def test_the_maximum_of_retries_is_cut_to_32_bits_and_0_is_not_written(
    asynq_peer: AsynqPeer, client: Any, given: int, written: int | None
) -> None:
    asynq_peer.enqueue("q", "mail", id="a", max_retry=given)

    assert decode(message(client, "q", "a")).get("retry") == written


@pytest.mark.parametrize(("given", "written"), [(0.9, None), (1.9, 1), (86400, 86400)])
def test_retention_is_cut_to_seconds(asynq_peer: AsynqPeer, client: Any, given: float, written: int | None) -> None:
    asynq_peer.enqueue("q", "mail", id="a", retention=given)

    assert decode(message(client, "q", "a")).get("retention") == written


def test_a_header_has_key_and_value_on_the_wire_even_if_they_are_empty(asynq_peer: AsynqPeer, client: Any) -> None:
    asynq_peer.enqueue("q", "mail", id="a", headers={"": ""})

    assert message(client, "q", "a").endswith(b"\x40\x88\x0e" + b"\x7a\x04\x0a\x00\x12\x00")


def test_headers_come_last_in_any_order(asynq_peer: AsynqPeer, client: Any) -> None:
    headers = {f"key-{number}": "v" for number in range(8)}
    for number in range(12):
        asynq_peer.enqueue("q", "mail", id=f"a{number}", headers=headers)

    written = [message(client, "q", f"a{number}") for number in range(12)]
    assert all(decode(data)["headers"] == headers for data in written)
    assert len({data[data.index(b"\x7a") :] for data in written}) > 1, "12 times the same order"


@pytest.mark.parametrize("queue", ["default", "inference.high", " a b ", "a:b", "a}b", "{a}", "é", "UPPER", "x" * 300])
def test_any_queue_name_that_is_not_blank_is_taken_as_it_is(asynq_peer: AsynqPeer, client: Any, queue: str) -> None:
    asynq_peer.enqueue(queue, "mail", id="a")

    prefix = f"asynq:{{{queue}}}:".encode()
    assert keys(client) == {prefix + b"t:a", prefix + b"pending", b"asynq:queues"}
    assert client.smembers("asynq:queues") == {queue.encode()}
    assert asynq_peer.task(queue, "a").queue == queue
    (execution,) = asynq_peer.serve(queue)
    assert execution.queue == queue


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"queue": ""}, "queue name must contain one or more characters"),
        ({"queue": " \t\u3000"}, "queue name must contain one or more characters"),
        ({"type": ""}, "task typename cannot be empty"),
        ({"type": " "}, "task typename cannot be empty"),
        ({"id": ""}, "task ID cannot be empty"),
        ({"id": " "}, "task ID cannot be empty"),
        ({"unique": 0.9}, "Unique TTL cannot be less than 1s"),
        ({"group": " "}, "group key cannot be empty"),
        ({"queue": "\udcff"}, "invalid UTF-8"),
        ({"type": "\udcff"}, "invalid UTF-8"),
        ({"id": "\udcff"}, "invalid UTF-8"),
    ],
    ids=repr,
)
def test_what_asynq_refuses_leaves_nothing(
    asynq_peer: AsynqPeer, client: Any, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(RefusedError, match=said) as refused:
        asynq_peer.enqueue(**{"queue": "q", "type": "mail", **options})

    assert refused.value.kind == "other"
    assert keys(client) == set()


def test_a_task_whose_hash_exists_is_refused_whatever_else_differs(asynq_peer: AsynqPeer, client: Any) -> None:
    asynq_peer.enqueue("q", "mail", b"1", id="a")
    before = client.hgetall("asynq:{q}:t:a")

    for process_at in (None, FAR):
        with pytest.raises(RefusedError) as refused:
            asynq_peer.enqueue("q", "other", b"2", id="a", process_at=process_at)
        assert refused.value.kind == "id conflict"

    assert client.hgetall("asynq:{q}:t:a") == before
    assert client.lrange("asynq:{q}:pending", 0, -1) == [b"a"]
    assert not client.exists("asynq:{q}:scheduled")
    assert asynq_peer.enqueue("another", "mail", id="a").id == "a"


def test_a_scheduled_task_is_in_a_sorted_set_by_second_and_not_pending_since(
    asynq_peer: AsynqPeer, client: Any
) -> None:
    asynq_peer.enqueue("q", "mail", b"p", id="a", process_at=FAR)

    assert keys(client) == {b"asynq:{q}:t:a", b"asynq:{q}:scheduled", b"asynq:queues"}
    assert client.zrange("asynq:{q}:scheduled", 0, -1, withscores=True) == [(b"a", float(FAR))]
    msg = encode(type="mail", payload=b"p", id="a", queue="q", retry=25, timeout=1800)
    assert list(client.hgetall("asynq:{q}:t:a").items()) == [(b"msg", msg), (b"state", b"scheduled")]


@pytest.mark.parametrize("options", [{"process_at": 1}, {"process_in": 0}, {"process_in": -60}], ids=str)
def test_a_task_whose_start_is_past_is_pending(asynq_peer: AsynqPeer, client: Any, options: dict[str, Any]) -> None:
    assert asynq_peer.enqueue("q", "mail", id="a", **options).state == "pending"
    assert not client.exists("asynq:{q}:scheduled")


@pytest.mark.parametrize("options", [{}, {"process_at": FAR}], ids=["pending", "scheduled"])
def test_a_unique_task_names_its_lock_in_the_hash_and_in_the_message(
    asynq_peer: AsynqPeer, client: Any, options: dict[str, Any]
) -> None:
    asynq_peer.enqueue("q", "mail", b"p", id="a", unique=600, **options)

    lock = b"asynq:{q}:unique:mail:" + hashlib.md5(b"p", usedforsecurity=False).hexdigest().encode()
    fields = client.hgetall("asynq:{q}:t:a")
    assert set(fields) - {b"pending_since"} == {b"msg", b"state", b"unique_key"}
    assert fields[b"unique_key"] == lock
    assert decode(fields[b"msg"])["unique_key"] == lock.decode()
    assert client.get(lock) == b"a"


def test_a_lock_holds_for_its_time_and_that_of_a_scheduled_task_for_its_time_after_the_start(
    asynq_peer: AsynqPeer, client: Any
) -> None:
    asynq_peer.enqueue("q", "now", id="a", unique=600.9)
    asynq_peer.enqueue("q", "later", id="b", unique=600, process_at=FAR)

    until_now = client.execute_command("PEXPIRETIME", "asynq:{q}:unique:now:") / 1000
    until_later = client.execute_command("PEXPIRETIME", "asynq:{q}:unique:later:") / 1000
    assert time.time() < until_now < time.time() + 600.5, "cut to whole seconds"
    assert FAR + 598 < until_later <= FAR + 600, "counted from the start, cut to whole seconds"


@pytest.mark.parametrize(("payload", "digest"), [(None, ""), (b"", "d41d8cd98f00b204e9800998ecf8427e")])
def test_nil_and_empty_payloads_differ_in_their_lock_only(
    asynq_peer: AsynqPeer, client: Any, payload: bytes | None, digest: str
) -> None:
    asynq_peer.enqueue("q", "mail", payload, id="a", unique=600)

    assert client.get(f"asynq:{{q}}:unique:mail:{digest}") == b"a"
    assert "payload" not in decode(message(client, "q", "a"))


def test_a_duplicate_is_refused_before_its_id_is_looked_at(asynq_peer: AsynqPeer, client: Any) -> None:
    asynq_peer.enqueue("q", "mail", b"p", id="a", unique=600)
    before = keys(client)

    for task_id in ("a", "b"):
        with pytest.raises(RefusedError) as refused:
            asynq_peer.enqueue("q", "mail", b"p", id=task_id, unique=600)
        assert refused.value.kind == "duplicate"

    assert keys(client) == before
    assert client.lrange("asynq:{q}:pending", 0, -1) == [b"a"]
    assert asynq_peer.enqueue("q", "mail", b"p", id="c").state == "pending", "not asked to be unique"


def test_an_id_conflict_leaves_the_lock_that_the_refused_task_took(asynq_peer: AsynqPeer, client: Any) -> None:
    asynq_peer.enqueue("q", "mail", b"1", id="a")

    with pytest.raises(RefusedError) as refused:
        asynq_peer.enqueue("q", "mail", b"2", id="a", unique=600)
    assert refused.value.kind == "id conflict"
    with pytest.raises(RefusedError) as refused:
        asynq_peer.enqueue("q", "mail", b"2", id="b", unique=600)

    assert refused.value.kind == "duplicate"
    (lock,) = client.keys("asynq:{q}:unique:*")
    assert client.get(lock) == b"a"
    assert asynq_peer.task("q", "a").payload == b"1"


def test_a_payload_may_be_of_any_size(asynq_peer: AsynqPeer) -> None:
    payload = bytes(range(256)) * 4096

    asynq_peer.enqueue("q", "mail", payload, id="a")

    assert asynq_peer.task("q", "a").payload == payload


def test_the_peer_reaches_a_unix_socket_and_another_database(
    redis_server: Callable[..., RedisServer], asynq_program: Path
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        socket = f"{folder}/redis.sock"
        server = redis_server("--unixsocket", socket).start()

        AsynqPeer(asynq_program, socket, db=3).enqueue("q", "mail", id="a")

        with redis.Redis(port=server.port, db=3) as client:
            assert client.lrange("asynq:{q}:pending", 0, -1) == [b"a"]

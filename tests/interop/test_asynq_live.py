"""What live servers leave in Redis for a preflight to see, and what a server does with tasks written wrongly."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RedisServer
from tests.interop.asynq_peer import AsynqPeer, RefusedError
from tests.unit.task_message_oracle import encode

pytestmark = pytest.mark.slow  # builds the Go program first

FAR = 4_102_444_800
"""A start time far in the future (the year 2100)."""
MESSAGE = encode(type="mail", id="a", queue="q", retry=25, timeout=1800)


def by_hand(client: Any, task_id: str, fields: dict[str, bytes]) -> None:
    """A pending task whose hash has these fields; none at all is no hash."""
    client.sadd("asynq:queues", "q")
    if fields:
        client.hset(f"asynq:{{q}}:t:{task_id}", mapping=fields)
    client.lpush("asynq:{q}:pending", task_id)


def test_a_live_server_is_a_string_that_expires_and_a_member_scored_with_its_expiry(
    asynq_peer: AsynqPeer, client: Any, tmp_path: Path
) -> None:
    with asynq_peer.serving("q", folder=tmp_path, concurrency=3) as serving:
        assert set(client.keys("*")) == {
            b"asynq:servers",
            b"asynq:workers",
            f"asynq:servers:{{{serving.name}}}".encode(),
        }
        assert re.fullmatch(r".+:\d+:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", serving.name)
        ((server, server_expiry),) = client.zrange("asynq:servers", 0, -1, withscores=True)
        ((workers, workers_expiry),) = client.zrange("asynq:workers", 0, -1, withscores=True)
        assert server.decode() == f"asynq:servers:{{{serving.name}}}"
        assert workers.decode() == f"asynq:workers:{{{serving.name}}}"
        assert client.type(server) == b"string"
        assert 0 < client.ttl(server) <= 10
        assert server_expiry <= time.time() + 10 and workers_expiry <= time.time() + 10
        assert b"\x2a\x05\x0a\x01q\x10\x01" in client.get(server), "field 5: queue q with priority 1"
        (info,) = asynq_peer.servers()
        assert (info.queues, info.concurrency, info.status, info.active) == ({"q": 1}, 3, "active", [])

        assert serving.stop() == []

    assert client.keys("*") == []


def test_a_server_that_was_killed_leaves_members_behind_and_keys_until_they_expire(
    asynq_peer: AsynqPeer, client: Any, tmp_path: Path
) -> None:
    with asynq_peer.serving("q", folder=tmp_path) as serving:
        serving.kill()
        client.pexpire(f"asynq:servers:{{{serving.name}}}", 1)
        time.sleep(0.01)

        assert set(client.keys("*")) == {b"asynq:servers", b"asynq:workers"}
        assert asynq_peer.servers() == []
        for known in ("asynq:servers", "asynq:workers"):
            (member,) = client.zrange(known, 0, -1)
            client.zadd(known, {member: 1})

        assert asynq_peer.servers() == []
        assert client.keys("*") == [], "the Inspector clears out what has expired"


def test_a_busy_server_names_its_tasks_in_a_hash_at_the_next_heartbeat(
    asynq_peer: AsynqPeer, client: Any, tmp_path: Path
) -> None:
    asynq_peer.enqueue("q", "mail", id="a")
    with asynq_peer.serving("q", folder=tmp_path, hold=600) as serving:
        assert serving.execution().id == "a"
        assert client.lrange("asynq:{q}:active", 0, -1) == [b"a"]
        assert client.zscore("asynq:{q}:lease", "a") <= time.time() + 30
        assert client.hgetall("asynq:{q}:t:a").keys() == {b"msg", b"state"}
        assert client.hget("asynq:{q}:t:a", "state") == b"active"
        end = time.monotonic() + 60
        while not client.exists(f"asynq:workers:{{{serving.name}}}"):
            assert time.monotonic() < end, "no heartbeat"
            time.sleep(0.1)
        assert client.hkeys(f"asynq:workers:{{{serving.name}}}") == [b"a"]
        assert asynq_peer.servers()[0].active == ["a"]
        with pytest.raises(RefusedError, match="cannot delete task in active state"):
            asynq_peer.delete("q", "a")

        serving.stop()

    assert client.lrange("asynq:{q}:pending", 0, -1) == [b"a"], "what is not ready at the shutdown is put back"


def test_a_server_needs_the_message_only(asynq_peer: AsynqPeer, client: Any) -> None:
    by_hand(client, "a", {"msg": MESSAGE})

    (execution,) = asynq_peer.serve("q")

    assert (execution.id, execution.max_retry) == ("a", 25)


def test_a_task_without_state_can_be_neither_listed_by_id_nor_deleted(asynq_peer: AsynqPeer, client: Any) -> None:
    by_hand(client, "a", {"msg": MESSAGE})

    with pytest.raises(RefusedError):
        asynq_peer.task("q", "a")
    with pytest.raises(RefusedError):
        asynq_peer.delete("q", "a")
    assert [task.id for task in asynq_peer.tasks("q", "pending")] == ["a"]


def test_latency_is_counted_from_nanoseconds_of_the_oldest_task(asynq_peer: AsynqPeer, client: Any) -> None:
    by_hand(client, "a", {"msg": MESSAGE, "state": b"pending", "pending_since": str(time.time_ns() - 10**12).encode()})
    asynq_peer.enqueue("q", "mail", id="b")

    assert 1_000 <= asynq_peer.queue("q").latency < 1_100


def test_an_id_without_a_hash_is_lost_and_breaks_the_inspectors_numbers(asynq_peer: AsynqPeer, client: Any) -> None:
    by_hand(client, "a", {})
    with pytest.raises(RefusedError, match="arithmetic"):
        asynq_peer.queue("q")
    asynq_peer.enqueue("q", "mail", id="b")

    executions = asynq_peer.serve("q", until=1)

    assert [execution.id for execution in executions] == ["b"]
    assert client.lrange("asynq:{q}:active", 0, -1) == [b"a"]
    assert client.hgetall("asynq:{q}:t:a") == {b"state": b"active"}


def test_a_scheduled_id_without_a_hash_is_lost_too(asynq_peer: AsynqPeer, client: Any) -> None:
    client.sadd("asynq:queues", "q")
    client.zadd("asynq:{q}:scheduled", {"a": 1})

    assert asynq_peer.serve("q", idle=1) == []

    assert not client.exists("asynq:{q}:scheduled")
    assert client.lrange("asynq:{q}:active", 0, -1) == [b"a"]
    assert client.hgetall("asynq:{q}:t:a") == {b"state": b"active"}


@pytest.mark.parametrize(
    "fields",
    [
        {"msg": b"\x0a\x05ab"},
        {"msg": encode(id="a").replace(b"a", b"\xff")},
        {"type": b"task", "payload": b"{}", "retry": b"0", "max_retry": b"3", "queue": b"q"},
    ],
    ids=["cut short", "not UTF-8", "fields of the guide"],
)
def test_a_message_that_cannot_be_read_stays_active_for_ever(
    asynq_peer: AsynqPeer, client: Any, fields: dict[str, bytes]
) -> None:
    by_hand(client, "a", fields)
    asynq_peer.enqueue("q", "mail", id="b")

    assert [execution.id for execution in asynq_peer.serve("q", until=1)] == ["b"]

    assert client.lrange("asynq:{q}:active", 0, -1) == [b"a"]
    assert client.hget("asynq:{q}:t:a", "state") == b"active"


def test_the_id_in_the_message_is_the_one_that_is_finished(asynq_peer: AsynqPeer, client: Any) -> None:
    by_hand(client, "z", {"msg": MESSAGE, "state": b"pending"})

    (execution,) = asynq_peer.serve("q", until=1)

    assert execution.id == "a"
    assert client.lrange("asynq:{q}:active", 0, -1) == [b"z"]


def test_an_expired_lease_is_recovered_unless_a_message_cannot_be_read(asynq_peer: AsynqPeer, client: Any) -> None:
    for task_id in ("a", "bad"):
        client.lpush("asynq:{q}:active", task_id)
        client.zadd("asynq:{q}:lease", {task_id: 1})
    client.sadd("asynq:queues", "q")
    client.hset("asynq:{q}:t:a", mapping={"msg": MESSAGE, "state": "active"})
    client.hset("asynq:{q}:t:bad", mapping={"msg": b"\x0a\x05ab", "state": "active"})

    assert asynq_peer.serve("q", idle=1) == []

    client.delete("asynq:{q}:t:bad")
    (execution,) = asynq_peer.serve("q", until=1)
    assert (execution.id, execution.retried) == ("a", 1)


def test_one_start_in_nanoseconds_breaks_the_listing_of_all_scheduled_tasks_on_redis(
    redis_server: Callable[..., RedisServer], asynq_program: Path
) -> None:
    server = redis_server().start()  # Valkey spells the score out, which asynq can read
    asynq_peer = AsynqPeer(asynq_program, f"127.0.0.1:{server.port}")
    asynq_peer.enqueue("q", "mail", id="a", process_at=FAR)
    asynq_peer.enqueue("q", "mail", id="b", process_at=FAR)

    with server.client() as client:
        client.zadd("asynq:{q}:scheduled", {"b": FAR * 10**9})

    with pytest.raises(RefusedError, match="cast error"):
        asynq_peer.tasks("q", "scheduled")

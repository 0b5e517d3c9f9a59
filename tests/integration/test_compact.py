"""Compact tasks: what a load writes by RESTORE is what it would write by HSET, and where it goes by HSET."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import RedisServer, Server
from tests.integration.cluster import Cluster
from tests.integration.cluster import cluster as cluster
from tests.integration.tool import Redis, Tool, assert_error, assert_fine, counts, payloads

RECORDS = "".join(f"{json.dumps(value)}\n" for value in [{}, 7, -300, "", "7", "x" * 64, [1] * 2000, *range(100)])
COUNT = RECORDS.count("\n")
ENVELOPES = "".join(
    json.dumps(record) + "\n"
    for record in [
        {"payload": {"n": 1}},
        {"payload": 7, "id": "a", "type": "other", "max_retry": 9},
        {"payload": 8, "id": "b", "unique_ttl": 60},
        {"payload": 8, "id": "c", "unique_ttl": 60},
        {"payload": 9, "id": "d", "process_in": "1h"},
        {"payload": "x" * 5000, "id": "e", "process_in": "1h", "unique_ttl": 60},
        {"payload": 10, "id": "f", "ttl_completed": 60, "headers": {"a": "b"}},
        {"payload": 11, "id": "a"},
    ]
)
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "documented": (RECORDS, ("--layout", "documented")),
    "runqy": (RECORDS, ("--layout", "asynq")),
    "asynq": (RECORDS, ("--layout", "asynq", "--profile", "asynq", "--type", "t")),
    "runqy, later": (RECORDS, ("--layout", "asynq", "--process-in", "1h", "--force-schedule")),
    "asynq, unique": (RECORDS, ("--layout", "asynq", "--profile", "asynq", "--type", "t", "--unique-ttl", "1h")),
    "runqy, envelopes": (ENVELOPES, ("--layout", "asynq", "--envelope", "--force-schedule")),
    "own ids": (
        "".join(f'{{"id": "task {n % 90}", "text": "{"x" * n}"}}\n' for n in range(100)),
        ("--layout", "documented", "--id-field", "id"),
    ),
}


@pytest.fixture(params=["_valkey", "_redis", "_redis_62"], ids=["valkey", "redis", "redis-6.2"])
def target(request: pytest.FixtureRequest) -> Server:
    """Each kind of server in turn, empty. Redis 6.2 takes compact tasks in another form."""
    found: Server = request.getfixturevalue(request.param)
    with found.client() as client:
        client.flushall()
    return found


def content(db: Redis) -> dict[bytes, Any]:
    """All keys that consumers read, with their values; times and the order of hashes' fields are left out."""
    found: dict[bytes, Any] = {}
    for key in db.keys("asynq:*"):
        kind = db.type(key)
        if kind == b"hash":
            found[key] = {name: value for name, value in db.hgetall(key).items() if name != b"pending_since"}
        elif kind == b"zset":
            found[key] = db.zrange(key, 0, -1)
        else:
            found[key] = db.lrange(key, 0, -1) if kind == b"list" else db.type(key)
    return found


def blocks(db: Redis) -> int:
    """How many tasks take no hash table although one of their values is longer than a hash by HSET allows then."""
    hashes = [key for key in db.keys("asynq:*") if db.type(key) == b"hash"]
    long = [key for key in hashes if max(map(len, db.hgetall(key).values())) > 64]
    return sum(db.object("encoding", key) in {b"listpack", b"ziplist"} for key in long)


@pytest.mark.parametrize("kind", KINDS)
def test_compact_tasks_are_those_that_hsets_make(tool: Tool, db: Redis, kind: str) -> None:
    records, options = KINDS[kind]
    tool.write("in.jsonl", records)
    arguments = ("in.jsonl", "-q", "q", "-w", "1", "-b", "40", "--job", "j", "--max-errors", "none", *options)
    by_hset = tool.load(*arguments, "--compact", "never")
    expected, none = content(db), blocks(db)
    db.flushall()

    compact = tool.load(*arguments, "--compact", "always")

    assert counts(compact) == counts(by_hset)
    assert content(db) == expected
    assert by_hset.report["compact"] == none == 0
    assert compact.report["compact"] == compact.report["loaded"] > 0
    assert blocks(db) > 0


@pytest.mark.parametrize("layout", ["documented", "asynq"])
def test_long_payloads_go_by_hset_where_that_is_as_quick(tool: Tool, db: Redis, layout: str) -> None:
    short, long = [f'"{"s" * 100}"', f'"{"l" * 3000}"']
    tool.write("in.jsonl", f"{short}\n" * 100 + f"{long}\n" * 100)

    auto = tool.load("in.jsonl", "-q", "q", "-b", "100", "--layout", layout, "--job", "auto")
    always = tool.load("in.jsonl", "-q", "r", "-b", "100", "--layout", layout, "--job", "always", "--compact", "always")

    assert_fine(auto)
    assert_fine(always)
    assert (auto.report["compact"], always.report["compact"]) == (100, 200)


def test_a_payload_of_which_servers_disagree_goes_by_hset(target: Server, tool: Tool, db: Redis) -> None:
    long = json.dumps("x" * (16378 - 2))
    tool.write("in.jsonl", f"1\n{long}\n3\n")

    done = tool.load("in.jsonl", "-q", "q", "-w", "1", "--layout", "documented", "--compact", "always")

    assert_fine(done)
    assert done.report["compact"] == (3 if target.kind == "redis-6.2" else 2)  # servers agree about ziplists
    assert payloads(db, "q.default") == [b"1", long.encode(), b"3"]


def test_one_line_says_how_tasks_are_written(target: Server, tool: Tool, db: Redis) -> None:
    from tests.cli import run

    tool.write("in.jsonl", "1\n")
    arguments = ("load", "in.jsonl", "-q", "q", "--redis", tool.url, "--layout", "documented", "--again")
    told = {
        mode: run(*arguments, "--job", mode, "--compact", mode, cwd=tool.folder).stderr
        for mode in ("auto", "always", "never")
    }
    form = " (as ziplists, since the server is older than Redis 7.0)" if target.kind == "redis-6.2" else ""
    auto = f"tasks are written compact{form}, which takes less memory; by HSET where payloads are over"
    assert told["auto"].count(auto) == 1
    assert told["always"].count(f"tasks are written compact{form}, as --compact always says") == 1
    assert told["never"].count("tasks are written by HSET, as --compact never says") == 1


def test_always_refuses_a_server_that_takes_no_dumps(redis_server: Callable[..., RedisServer], tool: Tool) -> None:
    own = redis_server("--rename-command", "RESTORE", "").start()
    tool.write("in.jsonl", "1\n2\n")
    arguments = ("in.jsonl", "-q", "q", "--layout", "documented")

    refused = tool.load(*arguments, "--compact", "always", url=own.url)
    with own.client() as client:
        left = client.keys()
    auto = tool.load(*arguments, url=own.url)

    assert_error(
        refused, 1, "--compact always cannot be: the server has no command RESTORE", "Load with --compact auto"
    )
    assert left == []
    assert_fine(auto)
    assert (auto.report["loaded"], auto.report["compact"]) == (2, 0)


def test_what_a_task_takes_of_the_servers_memory(redis_server: Callable[..., RedisServer], tool: Tool) -> None:
    own = redis_server().start()
    tool.write("in.jsonl", "".join(f'{{"n": {n}, "pad": "{"x" * 90}"}}\n' for n in range(5000)))
    arguments = ("in.jsonl", "-q", "q", "--layout", "documented", "--job", "j")
    sizes = {}
    for mode in ("never", "auto"):
        with own.client() as client:
            client.flushall()
            before = client.info("memory")["used_memory"]
            done = tool.load(*arguments, "--compact", mode, url=own.url)
            after = client.info("memory")["used_memory"]
        sizes[mode] = done.report["server_bytes_a_task"]
        assert sizes[mode] == pytest.approx((after - before) / 5000, rel=0.15)
    assert sizes["auto"] < 0.7 * sizes["never"]

    few = tool.write("few.jsonl", "1\n")
    assert tool.load(few, "-q", "q", "--layout", "documented", url=own.url).report["server_bytes_a_task"] is None


# --- keys that exist --------------------------------------------------------------------------------------------------


def hashes_left(tool: Tool, db: Redis, layout: str, *options: str) -> list[bytes]:
    """The hashes that a killed load leaves: all tasks are written, and none is pushed. Returns the queue's ids."""
    assert_fine(tool.load("in.jsonl", "-q", "q", "-w", "1", "--layout", layout, "--job", "j", *options))
    pending = b"asynq:q.default:pending" if layout == "documented" else b"asynq:{q.default}:pending"
    ids: list[bytes] = db.lrange(pending, 0, -1)
    db.delete(pending, *db.keys("*runqy-loader:j:*"))
    db.hset("runqy-loader:{j}:job", "state", "loading")  # a killed load has not come to its end
    return ids


@pytest.mark.parametrize("layout", ["documented", "asynq"])
@pytest.mark.parametrize("first", ["never", "always"])
def test_hashes_that_a_killed_run_has_left_get_the_options_of_this_run(
    tool: Tool, db: Redis, layout: str, first: str
) -> None:
    tool.write("in.jsonl", RECORDS)
    ids = hashes_left(tool, db, layout, "--max-retry", "1", "--compact", first)
    keys = [key for key in db.keys("asynq:*:*") if db.type(key) == b"hash"]
    db.delete(keys[0])
    arguments = ("in.jsonl", "-q", "q", "-w", "1", "-b", "1000", "--layout", layout, "--job", "j", "--max-retry", "9")

    resumed = tool.load(*arguments, "--compact", "always")
    found = content(db)
    db.flushall()
    assert_fine(tool.load(*arguments, "--compact", "never"))

    assert_fine(resumed)
    assert (resumed.report["resumed"], resumed.report["loaded"]) == (True, COUNT)
    assert resumed.report["compact"] == COUNT
    assert found == content(db)
    pending = b"asynq:q.default:pending" if layout == "documented" else b"asynq:{q.default}:pending"
    assert found[pending] == ids


def test_a_key_of_another_type_is_rejected_and_kept(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", RECORDS)
    ids = hashes_left(tool, db, "documented")
    for task_id in ids:
        db.delete(b"asynq:t:" + task_id)
    db.set(b"asynq:t:" + ids[3], "another's")

    done = tool.load("in.jsonl", "-q", "q", "-w", "1", "-b", "1000", "--layout", "documented", "--job", "j")

    assert_fine(done, 3)
    assert counts(done) == (COUNT, COUNT - 1, 0, 1)
    assert done.report["rejected_by_code"] == {"wrong_type": 1}
    assert db.get(b"asynq:t:" + ids[3]) == b"another's"
    assert db.lrange("asynq:q.default:pending", 0, -1) == [each for each in ids if each != ids[3]]


@pytest.mark.parametrize("left", [True, False], ids=["hashes are left", "nothing is left"])
@pytest.mark.parametrize("mode", ["always", "never"])
def test_a_look_up_key_of_another_type_rejects_its_task_alone(tool: Tool, db: Redis, left: bool, mode: str) -> None:
    tool.write("in.jsonl", RECORDS)
    ids = hashes_left(tool, db, "asynq", "--compact", mode)
    if not left:
        db.delete(*db.keys("asynq:*"))
    db.delete(b"asynq:t:" + ids[3])
    db.set(b"asynq:t:" + ids[3], "another's")

    arguments = ("in.jsonl", "-q", "q", "-w", "1", "-b", "1000", "--layout", "asynq", "--job", "j")
    done = tool.load(*arguments, "--compact", mode)

    assert_fine(done, 3)
    assert counts(done) == (COUNT, COUNT - 1, 0, 1)
    assert done.report["rejected_by_code"] == {"wrong_type": 1}
    assert done.report["compact"] == (COUNT - 1 if mode == "always" else 0)
    assert db.get(b"asynq:t:" + ids[3]) == b"another's"
    assert db.lrange("asynq:{q.default}:pending", 0, -1) == [each for each in ids if each != ids[3]]


@pytest.mark.parametrize("target", ["_valkey", "_redis"], indirect=True)  # Redis 6.2 has no such rights
def test_for_a_user_who_may_not_read_tasks_no_task_is_of_another_type(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", RECORDS)
    hashes_left(tool, db, "documented")
    keys = ("%W~asynq:t:*", "~asynq:q.default:*", "~{*}:runqy-loader:*", "~runqy-loader:*")
    db.execute_command("ACL", "SETUSER", "loader", "reset", "on", ">secret", "+@all", *keys, "-acl|dryrun")
    arguments = ("in.jsonl", "-q", "q", "-w", "1", "--layout", "documented", "--job", "j", "--compact", "always")

    done = tool.load(*arguments, url=tool.url.replace("redis://", "redis://loader:secret@"))
    db.acl_deluser("loader")

    # The script may not look at what a key holds. So this goes on by HSET, which need not.
    assert (done.status, done.report["loaded"], done.report["rejected"], done.report["compact"]) == (0, COUNT, 0, 0), (
        done.stderr
    )


def test_an_id_that_is_a_task_already_is_left_alone(tool: Tool, db: Redis) -> None:
    db.hset("asynq:t:taken", mapping={"type": "task", "payload": "the worker's own"})
    db.set("asynq:t:another type", "x")
    tool.write("in.jsonl", "".join(f'{{"id": "{name}"}}\n' for name in ("a", "taken", "a", "another type", "b")))

    done = tool.load("in.jsonl", "-q", "q", "--layout", "documented", "--id-field", "id", "--compact", "always")

    assert_fine(done, 3)
    assert done.report["rejected_by_code"] == {"id_taken": 3}
    assert done.report["compact"] == 2
    assert db.hgetall("asynq:t:taken") == {b"type": b"task", b"payload": b"the worker's own"}
    assert db.lrange("asynq:q.default:pending", 0, -1) == [b"b", b"a"]


def test_in_a_cluster_a_task_that_is_the_same_is_not_written_again(cluster: Cluster, tool: Tool) -> None:
    tool.write("in.jsonl", RECORDS)
    arguments = ("in.jsonl", "-q", "q", "-w", "1", "--layout", "documented", "--job", "j")
    assert_fine(tool.load(*arguments, "--max-retry", "1", url=cluster.url))
    with cluster.client() as client:
        ids = [each.decode() for each in client.lrange("asynq:q.default:pending", 0, -1)]
        client.delete("asynq:q.default:pending")
        for name in ("batches", "checksums"):
            client.delete(f"{{asynq:q.default:pending}}:runqy-loader:j:0:{name}")
        client.hset("runqy-loader:{j}:job", "state", "loading")  # a killed load has not come to its end
        client.hset(f"asynq:t:{ids[0]}", "retry", "1")  # as by a worker
        client.hset(f"asynq:t:{ids[1]}", "max_retry", "5")  # as by a run with other options
        client.delete(f"asynq:t:{ids[2]}")
        client.delete(f"asynq:t:{ids[3]}")
        client.set(f"asynq:t:{ids[3]}", "another's")

        again = tool.load(*arguments, "--max-retry", "1", url=cluster.url)

        assert_fine(again, 3)
        assert (again.report["loaded"], again.report["rejected_by_code"]) == (COUNT - 1, {"wrong_type": 1})
        assert again.report["compact"] == COUNT - 2  # of those loaded, a changed one is an HSET
        assert client.hget(f"asynq:t:{ids[0]}", "retry") == b"1"
        assert client.hget(f"asynq:t:{ids[1]}", "max_retry") == b"1"
        assert client.hget(f"asynq:t:{ids[2]}", "max_retry") == b"1"
        assert client.get(f"asynq:t:{ids[3]}") == b"another's"

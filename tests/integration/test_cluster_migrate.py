"""Migrate from and to clusters: what becomes of tasks is what becomes of them with single servers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loader.layouts.task_message import decode
from loader.migrate.scattered import mark_key
from loader.wire.slots import key_slot
from tests.cli import Outcome, run
from tests.conftest import Server
from tests.integration.cluster import Cluster, running_cluster
from tests.integration.cluster import _shared_cluster as _shared_cluster
from tests.integration.cluster import shared_cluster as shared_cluster
from tests.integration.stored import Consumer, numbered, payload_of, pending_key, push, stored, task_key

LAYOUTS = ("documented", "asynq")
PAIRS = [(one, other) for one in LAYOUTS for other in LAYOUTS]
EACH_PAIR = pytest.mark.parametrize("layouts", PAIRS, ids="-".join)
LIKE = pytest.mark.parametrize("layouts", [PAIRS[0], PAIRS[-1]], ids="-".join)
Q, R = "q.default", "r.default"
COUNT = 700
OWN = (b":job", b"runqy-loader:jobs", b"asynq:queues")


@pytest.fixture(scope="module")
def _second_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(lambda: tmp_path_factory.mktemp("node"), "valkey") as cluster:
        yield cluster


@pytest.fixture
def ends(request: pytest.FixtureRequest, valkey: Server, shared_cluster: Cluster) -> tuple[Any, Any]:
    """Source and target, by the names in ``request.param``."""

    def end(name: str) -> Server | Cluster:
        if name != "second":
            return valkey if name == "single" else shared_cluster
        second: Cluster = request.getfixturevalue("_second_cluster")
        second.empty()
        return second

    source, target = request.param
    return end(source), end(target)


WAYS = [("cluster", "single"), ("single", "cluster"), ("cluster", "second")]
EACH_WAY = pytest.mark.parametrize("ends", WAYS, indirect=True, ids="-".join)


def migrate(folder: Path, source: Any, target: Any, layouts: tuple[str, str], *more: str) -> Outcome:
    return run(
        "migrate", "--from-redis", source.url, "--to-redis", target.url, "--from-layout", layouts[0], "--to-layout",
        layouts[1], "--from-queue", "q", "--report", "-", "--quiet", *more, cwd=folder,
    )  # fmt: skip


def keys_of(end: Server | Cluster) -> set[bytes]:
    """All keys but a job's record, its name in the list of jobs, and the list of queues."""
    if isinstance(end, Cluster):
        found = set(end.dumps())
    else:
        with end.client() as client:
            found = set(client.keys("*"))
    return {key for key in found if not key.endswith(OWN)}


def tasks(end: Server | Cluster, layout: str, queue: str) -> list[tuple[str, bytes]]:
    with end.client() as client:
        return [(task_id, payload_of(fields)) for task_id, fields in stored(client, layout, queue)]


def pushed(end: Server | Cluster, layout: str, count: int = COUNT) -> None:
    with end.client() as client:
        push(client, layout, Q, numbered(count))
        if layout == "asynq":
            for task_id, _ in numbered(count):
                client.hset(f"asynq:t:{task_id}", "queue", Q)


def counts(done: Outcome) -> dict[str, int]:
    names = ("migrated", "already", "rejected", "missing", "held", "put_back")
    return {name: done.report[name] for name in names if done.report[name]}


@EACH_WAY
@EACH_PAIR
def test_a_move_leaves_nothing_behind_and_keeps_the_order(
    ends: tuple[Any, Any], tmp_path: Path, layouts: tuple[str, str]
) -> None:
    source, target = ends
    pushed(source, layouts[0])

    done = migrate(tmp_path, source, target, layouts, "--move", "-b", "200")

    assert (done.status, done.stderr, counts(done)) == (0, "", {"migrated": COUNT})
    assert tasks(target, layouts[1], Q) == numbered(COUNT)
    assert keys_of(source) == set()
    expected = {pending_key(layouts[1], Q)} | {task_key(layouts[1], Q, one) for one, _ in numbered(COUNT)}
    if layouts[1] == "asynq":
        expected |= {f"asynq:t:{one}" for one, _ in numbered(COUNT)}
    assert keys_of(target) == {key.encode() for key in expected}


@pytest.mark.parametrize("ends", WAYS[:2], indirect=True, ids="-".join)
@LIKE
def test_a_copy_that_is_run_again_places_nothing_a_second_time(
    ends: tuple[Any, Any], tmp_path: Path, layouts: tuple[str, str]
) -> None:
    source, target = ends
    pushed(source, layouts[0], 300)
    before = keys_of(source)

    first = migrate(tmp_path, source, target, layouts)
    with Consumer(target, layouts[1], Q) as worker:
        worker.finish()
    again = migrate(tmp_path, source, target, layouts)

    assert (first.status, counts(first)) == (0, {"migrated": 300}), first
    assert (again.status, counts(again)) == (0, {"already": 300}), again
    assert keys_of(source) == before
    assert worker.done == numbered(300) and worker.hollow == []
    left = keys_of(target) - {f"asynq:t:{one}".encode() for one, _ in numbered(300) if layouts[1] == "asynq"}
    assert {key.rpartition(b":")[2] for key in left} == {b"migrated"}


@EACH_PAIR
def test_tasks_move_within_a_cluster(shared_cluster: Cluster, tmp_path: Path, layouts: tuple[str, str]) -> None:
    """Where both layouts share a key, or runqy's look-up is in the way, it becomes the other end's."""
    pushed(shared_cluster, layouts[0])
    if layouts[0] == "documented":
        with shared_cluster.client() as client:
            client.hset("asynq:t:task-0000005", "mine", "\0")
    queue = Q if layouts[0] != layouts[1] else R
    more = ("--to-queue", queue.removesuffix(".default"), "--move", "-b", "200", "--force-layout")

    done = migrate(tmp_path, shared_cluster, Cluster(shared_cluster.nodes[1:]), layouts, *more)

    assert (done.status, counts(done)) == (0, {"migrated": COUNT}), done
    assert tasks(shared_cluster, layouts[1], queue) == numbered(COUNT)
    expected = {pending_key(layouts[1], queue)} | {task_key(layouts[1], queue, one) for one, _ in numbered(COUNT)}
    expected |= {f"asynq:t:{one}" for one, _ in numbered(COUNT)}
    assert keys_of(shared_cluster) == {key.encode() for key in expected}
    with shared_cluster.client() as client:
        shown = client.hgetall("asynq:t:task-0000005")
        assert shown[b"queue"] == queue.encode()
        assert len(shown) == {"asynq": 1, "documented": 6 if layouts[0] == "documented" else 5}[layouts[1]]
        if layouts[0] == "documented":
            fields = client.hgetall(task_key(layouts[1], queue, "task-0000005"))
            assert fields[b"mine"] == b"\0"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("rule", ["fail", "skip"])
def test_a_task_of_somebody_else_is_not_touched(
    valkey: Server, shared_cluster: Cluster, tmp_path: Path, layout: str, rule: str
) -> None:
    pushed(valkey, layout, 50)
    with shared_cluster.client() as client:
        push(client, layout, Q, [("task-0000003", b'"other"'), ("task-0000042", b'"another"')])
        before = [client.dump(task_key(layout, Q, one)) for one in ("task-0000003", "task-0000042")]

        done = migrate(tmp_path, valkey, shared_cluster, (layout, layout), "--move", "--on-conflict", rule)

        after = [client.dump(task_key(layout, Q, one)) for one in ("task-0000003", "task-0000042")]
    assert after == before
    assert {name.decode().rpartition(":")[2] for name in keys_of(shared_cluster)} == {
        "pending", *(one for one, _ in numbered(50))
    }  # fmt: skip
    if rule == "skip":
        assert (done.status, counts(done)) == (0, {"migrated": 48, "already": 2})
        assert tasks(valkey, layout, Q) == []
    else:
        assert (done.status, done.report["migrated"], done.report["rejected_by_code"]) == (3, 48, {"id_taken": 2})
        assert [one for one, _ in tasks(valkey, layout, Q)] == ["task-0000003", "task-0000042"]


def test_a_task_that_another_move_holds_counts_as_one_that_is_there(
    valkey: Server, shared_cluster: Cluster, tmp_path: Path
) -> None:
    """A killed move out of the cluster has deleted its hash, and deletes it again when it goes on."""
    pushed(valkey, "documented", 10)
    tag = "{asynq:q.default:pending}:runqy-loader"
    with shared_cluster.client() as client:
        client.sadd(f"{tag}:moves", "away")
        client.lpush(f"{tag}:away:moving", "task-0000004")

    done = migrate(tmp_path, valkey, shared_cluster, ("documented", "documented"), "--move")

    assert (done.status, done.report["migrated"], done.report["rejected_by_code"]) == (3, 9, {"id_taken": 1}), done
    assert [one for one, _ in tasks(valkey, "documented", Q)] == ["task-0000004"]


ODD = ["a{b}c", "a}b", "{}", "a{}b}", "{{x}}", "}{", "plain"]


@pytest.mark.parametrize("name", ODD)
def test_a_mark_is_in_the_slot_of_its_task_whatever_the_id(name: str) -> None:
    key = b"asynq:t:" + name.encode()
    assert key_slot(mark_key(key, name.encode(), b"j")) == key_slot(key)


def test_ids_with_braces_move_to_a_cluster_and_back(valkey: Server, shared_cluster: Cluster, tmp_path: Path) -> None:
    odd = [(name, b'"%d"' % at) for at, name in enumerate(ODD)]
    with valkey.client() as client:
        push(client, "documented", Q, odd)

    there = migrate(tmp_path, valkey, shared_cluster, ("documented", "documented"), "--move")
    found = tasks(shared_cluster, "documented", Q)
    back = migrate(tmp_path, shared_cluster, valkey, ("documented", "documented"), "--move")

    assert (there.status, back.status) == (0, 0), (there, back)
    assert found == tasks(valkey, "documented", Q) == odd
    assert keys_of(shared_cluster) == set()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("compact", ["always", "never"])
def test_tasks_of_a_cluster_are_the_same_byte_for_byte_on_a_single_server(
    valkey: Server, shared_cluster: Cluster, tmp_path: Path, layout: str, compact: str
) -> None:
    """Loaded into a cluster, migrated to a single server, exported: as loaded into a single server, and exported."""
    records = [{"n": n, "text": "é" * (n % 90)} for n in range(400)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records))
    loaded = (
        "load",
        "in.jsonl",
        "-q",
        "q",
        "--layout",
        layout,
        "--job",
        "seam",
        "--workers",
        "1",
        "--compact",
        compact,
    )
    exported = ("export", "-q", "q", "--layout", layout, "--redis", valkey.url)
    assert run(*loaded, "--redis", valkey.url, cwd=tmp_path).status == 0
    direct = run(*exported, cwd=tmp_path).stdout
    with valkey.client() as client:
        client.flushall()
    assert run(*loaded, "--redis", shared_cluster.url, cwd=tmp_path).status == 0
    whole = run("export", "-q", "q", "--layout", layout, "--redis", shared_cluster.url, cwd=tmp_path).stdout

    done = migrate(tmp_path, shared_cluster, valkey, (layout, layout), "--move", "--compact", compact)

    assert done.status == 0, done
    assert direct == whole == run(*exported, cwd=tmp_path).stdout
    assert direct.count("\n") == 400
    with valkey.client() as client:
        (task_id, fields), *_ = stored(client, layout, Q)
        if layout == "asynq":
            assert decode(fields[b"msg"]).payload == json.dumps(records[0], ensure_ascii=False).encode()
        encoding = client.object("encoding", task_key(layout, Q, task_id))
    assert (encoding == b"listpack") or compact == "never"


def test_compact_tasks_are_written_to_a_cluster(valkey: Server, shared_cluster: Cluster, tmp_path: Path) -> None:
    with valkey.client() as client:
        push(client, "documented", Q, [(f"t{n}", b'"%b"' % (b"x" * 200)) for n in range(20)])

    done = migrate(tmp_path, valkey, shared_cluster, ("documented", "documented"), "--compact", "always")

    assert done.status == 0, done
    with shared_cluster.client() as client:
        assert {client.object("encoding", f"asynq:t:t{n}") for n in range(20)} == {b"listpack"}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_keys_of_a_cluster_tell_the_layout_of_a_source(
    valkey: Server, shared_cluster: Cluster, tmp_path: Path, layout: str
) -> None:
    pushed(shared_cluster, layout, 5)

    done = run(
        "migrate", "--move", "--from-redis", shared_cluster.url, "--to-redis", valkey.url, "--from-queue", "q",
        "--report", "-", "--quiet", cwd=tmp_path,
    )  # fmt: skip

    assert (done.status, counts(done)) == (0, {"migrated": 5}), done
    assert tasks(valkey, layout, Q) == numbered(5)


def test_source_and_target_of_one_cluster_are_the_same_by_whichever_node(
    shared_cluster: Cluster, tmp_path: Path
) -> None:
    pushed(shared_cluster, "documented", 5)

    done = migrate(tmp_path, shared_cluster, Cluster(shared_cluster.nodes[1:]), ("documented", "documented"))

    assert done.status == 2
    assert "source and target are the same" in done.stderr


# --- rights ---------------------------------------------------------------------------------------------------------

OF_A_LOAD = (
    "~asynq:* ~{*}:runqy-loader:* ~runqy-loader:* +ping +select +cluster|slots +hsetnx +hset +hget +eval +get +set "
    "+hincrby +hgetall +llen +lpush +exists +del +sadd +zadd +setrange +client|setname +client|list +client|kill "
    "+persist +pexpireat +restore"
)
OF_A_SOURCE = "+lrange +hstrlen +ttl +rpoplpush +lrem +rpush +lpop +lindex +hlen +type +smembers +srem"
OF_A_TARGET = "+srem +sismember +type +hexists +lrange +rpush +smembers"
"""As docs/reference.md and docs/migrate.md have them."""


@LIKE
@pytest.mark.parametrize("way", ["in", "out", "within"])
def test_a_user_with_the_documented_rights_can_move(
    valkey: Server, shared_cluster: Cluster, tmp_path: Path, layouts: tuple[str, str], way: str
) -> None:
    rights = {
        "in": f"{OF_A_TARGET} +hlen" if layouts[1] == "asynq" else OF_A_TARGET,
        "out": OF_A_SOURCE,
        "within": f"{OF_A_SOURCE} {OF_A_TARGET} +rename",
    }[way]
    for node in shared_cluster.nodes:
        with node.client() as client:
            words = f"reset on >secret {OF_A_LOAD} {rights}".split()
            client.execute_command("ACL", "SETUSER", "mover", *words)
    ours = shared_cluster.url.replace("redis://", "redis://mover:secret@")
    source, target = {"in": (valkey.url, ours), "out": (ours, valkey.url), "within": (ours, ours)}[way]
    pushed(valkey if way == "in" else shared_cluster, layouts[0], 50)
    more = ("--to-queue", "r") if way == "within" else ()

    done = run(
        "migrate", "--move", "--from-redis", source, "--to-redis", target, "--from-layout", layouts[0], "--to-layout",
        layouts[1], "--from-queue", "q", "--report", "-", "--quiet", "--force-layout", *more, cwd=tmp_path,
    )  # fmt: skip

    assert (done.status, counts(done)) == (0, {"migrated": 50}), done
    assert tasks(valkey if way == "out" else shared_cluster, layouts[1], R if more else Q) == numbered(50)

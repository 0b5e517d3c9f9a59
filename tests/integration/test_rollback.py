"""``runqy-loader rollback``: what no consumer has taken goes, whole; everything else stays as it was."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

import runqy_loader
from tests.cli import Outcome, run
from tests.conftest import Server
from tests.faults.helpers import until
from tests.integration.cluster import Cluster
from tests.integration.cluster import cluster as cluster
from tests.integration.stored import as_if_killed, pending_key, push, task_key
from tests.integration.tool import Redis, Tool, assert_error, assert_fine

LAYOUTS = ["documented", "asynq"]
QUEUE = "q.default"


@pytest.fixture
def target(server: Server) -> Server:
    """Each kind of server in turn."""
    return server


def lines(count: int, **more: Any) -> bytes:
    return b"".join(json.dumps({"n": n, **more}).encode() + b"\n" for n in range(count))


def rollback(tool: Tool, job: str, *more: str | Path, url: str | None = None) -> Outcome:
    """A quiet rollback with its report on standard output."""
    return run("rollback", job, "--redis", url or tool.url, "--report", "-", "--quiet", *more, cwd=tool.folder)


def all_keys(db: Redis, pattern: str = "*") -> set[bytes]:
    """The keys of a server, or of all nodes of a cluster."""
    return set(db.scan_iter(match=pattern, count=1000))


def everything(db: Redis) -> dict[bytes, Any]:
    """All keys of others than the loader's own, with their content and when they end."""
    own = b"runqy-loader:"
    found: dict[bytes, Any] = {}
    for key in all_keys(db):
        if own not in key and key != b"asynq:queues":
            readers = {b"list": lambda k: db.lrange(k, 0, -1), b"hash": db.hgetall, b"set": db.smembers}
            readers |= {b"string": db.get, b"zset": lambda k: db.zrange(k, 0, -1, withscores=True)}
            found[key] = readers[db.type(key)](key), db.pttl(key) > 0
    return found


def own_keys(db: Redis) -> dict[bytes, Any]:
    """The loader's own keys, but for the number of runs that a forgotten job leaves for a day."""
    found = {key for key in all_keys(db) if b"runqy-loader:" in key}
    return {key: 1 for key in found if not (db.type(key) == b"hash" and db.hkeys(key) == [b"runs"] and db.ttl(key) > 0)}


def others(count: int, first: int = 0) -> list[tuple[str, bytes]]:
    return [(f"other-{n:07}", b'{"other":%d}' % n) for n in range(first, first + count)]


def shuffled_together(db: Redis, layout: str, theirs: int) -> None:
    """Puts the ids of the job between those of others, in an order that has runs, single ids and both ends."""
    key = pending_key(layout, QUEUE)
    ids = db.lrange(key, 0, -1)
    mine = [one for one in ids if not one.startswith(b"other-")]
    rest = [one for one in ids if one.startswith(b"other-")]
    assert len(rest) == theirs
    order = mine[:7]
    at, taken = 0, 7
    while at < len(rest) or taken < len(mine):
        width = (at * 7 + taken * 3) % 11
        order += rest[at : at + width]
        at += width
        width = (at * 5 + taken) % 13
        order += mine[taken : taken + width]
        taken += width
    assert sorted(order) == sorted(ids)
    db.delete(key)
    db.rpush(key, *order)


@pytest.mark.parametrize("compact", ["auto", "never"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_job_between_tasks_of_others_goes_without_a_trace_and_theirs_keep_their_order(
    tool: Tool, db: Redis, layout: str, compact: str
) -> None:
    push(db, layout, QUEUE, others(4000))
    before = everything(db)
    tool.write("in.jsonl", lines(9000))
    job = tool.load("in.jsonl", "-q", "q", "--layout", layout, "--compact", compact).report["job"]
    shuffled_together(db, layout, 4000)

    done = rollback(tool, job)

    assert_fine(done)
    report = done.report
    assert (report["status"], report["removed"], report["left"]) == ("completed", 9000, 0)
    assert report["queues"] == {QUEUE: 9000} and report["removed_by_state"] == {"pending": 9000}
    assert everything(db) == before
    assert own_keys(db) == {}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_consumers_have_taken_is_left_and_the_same_input_then_needs_again(
    tool: Tool, db: Redis, layout: str
) -> None:
    tool.write("in.jsonl", lines(3000))
    load = ("in.jsonl", "-q", "q", "--layout", layout)
    job = tool.load(*load).report["job"]
    taken = [db.rpop(pending_key(layout, QUEUE)).decode() for _ in range(5)]
    if layout == "asynq":
        for one in taken:
            db.hset(task_key(layout, QUEUE, one), "state", "active")

    done = rollback(tool, job)
    refused = tool.load(*load)
    once_more = rollback(tool, job)

    assert_fine(done)
    assert (done.report["removed"], done.report["left"]) == (2995, 5)
    assert {key for key in db.keys("*") if b":t:" in key and b"runqy" not in key} >= {
        task_key(layout, QUEUE, one).encode() for one in taken
    }
    assert not db.exists(pending_key(layout, QUEUE))
    assert_error(refused, 1, f"job {job} was rolled back on", "5 of its tasks", "--again")
    assert refused.report["error_code"] == "rolled_back"
    assert (once_more.status, once_more.report["removed"], once_more.report["left"]) == (0, 0, 5)
    assert once_more.report["removed_earlier"] == 2995
    assert db.ttl(f"runqy-loader:{{{job}}}:job") > 29 * 86400

    again = tool.load(*load, "--again")

    assert_fine(again)
    assert (again.report["job"], again.report["loaded"]) == (f"{job}-2", 3000)
    assert db.llen(pending_key(layout, QUEUE)) == 3000


def test_a_rollback_that_was_killed_before_its_last_step_tells_what_it_took(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", lines(300))
    job = tool.load("in.jsonl", "-q", "q").report["job"]
    record = db.hgetall(f"runqy-loader:{{{job}}}:job")
    db.rpop(pending_key("documented", QUEUE))
    assert_fine(rollback(tool, job))
    undone = db.hget(f"runqy-loader:{{{job}}}:job", "undone")
    db.hset(f"runqy-loader:{{{job}}}:job", mapping=record | {b"state": b"undoing", b"undone": undone})

    done = rollback(tool, job)

    assert_fine(done)
    assert (done.report["removed"], done.report["removed_earlier"], done.report["left"]) == (0, 299, 1)


def test_inspect_shows_no_job_where_one_was_rolled_back(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", lines(10))
    assert_fine(tool.load("in.jsonl", "-q", "q", "--job", "j"))
    assert rollback(tool, "j").status == 0

    shown = run("inspect", "--redis", tool.url, "--json", cwd=tool.folder)

    assert json.loads(shown.stdout)["jobs"] == []


def test_a_dry_run_counts_and_changes_nothing(tool: Tool, db: Redis) -> None:
    push(db, "documented", QUEUE, others(2000))
    tool.write("in.jsonl", lines(3000))
    job = tool.load("in.jsonl", "-q", "q", "--layout", "documented").report["job"]
    shuffled_together(db, "documented", 2000)
    before = {key: db.dump(key) for key in db.keys("*")}

    done = rollback(tool, job, "--dry-run")

    assert_fine(done)
    assert (done.report["dry_run"], done.report["removed"], done.report["left"]) == (True, 3000, 0)
    assert {key: db.dump(key) for key in db.keys("*")} == before


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("count", [1000, 8000], ids=["a short queue", "a long queue"])
def test_a_dry_run_counts_tasks_as_the_rollback_does(tool: Tool, db: Redis, layout: str, count: int) -> None:
    """Some ids have no task any more, some are in the queue twice, and a killed load has left hashes of no id."""
    tool.write("in.jsonl", lines(count))
    job = tool.load("in.jsonl", "-q", "q", "--layout", layout, "-b", "100", "-w", "1").report["job"]
    as_if_killed(db, job, orphans=100, layout=layout)
    key = pending_key(layout, QUEUE)
    ids = [one.decode() for one in db.lrange(key, 0, -1)]
    for task_id in ids[10 : len(ids) : 50]:
        db.delete(task_key(layout, QUEUE, task_id))
    db.rpush(key, *ids[5 : len(ids) : 70])
    db.lpush(key, *ids[7 : len(ids) : 90])
    before = {key: db.dump(key) for key in db.keys("*")}

    dry = rollback(tool, job, "--dry-run")
    after = {key: db.dump(key) for key in db.keys("*")}
    done = rollback(tool, job)

    assert_fine(dry)
    assert_fine(done)
    assert before == after
    same = ("removed", "removed_by_state", "queues", "orphans", "left")
    assert {name: dry.report[name] for name in same} == {name: done.report[name] for name in same}
    assert done.report["removed"] < len(set(ids))


ENVELOPES = [
    {"payload": {"n": 1}},
    {"payload": {"n": 2}, "id": "own"},
    {"payload": {"n": 3}, "unique_ttl": "1h"},
    {"payload": {"n": 4}, "id": "later", "process_in": "1h"},
    {"payload": {"n": 5}, "process_in": "2h", "unique_ttl": "1h"},
    {"payload": {"n": 6}, "queue": "other"},
    {"payload": {"n": 7}, "group": "g", "unique_ttl": "1h"},
    {"payload": {"n": 8}, "group": "g", "id": "grouped"},
    {"payload": {"n": 9}, "group": "alone"},
]


@pytest.mark.parametrize("compact", ["auto", "never"])
def test_scheduled_grouped_and_unique_tasks_go_with_their_locks(tool: Tool, db: Redis, compact: str) -> None:
    push(db, "asynq", "q", others(3))
    db.zadd("asynq:{q}:scheduled", {"theirs": 9e9})
    db.zadd("asynq:{q}:g:g", {"theirs": 1})
    db.sadd("asynq:{q}:groups", "g")
    before = everything(db)
    tool.write("in.jsonl", "".join(json.dumps(one) + "\n" for one in ENVELOPES))
    asynq = ("--layout", "asynq", "--profile", "asynq", "--type", "t", "--force-schedule", "--compact", compact)
    loaded = tool.load("in.jsonl", "-q", "q", "--envelope", *asynq, "--ids-out", "ids.tsv")
    assert_fine(loaded)
    assert loaded.report["loaded"] == 9
    assert db.keys("asynq:*:unique:*")

    done = rollback(tool, loaded.report["job"])

    assert_fine(done)
    assert done.report["removed_by_state"] == {"pending": 4, "scheduled": 2, "aggregating": 3}
    assert done.report["queues"] == {"q": 8, "other": 1}
    assert everything(db) == before
    assert own_keys(db) == {}


def test_a_lock_that_another_task_has_taken_over_is_left(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", "1\n")
    job = tool.load("in.jsonl", "-q", "q", "--layout", "asynq", "--unique-ttl", "1h").report["job"]
    (lock,) = db.keys("asynq:*:unique:*")
    db.set(lock, "another")

    assert_fine(rollback(tool, job))

    assert everything(db) == {lock: (b"another", False)}


def test_a_key_of_the_documented_layout_is_not_taken_for_a_look_up(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", '{"i":"a"}\n{"i":"b"}\n')
    job = tool.load("in.jsonl", "-q", "q", "--layout", "asynq", "--id-field", "i", "--ids-out", "ids").report["job"]
    assert db.hgetall("asynq:t:a") == {b"queue": b"q.default"}
    db.hset("asynq:t:a", "payload", "of another layout")

    assert_fine(rollback(tool, job))

    assert set(everything(db)) == {b"asynq:t:a"}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_own_ids_are_taken_back_by_the_ids_file(tool: Tool, db: Redis, layout: str) -> None:
    push(db, layout, QUEUE, others(500))
    before = everything(db)
    tool.write("in.jsonl", lines(2500))
    load = ("in.jsonl", "-q", "q", "--layout", layout, "--id-field", "n", "--job", "j")
    assert_fine(tool.load(*load))
    shuffled_together(db, layout, 500)

    unknown = rollback(tool, "j")
    again = tool.load(*load, "--ids-out", "ids.tsv")
    done = rollback(tool, "j", "--ids", "ids.tsv")

    assert_error(unknown, 2, "the ids of job j may come from its records", "--id-field n", "--job j --ids-out FILE")
    assert (again.report["loaded"], again.report["already_loaded"]) == (0, 2500)
    assert_fine(done)
    assert (done.report["removed"], done.report["left"]) == (2500, 0)
    assert everything(db) == before


def test_an_id_of_another_job_is_not_taken_back_with_the_one_that_was_refused_it(tool: Tool, db: Redis) -> None:
    tool.write("first.jsonl", '{"i":"a"}\n{"i":"b"}\n')
    tool.write("second.jsonl", '{"i":"b"}\n{"i":"c"}\n')
    own = ("-q", "q", "--layout", "documented", "--id-field", "i")
    assert_fine(tool.load("first.jsonl", *own, "--job", "first"))
    assert_fine(tool.load("second.jsonl", *own, "--job", "second", "--ids-out", "ids.tsv"), 3)

    done = rollback(tool, "second")

    assert (done.status, done.report["removed"], done.report["left"]) == (0, 1, 0)
    assert set(db.lrange("asynq:q.default:pending", 0, -1)) == {b"a", b"b"}


def test_an_ids_file_that_lacks_ids_is_refused_before_anything_is_taken(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", lines(100))
    tool.load("in.jsonl", "-q", "q", "--layout", "documented", "--id-field", "n", "--job", "j", "--ids-out", "ids.tsv")
    path = tool.folder / "ids.tsv"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))

    refused = rollback(tool, "j")

    assert_error(refused, 1, "ids.tsv has 99 ids, and 100 tasks of the job are in", "--ids-out")
    assert db.llen("asynq:q.default:pending") == 100


@pytest.mark.parametrize("more", ["{0}\n", "{0[0]}\tother.default\n"], ids=["a line twice", "another queue"])
def test_lines_that_are_no_further_tasks_of_the_job_do_not_make_up_for_missing_ids(
    tool: Tool, db: Redis, more: str
) -> None:
    tool.write("in.jsonl", lines(100))
    tool.load("in.jsonl", "-q", "q", "--layout", "documented", "--id-field", "n", "--job", "j", "--ids-out", "ids.tsv")
    path = tool.folder / "ids.tsv"
    header, *ids = path.read_text().splitlines()
    others = [more.format(one if more.startswith("{0}") else one.split("\t")) for one in ids[:50]]
    path.write_text("\n".join([header, *ids[:50]]) + "\n" + "".join(others))

    refused = rollback(tool, "j")

    assert_error(refused, 1, "ids.tsv has 50 ids, and 100 tasks of the job are in", "--ids-out")
    assert db.llen("asynq:q.default:pending") == 100


@pytest.mark.parametrize("count", [10, 6000], ids=["a short queue", "a long queue"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_id_that_is_in_the_queue_twice_is_one_task(tool: Tool, db: Redis, layout: str, count: int) -> None:
    """A worker may have given a task back that another one had put back already. In long queues, the ids are copied."""
    tool.write("in.jsonl", lines(count))
    job = tool.load("in.jsonl", "-q", "q", "--layout", layout).report["job"]
    key = pending_key(layout, QUEUE)
    running = db.rpop(key).decode()
    db.lpush(key, "other", db.lindex(key, 2))
    db.rpush(key, "other", db.lindex(key, -1))

    done = rollback(tool, job)

    assert_fine(done)
    assert (done.report["removed"], done.report["left"]) == (count - 1, 1)
    assert done.report["removed_by_state"] == {"pending": count - 1}
    assert db.lrange(key, 0, -1) == [b"other", b"other"]
    assert {one for one in all_keys(db, "asynq:*t:*") if db.type(one) == b"hash"} >= {
        task_key(layout, QUEUE, running).encode()
    }
    assert db.hget(f"runqy-loader:{{{job}}}:job", "state") == b"undone"


def until_ended(db: Redis, job: str) -> None:
    """Waits until the time is over for which the record of a job is kept."""
    end = int(db.hget(f"runqy-loader:{{{job}}}:job", "expires")) / 1000
    until(lambda: time.time() > end, "it ends")


def test_a_job_that_was_rolled_back_and_has_ended_keeps_no_load_out(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", lines(10))
    load = ("in.jsonl", "-q", "q", "--layout", "documented", "--job")
    for one in ("a", "b"):
        assert_fine(tool.load(*load, one, "--again"))
        db.rpop("asynq:q.default:pending")
        assert_fine(rollback(tool, one, "--keep-job", "1s"))
        until_ended(db, one)

    same, other = tool.load(*load, "a"), tool.load(*load, "c", "--again")
    assert_fine(same)
    assert (same.report["loaded"], other.report["loaded"]) == (10, 10)
    assert db.hget("runqy-loader:{a}:job", "state") == b"done"
    assert db.ttl("runqy-loader:{a}:job") > 29 * 86400
    assert_fine(rollback(tool, "a"))


def test_the_source_of_a_job_that_was_rolled_back_and_has_ended_is_free_for_others(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", lines(10))
    load = ("in.jsonl", "-q", "q", "--layout", "documented", "--job")
    assert_fine(tool.load(*load, "a"))
    db.rpop("asynq:q.default:pending")
    assert_fine(rollback(tool, "a", "--keep-job", "1s"))
    until_ended(db, "a")

    assert_fine(tool.load(*load, "b"))


def test_the_ids_file_of_another_job_is_refused(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", lines(10))
    own = ("in.jsonl", "--layout", "documented", "--id-field", "n")
    tool.load(*own, "-q", "q", "--job", "j")
    tool.write("ids.tsv", "# runqy-loader ids: job=other layout=documented\n1\tq.default\n")

    refused = rollback(tool, "j", "--ids", "ids.tsv")

    assert_error(refused, 1, "ids.tsv has the ids of another job than j")
    assert db.llen("asynq:q.default:pending") == 10


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_queue_that_records_name_is_taken_back(tool: Tool, db: Redis, layout: str) -> None:
    tool.write("in.jsonl", b"".join(b'{"n":%d,"m":"m%d"}\n' % (n, n % 7) for n in range(3000)))
    loaded = tool.load("in.jsonl", "--queue-field", "m", "--layout", layout, "--processes", "2")
    assert_fine(loaded)

    done = rollback(tool, loaded.report["job"])

    assert_fine(done)
    assert done.report["queues"] == loaded.report["queues"]
    assert everything(db) == {}
    assert own_keys(db) == {}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_taken_back_can_be_loaded_again_under_the_same_name(tool: Tool, db: Redis, layout: str) -> None:
    tool.write("in.jsonl", lines(2000))
    load = ("in.jsonl", "-q", "q", "--layout", layout)
    job = tool.load(*load).report["job"]
    assert_fine(rollback(tool, job))

    second = tool.load(*load)

    assert_fine(second)
    assert (second.report["job"], second.report["loaded"], second.report["resumed"]) == (job, 2000, False)
    assert db.llen(pending_key(layout, QUEUE)) == 2000
    assert db.ttl(f"runqy-loader:{{{job}}}:job") > 29 * 86400


def test_large_files_in_several_pieces_are_taken_back_whole(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", lines(180_000, pad="x" * 180))
    loaded = tool.load("in.jsonl", "-q", "q", "--layout", "documented", "--processes", "2")
    assert_fine(loaded)
    assert len(db.keys("*:batches")) > 2

    done = rollback(tool, loaded.report["job"])

    assert (done.report["removed"], done.report["left"]) == (180_000, 0)
    assert everything(db) == {}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_hashes_of_a_killed_load_that_were_never_pushed_go_and_running_tasks_stay(
    tool: Tool, db: Redis, layout: str
) -> None:
    tool.write("in.jsonl", lines(3000))
    job = tool.load("in.jsonl", "-q", "q", "--layout", layout, "-w", "1").report["job"]
    key = pending_key(layout, QUEUE)
    running = [db.rpop(key).decode() for _ in range(3)]
    db.ltrim(key, 1000, -1)  # as if the last of three batches had been written, and not pushed
    (bitmap,) = db.keys("*:batches")
    db.setbit(bitmap, 2, 0)
    db.hset(f"runqy-loader:{{{job}}}:job", "state", "loading")

    done = rollback(tool, job)

    assert_fine(done)
    assert (done.report["removed"], done.report["left"]) == (1997, 3)
    assert done.report["orphans"] == (1000 if layout == "documented" else 2000)  # and each has a look-up
    hashes = {task_key(layout, QUEUE, one).encode() for one in running}
    look_ups = {b"asynq:t:" + one.encode() for one in running} if layout == "asynq" else set()
    assert set(everything(db)) == hashes | look_ups


def test_a_load_of_a_job_that_is_being_rolled_back_is_refused(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", lines(10))
    load = ("in.jsonl", "-q", "q", "--layout", "documented", "--job", "j")
    assert_fine(tool.load(*load))
    db.hset("runqy-loader:{j}:job", mapping={"state": "undoing", "undone": '{"was":"done"}'})

    refused, again = tool.load(*load), tool.load(*load, "--again")
    done = rollback(tool, "j")

    for one in (refused, again):
        assert_error(one, 1, "job j is being rolled back", "runqy-loader rollback j")
    assert (done.report["resumed"], done.report["removed"], done.report["left"]) == (True, 10, 0)
    assert own_keys(db) == {}


def test_other_jobs_with_the_same_source_are_not_kept_out_by_one_that_is_gone(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", lines(10))
    tool.load("in.jsonl", "-q", "q", "--layout", "documented", "--job", "first")
    assert tool.load("in.jsonl", "-q", "q", "--layout", "documented", "--job", "second").status == 1

    rollback(tool, "first")

    assert_fine(tool.load("in.jsonl", "-q", "q", "--layout", "documented", "--job", "second"))


def test_another_job_with_the_source_of_one_that_left_tasks_needs_again(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", lines(10))
    tool.load("in.jsonl", "-q", "q", "--layout", "documented", "--job", "first")
    db.rpop("asynq:q.default:pending")
    rollback(tool, "first")

    refused = tool.load("in.jsonl", "-q", "q", "--layout", "documented", "--job", "second")

    assert_error(refused, 1, "job first was rolled back", "1 of its tasks")
    assert not db.exists("asynq:q.default:pending")
    assert_fine(tool.load("in.jsonl", "-q", "q", "--layout", "documented", "--job", "second", "--again"))


def as_of_an_earlier_version(db: Redis, job: str) -> None:
    """The record and the ledgers as the version before wrote them."""
    db.hdel(f"runqy-loader:{{{job}}}:job", "prefixes", "noted", "rejects", "expires", "marks")
    for key in db.keys("*:records"):
        db.delete(key)
    for key in db.keys("*runqy-loader:*"):
        db.persist(key)
    db.delete("runqy-loader:jobs")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_job_of_an_earlier_version_is_taken_back_and_says_that_it_does_not_know_what_is_left(
    tool: Tool, db: Redis, layout: str
) -> None:
    push(db, layout, QUEUE, others(10))
    before = everything(db)
    tool.write("in.jsonl", b"".join(b'{"n":%d,"m":"q"}\n' % n for n in range(2000)))
    job = tool.load("in.jsonl", "--queue-field", "m", "--layout", layout).report["job"]
    as_of_an_earlier_version(db, job)

    done = rollback(tool, job)

    assert_fine(done)
    assert (done.report["removed"], done.report["left"]) == (2000, None)
    assert everything(db) == before
    assert_error(tool.load("in.jsonl", "--queue-field", "m", "--layout", layout), 1, "an unknown number of its tasks")


def test_a_job_of_an_earlier_version_whose_ids_are_not_known_is_not_taken_back_by_guess(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", lines(180_000, pad="x" * 100))
    load = ("in.jsonl", "-q", "q", "--layout", "documented")
    job = tool.load(*load).report["job"]
    as_of_an_earlier_version(db, job)

    refused = rollback(tool, job)
    assert_error(refused, 1, f"an earlier version of runqy-loader has begun job {job}", "runqy-loader load in.jsonl")
    assert db.llen("asynq:q.default:pending") == 180_000

    assert tool.load(*load).report["loaded"] == 0
    assert rollback(tool, job).report["removed"] == 180_000


def test_what_cannot_be_rolled_back_is_said_with_what_to_do(tool: Tool, db: Redis) -> None:
    push(db, "documented", QUEUE, others(10))
    moved = run(
        *("migrate", "--from-queue", "q", "--to-layout", "asynq", "--move", "--job", "m", "--from-redis", tool.url),
        cwd=tool.folder,
    )
    assert moved.status == 0, moved.stderr
    tool.write("h.journal", "")

    assert_error(rollback(tool, "m"), 2, "job m is a migration", "--from-queue q.default --from-layout asynq")
    assert_error(rollback(tool, "h"), 1, "job h was loaded over HTTP (--to), which cannot be rolled back")
    assert_error(rollback(tool, "x"), 1, "there is no job x on", "runqy-loader jobs")
    assert_error(rollback(tool, "a b"), 2, "'a b' is no name of a job")
    assert db.llen("asynq:{q.default}:pending") == 10


@pytest.mark.parametrize(("layout", "own"), [("documented", False), ("asynq", False), ("asynq", True)])
def test_in_a_cluster_keys_in_all_slots_go(cluster: Cluster, tmp_path: Path, layout: str, own: bool) -> None:
    tool = Tool(tmp_path, cluster.url)
    tool.write("in.jsonl", lines(4000))
    with cluster.client() as db:
        for task_id, payload in others(1500):
            db.hset(task_key(layout, QUEUE, task_id), mapping={"payload": payload, "queue": QUEUE})
            db.lpush(pending_key(layout, QUEUE), task_id)
        before = everything(db)
        extra = ("--id-field", "n", "--ids-out", "ids.tsv") if own else ()
        loaded = tool.load("in.jsonl", "-q", "q", "--layout", layout, *extra)
        assert_fine(loaded)
        shuffled_together(db, layout, 1500)

        done = rollback(tool, loaded.report["job"])

        assert_fine(done)
        assert (done.report["removed"], done.report["left"]) == (4000, 0)
        assert everything(db) == before
        assert own_keys(db) == {}


def test_programs_take_back_and_list_jobs(
    tool: Tool, db: Redis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tool.write("in.jsonl", lines(1000))
    job = tool.load("in.jsonl", "-q", "q", "--layout", "documented").report["job"]
    db.rpop("asynq:q.default:pending")
    monkeypatch.setenv("REDIS_URL", tool.url)

    dry = asyncio.run(runqy_loader.rollback(job, dry_run=True))
    (before,) = asyncio.run(runqy_loader.list_jobs())
    done = asyncio.run(runqy_loader.rollback(job))
    (after,) = asyncio.run(runqy_loader.list_jobs(redis=tool.url))

    assert (dry.taken_back, dry.left, done.taken_back, done.left) == (999, 1, 999, 1)
    assert (before.state, before.tasks, after.state, after.left) == ("finished", 1000, "rolled back", 1)
    with pytest.raises(runqy_loader.UsageError, match="keep_job must be a duration"):
        asyncio.run(runqy_loader.rollback(job, keep_job="soon"))
    with pytest.raises(runqy_loader.LoaderError, match="there is no job x"):
        asyncio.run(runqy_loader.rollback("x"))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("missing", ["lset", "lrem", "ltrim", "incrby", "rpush", "zrem", "del"])
def test_a_missing_right_is_found_before_anything_is_taken(tool: Tool, db: Redis, layout: str, missing: str) -> None:
    push(db, layout, QUEUE, others(500))
    tool.write("in.jsonl", lines(1000))
    job = tool.load("in.jsonl", "-q", "q", "--layout", layout).report["job"]
    shuffled_together(db, layout, 500)
    before = everything(db)
    db.execute_command("ACL", "SETUSER", "undoer", "reset", "on", ">secret", "~*", "+@all", f"-{missing}")
    try:
        refused = rollback(tool, job, url=tool.url.replace("//", "//undoer:secret@"))
    finally:
        db.acl_deluser("undoer")

    assert_error(refused, 1, "this user may not run a command that is needed")
    assert everything(db) == before
    assert_fine(rollback(tool, job))


def test_the_rights_that_the_page_gives_are_enough(tool: Tool, db: Redis) -> None:
    pages = [Path(__file__).parents[2] / "docs" / name for name in ("reference.md", "jobs.md")]
    blocks = [re.findall(r"```\nACL SETUSER loader (.*?)```", page.read_text(), re.DOTALL)[0].split() for page in pages]
    db.execute_command("ACL", "SETUSER", "loader", "reset", *(word for block in blocks for word in block))
    url = tool.url.replace("//", "//loader:secret@")
    try:
        for number, extra in enumerate([(), ("--unique-ttl", "1h", "--process-in", "1h", "--force-schedule")]):
            tool.write("in.jsonl", lines(100 + number))
            loaded = tool.load("in.jsonl", "-q", "q", "--layout", "asynq", *extra, url=url)
            assert_fine(loaded)
            db.hset(f"runqy-loader:{{{loaded.report['job']}}}:job", "state", "loading")
            done = rollback(tool, loaded.report["job"], url=url)
            assert_fine(done)
            assert (done.report["removed"], done.report["left"]) == (100 + number, 0)
    finally:
        db.acl_deluser("loader")

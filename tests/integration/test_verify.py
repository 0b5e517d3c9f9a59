"""``verify``: the input and Redis are compared, whatever load has put in and whatever happens to it afterwards."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.cli import Outcome, run
from tests.conftest import Server
from tests.integration.cluster import Cluster
from tests.integration.cluster import cluster as cluster
from tests.integration.stored import Consumer, pending_key, task_key

LAYOUTS = ["documented", "asynq"]
COUNT = 2500


def write(path: Path, records: Sequence[Any]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def numbered(count: int = COUNT) -> list[dict[str, Any]]:
    return [{"id": f"t-{n}", "n": n, "to": "a.b" if n % 3 else "c.d", "text": "x" * (n % 200)} for n in range(count)]


def load(server: Server, cwd: Path, *arguments: str) -> None:
    done = run(
        "load",
        "in.jsonl",
        "-q",
        "q",
        "--redis",
        server.url,
        "--batch-size",
        "500",
        "--workers",
        "1",
        *arguments,
        cwd=cwd,
    )
    assert done.status in (0, 3), done.stderr


def verify(server: Server, cwd: Path, *arguments: str, report: bool = True) -> Outcome:
    shown = ("--report", "-") if report else ()
    return run("verify", "in.jsonl", "-q", "q", "--redis", server.url, *arguments, *shown, cwd=cwd)


def pending(client: Any, layout: str, queue: str = "q.default") -> list[str]:
    return [task_id.decode() for task_id in client.lrange(pending_key(layout, queue), 0, -1)]


def kinds(outcome: Outcome) -> dict[str, int]:
    return {kind: count for kind, count in outcome.report["by_kind"].items() if count}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("options", [(), ("--id-field", "id"), ("--queue-field", "to")], ids=["plain", "ids", "queues"])
def test_what_was_loaded_is_the_same(server: Server, tmp_path: Path, layout: str, options: Sequence[str]) -> None:
    write(tmp_path / "in.jsonl", numbered())
    with (tmp_path / "in.jsonl").open("a") as file:
        file.write("not JSON\n\n")
    load(server, tmp_path, "--layout", layout, *options)

    found = verify(server, tmp_path, *options)

    assert found.status == 0, found.stderr
    state = "stored" if layout == "documented" else "pending"
    assert (found.report["layout"], found.report["recorded"]) == (layout, True)
    assert (found.report["records_read"], found.report["invalid"]) == (COUNT + 1, 1)
    assert (found.report["compared"], found.report["same"]) == (COUNT, COUNT)
    assert found.report["states"] == {state: COUNT}
    assert found.report["lists_read"]


def test_envelopes_are_compared_by_their_payloads(server: Server, tmp_path: Path) -> None:
    records: list[Any] = [{"v": 1, "payload": {"n": n}} for n in range(300)]
    records += [{"v": 1, "payload": {"n": n}, "id": f"e-{n}", "queue": "r", "max_retry": 2} for n in range(300)]
    records += [{"v": 1, "payload": {"n": n}, "type": "other", "process_in": "1h"} for n in range(300)]
    write(tmp_path / "in.jsonl", records)
    options = ("--layout", "asynq", "--envelope", "--force-schedule")
    load(server, tmp_path, *options)

    found = verify(server, tmp_path, *options)

    assert found.status == 0, found.stderr + found.stdout
    assert found.report["states"] == {"pending": 600, "scheduled": 300}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_difference_is_found_with_its_place(server: Server, client: Any, tmp_path: Path, layout: str) -> None:
    write(tmp_path / "in.jsonl", numbered())
    load(server, tmp_path, "--layout", layout)
    list_key = pending_key(layout, "q.default")
    ids = list(reversed(pending(client, layout)))  # ids[n] is of line n + 1
    other = "r.default"
    keys = [task_key(layout, "q.default", task_id) for task_id in ids]
    changed, gone, without_hash, _, wrong_type, moved = keys[:6]
    if layout == "documented":
        client.hset(changed, "payload", b'{"n":17}')
        client.hset(moved, "queue", other)
    else:
        message = client.hget(changed, "msg")
        client.hset(changed, "msg", message.replace(b'"n": 0', b'"n": 7'))
        client.hset(f"asynq:t:{ids[5]}", "queue", other)
        client.rename(moved, task_key(layout, other, ids[5]))
        client.lrem(list_key, 1, ids[5])
        client.lrem(list_key, 1, ids[6])
    client.delete(gone, without_hash, wrong_type)
    client.lrem(list_key, 1, ids[1])
    client.lpush(list_key, ids[3], f"{ids[0][:24]}fffffffffff0")
    client.set(wrong_type, "other")

    found = verify(server, tmp_path, "--differences", "out.jsonl.gz")

    assert found.status == 3
    assert found.report["gone"] == 1
    expected = {"changed": 1, "without_hash": 1, "twice": 1, "wrong_type": 1, "wrong_queue": 1, "extra": 1}
    assert kinds(found) == (expected if layout == "documented" else expected | {"unlisted": 1})
    differences = [json.loads(line) for line in gzip.decompress((tmp_path / "out.jsonl.gz").read_bytes()).splitlines()]
    assert len(differences) == found.report["differences"]
    by_kind = {one["kind"]: one for one in differences}
    assert by_kind["changed"]["place"] == "in.jsonl:1"
    assert by_kind["changed"]["id"] == ids[0]
    assert by_kind["wrong_queue"]["place"] == "in.jsonl:6"
    assert other in by_kind["wrong_queue"]["detail"]
    assert by_kind["without_hash"]["id"] == ids[2]
    assert by_kind["twice"]["id"] == ids[3]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_a_stopped_load_has_left_is_missing_or_not_pushed(
    server: Server, client: Any, tmp_path: Path, layout: str
) -> None:
    write(tmp_path / "in.jsonl", numbered())
    load(server, tmp_path, "--layout", layout, "--job", "j")
    tag = "{asynq:q.default:pending}" if layout == "documented" else "{q.default}"
    client.setbit(f"{tag}:runqy-loader:j:0:batches", 4, 0)  # the last 500 records, as if the load had been killed
    client.hset("runqy-loader:{j}:job", "state", "loading")
    client.hdel("runqy-loader:{j}:job", "expires", "marks")
    client.ltrim(pending_key(layout, "q.default"), 500, -1)
    not_there = verify(server, tmp_path, "--job", "j")
    assert (not_there.status, kinds(not_there)) == (3, {"not_pushed": 500})

    client.delete(*[key for key in client.scan_iter("asynq:*t:*-8*-*-*", count=5000) if int(key[-12:], 16) >= 2100])
    found = verify(server, tmp_path, "--job", "j")

    assert (found.status, kinds(found)) == (3, {"not_pushed": 100, "missing": 400})
    load(server, tmp_path, "--layout", layout, "--job", "j")
    assert verify(server, tmp_path, "--job", "j").status == 0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_beside_workers_no_task_is_called_damaged(server: Server, client: Any, tmp_path: Path, layout: str) -> None:
    write(tmp_path / "in.jsonl", numbered(6000))
    load(server, tmp_path, "--layout", layout)

    with Consumer(server, layout, "q.default") as consumer:
        found = [verify(server, tmp_path) for _ in range(3)]
        consumer.finish()

    for one in found:
        assert (one.status, kinds(one)) == (0, {}), one.stdout
        assert one.report["same"] + one.report["gone"] == 6000
    after = verify(server, tmp_path)
    assert (after.status, after.report["gone"]) == (0, 6000)
    assert verify(server, tmp_path, "--undrained").status == 3


def test_a_task_that_a_worker_has_just_taken_is_no_difference(server: Server, client: Any, tmp_path: Path) -> None:
    """A worker may move the id first, and write the state after that."""
    write(tmp_path / "in.jsonl", numbered(100))
    load(server, tmp_path, "--layout", "asynq")
    taken = client.rpoplpush(pending_key("asynq", "q.default"), "asynq:{q.default}:active")

    assert verify(server, tmp_path).status == 0
    client.delete("asynq:{q.default}:active")
    found = verify(server, tmp_path)

    assert (found.status, kinds(found)) == (3, {"unlisted": 1})
    assert found.report["examples"][0]["id"] == taken.decode()


def test_a_task_that_no_list_holds_is_a_difference_if_no_worker_has_taken_any(
    server: Server, client: Any, tmp_path: Path
) -> None:
    write(tmp_path / "in.jsonl", numbered(100))
    load(server, tmp_path, "--layout", "documented")
    client.ltrim(pending_key("documented", "q.default"), 3, -1)

    assert verify(server, tmp_path).status == 0
    found = verify(server, tmp_path, "--undrained")

    assert (found.status, kinds(found), found.report["same"]) == (3, {"unlisted": 3}, 97)


def test_nothing_is_written_to_redis(server: Server, client: Any, tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", numbered(1000))
    load(server, tmp_path, "--layout", "asynq")
    before = client.info("persistence")["rdb_changes_since_last_save"]

    verify(server, tmp_path)

    assert client.info("persistence")["rdb_changes_since_last_save"] == before


def test_a_sample_has_the_same_batches_each_time_and_reads_no_list(server: Server, client: Any, tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", numbered(20_000))
    load(server, tmp_path, "--layout", "asynq")
    client.delete(pending_key("asynq", "q.default"))

    one, other = (verify(server, tmp_path, "--compare", "20%") for _ in range(2))

    assert one.status == other.status == 0
    assert one.report["compared"] == other.report["compared"]
    assert 0 < one.report["compared"] < 20_000
    assert one.report["compared"] + one.report["not_sampled"] == 20_000
    assert not one.report["lists_read"]
    assert "not known" in one.stderr


def test_without_a_record_of_the_job_all_is_missing_and_it_says_why(server: Server, tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", numbered(10))

    found = verify(server, tmp_path)

    assert (found.status, kinds(found)) == (3, {"missing": 10})
    assert "no record of job" in found.stderr
    assert not found.report["recorded"]


def test_the_summary_says_what_cannot_be_known(server: Server, client: Any, tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", numbered(10))
    load(server, tmp_path, "--layout", "documented")
    client.delete(*client.keys("asynq:t:*")[:4])
    client.delete(pending_key("documented", "q.default"))

    found = verify(server, tmp_path, report=False)

    assert found.status == 0
    assert "it cannot be told" in found.stderr
    assert "hold no state" in found.stderr
    assert found.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("verify", "-q", "q"), "nothing to compare"),
        (("verify", "in.jsonl", "-q", "q", "--to", "http://127.0.0.1:9"), "--to"),
        (("verify", "in.jsonl", "-q", "q", "--redis", "discard"), "discard"),
        (("verify", "in.jsonl", "-q", "q", "--preview", "3"), "--preview"),
        (("verify", "in.jsonl", "-q", "q", "--compare", "0%"), "--compare"),
        (("verify", "in.jsonl", "-q", "q", "--compare", "many"), "--compare"),
        (("verify", "in.jsonl", "-q", "q", "--report", "-", "--differences", "-"), "standard output"),
    ],
)
def test_wrong_use_is_one_line(tmp_path: Path, arguments: Sequence[str], said: str) -> None:
    write(tmp_path / "in.jsonl", numbered(1))

    found = run(*arguments, cwd=tmp_path)

    assert found.status == 2
    assert said in found.stderr
    assert "Traceback" not in found.stderr


def test_other_content_under_the_name_of_a_job_is_refused(server: Server, tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", numbered(100))
    load(server, tmp_path, "--job", "j")
    write(tmp_path / "in.jsonl", numbered(99))

    found = run("verify", "in.jsonl", "-q", "q", "--job", "j", "--redis", server.url, cwd=tmp_path)

    assert found.status == 1
    assert "other content" in found.stderr


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("options", [(), ("--queue-field", "to")], ids=["plain", "queues"])
def test_a_job_is_compared_by_its_ledgers_if_its_input_is_not_here(
    server: Server, client: Any, tmp_path: Path, layout: str, options: Sequence[str]
) -> None:
    write(tmp_path / "in.jsonl", numbered())
    with (tmp_path / "in.jsonl").open("a") as file:
        file.write("not JSON\n")
    load(server, tmp_path, "--layout", layout, "--job", "j", *options)
    (tmp_path / "in.jsonl").unlink()

    same = run("verify", "j", "--redis", server.url, "--report", "-", cwd=tmp_path)

    assert same.status == 0, same.stderr
    assert (same.report["input_read"], same.report["lists_read"]) == (False, True)
    assert (same.report["compared"], same.report["same"]) == (COUNT, COUNT)
    assert "ledgers were compared" in same.stderr

    queue = "c.d" if options else "q.default"
    ids = sorted(pending(client, layout, queue))
    client.delete(task_key(layout, queue, ids[0]))  # of the first batch, which has no bad record
    if layout == "documented":
        client.hset(task_key(layout, queue, ids[700]), "payload", b"{}")
    found = run("verify", "j", "--redis", server.url, "--report", "-", cwd=tmp_path)
    assert (found.status, found.report["gone"]) == (3, 0)
    changed = layout == "documented" and not options  # a checksum is of a whole batch
    assert kinds(found) == {"without_hash": 1} | ({"changed": 1} if changed else {})


def test_a_job_is_compared_with_its_input_if_that_is_here(server: Server, client: Any, tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", numbered(300))
    load(server, tmp_path, "--layout", "asynq", "--job", "j", "--id-field", "id", "--max-retry", "7")

    found = run("verify", "j", "--redis", server.url, "--report", "-", cwd=tmp_path)

    assert (found.status, found.report["input_read"], found.report["same"]) == (0, True, 300)
    assert "tasks that are not in yet" not in found.stderr
    (tmp_path / "in.jsonl").write_text("{}\n")
    without = run("verify", "j", "--redis", server.url, cwd=tmp_path)
    assert without.status == 1
    assert "the ids of job j come from its records" in without.stderr


def test_an_unknown_job_is_one_line(server: Server, tmp_path: Path) -> None:
    found = run("verify", "nothing-here", "--redis", server.url, cwd=tmp_path)

    assert found.status == 2
    assert "has no record of a job nothing-here" in found.stderr


@pytest.mark.parametrize("layout", LAYOUTS)
def test_in_a_cluster_each_key_is_looked_for_on_its_node(cluster: Cluster, tmp_path: Path, layout: str) -> None:
    write(tmp_path / "in.jsonl", numbered(600))
    arguments = ("in.jsonl", "--queue-field", "to", "--redis", cluster.url)
    loaded = run("load", *arguments, "--layout", layout, "--job", "j", cwd=tmp_path)
    assert loaded.status == 0, loaded.stderr

    same = run("verify", *arguments, "--job", "j", "--report", "-", cwd=tmp_path)
    assert (same.status, same.report["same"]) == (0, 600), same.stderr
    (tmp_path / "in.jsonl").unlink()
    with cluster.client() as client:
        (task_id, *_) = client.lrange(pending_key(layout, "a.b"), 0, 0)
        client.delete(task_key(layout, "a.b", task_id.decode()))
    found = run("verify", "j", "--redis", cluster.url, "--report", "-", cwd=tmp_path)

    assert (found.status, kinds(found)) == (3, {"without_hash": 1}), found.stderr


@pytest.mark.parametrize("option", ["--differences", "--report"])
@pytest.mark.parametrize("named", ["in.jsonl", "link.jsonl"])
@pytest.mark.parametrize("by", ["input", "job"])
def test_the_input_is_never_written_to(server: Server, tmp_path: Path, option: str, named: str, by: str) -> None:
    write(tmp_path / "in.jsonl", numbered(100))
    (tmp_path / "link.jsonl").symlink_to("in.jsonl")
    before = (tmp_path / "in.jsonl").read_bytes()
    load(server, tmp_path, "--job", "j")
    what = ("in.jsonl", "-q", "q", "--job", "j") if by == "input" else ("j",)

    found = run("verify", *what, "--redis", server.url, option, named, cwd=tmp_path)

    assert (found.status, "is an input" in found.stderr) == (2, True), found.stderr
    assert (tmp_path / "in.jsonl").read_bytes() == before


def test_an_empty_input_is_an_error(server: Server, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("")

    found = verify(server, tmp_path, report=False)

    assert (found.status, "no record in in.jsonl" in found.stderr) == (1, True), found.stderr


def test_what_the_record_of_a_job_says_is_not_given_again(server: Server, tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", numbered(10))
    load(server, tmp_path, "--job", "j")

    found = run("verify", "j", "-q", "other", "--redis", server.url, cwd=tmp_path)

    assert (found.status, "--queue: the record of job j has it" in found.stderr) == (2, True), found.stderr


def test_a_comparison_without_differences_makes_an_empty_file(server: Server, tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", numbered(10))
    load(server, tmp_path, "--job", "j")

    assert verify(server, tmp_path, "--job", "j", "--differences", "d.jsonl").status == 0
    assert (tmp_path / "d.jsonl").read_bytes() == b""

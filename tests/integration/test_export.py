"""Export: pending tasks to JSON lines and back, while others push and take."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

import loader
from loader.servers.session import open_session
from loader.stored.fetch import Fetcher
from loader.stored.queue_reader import stored_queue
from loader.stored.snapshot import CHUNK, pending_ids
from loader.stored.spool import DistinctSpool, Spool
from loader.tasks.options import LIFECYCLE
from loader.wire.address import parse_address
from tests.cli import command, environment, run
from tests.conftest import Server
from tests.faults.proxy import Proxy, Verdict
from tests.integration.stored import Consumer, Producer, numbered, pending_key, push, stored, task_key, until

LAYOUTS = ("documented", "asynq")
AWKWARD = [
    b'{"a":  1}',
    b" 1",
    b"1\t",
    b'"caf\xc3\xa9"',
    b"\xff\x00 no text",
    b"not json",
    b'{\n  "a": 1\n}',
    b'{"a":\r1}',
    b'"lone \\ud800 surrogate"',
    b"123456789012345678901234567890",
    b"[" * 1023 + b"]" * 1023,
    b"NaN",
    b"null",
]


def without_time(tasks: list[tuple[str, dict[bytes, bytes]]]) -> list[tuple[str, dict[bytes, bytes]]]:
    return [(i, {name: value for name, value in fields.items() if name != b"pending_since"}) for i, fields in tasks]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("by", ["list", "scan"])
def test_an_export_loaded_again_is_the_same_queue_byte_for_byte(
    server: Server, client: Any, tmp_path: Path, layout: str, by: str
) -> None:
    awkward = [(f"awkward {n} é", payload) for n, payload in enumerate(AWKWARD)]
    push(client, layout, "q.default", numbered(2500) + awkward)
    before = without_time(stored(client, layout, "q.default"))
    shared = ("--layout", layout, "--redis", server.url, "--quiet", "--report")

    out = run("export", "-q", "q", "--by", by, "-o", "out.jsonl", *shared, "-", cwd=tmp_path)
    client.flushall()
    back = run("load", "out.jsonl", "--envelope", "-w", "1", *shared, "-", cwd=tmp_path)

    assert (out.status, out.stderr) == (0, ""), out
    count = 2500 + len(AWKWARD)
    assert (out.report["listed"], out.report["exported"], out.report["status"]) == (count, count, "completed")
    assert out.report["bytes_written"] == (tmp_path / "out.jsonl").stat().st_size
    assert (back.status, back.report["loaded"]) == (0, count), back
    after = without_time(stored(client, layout, "q.default"))
    if by == "scan":
        before, after = sorted(before, key=lambda task: task[0]), sorted(after, key=lambda task: task[0])
    assert after == before


def test_an_export_writes_nothing_to_the_server(server: Server, client: Any, tmp_path: Path) -> None:
    push(client, "documented", "q.default", numbered(100))
    dump = {key: client.dump(key) for key in client.keys("*")}

    done = run("export", "-q", "q", "--redis", server.url, cwd=tmp_path)

    assert done.status == 0
    assert len(done.stdout.splitlines()) == 100
    assert {key: client.dump(key) for key in client.keys("*")} == dump


def test_options_of_asynq_tasks_are_exported_also_where_they_are_zero(valkey: Server, tmp_path: Path) -> None:
    lines = [
        {"id": "bare", "payload": 1, "timeout": 0, "retention": 0, "max_retry": 0, "type": "x"},
        {"id": "full", "payload": 2, "deadline": 4102444800, "headers": {"a": "b"}, "ttl_completed": 60,
         "unique_ttl": 3600, "type": "email:send"},
    ]  # fmt: skip
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    shared = ("--layout", "asynq", "--redis", valkey.url, "--quiet")
    loaded = run("load", "in.jsonl", "--envelope", "-q", "q", *shared, cwd=tmp_path)
    with valkey.client() as client:
        before = without_time(stored(client, "asynq", "q.default"))
        out = run("export", "-q", "q", "-o", "out.jsonl", *shared, cwd=tmp_path)
        client.flushall()
        back = run("load", "out.jsonl", "--envelope", *shared, cwd=tmp_path)
        after = without_time(stored(client, "asynq", "q.default"))
        locks = client.keys("asynq:{q.default}:unique:*")

    assert (loaded.status, out.status, back.status) == (0, 0, 0)
    assert after == before
    assert len(locks) == 1
    bare, full = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert bare == {"payload": 1, "id": "bare", "queue": "q.default", "type": "x", "max_retry": 0, "timeout": 0,
                    "retention": 0}  # fmt: skip
    assert (full["headers"], full["deadline"], full["ttl_completed"]) == ({"a": "b"}, 4102444800, 60)
    assert 3500 < full["unique_ttl"] <= 3600


LIFECYCLES = [dict(zip(LIFECYCLE, values, strict=True)) for values in itertools.product((None, "0", "60"), repeat=4)]


def test_zero_and_absent_stay_two_things_from_a_file_to_a_queue_and_back(valkey: Server, tmp_path: Path) -> None:
    given = [{name: int(value) for name, value in fields.items() if value} for fields in LIFECYCLES]
    lines = [{"id": f"{n}", "payload": n, **fields} for n, fields in enumerate(given)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    shared = ("--layout", "asynq", "--redis", valkey.url, "--quiet")
    with valkey.client() as client:
        run("load", "in.jsonl", "--envelope", "-q", "q", "-w", "1", *shared, cwd=tmp_path)
        before = without_time(stored(client, "asynq", "q.default"))
        run("export", "-q", "q", "-o", "out.jsonl", *shared, cwd=tmp_path)
        client.flushall()
        run("load", "out.jsonl", "--envelope", "-w", "1", *shared, cwd=tmp_path)
        after = without_time(stored(client, "asynq", "q.default"))

    found = [
        {name: (value := fields.get(name.encode())) and value.decode() for name in LIFECYCLE} for _, fields in before
    ]
    assert found == LIFECYCLES
    assert after == before
    exported = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [{name: line.get(name) for name in LIFECYCLE} for line in exported] == [
        {name: fields.get(name) for name in LIFECYCLE} for fields in given
    ]
    assert [line.get("v") for line in exported] == [2 if 0 in fields.values() else None for fields in given]


@pytest.mark.parametrize("option", LIFECYCLE)
@pytest.mark.parametrize("how", ["option", "variable", "file", "keyword"])
def test_zero_may_be_given_for_the_whole_load(valkey: Server, tmp_path: Path, option: str, how: str) -> None:
    (tmp_path / "in.jsonl").write_text("1\n")
    (tmp_path / "c.toml").write_text(f"[load]\n{option} = 0\n")
    flag = f"--{option.replace('_', '-')}"
    given = {"option": (flag, "0"), "file": ("--config", "c.toml")}.get(how, ())
    variables = {f"RUNQY_LOADER_{option.upper()}": "0"} if how == "variable" else {}
    shared = ("load", "in.jsonl", "-q", "q", "--layout", "asynq", "--redis", valkey.url, "--quiet")
    with valkey.client() as client:
        if how == "keyword":
            options: dict[str, Any] = {option: 0}
            asyncio.run(loader.load(tmp_path / "in.jsonl", queue="q", layout="asynq", redis=valkey.url, **options))
        else:
            done = run(*shared, *given, cwd=tmp_path, env=variables)
            assert done.status == 0, done.stderr
        ((_, fields),) = stored(client, "asynq", "q.default")

    assert {name.decode(): value for name, value in fields.items() if name.decode() in LIFECYCLE} == {option: b"0"}


STRANGE = {
    b"tenant": b"acme",
    b"trace\xff": b"\x00\xff",
    b"pending_timeout": b"-1",
    b"ttl_completed": b"007",
    b"retried": b"2",
    b"": b"no name",
    "größe".encode(): b"",
    b"large": b"x" * 100_000,
}
"""Fields that are not the layout's own, or hold what the loader does not write."""


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("by", ["list", "scan"])
def test_fields_that_are_not_ours_come_back(valkey: Server, tmp_path: Path, layout: str, by: str) -> None:
    with valkey.client() as client:
        push(client, layout, "q.default", numbered(3))
        client.hset(task_key(layout, "q.default", "task-0000001"), mapping=STRANGE)
        if layout == "documented":
            client.hset(task_key(layout, "q.default", "task-0000002"), "retry", "5")
        before = without_time(stored(client, layout, "q.default"))
        shared = ("--layout", layout, "--redis", valkey.url, "--quiet")
        run("export", "-q", "q", "--by", by, "-o", "out.jsonl", *shared, cwd=tmp_path)
        client.flushall()
        back = run("load", "out.jsonl", "--envelope", "-w", "1", *shared, cwd=tmp_path)
        after = without_time(stored(client, layout, "q.default"))

    assert back.status == 0, back.stderr
    assert sorted(after) == sorted(before, key=lambda task: task[0])


def test_tasks_in_groups_are_exported_without_a_layout_given(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        push(client, "asynq", "q.default", numbered(1))
        (key,) = client.keys("asynq:{q.default}:t:*")
        client.delete("asynq:{q.default}:pending")
        client.hset(key, mapping={"state": "aggregating", "group": "g"})
        client.sadd("asynq:{q.default}:groups", "g")
        client.zadd("asynq:{q.default}:g:g", {key.rpartition(b":")[2]: 1})

    done = run("export", "-q", "q", "--state", "aggregating", "--redis", valkey.url, "-o", "o.jsonl", cwd=tmp_path)

    assert done.status == 0, done.stderr
    assert json.loads((tmp_path / "o.jsonl").read_text())["group"] == "g"


def test_a_queue_with_nothing_but_groups_is_one_of_layout_asynq(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        client.sadd("asynq:{q.default}:groups", "g")
        client.zadd("asynq:{q.default}:g:g", {"c": 1})
    shared = ("-q", "q", "--redis", valkey.url, "-o", "o", "--report", "r")

    found = run("export", "--layout", "auto", *shared, cwd=tmp_path)
    report = json.loads((tmp_path / "r").read_text())
    given = run("export", "--layout", "asynq", *shared, cwd=tmp_path)

    assert (found.status, given.status) == (0, 0), (found.stderr, given.stderr)
    assert (report["layout"], report["other_states"]) == ("asynq", {"aggregating": 1})


def test_tasks_in_other_states_are_named(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        push(client, "asynq", "q.default", numbered(1))
        client.zadd("asynq:{q.default}:scheduled", {"a": 1, "b": 2})
        client.sadd("asynq:{q.default}:groups", "g")
        client.zadd("asynq:{q.default}:g:g", {"c": 1})
    given = ("export", "-q", "q", "--layout", "asynq", "--redis", valkey.url, "-o", "o", "--report", "r")

    done = run(*given, cwd=tmp_path)

    assert "not exported: 2 scheduled, 1 aggregating (--state aggregating exports these)" in done.stderr
    assert json.loads((tmp_path / "r").read_text())["other_states"] == {"scheduled": 2, "aggregating": 1}


def test_what_an_envelope_cannot_hold_is_named(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        push(client, "asynq", "q.default", numbered(2))
        key = task_key("asynq", "q.default", "task-0000000")
        client.hset(key, "msg", client.hget(key, "msg") + b"\x80\x02\x05")  # field 32, a number

    done = run(
        "export", "-q", "q", "--layout", "asynq", "--redis", valkey.url, "-o", "o", "--report", "r", cwd=tmp_path
    )

    assert "not in the file: message fields that asynq 0.26 does not have (1 task)" in done.stderr
    assert list(json.loads((tmp_path / "r").read_text())["lost"].values()) == [1]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_consumers_and_producers_are_not_disturbed_and_nothing_that_stays_is_left_out(
    server: Server, client: Any, tmp_path: Path, layout: str
) -> None:
    push(client, layout, "q.default", numbered(20_000))
    extra = numbered(20_000, first=1_000_000)
    with (
        Consumer(server, layout, "q.default", pause=0.001) as consumer,
        Producer(server, layout, "q.default", extra) as producer,
    ):
        done = run(
            "export", "-q", "q", "--layout", layout, "--redis", server.url, "--report", "report.json", cwd=tmp_path
        )
        staying = {i for i, _ in stored(client, layout, "q.default")} & {i for i, _ in numbered(20_000)}
        taken = list(consumer.done)
        client.delete(pending_key(layout, "q.default"))

    assert done.status == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    ids = [line["id"] for line in lines]
    assert len(set(ids)) == len(ids)
    assert staying <= set(ids)
    old = [i for i in ids if int(i[5:]) < 1_000_000]
    assert old == sorted(old)
    assert consumer.hollow == [] and taken == numbered(len(taken))
    assert set(ids) <= {i for i, _ in numbered(20_000) + producer.pushed + extra}
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["listed"] == report["exported"] + report["missing"]


def test_tasks_taken_meanwhile_or_running_are_left_out_and_counted(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        push(client, "asynq", "q.default", numbered(5))
        client.delete(task_key("asynq", "q.default", "task-0000001"))
        client.hset(task_key("asynq", "q.default", "task-0000002"), "state", "active")
        client.hset(task_key("asynq", "q.default", "task-0000003"), "msg", b"\x0a\xff")

    done = run("export", "-q", "q", "--layout", "asynq", "--redis", valkey.url, "--report", "r", cwd=tmp_path)

    assert done.status == 3
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["task-0000000", "task-0000004"]
    report = json.loads((tmp_path / "r").read_text())
    assert (report["missing"], report["rejected"]) == (2, 1)
    assert report["rejects"][0]["id"] == "task-0000003" and "message" in report["rejects"][0]["reason"]
    assert "task-0000003" in done.stderr


def test_a_count_of_retries_that_is_none_is_rejected_however_many_digits_it_has(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        push(client, "documented", "q.default", numbered(4))
        for number, text in enumerate(("0" * 5000 + "5", "9" * 5000, "0" * 30 + "9" * 30)):
            client.hset(task_key("documented", "q.default", f"task-{number:07}"), "retry", text)

    done = run("export", "-q", "q", "--layout", "documented", "--redis", valkey.url, "--report", "r", cwd=tmp_path)

    assert done.status == 3, done.stderr
    exported = {task["id"]: task.get("retried") for task in map(json.loads, done.stdout.splitlines())}
    assert exported == {"task-0000000": 5, "task-0000003": None}
    rejects = json.loads((tmp_path / "r").read_text())["rejects"]
    assert [reject["reason"] for reject in rejects] == ["field 'retry' of its hash is no whole number"] * 2


def test_a_scan_finds_tasks_whose_list_is_lost_and_no_others(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        push(client, "documented", "q.default", numbered(300))
        push(client, "documented", "other.default", numbered(3, first=900))
        push(client, "asynq", "q.default", numbered(3, first=700))
        client.hset("asynq:t:task-0000700", "queue", "q.default")  # runqy's reverse look-up
        client.set("asynq:t:text", "no task")
        client.delete("asynq:q.default:pending")

    done = run("export", "-q", "q", "--by", "scan", "--layout", "documented", "--redis", valkey.url, cwd=tmp_path)

    assert done.status == 0, done.stderr
    assert sorted(json.loads(line)["id"] for line in done.stdout.splitlines()) == [i for i, _ in numbered(300)]


def test_payloads_alone_are_one_a_line_and_those_of_several_lines_are_rejected(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        push(client, "documented", "q.default", [("a", b'{"x": 1}'), ("b", b"[\n]"), ("c", b"2")])

    done = run("export", "-q", "q", "--format", "payload", "--redis", valkey.url, cwd=tmp_path)

    assert (done.status, done.stdout) == (3, '{"x": 1}\n2\n')
    assert "b: its payload is not one line" in done.stderr


def test_a_file_has_its_name_only_once_it_is_complete(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client, Proxy(valkey.port) as proxy:
        push(client, "documented", "q.default", [(f"{n}", b'"%b"' % (b"x" * 100_000)) for n in range(1500)])
        part = tmp_path / "out.jsonl.part"
        proxy.rule = lambda link, chunk: Verdict.WAIT if part.exists() and part.stat().st_size else None
        exporting = subprocess.Popen(
            command("export", "-q", "q", "--redis", proxy.url, "-o", "out.jsonl"),
            cwd=tmp_path, env=environment(), stderr=subprocess.PIPE,
        )  # fmt: skip
        until(lambda: proxy.waiting or exporting.poll() is not None, "a part is written, and it asks for more")
        exporting.send_signal(signal.SIGINT)
        proxy.go_on()
        _, stderr = exporting.communicate()

    assert exporting.returncode == 130, stderr
    assert list(tmp_path.iterdir()) == []
    assert b"interrupted" in stderr and b"Traceback" not in stderr


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ((), 2, ("--queue",)),
        (("-q", "a..b"), 2, ("empty part",)),
        (("-q", "q", "--redis", "redis://127.0.0.1:1"), 1, ("127.0.0.1:1", "connection refused")),
        (("-q", "q", "--layout", "documented", "--profile", "asynq"), 2, ("--layout asynq",)),
        (("-q", "q", "--by", "scan"), 2, ("--by scan needs --layout",)),
        (("-q", "q", "--report", "-"), 2, ("--output", "--report")),
        (("-q", "q", "-o", "no/such/folder"), 2, ("no/such/folder", "No such file")),
    ],
)
def test_what_cannot_work_is_said_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], status: int, words: tuple[str, ...]
) -> None:
    done = run("export", *arguments, "--no-progress", cwd=tmp_path)

    assert done.status == status
    assert len(done.stderr.splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr


def test_a_queue_of_the_other_layout_is_pointed_out(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        push(client, "asynq", "q.default", numbered(7))

    done = run("export", "-q", "q", "--layout", "documented", "--redis", valkey.url, cwd=tmp_path)

    assert (done.status, done.stdout) == (1, "")
    assert "In the other layout it has 7 pending tasks: give --layout asynq" in done.stderr


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_that_holds_the_tasks_is_read(valkey: Server, tmp_path: Path, layout: str) -> None:
    with valkey.client() as client:
        push(client, layout, "q.default", numbered(7))
        push(client, "documented" if layout == "asynq" else "asynq", "other.default", numbered(1))

    done = run("export", "-q", "q", "--redis", valkey.url, "--report", "r.json", cwd=tmp_path)

    assert (done.status, len(done.stdout.splitlines())) == (0, 7)
    assert f"layout {layout}: it holds 7 pending tasks of queue q.default" in done.stderr
    assert json.loads((tmp_path / "r.json").read_text())["layout"] == layout


def test_tasks_in_both_layouts_are_refused_and_each_named_option_works(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        push(client, "documented", "q.default", numbered(2))
        push(client, "asynq", "q.default", numbered(3, first=100))

    refused = run("export", "-q", "q", "--redis", valkey.url, "--quiet", cwd=tmp_path)

    assert (refused.status, refused.stdout) == (1, "")
    assert "2 in queue q.default of layout documented, 3 in queue q.default of layout asynq" in refused.stderr
    for layout, count in (("documented", 2), ("asynq", 3)):
        assert f"--layout {layout}" in refused.stderr
        done = run("export", "-q", "q", "--layout", layout, "--redis", valkey.url, "--quiet", cwd=tmp_path)
        assert (done.status, len(done.stdout.splitlines())) == (0, count)


@pytest.mark.parametrize("key", ["active", "scheduled", "completed", "processed"])
def test_a_queue_without_pending_tasks_is_of_the_layout_of_its_other_keys(
    valkey: Server, tmp_path: Path, key: str
) -> None:
    with valkey.client() as client:
        client.set(f"asynq:{{q.default}}:{key}", 1)

    done = run("export", "-q", "q", "--redis", valkey.url, "--report", "-", "-o", "out", "--quiet", cwd=tmp_path)

    assert (done.status, done.report["layout"], done.report["exported"]) == (0, "asynq", 0)


def test_a_user_who_may_not_read_the_keys_must_give_the_layout(valkey: Server, tmp_path: Path) -> None:
    rights = ["+ping", "+select", "+lrange", "+llen", "+hstrlen", "+hgetall", "+get", "+ttl"]
    with valkey.client() as client:
        push(client, "asynq", "q.default", numbered(2))
        client.execute_command("ACL", "SETUSER", "reader", "on", ">secret", "~asynq:*", *rights)
        url = f"redis://reader:secret@127.0.0.1:{valkey.port}/0"

        refused = run("export", "-q", "q", "--redis", url, "--quiet", cwd=tmp_path)
        given = run("export", "-q", "q", "--layout", "asynq", "--redis", url, "--quiet", cwd=tmp_path)
        client.execute_command("ACL", "SETUSER", "reader", "+exists", "+sismember")
        told = run("export", "-q", "q", "--redis", url, "--quiet", cwd=tmp_path)
        client.acl_deluser("reader")

    assert (refused.status, "Give --layout documented or --layout asynq" in refused.stderr) == (1, True)
    assert given.stdout == told.stdout and len(told.stdout.splitlines()) == 2


def test_profile_asynq_needs_no_layout(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        push(client, "asynq", "critical", numbered(2))

    done = run("export", "-q", "critical", "--profile", "asynq", "--redis", valkey.url, "--quiet", cwd=tmp_path)

    assert (done.status, len(done.stdout.splitlines())) == (0, 2)


def test_plain_asynq_queues_keep_their_names(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        push(client, "asynq", "critical", numbered(2))

    done = run(
        "export", "-q", "critical", "--layout", "asynq", "--profile", "asynq", "--redis", valkey.url, cwd=tmp_path
    )

    assert [json.loads(line)["queue"] for line in done.stdout.splitlines()] == ["critical", "critical"]


def test_options_may_come_from_the_environment_and_a_file(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        push(client, "documented", "q.default", numbered(2))
    (tmp_path / "c.toml").write_text('[export]\nqueue = "q"\nformat = "payload"\n')

    done = run("export", "--config", "c.toml", "--quiet", cwd=tmp_path, env={"REDIS_URL": valkey.url})

    assert (done.status, done.stdout.encode()) == (0, b"".join(payload + b"\n" for _, payload in numbered(2)))


# --- the snapshot itself ---------------------------------------------------------------------------------------------


def snapshot(server: Server, between: Any) -> list[str]:
    """The ids of q.default, where ``between(ids so far)`` runs after each chunk."""

    async def read() -> list[str]:
        names = itertools.count()
        found: list[str] = []
        async with open_session(parse_address(server.url), 10, 0, lambda: f"test:{next(names)}") as session:
            async for ids in pending_ids(session, stored_queue("documented", "q.default")):
                found += [task_id.decode() for task_id in ids]
                between(found)
        return found

    return asyncio.run(read())


PENDING = "asynq:q.default:pending"


@pytest.fixture
def listed(server: Server, client: Any) -> list[str]:
    """Ids of a list of five chunks, from its head on."""
    ids = [f"{n}" for n in range(5 * CHUNK)]
    client.rpush(PENDING, *ids)
    return ids


@pytest.mark.parametrize("pushes", [1, CHUNK - 1, CHUNK, 3 * CHUNK])
def test_pushes_during_the_reading_neither_hide_nor_repeat_ids(
    server: Server, client: Any, listed: list[str], pushes: int
) -> None:
    readings = 0

    def push(so_far: list[str]) -> None:
        nonlocal readings
        readings += 1
        if readings <= 50:  # at a chunk but one each time, the reading would go on by one id only
            client.lpush(PENDING, *["new"] * pushes)

    assert snapshot(server, push) == listed


@pytest.mark.parametrize("removed", [1, 7, CHUNK // 2])
def test_ids_removed_from_what_was_read_hide_nothing(
    server: Server, client: Any, listed: list[str], removed: int
) -> None:
    def remove(so_far: list[str]) -> None:
        for task_id in so_far[-removed:]:
            client.lrem(PENDING, 1, task_id)

    assert snapshot(server, remove) == listed


def test_ids_removed_and_pushed_at_once_hide_and_repeat_nothing(server: Server, client: Any, listed: list[str]) -> None:
    def disturb(so_far: list[str]) -> None:
        client.lpush(PENDING, *["new"] * (len(so_far) // 2))
        for task_id in so_far[-3::2]:
            client.lrem(PENDING, 1, task_id)

    assert snapshot(server, disturb) == listed


def test_a_list_that_consumers_empty_ends_the_reading(server: Server, client: Any, listed: list[str]) -> None:
    def drain(so_far: list[str]) -> None:
        if len(so_far) == 2 * CHUNK:
            client.rpop(PENDING, 4 * CHUNK)
            client.lpush(PENDING, *["new"] * (3 * CHUNK))

    assert snapshot(server, drain) == listed[: 2 * CHUNK]


def test_a_spool_gives_back_the_last_id_first() -> None:
    with Spool() as spool:
        spool.add([b"a", b"\xff\n"])
        spool.add([b"c"])
        assert list(spool.backwards()) == [[b"c"], [b"\xff\n", b"a"]]
        assert spool.count == 3


def test_a_distinct_spool_gives_each_id_once() -> None:
    ids = [b"%d" % n for n in range(200_000)]
    with DistinctSpool() as spool:
        for start in range(0, len(ids), 1000):
            spool.add(ids[start : start + 1500])
        found = [task_id for block in spool.blocks() for task_id in block]
    assert len(found) == len(ids) and set(found) == set(ids)


def test_a_damaged_task_is_rejected_also_where_it_is_found_by_its_key(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        push(client, "asynq", "q.default", numbered(3))
        client.hset("asynq:{q.default}:t:damaged", mapping={"msg": b"\xff", "state": "pending"})

    shared = ("--layout", "asynq", "--redis", valkey.url, "--quiet")
    done = run("export", "-q", "q", "--by", "scan", "-o", "o.jsonl", "--report", "-", *shared, cwd=tmp_path)

    assert done.status == 3, done
    assert (done.report["listed"], done.report["exported"], done.report["rejected"]) == (4, 3, 1)
    assert done.report["rejects"][0]["id"] == "damaged"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_chunk_is_as_large_as_its_tasks_allow_whatever_came_before(valkey: Server, layout: str) -> None:
    large = [(f"large-{n}", b'"%b"' % (b"x" * 1_500_000)) for n in range(5)]
    tasks = numbered(300) + large + numbered(300, first=300)
    with valkey.client() as client:
        push(client, layout, "q.default", tasks)

    async def read() -> list[list[str]]:
        names = itertools.count()
        queue = stored_queue("asynq" if layout == "asynq" else "documented", "q.default")
        ids = [task_id.encode() for task_id, _ in tasks]
        async with open_session(parse_address(valkey.url), 10, 0, lambda: f"test:{next(names)}") as session:
            return [[task.id.decode() for task in part.tasks] async for part in Fetcher(session, queue, 250).each(ids)]

    parts = asyncio.run(read())

    assert [task_id for part in parts for task_id in part] == [task_id for task_id, _ in tasks]
    assert max(map(len, parts)) == 250
    assert max(sum(name.startswith("large") for name in part) for part in parts) == 2  # 3 MB, of 4 MiB at most

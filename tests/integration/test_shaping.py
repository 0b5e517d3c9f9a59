"""Records are chosen and shaped on their way: what is in the server, what is told, and that all runs agree."""

from __future__ import annotations

import asyncio
import gzip
import json
import shlex
from pathlib import Path
from typing import Any

import pytest

import runqy_loader
from tests.cli import Outcome, run
from tests.integration.tool import NOWHERE, Redis, Tool, assert_error, payloads, rejects

RECORDS = [
    b'{ "id":"a", "customer": {"name":"N","plan":"paid"}, "amount": 1.10 }',
    b'{"id":"b","customer":{"name":"M","plan":"free"},"amount":123456789012345678901234567890}',
    b"{not JSON",
    b'{"id":"c","customer":{"name":"O","plan":"paid"},"amount":-0}',
    b'{"id":"d","customer":{"name":"P","plan":7}}',
    b'{"id":"a","customer":{"name":"Q","plan":"paid"},"amount":1E5}',
]
GUIDE = Path(__file__).parents[2] / "docs" / "shaping.md"
PAID = "customer.plan == 'paid'"


@pytest.fixture
def input_file(tool: Tool) -> str:
    tool.write("in.jsonl", b"\n".join(RECORDS) + b"\n")
    return "in.jsonl"


def left_out(outcome: Outcome) -> dict[str, int]:
    """The counts of what is left out; and all counts add up."""
    report = outcome.report
    names = ("filtered", "not_sampled", "duplicates", "outside")
    found = {name: report[name] for name in names}
    dealt_with = report["loaded"] + report["already_loaded"] + report["rejected"] + sum(found.values())
    assert report["records_read"] == dealt_with
    return {name: count for name, count in found.items() if count}


def test_where_leaves_records_out_and_the_others_stay_byte_for_byte(tool: Tool, db: Redis, input_file: str) -> None:
    arguments = (input_file, "-q", "q", "--where", PAID, "-w", "1")

    first, again = tool.load(*arguments), tool.load(*arguments)

    assert payloads(db, "q.default") == [RECORDS[0], RECORDS[3], RECORDS[5]]
    assert first.status == again.status == 3  # for the line that is no JSON
    assert (first.report["loaded"], again.report["already_loaded"]) == (3, 3)
    assert left_out(first) == left_out(again) == {"filtered": 2}


def test_select_and_set_keep_the_text_of_numbers(tool: Tool, db: Redis, input_file: str) -> None:
    done = tool.load(input_file, "-q", "one", "-w", "1", "--select", "{who: customer.name, n: amount}")
    assert payloads(db, "one.default") == [
        b'{"who":"N","n":1.10}',
        b'{"who":"M","n":123456789012345678901234567890}',
        b'{"who":"O","n":-0}',
        b'{"who":"P","n":null}',
        b'{"who":"Q","n":1E5}',
    ]
    assert done.report["rejected"] == 1

    tool.load(
        input_file, "-q", "two", "-w", "1", "--set", "customer=customer.name", "--set", "kind='x'", "--limit", "1"
    )
    assert payloads(db, "two.default") == [b'{ "id":"a", "customer": "N", "amount": 1.10 ,"kind":"x"}']


def test_a_template_is_an_expression_in_a_file_and_the_same_job_as_select(tool: Tool, input_file: str) -> None:
    tool.write("task.jmespath", "{\n  who: customer.name,\n  model: 'small',\n  options: `{\"t\": 0.70}`\n}\n")
    first = tool.load(input_file, "-q", "q", "--payload-template", "task.jmespath")
    text = (tool.folder / "task.jmespath").read_text().strip()
    again = tool.load(input_file, "-q", "q", "--select", text)
    assert (first.report["loaded"], again.report["already_loaded"]) == (5, 5)
    assert first.report["job"] == again.report["job"]


def test_a_reject_is_the_raw_record_and_loads_when_it_is_mended(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b'{"a":[1]}\n {"a":"x", "b" : 1.10}\n')
    shape = ("-q", "q", "--select", "{n: length(a), s: sum(a)}", "--job")

    done = tool.load("in.jsonl", *shape, "one")

    (bad,) = rejects(tool, done)
    assert (bad["line"], bad["code"], bad["record"]) == (2, "bad_shape", ' {"a":"x", "b" : 1.10}')
    assert bad["reason"] == "--select: sum() takes array-number, not string"
    tool.write("mended.jsonl", bad["record"].replace('"x"', "[2,3]") + "\n")
    assert tool.load("mended.jsonl", *shape, "two").status == 0
    assert sorted(payloads(db, "q.default")) == [b'{"n":1,"s":1}', b'{"n":2,"s":5}']


def test_ids_and_queues_from_expressions(tool: Tool, db: Redis, input_file: str) -> None:
    queue = f"{PAID} && 'inference.premium'"
    done = tool.load(
        input_file, "-q", "inference.standard", "--queue-from", queue, "--id-from", "join('-', [id, customer.name])"
    )
    assert set(db.lrange("asynq:inference.premium:pending", 0, -1)) == {b"a-N", b"c-O", b"a-Q"}
    assert set(db.lrange("asynq:inference.standard:pending", 0, -1)) == {b"b-M", b"d-P"}
    assert done.report["queue_fallbacks"] == 2


def test_ids_and_queues_are_checked_as_those_of_fields(tool: Tool, input_file: str) -> None:
    tool.write("queues.yaml", "queues: {inference: {sub_queues: [{name: premium}]}}")
    bad_ids = tool.load(input_file, "-q", "q", "--id-from", "amount")
    assert [(one["line"], one["code"]) for one in rejects(tool, bad_ids)] == [
        (1, "bad_id"),
        (3, "invalid_json"),
        (4, "bad_id"),
        (5, "bad_id"),
        (6, "bad_id"),
    ]
    queues = tool.load(input_file, "--queue-from", "customer.plan", "--queues-file", "queues.yaml")
    found = {one["line"]: (one["code"], one["reason"]) for one in rejects(tool, queues)}
    assert found[1] == ("unknown_queue", "queue 'paid.default' does not exist")
    assert found[5] == ("bad_shape", "--queue-from: does not give text, so it names no queue")


def test_dedup_offset_and_limit_go_over_all_sources_and_their_batches(tool: Tool, db: Redis) -> None:
    for name, first in (("a", 0), ("b", 50), ("c", 100)):
        tool.write(f"{name}.jsonl", b"".join(b'{"n":%d,"k":%d}\n' % (n, n % 60) for n in range(first, first + 50)))
    sources = ("a.jsonl", "b.jsonl", "c.jsonl")
    shape = ("--dedup", "k", "--offset", "5", "--limit", "50", "-w", "1", "-q", "q")

    done = tool.load(*sources, *shape, "-b", "7", "--processes", "3")
    again = tool.load(*sources, *shape, "-b", "20")

    assert [json.loads(payload)["n"] for payload in payloads(db, "q.default")] == list(range(5, 55))
    assert done.report["processes"] == 1
    assert left_out(done) == {"outside": 7}  # five before, and the last two of the batch in which the limit is reached
    assert (again.report["loaded"], again.report["already_loaded"]) == (0, 50)


def test_one_process_is_told_where_several_were_wanted(tool: Tool, input_file: str) -> None:
    done = run("load", input_file, "-q", "q", "--limit", "1", "-p", "2", "--redis", tool.url, cwd=tool.folder)
    assert "--dedup, --offset and --limit need all records in their order: one process loads them" in done.stderr


def test_where_and_sample_are_the_same_over_several_processes(tool: Tool, db: Redis) -> None:
    with (tool.folder / "large.jsonl").open("wb") as file:
        for n in range(3000):  # 36 MB: three shards
            file.write(b'{"n":%d,"on":%b,"filler":"%b"}\n' % (n, (b"true", b"false")[n % 2], b"x" * 12_000))
    shape = ("--where", "on", "--sample", "50%", "--select", "{n: n}")
    alone = tool.load("large.jsonl", "-q", "q", "-p", "1", *shape)
    ids = set(db.lrange("asynq:q.default:pending", 0, -1))
    db.flushall()

    shared = tool.load("large.jsonl", "-q", "q", "-p", "2", *shape)

    assert (alone.report["processes"], shared.report["processes"]) == (1, 2)
    assert set(db.lrange("asynq:q.default:pending", 0, -1)) == ids
    assert len(ids) == alone.report["loaded"] == shared.report["loaded"] > 600
    assert left_out(alone) == left_out(shared)


def test_a_shape_is_a_part_of_the_job(tool: Tool, input_file: str) -> None:
    begun = tool.load(input_file, "-q", "q", "--job", "j", "--where", PAID, "--set", "a=`1`", "--set", "b=`2`")
    assert begun.report["loaded"] == 3

    other = tool.load(input_file, "-q", "q", "--job", "j", "--where", "id == 'b'", "--set", "a=`1`", "--set", "b=`2`")
    none = tool.load(input_file, "-q", "q", "--job", "j")
    more = tool.load(input_file, "-q", "q", "--job", "j", "--where", PAID)

    assert "job j was begun with --where customer.plan == 'paid', not id == 'b'" in other.stderr
    assert "job j was begun with --set a=`1`, b=`2`, not none" in none.stderr
    assert "job j was begun with --set a=`1`, b=`2`, not none" in more.stderr
    assert {other.status, none.status, more.status} == {1}


def test_the_same_input_in_another_shape_needs_again(tool: Tool, db: Redis, input_file: str) -> None:
    assert tool.load(input_file, "-q", "q", "--limit", "2").report["loaded"] == 2
    refused = tool.load(input_file, "-q", "q", "--offset", "2")
    assert "is in q.default already" in refused.stderr
    done = tool.load(input_file, "-q", "q", "--offset", "2", "--again")
    assert (done.report["loaded"], db.llen("asynq:q.default:pending")) == (3, 5)


@pytest.mark.parametrize(
    "shape",
    [
        ("--where", PAID, "--set", "n=amount"),
        ("--select", "{who: customer.name, n: amount}", "--offset", "1", "--limit", "3"),
        ("--dedup", "id", "--queue-from", "customer.plan == 'paid' && 'q.premium'"),
        ("--id-from", "customer.name", "--sample", "70%"),
    ],
    ids=lambda shape: shape[0],
)
def test_verify_agrees_with_what_was_loaded(tool: Tool, input_file: str, shape: tuple[str, ...]) -> None:
    done = tool.load(input_file, "-q", "q", *shape)

    by_input = run("verify", input_file, "-q", "q", *shape, "--redis", tool.url, "--report", "-", cwd=tool.folder)
    by_job = run("verify", done.report["job"], "--redis", tool.url, "--report", "-", cwd=tool.folder)

    for found in (by_input, by_job):
        assert found.status == 0, found.stderr
        assert found.report["same"] == found.report["compared"] == done.report["loaded"]


def test_verify_finds_what_another_shape_would_have_made(tool: Tool, db: Redis, input_file: str) -> None:
    done = tool.load(input_file, "-q", "q", "--where", PAID)
    (task_id, *_) = db.lrange("asynq:q.default:pending", 0, -1)
    db.hset(b"asynq:t:" + task_id, "payload", b"{}")
    found = run("verify", done.report["job"], "--redis", tool.url, "--report", "-", cwd=tool.folder)
    assert (found.status, found.report["by_kind"]["changed"]) == (3, 1)
    twice = run("verify", done.report["job"], "--where", PAID, "--redis", tool.url, cwd=tool.folder)
    assert_error(twice, 2, f"--where: the record of job {done.report['job']} has it")


def test_a_preview_shows_the_tasks_of_the_load_and_writes_nothing(tool: Tool, db: Redis, input_file: str) -> None:
    shape = ("--layout", "documented", "--select", "{n: amount}", "--queue-from", "customer.plan == 'paid' && 'a.b'")
    before = sorted(tool.folder.iterdir())

    shown = run("load", input_file, "-q", "q", *shape, "--preview", "3", "--redis", NOWHERE, cwd=tool.folder)

    assert shown.status == 3, shown.stderr
    assert sorted(tool.folder.iterdir()) == before
    tasks = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [task["queue"] for task in tasks] == ["a.b", "q.default", "a.b"]
    assert b'"payload":{"n":1.10},' in shown.stdout.encode()
    assert tasks[0]["options"] == {"type": "task", "max_retry": 3}
    assert "in.jsonl:3" in shown.stderr  # its reject is told
    tool.load(input_file, "-q", "q", *shape)
    for task in tasks:
        payload = db.hget(f"asynq:t:{task['id']}", "payload")
        assert json.loads(payload) == task["payload"]
        assert task["id"].encode() in db.lrange(f"asynq:{task['queue']}:pending", 0, -1)


def test_a_preview_leaves_the_rejects_file_of_the_load_alone(tool: Tool, input_file: str) -> None:
    cut_off = gzip.compress(b"{not JSON\n", mtime=0)[:-8]
    tool.write("bad.gz", cut_off)
    arguments = (input_file, "-q", "q", "--preview", "9", "--rejects", "bad.gz", "--redis", NOWHERE)

    shown = run("load", *arguments, cwd=tool.folder)

    assert shown.status == 3, shown.stderr
    assert (tool.folder / "bad.gz").read_bytes() == cut_off
    assert "in.jsonl:3" in shown.stderr
    assert "--rejects FILE keeps them" not in shown.stderr  # a preview keeps none


def test_a_preview_of_envelopes_and_of_documents_on_several_lines(tool: Tool) -> None:
    tool.write("in.json", b'{\n "payload": {\n  "a": 1.10\n },\n "queue": "x.y", "max_retry": 9\n}')
    shown = run("load", "in.json", "--envelope", "--preview", "1", "--redis", NOWHERE, "--quiet", cwd=tool.folder)
    (line,) = shown.stdout.splitlines()
    task = json.loads(line)
    assert (task["queue"], task["payload"], task["options"]["max_retry"]) == ("x.y", {"a": 1.1}, 9)


@pytest.mark.parametrize(
    ("lines", "options", "tasks"),
    [
        (
            b'{"_id":{"$oid":"65a0f7"},"text":"x"}\n',
            "--id-from '_id.\"$oid\"'",
            [("65a0f7", {"_id": {"$oid": "65a0f7"}, "text": "x"})],
        ),
        (
            b'{"_index":"i","_id":"7","_score":1,"_source":{"text":"x"}}\n',
            "--select _source --id-from _id",
            [("7", {"text": "x"})],
        ),
        (
            b'{"index":{"_index":"i","_id":"7"}}\n{"text":"x"}\n{"delete":{"_id":"8"}}\n{"create":{"_id":"9"}}\n{"text":"y"}\n',
            "--where '!not_null(index, create, update, delete)'",
            [(None, {"text": "x"}), (None, {"text": "y"})],
        ),
        (b'{"text":"x"}{"text":"y"}', "--format json-concat", [(None, {"text": "x"}), (None, {"text": "y"})]),
        (
            b'{"Item":{"id":{"S":"a"},"n":{"N":"1.10"}}}\n',
            "--select '{id: Item.id.S, n: Item.n.N}'",
            [(None, {"id": "a", "n": "1.10"})],
        ),
    ],
)
def test_what_other_programs_export(
    tool: Tool, lines: bytes, options: str, tasks: list[tuple[str | None, dict[str, Any]]]
) -> None:
    assert f"`{options}`" in GUIDE.read_text()
    tool.write("in.jsonl", lines)
    given = ("load", "in.jsonl", "-q", "q", "--preview", "9", "--redis", NOWHERE, "--quiet", *shlex.split(options))
    shown = run(*given, cwd=tool.folder)
    assert shown.status == 0, shown.stderr
    found = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [task["payload"] for task in found] == [payload for _, payload in tasks]
    assert all(wanted in (None, task["id"]) for task, (wanted, _) in zip(found, tasks, strict=True))


def test_envelopes_are_read_from_what_is_shaped(tool: Tool, db: Redis, input_file: str) -> None:
    envelope = "{payload: {n: amount}, queue: 'x.y', id: customer.name}"
    done = tool.load(input_file, "--envelope", "--where", PAID, "--select", envelope, "-w", "1")
    assert done.report["loaded"] == 3
    assert payloads(db, "x.y") == [b'{"n":1.10}', b'{"n":-0}', b'{"n":1E5}']
    assert db.hget("asynq:t:N", "payload") == b'{"n":1.10}'


def test_from_python(tool: Tool, db: Redis, input_file: str) -> None:
    async def both() -> tuple[Any, Any]:
        fields: dict[str, Any] = {"queue": "q", "redis": tool.url, "where": PAID, "set": ("n=amount",)}
        path = str(tool.folder / input_file)
        preview = await runqy_loader.load(path, **fields, preview=1)
        return preview, await runqy_loader.load(path, **fields)

    preview, report = asyncio.run(both())

    assert [task.payload for task in preview.preview] == [RECORDS[0][:-1] + b',"n":1.10}']
    assert (report.loaded, report.filtered) == (3, 2)


def test_a_pipe_is_read_to_the_limit(tool: Tool, db: Redis) -> None:
    lines = b"".join(b'{"n":%d}\n' % n for n in range(5000))
    done = tool.load("-", "-q", "q", "--limit", "10", "--where", "n >= `7`", stdin=lines)
    assert (done.status, done.report["loaded"]) == (0, 10), done.stderr
    assert sorted(json.loads(payload)["n"] for payload in payloads(db, "q.default")) == list(range(7, 17))


@pytest.mark.parametrize(("limit", "rejected", "outside"), [(3, 0, 1), (4, 1, 0)])
def test_a_last_line_that_is_cut_off_is_within_the_window_or_not(
    tool: Tool, limit: int, rejected: int, outside: int
) -> None:
    done = tool.load("-", "-q", "q", "--limit", str(limit), stdin=b'{"n":1}\n{"n":2}\n{"n":3}\n{"n":')
    assert (done.report["loaded"], done.report["rejected"], done.report["outside"]) == (3, rejected, outside)


def test_what_is_left_out_is_told(tool: Tool, input_file: str) -> None:
    done = run(
        "load", input_file, "-q", "q", "--where", "customer.plan == 'gold'", "--redis", tool.url, cwd=tool.folder
    )
    assert "filtered" in done.stderr
    none = run("load", input_file, "-q", "r", "--limit", "1", "--offset", "9", "--redis", tool.url, cwd=tool.folder)
    assert "no record is left" in none.stderr


def test_doctor_estimates_the_tasks_that_are_left(tool: Tool) -> None:
    tool.write("in.jsonl", b"".join(b'{"n":%d}\n' % n for n in range(1000)))
    shape = ("--where", "n < `400`", "--limit", "100")
    found = run("doctor", "in.jsonl", "-q", "q", *shape, "--redis", tool.url, cwd=tool.folder)
    (line,) = [line for line in found.stdout.splitlines() if "estimate" in line]
    assert "100 tasks" in line


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--where", "a = 'b'"), "--where a = 'b': unknown token '=' at column 3. Two values are compared by =="),
        (("--select", "a", "--set", "b=c"), "--select and --set contradict each other"),
        (("--set", "b"), "--set must be NAME=EXPR, not 'b'"),
        (("--set", "b=c d"), "--set b c d: unexpected 'd' at column 3"),
        (("--payload-template", "none.txt"), "--payload-template none.txt cannot be read: No such file"),
        (("--payload-template", "t", "--select", "a"), "contradict each other"),
        (("--id-from", "a", "--id-field", "a"), "--id-from and --id-field contradict each other"),
        (("--queue-from", "a", "--envelope"), "--queue-from and --envelope contradict each other"),
        (("--sample", "0%"), "--sample must be a share such as 1%"),
        (("--limit", "0"), "--limit must be at least 1"),
        (("--preview", "1", "--dry-run"), "--preview and --dry-run contradict each other"),
        (("--preview", "1", "--report", "-"), "--preview and --report cannot both be standard output"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_use_is_told_before_anything_is_written(
    tool: Tool, db: Redis, input_file: str, arguments: tuple[str, ...], told: str
) -> None:
    done = run("load", input_file, "-q", "q", *arguments, "--redis", tool.url, cwd=tool.folder)
    assert_error(done, 2, told)
    assert done.stdout == ""
    assert db.dbsize() == 0


def test_a_text_in_double_quotes_is_warned_of(tool: Tool, input_file: str) -> None:
    done = run("load", input_file, "-q", "q", "--where", 'id == "a"', "--redis", tool.url, cwd=tool.folder)
    assert "--where compares with the field \"a\"; as a text, it is written 'a'" in done.stderr


def test_a_template_that_is_no_text(tool: Tool, input_file: str) -> None:
    tool.write("t", b"\xff")
    tool.write("e", b" \n")
    for name, told in (("t", "is not UTF-8 text (byte 0)"), ("e", "the file is empty")):
        done = run("load", input_file, "-q", "q", "--payload-template", name, "--redis", tool.url, cwd=tool.folder)
        assert_error(done, 2, f"--payload-template {name}", told)


def test_the_command_that_goes_on_with_a_job_has_its_shape(tool: Tool, input_file: str) -> None:
    ended = tool.load(input_file, "-q", "q", "--where", "id", "--set", "a=`1`", "-b", "1", "--max-errors", "0")
    job = ended.report["job"]
    shown = run("jobs", "show", job, "--redis", tool.url, cwd=tool.folder)
    assert "--where id --set 'a=`1`'" in shown.stdout, (ended, shown)

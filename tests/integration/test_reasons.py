"""Why records are rejected and runs fail, as codes: in reports, rejects files and closing lines."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import loader
from tests.cli import Outcome, run
from tests.conftest import Server
from tests.integration.stored import numbered, push, task_key
from tests.integration.tool import NOWHERE, QUEUES, Redis, Tool, assert_error, assert_fine, counts, rejects
from tests.runqy_api import KEY, RunqyApi

PENDING = "asynq:q.default:pending"


def codes(tool: Tool, outcome: Outcome) -> dict[int, str]:
    """The code of each reject by its line; the report has as many of each."""
    found = {reject["line"]: reject["code"] for reject in rejects(tool, outcome)}
    assert outcome.report["rejected_by_code"] == Counter(found.values())
    return found


# --- rejects of a load ---------------------------------------------------------------------------------------------


def test_a_load_without_rejects_reports_no_codes(tool: Tool) -> None:
    tool.write("in.jsonl", b"1\n2\n")

    done = tool.load("in.jsonl", "-q", "q")

    assert_fine(done)
    assert (done.report["rejected_by_code"], done.report["error_code"]) == ({}, None)


def test_each_reject_has_its_code_and_the_report_counts_them(tool: Tool) -> None:
    lines = [
        b"{bad",
        b'"\xff"',
        b'{"id":"%b"}' % (b"x" * 3000),
        b'{"id":"a","to":"inference.premium"}',
        b'{"id":"a","to":"inference.premium"}',
        b'{"id":1.5,"to":"simple"}',
        b'{"to":"simple"}',
        b'{"id":"b","to":"a.b.c"}',
        b'{"id":"c"}',
        b'{"id":"d","to":"none"}',
    ]
    tool.write("in.jsonl", b"\n".join(lines))
    tool.write("queues.yaml", QUEUES)

    done = tool.load("in.jsonl", "--queue-field", "to", "--id-field", "id", "--queues-file", "queues.yaml",
                     "--max-record-bytes", "2000")  # fmt: skip

    assert_fine(done, 3)
    assert codes(tool, done) == {
        1: "invalid_json",
        2: "invalid_json",
        3: "too_large",
        5: "id_taken",
        6: "bad_id",
        7: "bad_id",
        8: "bad_queue",
        9: "bad_queue",
        10: "unknown_queue",
    }
    assert list(done.report["rejected_by_code"].values()) == [2, 2, 2, 1, 1, 1]


def test_rejects_of_envelopes_have_codes(tool: Tool) -> None:
    lines = [
        b'{"payload":1,"id":"a"}',
        b'{"id":"b"}',
        b'{"payload":1,"timeout":"soon"}',
        b'{"payload":1,"id":""}',
        b'{"payload":1,"queue":"a b"}',
        b'{"payload":2,"unique_ttl":"1h"}',
        b'{"payload":2,"unique_ttl":"1h"}',
        b'{"payload":3,"id":"a"}',
        '{"payload_base64":"é"}'.encode(),
    ]
    tool.write("in.jsonl", b"\n".join(lines))

    done = tool.load("in.jsonl", "-q", "q", "--envelope", "--layout", "asynq", "-w", "1")

    assert_fine(done, 3)
    assert codes(tool, done) == {
        2: "bad_envelope",
        3: "bad_envelope",
        4: "bad_id",
        5: "bad_queue",
        7: "duplicate_unique",
        8: "id_taken",
        9: "bad_envelope",
    }


def test_an_empty_document_and_a_key_of_another_type_have_codes(tool: Tool, db: Redis) -> None:
    tool.write("docs/a.json", b"{}")
    tool.write("docs/b.json", b"")
    first = tool.load("docs", "-q", "q", "--job", "j", "--rejects", "first.jsonl")
    (task_id,) = db.lrange(PENDING, 0, -1)
    db.flushall()
    db.set(b"asynq:t:" + task_id, "another type")

    second = tool.load("docs", "-q", "q", "--job", "j", "--rejects", "second.jsonl")

    assert first.report["rejected_by_code"] == {"empty_file": 1}
    assert second.report["rejected_by_code"] == {"empty_file": 1, "wrong_type": 1}
    assert {Path(reject["source"]).name: reject["code"] for reject in rejects(tool, second)} == {
        "a.json": "wrong_type",
        "b.json": "empty_file",
    }


def test_a_job_that_an_earlier_version_began_is_understood(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b"".join(b'{"id":"%d"}\n' % n for n in range(6)))
    arguments = ("in.jsonl", "-q", "q", "--id-field", "id", "--job", "j")
    assert_fine(tool.load(*arguments))
    db.hset("{asynq:q.default:pending}:runqy-loader:j:0:skipped", "0", "1,3t,4u")

    done = tool.load(*arguments)
    skipping = tool.load(*arguments, "--on-conflict", "skip", "--rejects", "skipping.jsonl")

    assert counts(done) == (6, 0, 3, 3)
    assert codes(tool, done) == {2: "id_taken", 4: "wrong_type", 5: "duplicate_unique"}
    assert [reject["reason"] for reject in rejects(tool, done)] == [
        "its task id is a task already",
        "its task key holds another type",
        "a unique task of this type and payload is there already",
    ]
    assert counts(skipping) == (6, 0, 5, 1)
    assert codes(tool, skipping) == {4: "wrong_type"}


def test_what_a_load_stores_of_skipped_tasks_is_what_earlier_versions_read(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", '{"payload":1,"id":"a"}\n{"payload":1,"id":"a"}\n' + '{"payload":2,"unique_ttl":9}\n' * 2)

    done = tool.load("in.jsonl", "-q", "q", "--envelope", "--layout", "asynq", "--job", "j")

    assert_fine(done, 3)
    assert db.hgetall("{q.default}:runqy-loader:j:0:skipped") == {b"0": b"1,3u"}


def test_a_rejects_file_of_an_earlier_version_is_added_to_and_nothing_is_in_it_twice(tool: Tool) -> None:
    tool.write("in.jsonl", b'1\n{bad\n2\n"\xff"\n3\nworse\n')
    arguments = ("in.jsonl", "-q", "q", "--rejects", "r.jsonl")
    path = tool.folder / "r.jsonl"
    assert_fine(tool.load(*arguments), 3)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    older = [{name: value for name, value in line.items() if name != "code"} for line in lines[:2]]
    before = "".join(json.dumps(line) + "\n" for line in older)
    path.write_text(before)

    again = tool.load(*arguments)

    assert again.report["rejected_by_code"] == {"invalid_json": 3}
    assert path.read_text().startswith(before)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [*older, lines[2]]


def test_codes_of_all_processes_are_added_up(tool: Tool) -> None:
    filler = "x" * 6000
    with (tool.folder / "in.jsonl").open("w") as file:
        for number in range(9000):
            bad = {0: "bad", 1: "{}", 2: json.dumps({"id": number, "pad": filler * 2})}.get(number % 1000)
            file.write((bad or json.dumps({"id": number, "pad": filler})) + "\n")

    done = tool.load("in.jsonl", "-q", "q", "-p", "2", "--id-field", "id", "--max-record-bytes", "8000")

    assert_fine(done, 3)
    assert done.report["processes"] == 2
    assert counts(done) == (9000, 9000 - 27, 0, 27)
    assert done.report["rejected_by_code"] == {"bad_id": 9, "invalid_json": 9, "too_large": 9}
    assert Counter(reject["code"] for reject in rejects(tool, done)) == done.report["rejected_by_code"]


def test_a_dry_run_counts_by_code_as_well(tool: Tool) -> None:
    tool.write("in.jsonl", b'{"id":1}\n{}\nbad\n{}\n')

    done = tool.load("in.jsonl", "-q", "q", "--id-field", "id", "--dry-run", url=NOWHERE)

    assert_fine(done, 3)
    assert done.report["rejected_by_code"] == {"bad_id": 2, "invalid_json": 1}


def test_the_closing_lines_tell_the_codes_the_most_frequent_first(tool: Tool) -> None:
    tool.write("in.jsonl", b'{"id":1}\n{}\nbad\n{}\n')

    done = run("load", "in.jsonl", "-q", "q", "--id-field", "id", "--redis", tool.url, "--no-progress", cwd=tool.folder)

    lines = done.stderr.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("  rejected"))
    assert lines[at + 1 : at + 7] == [
        "    bad_id                   2  no usable task id",
        "      in.jsonl:2: the record has no field 'id'",
        "        {}",
        "    invalid_json             1  not valid JSON",
        "      in.jsonl:3: 'b' where a value should begin (column 1)",
        "        bad",
    ]
    assert lines[at + 7].startswith("  records read")


# --- over HTTP -----------------------------------------------------------------------------------------------------


@pytest.fixture
def api() -> Iterator[RunqyApi]:
    with RunqyApi("a.default", "b.default") as api:
        yield api


def test_what_a_server_refused_has_the_same_codes_when_a_resume_reads_its_journal(
    api: RunqyApi, tmp_path: Path
) -> None:
    (tmp_path / "in.jsonl").write_text("".join(f'{{"n":{n},"to":"{"abc"[n % 3]}"}}\n' for n in range(30)))
    api.invalid = lambda payload: payload["n"] == 4
    given = ("load", "in.jsonl", "--to", api.url, "--queue-field", "to", "--job", "j", "--report", "-", "--quiet")
    expected = {"unknown_queue": 10, "refused_by_server": 1}

    first = run(*given, cwd=tmp_path, env={"RUNQY_API_KEY": KEY})
    assert first.status == 3, first.stderr
    assert first.report["rejected_by_code"] == expected
    rejected = tmp_path / "j.rejects.jsonl"
    assert Counter(json.loads(line)["code"] for line in rejected.read_text().splitlines()) == expected
    before = rejected.read_bytes()
    sent = len(api.bodies)

    again = run(*given, cwd=tmp_path, env={"RUNQY_API_KEY": KEY})

    assert again.report["rejected_by_code"] == expected
    assert rejected.read_bytes() == before
    assert len(api.bodies) == sent


# --- export and migrate --------------------------------------------------------------------------------------------


def test_an_export_tells_codes_in_its_report_and_its_closing_lines(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        push(client, "asynq", "q.default", [*numbered(4), ("lines", b"[\n]")])
        client.hset(task_key("asynq", "q.default", "task-0000001"), "msg", b"\x0a\xff")
        client.delete(task_key("asynq", "q.default", "task-0000002"))
        client.set(task_key("asynq", "q.default", "task-0000002"), "text")
        client.hset(task_key("asynq", "q.default", "task-0000003"), "msg", b"\x0a\xff")

    done = run("export", "-q", "q", "--layout", "asynq", "--format", "payload", "--redis", valkey.url, "--report", "r",
               cwd=tmp_path)  # fmt: skip

    assert done.status == 3
    report = json.loads((tmp_path / "r").read_text())
    assert report["rejected_by_code"] == {"unreadable_task": 2, "not_one_line": 1, "wrong_type": 1}
    assert report["rejected"] == 4 and report["error_code"] is None
    assert {reject["id"]: reject["code"] for reject in report["rejects"]} == {
        "task-0000001": "unreadable_task",
        "task-0000002": "wrong_type",
        "task-0000003": "unreadable_task",
        "lines": "not_one_line",
    }
    assert "    unreadable_task          2  its hash is no task's" in done.stderr.splitlines()


def test_an_id_that_json_cannot_hold_has_a_code_in_an_export(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        push(client, "documented", "q.default", numbered(1))
        client.rename("asynq:t:task-0000000", b"asynq:t:\xff")
        client.lset(PENDING, 0, b"\xff")

    done = run("export", "-q", "q", "-o", "out", "--redis", valkey.url, "--report", "-", "--quiet", cwd=tmp_path)

    assert (done.status, done.report["rejected_by_code"]) == (3, {"id_not_utf8": 1})


def test_a_migration_tells_codes_in_its_report_its_rejects_and_its_closing_lines(
    valkey: Server, tmp_path: Path
) -> None:
    with valkey.client() as client:
        push(client, "asynq", "q.default", numbered(5))
        push(client, "asynq", "r.default", numbered(1))
        client.hset(task_key("asynq", "q.default", "task-0000001"), "msg", b"\x0a\xff")
        client.delete(task_key("asynq", "q.default", "task-0000002"))
        client.set(task_key("asynq", "q.default", "task-0000002"), "text")
    given = ("migrate", "--from-redis", valkey.url, "--from-layout", "asynq", "--from-queue", "q", "--to-queue", "r",
             "--job", "j", "--no-progress")  # fmt: skip

    done = run(*given, "--report", "r", cwd=tmp_path)
    again = run(*given, "--report", "-", "--on-conflict", "skip", cwd=tmp_path)

    assert done.status == 3
    report = json.loads((tmp_path / "r").read_text())
    assert (report["migrated"], report["rejected"], report["error_code"]) == (2, 3, None)
    assert report["rejected_by_code"] == {"id_taken": 1, "unreadable_task": 1, "wrong_type": 1}
    first = [json.loads(line) for line in (tmp_path / "j.rejects.jsonl").read_text().splitlines()][:3]
    assert {reject["id"]: reject["code"] for reject in first} == {
        "task-0000000": "id_taken",
        "task-0000001": "unreadable_task",
        "task-0000002": "wrong_type",
    }
    assert all(set(reject) == {"id", "code", "reason"} for reject in first)
    assert "    id_taken                 1  its task id is a task already" in done.stderr.splitlines()
    assert (again.report["already"], again.report["migrated"]) == (3, 0)
    assert again.report["rejected_by_code"] == {"unreadable_task": 1, "wrong_type": 1}


# --- errors --------------------------------------------------------------------------------------------------------


def test_a_failed_run_reports_the_code_of_its_error(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b"1\nbad\n3\n")
    arguments = ("in.jsonl", "-q", "q", "--job", "j")

    rejected = tool.load(*arguments, "--max-errors", "0")
    mismatch = tool.load("in.jsonl", "-q", "other", "--job", "j")
    unreachable = tool.load(*arguments, url=NOWHERE)
    tool.write("empty.jsonl", b"")
    empty = tool.load("empty.jsonl", "-q", "q")
    tool.write("queues.yaml", QUEUES)
    unknown = tool.load(*arguments, "--queues-file", "queues.yaml")
    db.set("asynq:r.default:pending", "no list")
    refused = tool.load("in.jsonl", "-q", "r")

    found = {name: outcome.report["error_code"] for name, outcome in (
        ("rejected", rejected), ("mismatch", mismatch), ("unreachable", unreachable),
        ("empty", empty), ("unknown", unknown), ("refused", refused),
    )}  # fmt: skip
    assert found == {
        "rejected": "too_many_rejects",
        "mismatch": "job_mismatch",
        "unreachable": "connection_failed",
        "empty": "source_failed",
        "unknown": "unknown_queue",
        "refused": "sink_failed",
    }
    for outcome in (rejected, mismatch, unreachable, empty, unknown, refused):
        assert_error(outcome, 1, outcome.report["error"])
        assert outcome.report["status"] == "failed"


def test_the_error_of_a_process_keeps_its_code(tool: Tool, db: Redis) -> None:
    with (tool.folder / "in.jsonl").open("wb") as file:
        file.writelines(b'"%b"\n' % (b"x" * 10_000) for _ in range(4000))
    db.set(PENDING, "no list")

    done = tool.load("in.jsonl", "-q", "q", "-p", "2")

    assert_error(done, 1, PENDING)
    assert (done.report["processes"], done.report["error_code"]) == (2, "sink_failed")


def test_a_migration_and_an_export_that_fail_report_the_code(tool: Tool, db: Redis) -> None:
    db.set(PENDING, "no list")
    shared = ("--report", "-", "--quiet")

    exported = run("export", "-q", "q", "-o", "out", "--redis", tool.url, *shared, cwd=tool.folder)
    migrated = run("migrate", "--from-queue", "q", "--to-queue", "r", "--from-redis", tool.url, "--move", *shared,
                   cwd=tool.folder)  # fmt: skip
    same = run("migrate", "--from-queue", "q", "--from-redis", tool.url, "--to-redis",
               tool.url.replace("127.0.0.1", "localhost"), *shared, cwd=tool.folder)  # fmt: skip

    assert (exported.status, exported.report["error_code"]) == (1, "sink_failed"), exported
    assert (migrated.status, migrated.report["error_code"]) == (1, "sink_failed"), migrated
    assert (same.status, same.report["error_code"]) == (2, "usage"), same


def test_an_error_of_the_callers_own_iterable_is_told_apart(tool: Tool) -> None:
    def items() -> Iterator[Any]:
        yield 1
        raise ZeroDivisionError("by zero")

    async def failing() -> loader.LoadReport:
        async with loader.Loader(queue="q", redis=tool.url, job="j") as load:
            with pytest.raises(ZeroDivisionError):
                await load.load(items())
            assert load.report is not None
            return load.report

    report = asyncio.run(failing())
    assert (report.status, report.error, report.error_code) == ("failed", "by zero", "unexpected")


def test_errors_can_be_caught_by_their_names_in_the_package(tool: Tool) -> None:
    with pytest.raises(loader.UnknownQueueError) as caught:
        asyncio.run(loader.load([1], queue="nope", redis=tool.url, queue_check="redis"))
    assert caught.value.code == "unknown_queue" and isinstance(caught.value, loader.LoaderError)


def test_rejects_of_payloads_from_python_are_counted_by_code(tool: Tool, tmp_path: Path) -> None:
    items: list[Any] = [1, {1, 2}, b"{", object()]
    report = asyncio.run(loader.load(items, queue="q", redis=tool.url, rejects=tmp_path / "r.jsonl", job="j"))
    assert report.rejected_by_code == {"unwritable": 2, "invalid_json": 1}
    assert report.rejected_by_code[loader.ReasonCode.UNWRITABLE] == 2

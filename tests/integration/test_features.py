"""What users see of the tool: inputs, ids, queues, rejects, reports, jobs, servers, settings, and the Python API."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

import loader
from loader.embedded import EmbeddedServer
from tests.cli import Outcome, command, environment, run
from tests.conftest import RedisServer, Server, free_port

Redis = Any
"""A redis-py client; Any, as in tests/conftest.py."""

NOWHERE = "redis://127.0.0.1:1/0"


@dataclass(frozen=True, slots=True)
class Tool:
    """``runqy-loader load`` in a folder of its own, against one server."""

    folder: Path
    url: str

    def write(self, name: str, content: bytes | str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def load(
        self,
        *arguments: str | Path,
        url: str | None = None,
        stdin: bytes | None = None,
        env: dict[str, str] | None = None,
    ) -> Outcome:
        """A quiet run with its report on standard output."""
        shared = ("--redis", url or self.url, "--report", "-", "--quiet")
        return run("load", *arguments, *shared, cwd=self.folder, stdin=stdin, env=env)


@pytest.fixture
def tool(tmp_path: Path, valkey: Server) -> Tool:
    return Tool(tmp_path, valkey.url)


@pytest.fixture
def db(valkey: Server) -> Iterator[Redis]:
    with valkey.client() as client:
        yield client


def payloads(db: Redis, queue: str) -> list[bytes]:
    """The payloads of a queue, the first to be consumed first."""
    ids = [task_id.decode() for task_id in reversed(db.lrange(f"asynq:{queue}:pending", 0, -1))]
    return [db.hget(f"asynq:t:{task_id}", "payload") for task_id in ids]


def counts(outcome: Outcome) -> tuple[int, int, int, int]:
    """Records read, loaded, loaded already, rejected; and they add up, also over the sources."""
    report = outcome.report
    names = ("records_read", "loaded", "already_loaded", "rejected")
    for name in (*names, "bytes_read"):
        assert report[name] == sum(source[name] for source in report["sources"])
    assert sum(report["queues"].values()) == report["loaded"]
    read, loaded, already, rejected = (report[name] for name in names)
    if report["status"] == "completed" and not report["dry_run"]:
        assert read == loaded + already + rejected
    return read, loaded, already, rejected


def assert_fine(outcome: Outcome, status: int = 0) -> None:
    """It ended with this status, and a quiet run said nothing."""
    assert (outcome.status, outcome.stderr) == (status, "")


def assert_error(outcome: Outcome, status: int, *words: str) -> None:
    """It ended with this status and one line that says what is wrong, and nothing else."""
    assert outcome.status == status, outcome.stderr
    lines = outcome.stderr.splitlines()
    assert len(lines) == 1, outcome.stderr
    assert lines[0].startswith("runqy-loader: error: ")
    assert "Traceback" not in lines[0] and "This is a bug" not in lines[0]
    for word in words:
        assert word in lines[0]


def rejects(tool: Tool, outcome: Outcome) -> list[dict[str, Any]]:
    lines = (tool.folder / outcome.report["rejects_file"]).read_bytes().splitlines()
    return [json.loads(line) for line in lines]


# --- inputs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["in.jsonl", "in.ndjson", "IN.JSONL", "in.jsonl.gz", "in.ndjson.gz"])
def test_lines_are_told_by_name(tool: Tool, db: Redis, name: str) -> None:
    lines = b'{"a":  1}\n[2]\n"three"\n'
    tool.write(name, gzip.compress(lines) if name.endswith(".gz") else lines)

    done = tool.load(name, "-q", "q", "-w", "1")

    assert_fine(done)
    assert counts(done) == (3, 3, 0, 0)
    assert payloads(db, "q.default") == lines.splitlines()
    (source,) = done.report["sources"]
    size = (tool.folder / name).stat().st_size
    assert (source["name"], source["size"], source["bytes_read"]) == (name, size, size)


@pytest.mark.parametrize("name", ["doc.json", "doc.json.gz"])
def test_a_json_file_is_one_document_whatever_lines_it_has(tool: Tool, db: Redis, name: str) -> None:
    document = b'{\n  "a": [\n    1,\n    2\n  ]\n}'
    tool.write(name, gzip.compress(b"\n" + document + b"\n\n") if name.endswith(".gz") else document + b"\r\n")

    done = tool.load(name, "-q", "q")

    assert_fine(done)
    assert counts(done) == (1, 1, 0, 0)
    assert payloads(db, "q.default") == [document]


def test_byte_order_mark_crlf_blank_lines_and_a_missing_last_newline_are_tolerated(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b"\xef\xbb\xbf1\r\n\r\n  2 \n\n\t\n3")

    done = tool.load("in.jsonl", "-q", "q", "-w", "1")

    assert_fine(done)
    assert counts(done) == (3, 3, 0, 0)
    assert payloads(db, "q.default") == [b"1", b"2", b"3"]


def test_a_directory_is_read_with_all_below_it_in_the_order_of_names(tool: Tool, db: Redis) -> None:
    tool.write("data/b/deep/1.json", b'{"n": 3}')
    tool.write("data/b/2.jsonl", b"1\n2\n")
    tool.write("data/a.jsonl.gz", gzip.compress(b"0\n"))
    tool.write("data/c/9.json.gz", gzip.compress(b"4"))
    tool.write("data/c/8.json", b"5")
    for passed_over in ("data/readme.txt", "data/.hidden.jsonl", "data/.git/x.json", "data/c/9.json.bak"):
        tool.write(passed_over, b"no payload")

    done = tool.load("data", "-q", "q", "-w", "1")

    assert_fine(done)
    assert counts(done) == (6, 6, 0, 0)
    assert payloads(db, "q.default") == [b"0", b"1", b"2", b'{"n": 3}', b"5", b"4"]
    assert [source["name"] for source in done.report["sources"]][:2] == ["data/a.jsonl.gz", "data/b/2.jsonl"]
    assert sum(source["records_read"] for source in done.report["sources"]) == 6


def test_several_inputs_are_loaded_in_the_order_in_which_they_are_named(tool: Tool, db: Redis) -> None:
    tool.write("2.json", b"2")
    tool.write("1.json", b"1")
    tool.write("0.jsonl", b"0\n")

    done = tool.load("2.json", "1.json", "0.jsonl", "-", "-q", "q", "-w", "1", stdin=b"8\n9\n")

    assert_fine(done)
    assert payloads(db, "q.default") == [b"2", b"1", b"0", b"8", b"9"]


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (b"1\n2", ()),
        (gzip.compress(b"1\n2\n", mtime=0), ()),
        (gzip.compress(b"1\n", mtime=0) + gzip.compress(b"2\n", mtime=0), ("--format", "jsonl.gz")),
    ],
    ids=["lines", "gzipped lines", "gzipped in two members"],
)
def test_a_dash_is_standard_input(tool: Tool, db: Redis, content: bytes, options: tuple[str, ...]) -> None:
    done = tool.load("-", "-q", "q", "-w", "1", *options, stdin=content)

    assert_fine(done)
    assert counts(done) == (2, 2, 0, 0)
    assert payloads(db, "q.default") == [b"1", b"2"]
    assert done.report["sources"][0]["name"] == "-"


def test_standard_input_may_be_a_file(tool: Tool, db: Redis) -> None:
    path = tool.write("in.txt", b"1\n2\n")

    with path.open("rb") as file:
        done = run_with_stdin(tool, file.fileno(), "-", "-q", "q", "-w", "1")

    assert_fine(done)
    assert payloads(db, "q.default") == [b"1", b"2"]


def test_gzipped_standard_input_is_recognised_however_it_arrives(tool: Tool, db: Redis) -> None:
    content = gzip.compress(b"1\n2\n")

    done = piped(tool, [content[:1], content[1:]], "-", "-q", "q", "-w", "1")

    assert_fine(done)
    assert payloads(db, "q.default") == [b"1", b"2"]


def run_with_stdin(tool: Tool, stdin: int, *arguments: str) -> Outcome:
    """A quiet run with a given standard input, and its report on standard output."""
    done = subprocess.run(
        command("load", *arguments, "--redis", tool.url, "--report", "-", "--quiet"),
        cwd=tool.folder,
        env=environment(),
        stdin=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


def piped(tool: Tool, pieces: list[bytes], *arguments: str) -> Outcome:
    """A quiet run whose standard input arrives in pieces, with a pause before each but the first."""
    with subprocess.Popen(
        command("load", *arguments, "--redis", tool.url, "--report", "-", "--quiet"),
        cwd=tool.folder,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        for index, piece in enumerate(pieces):
            time.sleep(0.8 if index else 0)
            process.stdin.write(piece)
            process.stdin.flush()
        out, err = process.communicate(timeout=60)
    return Outcome(process.returncode, out.decode(), err.decode())


@pytest.mark.parametrize(
    ("pattern", "found"),
    [("d/*.jsonl", [b"1", b"2"]), ("d/**/*.jsonl", [b"1", b"2", b"3"]), ("d/[b]*", [b"2"])],
)
def test_globs_are_expanded_in_the_order_of_names(tool: Tool, db: Redis, pattern: str, found: list[bytes]) -> None:
    tool.write("d/b.jsonl", b"2\n")
    tool.write("d/a.jsonl", b"1\n")
    tool.write("d/sub/c.jsonl", b"3\n")

    done = tool.load(pattern, "-q", "q", "-w", "1")

    assert_fine(done)
    assert payloads(db, "q.default") == found


@pytest.mark.parametrize(
    ("format_name", "content", "expected"),
    [
        ("jsonl", b"1\n2\n", [b"1", b"2"]),
        ("json", b"[1,\n2]\n", [b"[1,\n2]"]),
        ("jsonl.gz", gzip.compress(b"1\n2\n", mtime=0), [b"1", b"2"]),
        ("json.gz", gzip.compress(b"[1,\n2]\n", mtime=0), [b"[1,\n2]"]),
    ],
)
def test_format_says_what_a_name_does_not(
    tool: Tool, db: Redis, format_name: str, content: bytes, expected: list[bytes]
) -> None:
    tool.write("export.txt", content)

    done = tool.load("export.txt", "-q", "q", "-w", "1", "--format", format_name)

    assert_fine(done)
    assert payloads(db, "q.default") == expected


def test_gzip_is_recognised_under_a_plain_name(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", gzip.compress(b"1\n2\n"))
    tool.write("in.json", gzip.compress(b"3"))

    done = tool.load("in.jsonl", "in.json", "-q", "q", "-w", "1")

    assert_fine(done)
    assert payloads(db, "q.default") == [b"1", b"2", b"3"]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("missing.jsonl",), 1, ("missing.jsonl", "no such file")),
        (("no*.jsonl",), 1, ("no*.jsonl", "no file matches")),
        (("empty-folder",), 1, ("empty-folder", ".jsonl")),
        (("notes.txt",), 2, ("notes.txt", "--format")),
        (("in.jsonl", "./in.jsonl"), 2, ("in.jsonl is named twice",)),
        (("-", "-"), 2, ("named twice",)),
        (("-", "--format", "json"), 2, ("standard input",)),
        (("not-gzip.jsonl.gz",), 1, ("not-gzip.jsonl.gz", "gzip")),
        ((), 2, ("no input",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_an_unusable_input_is_named_in_one_line(
    tool: Tool, db: Redis, arguments: tuple[str, ...], status: int, words: tuple[str, ...]
) -> None:
    for name in ("in.jsonl", "notes.txt", "not-gzip.jsonl.gz"):
        tool.write(name, b"1\n")
    (tool.folder / "empty-folder").mkdir()

    done = tool.load(*arguments, "-q", "q")

    assert_error(done, status, *words)
    assert db.keys("asynq:*") == []


@pytest.mark.parametrize("name", ["in.jsonl.gz", "in.json.gz"])
def test_a_truncated_gzip_file_is_an_error_and_what_came_before_is_loaded(tool: Tool, db: Redis, name: str) -> None:
    whole = gzip.compress(b"1\n" * 10) + gzip.compress(random.Random(1).randbytes(9000).hex().encode())
    tool.write("all/a.jsonl", b"1\n2\n")
    tool.write(f"all/{name}", whole[:-500])

    done = tool.load("all", "-q", "q", "-b", "5")

    assert_error(done, 1, name, "truncated")
    assert done.report["status"] == "failed"
    assert counts(done)[1] == (12 if name == "in.jsonl.gz" else 2)
    assert db.llen("asynq:q.default:pending") == counts(done)[1]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.jsonl", b""),
        ("blank.jsonl", b"\n \r\n\n"),
        ("empty.jsonl.gz", gzip.compress(b"", mtime=0)),
        ("-", b""),
    ],
    ids=["empty file", "blank lines", "gzip of nothing", "standard input"],
)
def test_an_empty_input_is_an_error_that_says_so(tool: Tool, db: Redis, name: str, content: bytes) -> None:
    if name != "-":
        tool.write(name, content)

    done = tool.load(name, "-q", "q", stdin=content)

    assert_error(done, 1)
    assert db.keys("asynq:*") == []


@pytest.mark.parametrize("kind", ["null device", "closed"])
def test_no_standard_input_is_an_error_that_says_so(tool: Tool, kind: str) -> None:
    if kind == "closed":
        arguments = command("load", "-", "-q", "q", "--redis", tool.url, "--quiet")
        shell = ["sh", "-c", 'exec "$@" <&-', "sh", *arguments]
        ended = subprocess.run(shell, cwd=tool.folder, env=environment(), capture_output=True, timeout=60, check=False)
        done = Outcome(ended.returncode, ended.stdout.decode(), ended.stderr.decode())
    else:
        done = run_with_stdin(tool, subprocess.DEVNULL, "-", "-q", "q")

    assert_error(done, 1)


@pytest.mark.parametrize("redirection", ["<&-", ">&-", "2>&-"])
def test_a_file_is_loaded_though_a_standard_stream_is_closed(tool: Tool, db: Redis, redirection: str) -> None:
    tool.write("in.jsonl", b"1\n")
    arguments = command("load", "in.jsonl", "-q", "q", "--redis", tool.url, "--quiet")

    shell = ["sh", "-c", f'exec "$@" {redirection}', "sh", *arguments]
    done = subprocess.run(shell, cwd=tool.folder, env=environment(), capture_output=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, b"")
    assert payloads(db, "q.default") == [b"1"]


@pytest.mark.parametrize("said", [b"", b"1\n"], ids=["silent", "after a line"])
def test_one_signal_ends_a_load_that_waits_for_standard_input(tool: Tool, said: bytes) -> None:
    with subprocess.Popen(
        command("load", "-", "-q", "q", "--redis", tool.url, "--no-progress"),
        cwd=tool.folder,
        env=environment(),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(said)
        process.stdin.flush()
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        try:
            status = process.wait(5)
        finally:
            process.kill()

    assert status == 130


def test_an_empty_document_file_is_rejected(tool: Tool, db: Redis) -> None:
    tool.write("docs/a.json", b"1")
    tool.write("docs/b.json", b"")

    done = tool.load("docs", "-q", "q")

    assert_fine(done, 3)
    assert counts(done) == (2, 1, 0, 1)
    assert [reject["source"] for reject in rejects(tool, done)] == ["docs/b.json"]


# --- ids -----------------------------------------------------------------------------------------------------------


def test_an_id_field_names_the_task(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", '{"id": "my-task-id"}\n{"id": 7}\n{"id": "mit Leerzeichen, ü"}\n')

    done = tool.load("in.jsonl", "-q", "q", "-w", "1", "--id-field", "id")

    assert_fine(done)
    ids = ["my-task-id", "7", "mit Leerzeichen, ü"]
    assert [i.decode() for i in db.lrange("asynq:q.default:pending", 0, -1)] == ids[::-1]
    assert all(db.exists(f"asynq:t:{task_id}") for task_id in ids)


def test_a_record_without_a_usable_id_is_rejected(tool: Tool, db: Redis) -> None:
    lines = ['{"id":1.5}', '{"id":null}', '{"id":""}', '{"no":1}', "[1]", '{"id":true}', '{"id":{}}', '{"id":"a\\nb"}']
    tool.write("in.jsonl", "\n".join([*lines, json.dumps({"id": "x" * 600}), '{"id":"good"}']))

    done = tool.load("in.jsonl", "-q", "q", "--id-field", "id")

    assert_fine(done, 3)
    assert counts(done) == (10, 1, 0, 9)
    assert db.lrange("asynq:q.default:pending", 0, -1) == [b"good"]
    found = rejects(tool, done)
    assert [reject["record"] for reject in found[:8]] == lines
    assert all("id" in reject["reason"] for reject in found)


@pytest.mark.parametrize(("mode", "status"), [("fail", 3), ("skip", 0)])
def test_an_id_that_is_a_task_already_is_never_overwritten(tool: Tool, db: Redis, mode: str, status: int) -> None:
    db.hset("asynq:t:taken", mapping={"type": "task", "payload": "the worker's own"})
    tool.write(
        "in.jsonl",
        '{"id":"a","n":1}\n{"id":"a","n":2}\n{"id":"taken"}\n{"id":"b"}\n' + '{"id":"c"}\n{"id":"a","n":3}\n',
    )
    arguments = ("in.jsonl", "-q", "q", "-w", "1", "-b", "4", "--id-field", "id", "--on-conflict", mode)

    first, again = tool.load(*arguments), tool.load(*arguments)

    assert_fine(first, status)
    assert_fine(again, status)
    assert counts(first) == ((6, 3, 0, 3) if mode == "fail" else (6, 3, 3, 0))
    assert counts(again) == ((6, 0, 3, 3) if mode == "fail" else (6, 0, 6, 0))
    assert db.lrange("asynq:q.default:pending", 0, -1) == [b"c", b"b", b"a"]
    assert db.hget("asynq:t:a", "payload") == b'{"id":"a","n":1}'
    assert db.hgetall("asynq:t:taken") == {b"type": b"task", b"payload": b"the worker's own"}
    if mode == "fail":
        found = rejects(tool, again)
        assert sorted(reject["line"] for reject in found) == [2, 3, 6]
        assert {reject["reason"] for reject in found} == {"its task id is a task already"}


def test_a_taken_id_over_max_errors_stops_the_load_and_the_report_counts_what_is_in(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", '{"id":"a"}\n{"id":"a"}\n{"id":"b"}\n')

    done = tool.load("in.jsonl", "-q", "q", "--id-field", "id", "--max-errors", "0")

    assert_error(done, 1, "in.jsonl:2", "--max-errors 0")
    assert done.report["loaded"] == db.llen("asynq:q.default:pending")


# --- queues --------------------------------------------------------------------------------------------------------

QUEUES = """\
queues:
  inference:
    sub_queues:
      - {name: premium, priority: 10}
      - {name: standard, priority: 3}
  simple: {priority: 1}
"""


def test_a_queue_field_sends_each_record_to_its_own_queue(tool: Tool, db: Redis) -> None:
    lines = ['{"to":"inference.high"}', '{"to":"inference"}', '{"n":1}', "[2]", '{"to":"inference.high","n":3}']
    bad = ['{"to":5}', '{"to":null}', '{"to":"a..b"}', '{"to":""}', '{"to":"a{b}"}']
    tool.write("in.jsonl", "\n".join([*lines, *bad]))

    done = tool.load("in.jsonl", "-q", "fallback", "--queue-field", "to", "-w", "1")

    assert_fine(done, 3)
    assert counts(done) == (10, 5, 0, 5)
    assert done.report["queues"] == {"inference.high": 2, "inference.default": 1, "fallback.default": 2}
    assert payloads(db, "inference.high") == [lines[0].encode(), lines[4].encode()]
    assert payloads(db, "inference.default") == [lines[1].encode()]
    assert payloads(db, "fallback.default") == [lines[2].encode(), lines[3].encode()]
    for queue in done.report["queues"]:
        ids = db.lrange(f"asynq:{queue}:pending", 0, -1)
        assert {db.hget(b"asynq:t:" + task_id, "queue") for task_id in ids} == {queue.encode()}
    assert [reject["record"] for reject in rejects(tool, done)] == bad


def test_without_a_fallback_a_record_must_name_its_queue(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", '{"to":"a"}\n{"n":1}\n[2]\n')

    done = tool.load("in.jsonl", "--queue-field", "to")

    assert_fine(done, 3)
    assert counts(done) == (3, 1, 0, 2)
    assert [reject["line"] for reject in rejects(tool, done)] == [2, 3]


@pytest.mark.parametrize("form", ["file", "directory", "server"])
def test_a_record_whose_queue_does_not_exist_is_rejected(tool: Tool, db: Redis, form: str) -> None:
    check: tuple[str, ...] = ("--queues-file", "queues.yaml")
    tool.write("queues.yaml", QUEUES)
    if form == "directory":
        tool.write("conf/one.yaml", QUEUES.replace("simple", "other"))
        tool.write("conf/two.yml", "queues: {simple: {priority: 1}}")
        tool.write("conf/three.txt", "not read: [")
        check = ("--queues-file", "conf")
    elif form == "server":
        db.sadd("asynq:queues", "inference.premium", "inference.standard", "simple.default")
        check = ("--queue-check", "redis")
    tool.write("in.jsonl", '{"to":"simple"}\n{"to":"inference"}\n{"to":"inference.premium"}\n{"to":"nope.x"}\n{}\n')

    done = tool.load("in.jsonl", "-q", "inference.standard", "--queue-field", "to", *check)

    assert_fine(done, 3)
    assert counts(done) == (5, 3, 0, 2)
    assert set(done.report["queues"]) == {"simple.default", "inference.premium", "inference.standard"}
    assert [(r["line"], r["reason"]) for r in rejects(tool, done)] == [
        (2, "queue 'inference.default' does not exist"),
        (4, "queue 'nope.x' does not exist"),
    ]


@pytest.mark.parametrize("check", [("--queues-file", "queues.yaml"), ("--queue-check", "redis")])
def test_a_queue_that_does_not_exist_stops_the_load_before_the_first_write(
    tool: Tool, db: Redis, check: tuple[str, str]
) -> None:
    tool.write("in.jsonl", b"1\n")
    tool.write("queues.yaml", QUEUES)
    db.sadd("asynq:queues", "inference.premium", "simple.default")
    before = set(db.keys())

    done = tool.load("in.jsonl", "-q", "inference", *check)

    assert_error(done, 1, "inference.default", "does not exist", "inference.premium")
    assert set(db.keys()) == before


@pytest.mark.parametrize(
    "content",
    ["queues: [", "other: {}", "queues: [a]", "queues: {a: {sub_queues: 5}}", "queues: {a: {sub_queues: [x]}}", ""],
)
def test_a_queues_file_in_another_form_is_refused(tool: Tool, content: str) -> None:
    tool.write("queues.yaml", content)
    tool.write("in.jsonl", b"1\n")

    done = tool.load("in.jsonl", "-q", "simple", "--queues-file", "queues.yaml")

    assert_error(done, 2, "queues.yaml")


def test_two_queues_from_one_file_resume_to_every_record_once(tool: Tool, db: Redis) -> None:
    lines = [json.dumps({"to": "ab"[n % 2], "n": n}) for n in range(200)]
    lines[101] = "bad"
    tool.write("in.jsonl", "\n".join(lines))
    arguments = ("in.jsonl", "--queue-field", "to", "-b", "10", "--job", "j")

    first = tool.load(*arguments, "--max-errors", "0")
    again = tool.load(*arguments, "-w", "3")

    assert_error(first, 1, "in.jsonl:102")
    assert counts(first)[1] == 100
    assert_fine(again, 3)
    assert counts(again) == (200, 99, 100, 1)
    del lines[101]
    loaded = payloads(db, "a.default") + payloads(db, "b.default")
    assert sorted(loaded) == sorted(line.encode() for line in lines)
    assert db.llen("asynq:a.default:pending") == 100


# --- rejects -------------------------------------------------------------------------------------------------------


def test_the_rejects_file_tells_where_each_bad_record_stands_and_why(tool: Tool) -> None:
    records = [b"1", b"{bad", b"", b'"ok"', b'\xff\xfe{"a":1}', b"[1,2,]", "{'é': 1}".encode(), b"2", b"1 2", b"NaN"]
    content = b"\n".join(records)
    tool.write("in.jsonl", content)

    done = tool.load("in.jsonl", "-q", "q", "--rejects", "bad.jsonl")

    assert_fine(done, 3)
    assert counts(done) == (9, 3, 0, 6)
    assert done.report["rejects_file"] == "bad.jsonl"
    found = rejects(tool, done)
    assert [reject["line"] for reject in found] == [2, 5, 6, 7, 9, 10]
    for reject in found:
        assert set(reject) - {"encoding"} == {"source", "line", "byte_offset", "reason", "record"}
        assert reject["source"] == "in.jsonl"
        assert reject["reason"].startswith("not valid JSON")
        binary = reject.get("encoding") == "base64"
        record = base64.b64decode(reject["record"]) if binary else reject["record"].encode()
        assert record == records[reject["line"] - 1]
        assert content[reject["byte_offset"] :].startswith(record + b"\n"[: reject["line"] < 10])
    assert [reject["line"] for reject in found if "encoding" in reject] == [5]


def test_a_bad_document_is_rejected_under_its_own_name(tool: Tool) -> None:
    tool.write("docs/a.json", b"{}")
    tool.write("docs/b.json", b"{}\n{}")

    done = tool.load("docs", "-q", "q", "--job", "j")

    assert_fine(done, 3)
    assert done.report["rejects_file"] == "j.rejects.jsonl"
    (reject,) = rejects(tool, done)
    assert (reject["source"], reject["line"], reject["byte_offset"]) == ("docs/b.json", 1, 0)
    assert reject["record"].strip() == "{}\n{}"


def test_a_record_over_the_limit_is_rejected_and_the_others_are_loaded(tool: Tool, db: Redis) -> None:
    long, longest = b'"%b"' % (b"x" * 5000), b'"%b"' % (b"y" * 3_000_000)
    tool.write("in.jsonl", b"\n".join([b"1", longest, b'"%b"' % (b"z" * 998), long, b"2"]))

    done = tool.load("in.jsonl", "-q", "q", "-w", "1", "--max-record-bytes", "1000")

    assert_fine(done, 3)
    assert counts(done) == (5, 3, 0, 2)
    assert payloads(db, "q.default") == [b"1", b'"%b"' % (b"z" * 998), b"2"]
    found = rejects(tool, done)
    assert [(reject["line"], reject["byte_offset"]) for reject in found] == [(2, 2), (4, 2 + len(longest) + 1 + 1001)]
    assert "3000002 bytes" in found[0]["reason"] and "--max-record-bytes" in found[0]["reason"]
    assert found[0]["record"] == longest[: len(found[0]["record"])].decode()
    assert len(found[0]["record"]) <= 1024


def test_a_resume_keeps_the_rejects_file_and_adds_only_what_is_new(tool: Tool) -> None:
    tool.write("in.jsonl", b"bad 1\n" + b"1\n" * 10 + b"bad 2\nbad 3\n")
    tool.write("r.jsonl", '{"kept": "from before"}\n')
    arguments = ("in.jsonl", "-q", "q", "-b", "4", "--rejects", "r.jsonl")

    stopped = tool.load(*arguments, "--max-errors", "1")
    rest, again = tool.load(*arguments), tool.load(*arguments)

    assert_error(stopped, 1, "--max-errors 1")
    assert_fine(rest, 3)
    assert counts(rest)[3] == counts(again)[3] == 3
    lines = [json.loads(line) for line in (tool.folder / "r.jsonl").read_text().splitlines()]
    assert lines[0] == {"kept": "from before"}
    assert [line["record"] for line in lines[1:]] == ["bad 1", "bad 2", "bad 3"]


def test_max_errors_0_stops_at_the_first_bad_record(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b"1\n" * 25 + b"bad\n" + b"2\n" * 25)

    done = tool.load("in.jsonl", "-q", "q", "-b", "10", "--max-errors", "0")

    assert_error(done, 1, "in.jsonl:26", "not valid JSON", "--max-errors 0")
    assert done.report["status"] == "failed"
    assert done.report["error"] in done.stderr
    assert db.llen("asynq:q.default:pending") == counts(done)[1] == 20


@pytest.mark.parametrize(("limit", "status"), [("1", 1), ("2", 3), ("3", 3)])
def test_max_errors_is_how_many_are_tolerated(tool: Tool, limit: str, status: int) -> None:
    tool.write("in.jsonl", b"1\nbad\n2\nworse\n3\n")

    done = tool.load("in.jsonl", "-q", "q", "--max-errors", limit)

    if status == 1:
        assert_error(done, 1, "in.jsonl:4", "--max-errors 1")
    else:
        assert_fine(done, 3)
        assert counts(done) == (5, 3, 0, 2)


def test_an_unwritable_rejects_file_is_named(tool: Tool) -> None:
    tool.write("in.jsonl", b"bad\n")

    assert_error(tool.load("in.jsonl", "-q", "q", "--rejects", "no/such/folder/r.jsonl"), 1, "no/such/folder/r.jsonl")


# --- dry run, report, output ---------------------------------------------------------------------------------------


def test_a_dry_run_reads_all_and_needs_no_server(tool: Tool) -> None:
    tool.write("in.jsonl", b"1\nbad\n3\n")
    tool.write("good.jsonl", b"1\n")

    done = tool.load("in.jsonl", "-q", "q", "--dry-run", url=NOWHERE)
    good = tool.load("good.jsonl", "-q", "q", "--dry-run", url=NOWHERE)

    assert_fine(done, 3)
    assert counts(done) == (3, 0, 0, 1)
    assert (done.report["dry_run"], done.report["valid"], done.report["queues"]) == (True, 2, {})
    assert done.report["rejects_file"] is None
    assert sorted(path.name for path in tool.folder.iterdir()) == ["good.jsonl", "in.jsonl"]
    assert_fine(good, 0)


def test_a_dry_run_writes_nothing_to_the_server(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b"1\nbad\n3\n")
    tool.write("queues.yaml", QUEUES)

    done = tool.load("in.jsonl", "-q", "simple", "--queues-file", "queues.yaml", "--dry-run", "--rejects", "r.jsonl")
    unknown = tool.load("in.jsonl", "-q", "nope", "--queues-file", "queues.yaml", "--dry-run")

    assert_fine(done, 3)
    assert db.dbsize() == 0
    assert [reject["line"] for reject in rejects(tool, done)] == [2]
    assert_error(unknown, 1, "nope.default")


def test_the_report_goes_to_a_file_with_all_its_fields(tool: Tool) -> None:
    tool.write("a.jsonl", b"1\n2\nbad\n")
    tool.write("b.json", b"3")

    done = run("load", ".", "-q", "q", "--redis", tool.url, "--report", "../r.json", cwd=_inside(tool))

    assert (done.status, done.stdout) == (3, "")
    report = json.loads((tool.folder / "r.json").read_text())
    expected = {"layout": "documented", "records_read": 4, "loaded": 3, "already_loaded": 0, "rejected": 1}
    assert expected.items() <= report.items()
    assert report["queues"] == {"q.default": 3}
    assert report["bytes_read"] == 9
    assert report["batches"] == 2
    assert report["seconds"] > 0 and report["tasks_per_second"] > 0
    assert report["peak_rss_bytes"] > 1_000_000
    assert [(s["name"], s["format"], s["size"], s["loaded"], s["rejected"]) for s in report["sources"]] == [
        ("a.jsonl", "jsonl", 8, 2, 1),
        ("b.json", "json", 1, 1, 0),
    ]
    assert f"job {report['job']}" in done.stderr


def _inside(tool: Tool) -> Path:
    """Moves the inputs into a folder of their own."""
    inside = tool.folder / "inside"
    inside.mkdir()
    for path in list(tool.folder.glob("*.json*")):
        path.rename(inside / path.name)
    return inside


def test_an_unwritable_report_is_an_error_after_the_load(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b"1\n")

    done = run("load", "in.jsonl", "-q", "q", "--redis", tool.url, "--quiet", "--report", "no/r.json", cwd=tool.folder)

    assert_error(done, 1, "no/r.json")
    assert db.llen("asynq:q.default:pending") == 1


def test_a_full_standard_output_is_an_error_after_the_load(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b"1\n")

    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command("load", "in.jsonl", "-q", "q", "--redis", tool.url, "--quiet", "--report", "-"),
            cwd=tool.folder,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )

    assert_error(Outcome(done.returncode, "", done.stderr.decode()), 1, "--report", "No space left")
    assert db.llen("asynq:q.default:pending") == 1


def test_the_closing_summary_names_the_job_and_an_error_comes_last(tool: Tool) -> None:
    tool.write("in.jsonl", b"1\nbad\n")

    fine = run("load", "in.jsonl", "-q", "q", "--redis", tool.url, "--job", "nightly", cwd=tool.folder)
    failed = run("load", "in.jsonl", "-q", "r", "--redis", tool.url, "--max-errors", "0", cwd=tool.folder)

    assert (fine.status, fine.stdout) == (3, "")
    assert "job nightly: completed" in fine.stderr
    assert "nightly.rejects.jsonl" in fine.stderr
    assert failed.status == 1
    *before, last = failed.stderr.splitlines()
    assert last.startswith("runqy-loader: error: in.jsonl:2")
    assert not any("error:" in line for line in before)
    assert any(line.startswith("go on with: runqy-loader load in.jsonl") and "--job" in line for line in before)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("in.jsonl",), ("--queue",)),
        (("in.jsonl", "-q", "a..b"), ("a..b", "empty part")),
        (("in.jsonl", "-q", "a{b}"), ("a{b}",)),
        (("in.jsonl", "-q", "q", "--batch-size", "0"), ("--batch-size",)),
        (("in.jsonl", "-q", "q", "--batch-size", "many"), ("--batch-size",)),
        (("in.jsonl", "-q", "q", "--no-such-option"), ("--no-such-option",)),
        (("in.jsonl", "-q", "q", "--format", "xml"), ("xml", "jsonl")),
        (("in.jsonl", "-q", "q", "--job", "a b"), ("--job",)),
        (("in.jsonl", "-q", "q", "--verbose"), ("--quiet", "--verbose")),
        (("in.jsonl", "-q", "q", "--embedded-dir", "d"), ("--embedded-dir", "--redis embedded")),
    ],
    ids=lambda value: " ".join(value[1:]) if isinstance(value, tuple) else None,
)
def test_wrong_usage_exits_with_2_and_one_line(tool: Tool, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    tool.write("in.jsonl", b"1\n")

    assert_error(tool.load(*arguments), 2, *words)


def test_version_and_help_go_to_standard_output(tmp_path: Path) -> None:
    version, usage = run("--version", cwd=tmp_path), run("load", "--help", cwd=tmp_path)

    assert (version.status, version.stdout.strip(), version.stderr) == (0, loader.__version__, "")
    assert (usage.status, usage.stderr) == (0, "")
    for word in ("--queue", "--on-conflict", "--redis", "--batch-size", "--config", "RUNQY_LOADER_"):
        assert word in usage.stdout


def test_debug_shows_where_an_error_arose(tool: Tool) -> None:
    done = tool.load("missing.jsonl", "-q", "q", "--debug")

    assert done.status == 1
    *trace, last = done.stderr.splitlines()
    assert trace[0].startswith("Traceback")
    assert last.startswith("runqy-loader: error: missing.jsonl")


# --- jobs ----------------------------------------------------------------------------------------------------------


def test_a_job_is_refused_with_another_batch_size_or_other_content(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b"1\n2\n3\n")
    arguments = ("in.jsonl", "-q", "q", "--job", "j")
    assert_fine(tool.load(*arguments, "-b", "2"))

    assert_error(tool.load(*arguments, "-b", "3"), 1, "job j", "--batch-size 2, not 3")
    assert_error(tool.load("in.jsonl", "-q", "other", "--job", "j", "-b", "2"), 1, "job j", "q.default")
    tool.write("in.jsonl", b"1\n2\n4\n")
    assert_error(tool.load(*arguments, "-b", "2"), 1, "job j", "other content in in.jsonl")
    assert payloads(db, "q.default") == [b"1", b"2", b"3"]

    tool.write("moved.jsonl", b"1\n2\n3\n")
    moved = tool.load("moved.jsonl", "-q", "q", "--job", "j", "-b", "2", "-w", "5")
    assert_fine(moved)
    assert counts(moved) == (3, 0, 3, 0)
    assert moved.report["resumed"]


def test_another_job_name_loads_the_same_input_again(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b"1\n2\n")

    for job in ("a", "b"):
        assert_fine(tool.load("in.jsonl", "-q", "q", "--job", job))

    ids = db.lrange("asynq:q.default:pending", 0, -1)
    assert len(set(ids)) == 4


def test_a_job_from_standard_input_is_resumed_by_its_name(tool: Tool, db: Redis) -> None:
    lines = [b"%d\n" % n for n in range(3000)]
    content = b"".join([*lines[:1550], b"bad\n", *lines[1550:]])
    arguments = ("-", "-q", "q", "--job", "j", "-b", "100")

    stopped = tool.load(*arguments, "--max-errors", "0", stdin=content)
    resumed = tool.load(*arguments, stdin=content)

    assert_error(stopped, 1, "-:1551")
    assert counts(stopped)[1] == 1500
    assert_fine(resumed, 3)
    assert counts(resumed) == (3001, 1500, 1500, 1)
    assert sorted(payloads(db, "q.default")) == sorted(line.strip() for line in lines)


def test_a_job_from_standard_input_is_the_same_however_its_bytes_arrive(tool: Tool, db: Redis) -> None:
    first = piped(tool, [b"1\n", b"2\n3\n"], "-", "-q", "q", "--job", "j")
    again = tool.load("-", "-q", "q", "--job", "j", stdin=b"1\n2\n3\n")

    assert_fine(first)
    assert_fine(again)
    assert counts(again) == (3, 0, 3, 0)
    assert db.llen("asynq:q.default:pending") == 3


def test_a_job_from_standard_input_refuses_other_content(tool: Tool, db: Redis) -> None:
    lines = [b"%d\n" % n for n in range(5000)]
    arguments = ("-", "-q", "q", "--job", "j", "-b", "100")
    assert_fine(tool.load(*arguments, stdin=b"".join(lines)))

    assert_error(tool.load(*arguments, stdin=b"".join([b"9\n", *lines])), 1, "job j")
    assert_error(tool.load(*arguments, stdin=b"".join(lines)[:-2]), 1, "job j")
    assert_error(tool.load(*arguments, stdin=b"".join([*lines[:4000], b"9\n", *lines[4000:]])), 1, "job j")
    assert db.llen("asynq:q.default:pending") == 5000


def test_what_a_run_leaves_in_a_directory_is_not_loaded_from_it(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b"1\nbad\n2\n")
    arguments = ("load", ".", "-q", "q", "--redis", tool.url, "--quiet", "--report", "report.json")

    first, again = run(*arguments, cwd=tool.folder), run(*arguments, cwd=tool.folder)

    assert (first.status, again.status) == (3, 3)
    assert db.llen("asynq:q.default:pending") == 2
    report = json.loads((tool.folder / "report.json").read_text())
    assert (report["loaded"], report["already_loaded"], report["rejected"]) == (0, 2, 1)


def test_several_processes_share_a_large_file_and_another_number_resumes_it(tool: Tool, db: Redis) -> None:
    with (tool.folder / "in.jsonl").open("wb") as file:
        for number in range(36):
            file.writelines(b'{"n":%d,"pad":"%b"}\n' % (number * 100 + n, b"x" * 10_000) for n in range(100))
        file.write(b"bad\n")
    arguments = ("in.jsonl", "-q", "q", "--job", "j")

    stopped = tool.load(*arguments, "-p", "2", "--max-errors", "0")
    rest = tool.load(*arguments, "-p", "3")
    again = tool.load(*arguments)

    assert_error(stopped, 1, "--max-errors 0")
    assert_fine(rest, 3)
    assert counts(rest)[1:] == (3600 - counts(stopped)[1], counts(stopped)[1], 1)
    assert counts(again) == (3601, 0, 3600, 1)
    assert sorted(json.loads(p)["n"] for p in payloads(db, "q.default")) == list(range(3600))


# --- servers -------------------------------------------------------------------------------------------------------


def test_the_embedded_server_keeps_its_data_in_a_directory(tool: Tool) -> None:
    tool.write("in.jsonl", b"1\n2\n")
    arguments = ("in.jsonl", "-q", "q", "--embedded-dir", "kept")

    first, again = tool.load(*arguments, url="embedded"), tool.load(*arguments, url="embedded")

    assert_fine(first)
    assert_fine(again)
    assert (counts(first), counts(again)) == ((2, 2, 0, 0), (2, 0, 2, 0))
    server = EmbeddedServer(tool.folder / "kept")
    try:
        with redis.Redis.from_url(server.start()) as client:
            assert sorted(payloads(client, "q.default")) == [b"1", b"2"]
    finally:
        server.stop()


def test_the_embedded_server_without_a_directory_is_new_each_time(tool: Tool) -> None:
    tool.write("in.jsonl", b"1\n2\n")

    for _ in range(2):
        done = tool.load("in.jsonl", "-q", "q", url="embedded")
        assert_fine(done)
        assert counts(done) == (2, 2, 0, 0)
    assert [path.name for path in tool.folder.iterdir()] == ["in.jsonl"]


def test_a_unix_socket_and_a_database_number(tool: Tool, redis_server: Callable[..., RedisServer]) -> None:
    tool.write("in.jsonl", b"1\n")
    path = Path(f"/tmp/runqy-loader-test-{os.getpid()}.sock")  # noqa: S108 - a socket's path must be short
    server = redis_server("--unixsocket", str(path)).start()
    try:
        assert_fine(tool.load("in.jsonl", "-q", "q", url=f"unix://{path}?db=2"))
        assert_fine(tool.load("in.jsonl", "-q", "q", url=f"redis://127.0.0.1:{server.port}/3"))
        for number in range(5):
            with redis.Redis(unix_socket_path=str(path), db=number) as client:
                assert client.llen("asynq:q.default:pending") == (1 if number in (2, 3) else 0)
    finally:
        path.unlink(missing_ok=True)


def test_a_login_in_the_url_is_used_and_never_shown(tool: Tool, redis_server: Callable[..., RedisServer]) -> None:
    tool.write("in.jsonl", b"1\n")
    tool.write("bad.jsonl", b"bad\n")
    server = redis_server("--requirepass", "s3cret&pass").start()
    with redis.Redis(port=server.port, password="s3cret&pass") as client:
        client.acl_setuser("loader", enabled=True, passwords=["+0ther:pw"], keys=["*"], commands=["+@all"])
    there = f"127.0.0.1:{server.port}/0"

    assert_fine(tool.load("in.jsonl", "-q", "q", url=f"redis://:s3cret%26pass@{there}"))
    assert_fine(tool.load("in.jsonl", "-q", "r", url=f"redis://loader:0ther%3Apw@{there}"))
    assert_error(tool.load("in.jsonl", "-q", "q", url=f"redis://{there}"), 1, "wants a password")
    assert_error(tool.load("in.jsonl", "-q", "q", url=f"redis://:wr0ng@{there}"), 1, "password")

    for url in (f"redis://:s3cret%26pass@{there}", f"redis://:wr0ng@{there}"):
        said = run(
            *("load", "bad.jsonl", "-q", "q", "--redis", url, "--max-errors", "0", "--verbose", "--report", "-"),
            cwd=tool.folder,
        )
        assert said.status == 1
        assert "s3cret" not in said.stdout + said.stderr and "wr0ng" not in said.stdout + said.stderr
    with redis.Redis(port=server.port, password="s3cret&pass") as client:
        recorded = b"".join(b"".join(client.hvals(key)) for key in client.keys("runqy-loader:*:job"))
    assert b"s3cret" not in recorded and b"0ther" not in recorded


def test_a_server_that_is_not_there_is_named(tool: Tool) -> None:
    tool.write("in.jsonl", b"1\n")

    assert_error(tool.load("in.jsonl", "-q", "q", url=NOWHERE), 1, "127.0.0.1:1", "connection refused")
    assert_error(tool.load("in.jsonl", "-q", "q", url="unix:///no/such.sock"), 1, "/no/such.sock")


@pytest.mark.parametrize("url", ["http://localhost", "localhost:6379", "", "redis://localhost/prod", "redis://h:port"])
def test_a_url_that_names_no_server_is_wrong_usage(tool: Tool, url: str) -> None:
    tool.write("in.jsonl", b"1\n")

    done = run("load", "in.jsonl", "-q", "q", "--redis", url, "--quiet", cwd=tool.folder)

    assert_error(done, 2, "--redis")


def test_a_database_that_the_server_does_not_have_is_named(tool: Tool) -> None:
    tool.write("in.jsonl", b"1\n")

    done = tool.load("in.jsonl", "-q", "q", url=tool.url.removesuffix("/0") + "/99")

    assert_error(done, 1, "database")
    assert "same command again" not in done.stderr


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: no certificate for a TLS server")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-keyout", str(key), "-out", str(cert)),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


def test_rediss_encrypts_and_checks_the_certificate(
    tool: Tool, redis_server: Callable[..., RedisServer], certificate: tuple[Path, Path]
) -> None:
    cert, key = map(str, certificate)
    lines = b"".join(b'{"n":%d}\n' % n for n in range(3000))
    tool.write("in.jsonl", lines)
    tls = free_port()
    server = redis_server(
        *("--tls-port", str(tls), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-auth-clients", "no")
    )
    plain = server.start()

    assert_fine(tool.load("in.jsonl", "-q", "q", url=f"rediss://127.0.0.1:{tls}/0?ssl_ca_certs={cert}"))
    with plain.client() as client:
        assert sorted(payloads(client, "q.default")) == sorted(lines.splitlines())
    trusting = tool.load("in.jsonl", "-q", "r", url=f"rediss://127.0.0.1:{tls}/0?ssl_cert_reqs=none")
    assert_fine(trusting)
    unknown = tool.load("in.jsonl", "-q", "q", url=f"rediss://127.0.0.1:{tls}/0")
    assert_error(unknown, 1, f"127.0.0.1:{tls}", "certificate")
    missing = tool.load("in.jsonl", "-q", "q", url=f"rediss://127.0.0.1:{tls}/0?ssl_ca_certs=/no/such.pem")
    assert_error(missing, 2, "TLS")


@pytest.mark.parametrize("ids", [(), ("--id-field", "n")], ids=["generated ids", "own ids"])
def test_a_pending_key_of_another_type_stops_the_load_until_it_is_gone(
    tool: Tool, db: Redis, ids: tuple[str, ...]
) -> None:
    tool.write("in.jsonl", b'{"n":1}\n{"n":2}\n')
    db.set("asynq:q.default:pending", "not a list")

    refused = tool.load("in.jsonl", "-q", "q", *ids)

    assert_error(refused, 1, "asynq:q.default:pending", "WRONGTYPE")
    assert counts(refused)[1] == 0
    assert db.get("asynq:q.default:pending") == b"not a list"
    db.delete("asynq:q.default:pending")
    resumed = tool.load("in.jsonl", "-q", "q", *ids)
    assert_fine(resumed)
    assert counts(resumed) == (2, 2, 0, 0)
    assert db.llen("asynq:q.default:pending") == 2


def test_a_task_key_of_another_type_rejects_that_record_only(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b"1\n2\n3\n")
    arguments = ("in.jsonl", "-q", "q", "-w", "1", "--job", "j")
    assert_fine(tool.load(*arguments))
    taken = b"asynq:t:" + db.lindex("asynq:q.default:pending", 1)
    db.flushall()
    db.set(taken, "someone else's")

    done, again = tool.load(*arguments), tool.load(*arguments)

    assert_fine(done, 3)
    assert counts(done) == (3, 2, 0, 1)
    assert counts(again) == (3, 0, 2, 1)
    assert payloads(db, "q.default") == [b"1", b"3"]
    assert db.get(taken) == b"someone else's"
    assert [(reject["line"], reject["record"]) for reject in rejects(tool, again)] == [(2, "2")]


# --- settings ------------------------------------------------------------------------------------------------------


def test_options_come_from_the_command_line_then_the_environment_then_the_file(tool: Tool) -> None:
    tool.write("in.jsonl", b"1\n2\n3\n")
    tool.write("c.toml", f'[load]\nqueue = "from-file"\nbatch-size = 1\nredis = "{tool.url}"\nreport = "-"\n')
    arguments = ("load", "in.jsonl", "--config", "c.toml", "--quiet")

    from_file = run(*arguments, cwd=tool.folder)
    from_env = run(*arguments, cwd=tool.folder, env={"RUNQY_LOADER_QUEUE": "from-env", "RUNQY_LOADER_BATCH_SIZE": "2"})
    from_line = run(*arguments, "--queue", "line", cwd=tool.folder, env={"RUNQY_LOADER_QUEUE": "from-env"})

    for outcome, queue, batches in ((from_file, "from-file", 3), (from_env, "from-env", 2), (from_line, "line", 3)):
        assert_fine(outcome)
        assert (outcome.report["queues"], outcome.report["batches"]) == ({f"{queue}.default": 3}, batches)


def test_the_environment_sets_every_kind_of_option(tool: Tool) -> None:
    tool.write("in.jsonl", b"1\nbad\n")
    tool.write("c.toml", '[load]\nmax_errors = 5\ntype = "mail"\n')
    env = {
        "RUNQY_LOADER_CONFIG": "c.toml",
        "REDIS_URL": NOWHERE,
        "RUNQY_LOADER_REDIS": tool.url,
        "RUNQY_LOADER_QUEUE": "q",
        "RUNQY_LOADER_QUIET": "true",
        "RUNQY_LOADER_REPORT": "-",
        "RUNQY_LOADER_REJECTS": "r.jsonl",
        "RUNQY_LOADER_MAX_RETRY": "9",
        "RUNQY_LOADER_UNRELATED": "passes",
    }

    done = run("load", "in.jsonl", cwd=tool.folder, env=env)

    assert_fine(done, 3)
    assert done.report["rejects_file"] == "r.jsonl"
    with redis.Redis.from_url(tool.url) as client:
        (task,) = client.keys("asynq:t:*")
        assert client.hmget(task, "type", "max_retry") == [b"mail", b"9"]


def test_redis_url_of_the_environment_is_where_to_load(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b"1\n")

    done = run("load", "in.jsonl", "-q", "q", "--quiet", cwd=tool.folder, env={"REDIS_URL": tool.url})

    assert_fine(done)
    assert db.llen("asynq:q.default:pending") == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('[load]\nqueu = "q"\n', ("queu",)),
        ('[laod]\nqueue = "q"\n', ("laod",)),
        ('queue = "q"\n', ("queue", "[load]")),
        ("[load", ("c.toml", "TOML")),
        ('[load]\nbatch-size = "many"\n', ("batch-size", "c.toml")),
        (None, ("c.toml",)),
    ],
    ids=["unknown option", "unknown table", "no table", "not TOML", "wrong type", "missing"],
)
def test_a_wrong_configuration_file_is_refused(tool: Tool, content: str | None, words: tuple[str, ...]) -> None:
    tool.write("in.jsonl", b"1\n")
    if content is not None:
        tool.write("c.toml", content)

    assert_error(tool.load("in.jsonl", "-q", "q", "--config", "c.toml"), 2, *words)


def test_a_wrong_value_in_the_environment_names_its_variable(tool: Tool) -> None:
    tool.write("in.jsonl", b"1\n")

    assert_error(tool.load("in.jsonl", "-q", "q", env={"RUNQY_LOADER_BATCH_SIZE": "x"}), 2, "RUNQY_LOADER_BATCH_SIZE")


# --- the Python API ------------------------------------------------------------------------------------------------


async def stream(items: list[Any]) -> AsyncIterator[Any]:
    for item in items:
        await asyncio.sleep(0)
        yield item


def generated(items: list[Any]) -> Iterator[Any]:
    yield from items


@pytest.mark.parametrize("make", [list, generated, stream], ids=["list", "generator", "async generator"])
def test_any_iterable_of_payloads_can_be_loaded(tool: Tool, db: Redis, make: Callable[[list[Any]], Any]) -> None:
    items = [{"ü": [1, None]}, b'{"kept":  "as it is"}', bytearray(b"2"), memoryview(b"3"), "text", 4.5, [True], None]

    report = asyncio.run(loader.load(make(items), queue="q", redis=tool.url, workers=1, batch_size=3))

    assert (report.status, report.exit_status, report.loaded, report.records_read) == ("completed", 0, 8, 8)
    assert report.queues == {"q.default": 8}
    assert payloads(db, "q.default") == [
        '{"ü":[1,null]}'.encode(),
        *(b'{"kept":  "as it is"}', b"2", b"3", b'"text"', b"4.5", b"[true]", b"null"),
    ]


def test_paths_can_be_loaded_from_python(tool: Tool, db: Redis) -> None:
    one, two = tool.write("1.jsonl", b"1\n"), tool.write("2.json", b"2")

    async def all_of_them() -> list[int]:
        async with loader.Loader(queue="q", redis=tool.url) as loads:
            given: tuple[Any, ...] = (str(one), two, [one, str(two)])
            return [(await loads.load(paths)).loaded for paths in given]

    assert asyncio.run(all_of_them()) == [1, 1, 2]


def test_bytes_that_are_not_json_are_rejected(tool: Tool, tmp_path: Path) -> None:
    report = asyncio.run(
        loader.load([b"{", b"1", b"2\n"], queue="q", redis=tool.url, rejects=tmp_path / "r.jsonl", job="j")
    )

    assert (report.exit_status, report.records_read, report.loaded, report.rejected) == (3, 3, 2, 1)
    (reject,) = map(json.loads, (tmp_path / "r.jsonl").read_text().splitlines())
    assert (reject["source"], reject["line"], reject["record"]) == ("payloads", 1, "{")


def test_a_job_of_payloads_is_resumed_by_its_name_and_refuses_others(tool: Tool, db: Redis) -> None:
    items = [{"n": n} for n in range(250)]

    async def broken() -> AsyncIterator[dict[str, int]]:
        for item in items[:150]:
            yield item
        raise ConnectionError("the database went away")

    async def scenario() -> None:
        async with loader.Loader(queue="q", redis=tool.url, job="j", batch_size=20) as loads:
            with pytest.raises(ConnectionError, match="went away"):
                await loads.load(broken())
            failed = loads.report
            assert failed is not None
            assert failed.status == "failed"
            resumed = await loads.load(stream(items))
            assert resumed.status == "completed"
            assert resumed.loaded + resumed.already_loaded == 250
            again = await loads.load(items)
            assert (again.loaded, again.already_loaded) == (0, 250)
            with pytest.raises(loader.LoaderError, match="job j has loaded"):
                await loads.load([{"n": -1}, *items])

    asyncio.run(scenario())
    assert sorted(json.loads(p)["n"] for p in payloads(db, "q.default")) == list(range(250))


@pytest.mark.parametrize("given", [b'{"a": 1}', {"a": 1}, 5, None], ids=["bytes", "dict", "int", "None"])
def test_one_payload_is_not_an_iterable_of_payloads(tool: Tool, db: Redis, given: Any) -> None:
    with pytest.raises((TypeError, loader.LoaderError)):
        asyncio.run(loader.load(given, queue="q", redis=tool.url))
    assert db.keys("asynq:*") == []


def test_a_payload_that_json_cannot_express_is_named(tool: Tool) -> None:
    with pytest.raises(loader.LoaderError, match=r"payload.*JSON"):
        asyncio.run(loader.load([{"a": object()}], queue="q", redis=tool.url))


def test_a_stop_ends_a_load_soon_whenever_it_comes_and_the_job_goes_on_later(tool: Tool, db: Redis) -> None:
    async def endless(then: Callable[[], None]) -> AsyncIterator[int]:
        yield 0
        await asyncio.sleep(1)
        then()
        await asyncio.sleep(60)

    async def scenario() -> None:
        options = loader.LoadOptions(queue="q", redis=tool.url, job="j", batch_size=1)
        early = loader.Loader(options)
        async with early:
            stopping = asyncio.create_task(early.load(stream([0, 1])))
            await asyncio.sleep(0)
            early.stop()
            report = await asyncio.wait_for(stopping, 10)
            assert (report.status, report.exit_status) == ("interrupted", 130)
        late = loader.Loader(options)
        async with late:
            report = await asyncio.wait_for(late.load(endless(late.stop)), 10)
            assert (report.status, report.loaded) == ("interrupted", 1)
        report = await loader.load([0, 1], queue="q", redis=tool.url, job="j", batch_size=1)
        assert (report.status, report.loaded + report.already_loaded) == ("completed", 2)

    asyncio.run(scenario())
    assert sorted(payloads(db, "q.default")) == [b"0", b"1"]


def test_wrong_options_are_refused_when_the_loader_is_made() -> None:
    with pytest.raises(loader.LoaderError, match="no queue"):
        loader.Loader()
    with pytest.raises(loader.LoaderError, match="empty part"):
        loader.Loader(queue="a.")
    with pytest.raises(loader.LoaderError, match="URL"):
        loader.Loader(queue="q", redis="http://localhost")
    with pytest.raises(TypeError):
        loader.Loader(queue="q", no_such_option=1)

"""Jobs: what makes one the same, and what a resume refuses."""

from __future__ import annotations

import json

import pytest

from tests.cli import run
from tests.conftest import Server
from tests.integration.tool import (
    Redis,
    Tool,
    assert_error,
    assert_fine,
    counts,
    payloads,
    piped,
)


@pytest.fixture
def target(server: Server) -> Server:
    """Each kind of server in turn."""
    return server


def test_a_job_is_refused_with_other_content_or_another_queue(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b"1\n2\n3\n")
    arguments = ("in.jsonl", "-q", "q", "--job", "j", "-w", "1")
    assert_fine(tool.load(*arguments, "-b", "2"))

    assert_error(tool.load("in.jsonl", "-q", "other", "--job", "j"), 1, "job j", "--queue q.default, not other.default")
    tool.write("in.jsonl", b"1\n2\n4\n")
    assert_error(tool.load(*arguments), 1, "job j", "other content in in.jsonl")
    assert payloads(db, "q.default") == [b"1", b"2", b"3"]

    tool.write("moved.jsonl", b"1\n2\n3\n")
    moved = tool.load("moved.jsonl", "-q", "q", "--job", "j", "-b", "2", "-w", "5")
    assert_fine(moved)
    assert counts(moved) == (3, 0, 3, 0)
    assert moved.report["resumed"]


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
    assert_error(tool.load(*arguments, stdin=b"".join(lines)[:-3] + b"\n"), 1, "job j")
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

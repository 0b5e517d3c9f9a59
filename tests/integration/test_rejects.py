"""Records set aside: where they stand, why, and how many are too many."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.tool import (
    Redis,
    Tool,
    assert_error,
    assert_fine,
    counts,
    payloads,
    rejects,
)

REFERENCE = Path(__file__).parents[2] / "docs" / "reference.md"


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
        assert set(reject) - {"encoding"} == {"source", "line", "byte_offset", "code", "reason", "record"}
        assert reject["source"] == "in.jsonl"
        assert reject["code"] == ("cut_off" if reject["line"] == 10 else "invalid_json")
        assert reject["reason"].startswith("not valid JSON")
        binary = reject.get("encoding") == "base64"
        record = base64.b64decode(reject["record"]) if binary else reject["record"].encode()
        assert record == records[reject["line"] - 1]
        assert content[reject["byte_offset"] :].startswith(record + b"\n"[: reject["line"] < 10])
    assert [reject["line"] for reject in found if "encoding" in reject] == [5]


def test_a_bad_document_is_rejected_under_its_own_name(tool: Tool) -> None:
    tool.write("docs/a.json", b"{}")
    tool.write("docs/b.json", b'{"a": 1,\n}')

    done = tool.load("docs", "-q", "q", "--job", "j")

    assert_fine(done, 3)
    assert done.report["rejects_file"] == "j.rejects.jsonl"
    (reject,) = rejects(tool, done)
    assert (reject["source"], reject["line"], reject["byte_offset"]) == ("docs/b.json", 1, 0)
    assert reject["record"] == '{"a": 1,\n}'


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

    assert_error(tool.load("in.jsonl", "-q", "q", "--rejects", "no/such/folder/r.jsonl"), 2, "no/such/folder/r.jsonl")


def recipe() -> str:
    """The commands of the reference that get records back from a rejects file."""
    section = REFERENCE.read_text().split("## Rejects file")[1]
    return section.split("```")[1]


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_recipe_of_the_reference_gets_all_records_back(tool: Tool, db: Redis) -> None:
    text, latin_1 = ["{'a':'é'}", '["\\n", x]'], ['{"n":"café"}', '{"n":"ü"}']
    lines = [b"1", text[0].encode(), latin_1[0].encode("latin-1"), b'"%b"' % (b"x" * 5000), text[1].encode()]
    tool.write("in.jsonl", b"\n".join([*lines, latin_1[1].encode("latin-1")]))
    assert_fine(tool.load("in.jsonl", "-q", "q", "--max-record-bytes", "2000", "--rejects", "JOB.rejects.jsonl"), 3)

    subprocess.run(["sh", "-euc", recipe()], cwd=tool.folder, check=True)

    assert (tool.folder / "corrected.jsonl").read_text().splitlines() == [*text, *latin_1]
    second = tool.load("corrected.jsonl", "-q", "q")
    assert counts(second) == (4, 2, 0, 2)
    assert payloads(db, "q.default") == [b"1", *(line.encode() for line in latin_1)]

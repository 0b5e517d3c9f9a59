"""Loads of CSV: from the name or the option to tasks, rejects with their places, and what a resume may change."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pytest

from tests.cli import run
from tests.integration.tool import Redis, Tool, assert_error, assert_fine, counts, payloads, rejects

ROWS = [{"id": str(n), "text": text} for n, text in enumerate(["a", "b,c", 'd "e"', "f\ng", "\u00e9", ""] * 500)]
TASKS = [json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() for row in ROWS]


def table(delimiter: str = ",") -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["id", "text"], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(ROWS)
    return text.getvalue().encode()


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("in.csv", table(), ()),
        ("in.CSV.gz", gzip.compress(table(), mtime=0), ()),
        ("in.csv", gzip.compress(table(";"), mtime=0), ()),
        ("in.tsv", table("\t"), ()),
        ("in.txt", table(":"), ("--format", "csv", "--delimiter", ":")),
        ("in.txt", table("\t"), ("--format", "csv", "--delimiter", "tab")),
    ],
    ids=["csv", "csv.gz", "gzip and semicolons", "tsv", "format", "tab"],
)
def test_each_row_becomes_a_task(tool: Tool, db: Redis, name: str, content: bytes, options: tuple[str, ...]) -> None:
    tool.write(name, content)
    done, again = (tool.load(name, "-q", "q", "-w", "1", *options) for _ in range(2))
    assert_fine(done)
    assert (counts(done), counts(again)) == ((3000, 3000, 0, 0), (3000, 0, 3000, 0))
    assert payloads(db, "q.default") == TASKS


@pytest.mark.parametrize("form", ["csv", "csv.gz"])
def test_standard_input_may_be_csv(tool: Tool, db: Redis, form: str) -> None:
    stdin = gzip.compress(table(), mtime=0) if form.endswith("gz") else table()
    done = tool.load("-", "-q", "q", "-w", "1", "--format", form, "--job", "j", stdin=stdin)
    assert_fine(done)
    assert payloads(db, "q.default") == TASKS


def test_rows_that_are_none_are_rejects_with_their_lines(tool: Tool, db: Redis) -> None:
    tool.write("in.csv", b'id,text\n1,"a\nb"\n2\n3,c,d\n4,\xe9\n5,"e"f\n6,g\n7')
    done = tool.load("in.csv", "-q", "q", "-w", "1", "--job", "j")
    assert_fine(done, 3)
    assert payloads(db, "q.default") == [b'{"id":"1","text":"a\\nb"}', b'{"id":"6","text":"g"}']
    assert [(one["line"], one["byte_offset"], one["code"], one["record"]) for one in rejects(tool, done)] == [
        (4, 16, "bad_row", "2"),
        (5, 18, "bad_row", "3,c,d"),
        (6, 24, "invalid_json", "eyJpZCI6IjQiLCJ0ZXh0Ijoi6SJ9"),
        (7, 28, "bad_row", '5,"e"f'),
        (9, 39, "bad_row", "7"),
    ]
    assert done.report["rejected_examples"][0]["place"] == "in.csv:4"


def test_a_row_that_is_cut_off_is_told_if_that_is_wanted(tool: Tool) -> None:
    tool.write("in.csv", b"id,text\n1,a\n2,b")
    assert_error(
        tool.load("in.csv", "-q", "q", "--require-final-newline"), 1, "in.csv:3: the last record has no line end"
    )


def test_options_of_tables_make_other_payloads_and_so_another_job(tool: Tool, db: Redis) -> None:
    tool.write("in.csv", b"a,b\n1,\n")
    assert_fine(tool.load("in.csv", "-q", "q", "--csv-null", "", "--csv-types", "a:int", "--job", "j"))
    other = tool.load("in.csv", "-q", "q", "--job", "j")
    assert_error(other, 1, "job j was begun with --csv-null '' --csv-types a:int, which makes other payloads")
    again = tool.load("in.csv", "-q", "q", "--csv-null", "", "--csv-types", "a:int", "--job", "j")
    assert counts(again) == (1, 0, 1, 0)
    assert payloads(db, "q.default") == [b'{"a":1,"b":null}']
    assert (
        len({tool.load("in.csv", "-q", "q", "--again", *more).report["job"] for more in ((), ("--nulls", "omit"))}) == 2
    )


def test_verify_takes_the_options_of_tables_from_the_job(tool: Tool, db: Redis) -> None:
    tool.write("in.csv", b"a;b\n1;\n2;x\n")
    options = ("--csv-null", "", "--csv-types", "x:int", "--columns", "x,y", "--delimiter", ";", "--nulls", "omit")
    assert_fine(tool.load("in.csv", "-q", "q", "--job", "j", *options))
    found = run("verify", "j", "--redis", tool.url, "--quiet", cwd=tool.folder)
    assert found.status == 0, found


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (
            ("in.jsonl", "--delimiter", ";"),
            2,
            ["--delimiter is for CSV, TSV, and no input is one of these"],
        ),
        (
            ("in.jsonl", "--nulls", "omit"),
            2,
            ["--nulls is for CSV, TSV, Parquet, Arrow, Feather, rows of a query, and no input is one of these"],
        ),
        (("in.csv", "--nan", "string"), 2, ["--nan is for ", "and no input is one of these. Leave it out"]),
        (("in.csv", "--delimiter", ",,"), 2, ["--delimiter must be one character, or tab, not ',,'"]),
        (("in.csv", "--quote", ",", "--delimiter", ","), 2, ["must be different characters"]),
        (("in.csv", "--no-header"), 2, ["--no-header needs --columns"]),
        (("in.csv", "--columns", "a,a"), 2, ["--columns names 'a' twice"]),
        (("in.csv", "--columns", '"a'), 2, ["--columns must be names with commas between them"]),
        (("in.csv", "--csv-types", "a"), 2, ["--csv-types 'a' is not of the form NAME:TYPE"]),
        (("in.csv", "--csv-types", "a:date"), 2, ["TYPE is one of text, int, number, bool, json"]),
        (("in.csv", "--csv-types", "z:int"), 1, ["in.csv: it has no column 'z', which --csv-types names"]),
        (("lines.csv",), 1, ["lines.csv", "begins like JSON", "--format jsonl"]),
        (("table.jsonl",), 1, ["table.jsonl: looks like CSV, not JSON lines. Give --format csv"]),
    ],
)
def test_what_cannot_be_is_one_line(tool: Tool, arguments: tuple[str, ...], status: int, words: list[str]) -> None:
    tool.write("in.csv", b"a,b\n1,2\n")
    tool.write("in.jsonl", b'{"a":1}\n')
    tool.write("lines.csv", b'{"a":1,"b":2}\n{"a":3,"b":4}\n')
    tool.write("table.jsonl", b"a,b\n1,2\n3,4\n")
    assert_error(tool.load(*arguments, "-q", "q"), status, *words)


def test_the_delimiter_that_was_found_is_told(tool: Tool) -> None:
    tool.write("in.csv", b"a;b\n1;2\n")
    done = run("load", "in.csv", "-q", "q", "--redis", tool.url, cwd=tool.folder)
    assert done.status == 0
    assert "in.csv: its fields are separated by ;" in done.stderr


def test_a_directory_has_tables_too(tool: Tool, db: Redis) -> None:
    tool.write("d/1.csv", b"a\n1\n")
    tool.write("d/2.jsonl", b"2\n")
    tool.write("d/3.tsv", b"a\tb\n3\t4\n")
    assert_fine(tool.load("d", "-q", "q", "-w", "1"))
    assert payloads(db, "q.default") == [b'{"a":"1"}', b"2", b'{"a":"3","b":"4"}']


def test_a_payload_field_may_be_an_id_or_a_queue(tool: Tool, db: Redis) -> None:
    tool.write("in.csv", b"key,model,x\nk1,a,1\nk2,b,2\n")
    assert_fine(tool.load("in.csv", "--queue-field", "model", "--id-field", "key", "-w", "1"))
    assert db.hget("asynq:t:k2", "payload") == b'{"key":"k2","model":"b","x":"2"}'
    assert db.lrange("asynq:a.default:pending", 0, -1) == [b"k1"]


def test_a_format_of_lines_passes_over_the_tables_of_a_directory(tool: Tool) -> None:
    tool.write("d/1.csv", b"a\n1\n")
    tool.write("d/2.jsonl", b"2\n")
    done = tool.load("d", "-q", "q", "--format", "jsonl")
    assert counts(done) == (1, 1, 0, 0)
    assert [Path(source["name"]).name for source in done.report["sources"]] == ["2.jsonl"]

"""Inputs that are not what their names say are refused before anything is written, with what to do about them."""

from __future__ import annotations

import asyncio
import gzip
import json
import lzma
import os
import shlex
import subprocess
import sys
from collections.abc import Callable

import pytest

import loader
from loader import SourceError
from tests.cli import Outcome, command, environment
from tests.integration.tool import Redis, Tool, assert_error, assert_fine, counts, payloads, piped, rejects
from tests.unit.sources.recognition.content import (
    ARCHIVES,
    ARRAY,
    COMPRESSED,
    DATA,
    DOCUMENT,
    DOCUMENTS,
    DOUBLE_GZIP,
    ENCODINGS,
    LINES,
    TEXT,
    UNREAD,
    tar,
)

ELEMENTS = [b'{"a":1}', b'{"a":2}', b'{"a":3}']
BOTH = ("--format json-array (each element is a task)", "--format json (the whole array is one task)")


def assert_refused(done: Outcome, db: Redis, *words: str) -> None:
    assert_error(done, 1, *words)
    assert db.keys("*") == []


def assert_all_refused(done: Outcome, db: Redis, *words: str) -> None:
    """It ended with one error about several inputs, with a line for each fault."""
    assert done.status == 1
    assert done.stderr.startswith("runqy-loader: error: ") and "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert db.keys("*") == []


def advised(done: Outcome, tool: Tool) -> Outcome:
    """Runs the command that an error advises to run."""
    line = done.stderr.splitlines()[-1]
    advice = line.partition("un: ")[2].rpartition("; --force-format")[0]
    shell = advice.replace("runqy-loader", shlex.join(command())).replace("…", "-q q -w 1 --report - --quiet --redis ")
    ended = subprocess.run(
        ["sh", "-c", shell + shlex.quote(tool.url)],
        cwd=tool.folder,
        env=environment(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    return Outcome(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


@pytest.mark.parametrize("name", ["in.jsonl", "in.json", "in.jsonl.gz", "in.json.gz", "-"])
@pytest.mark.parametrize("array", [ARRAY, b'[{"a":1},{"a":2},{"a":3}]\n'], ids=["over lines", "on one line"])
def test_an_array_is_never_guessed(tool: Tool, db: Redis, name: str, array: bytes) -> None:
    stored = gzip.compress(array) if name.endswith(".gz") else array
    if name != "-":
        tool.write(name, stored)

    refused = tool.load(name, "-q", "q", stdin=stored)
    elements = tool.load(name, "-q", "q", "-w", "1", "--format", "json-array", stdin=stored)
    whole = tool.load(name, "-q", "w", "--format", "json-concat" if name == "-" else "json", stdin=stored)

    assert_error(refused, 1, *(BOTH if name != "-" else BOTH[:1]))
    assert payloads(db, "q.default") == ELEMENTS
    assert_fine(elements)
    assert counts(elements)[1] == 3
    assert payloads(db, "w.default") == [array.strip()]
    assert_fine(whole)


def test_a_refusal_leaves_nothing_behind(tool: Tool, db: Redis) -> None:
    tool.write("a.jsonl", LINES)
    tool.write("z.jsonl", ARRAY)

    assert_refused(tool.load("a.jsonl", "z.jsonl", "-q", "q"), db, "z.jsonl: looks like one JSON array", *BOTH)
    assert sorted(path.name for path in tool.folder.iterdir()) == ["a.jsonl", "z.jsonl"]


@pytest.mark.parametrize("name", ["in.json", "in.json.gz"])
def test_json_lines_named_json(tool: Tool, db: Redis, name: str) -> None:
    tool.write(name, gzip.compress(LINES) if name.endswith(".gz") else LINES)

    assert_refused(tool.load(name, "-q", "q"), db, f"{name}: looks like JSON lines", "--format jsonl")
    assert_fine(tool.load(name, "-q", "q", "-w", "1", "--format", "jsonl"))
    assert payloads(db, "q.default") == LINES.splitlines()


def test_a_directory_with_json_lines_among_single_documents_is_refused_whole_and_then_loaded_once(
    tool: Tool, db: Redis
) -> None:
    for number in range(20):
        tool.write(f"d/part-{number:02}.json", b'{"n": %d}\n' % number * (1 if number % 2 else 3))

    refused = tool.load("d", "-q", "q")

    assert_all_refused(
        refused, db, "10 of 20 inputs", "d/part-00.json, d/part-02.json", "… (10 files)", "--format jsonl"
    )
    assert_fine(tool.load("d", "-q", "q", "--format", "jsonl"))
    assert db.llen("asynq:q.default:pending") == 40


def test_all_kinds_of_bad_files_are_told_at_once(tool: Tool, db: Redis) -> None:
    tool.write("d/a.json", LINES)
    tool.write("d/b.jsonl", ARRAY)
    tool.write("d/c.jsonl", COMPRESSED["lzma"]())
    tool.write("d/d.jsonl.gz", b"no gzip")
    tool.write("d/e.jsonl", LINES)

    done = tool.load("d", "-q", "q")

    said = (
        "4 of 5 inputs",
        "d/a.json: looks like JSON lines",
        "--format jsonl",
        "d/b.jsonl: looks like one JSON array",
    )
    assert_all_refused(
        done, db, *said, "d/c.jsonl: looks like lzma-compressed data", "-dc", "d/d.jsonl.gz: is not a gzip"
    )


@pytest.mark.parametrize("content", [DOCUMENT, DOCUMENTS], ids=["one", "as jq writes them"])
def test_pretty_printed_documents_in_a_file_of_lines(tool: Tool, db: Redis, content: bytes) -> None:
    tool.write("in.jsonl", content)

    refused = tool.load("in.jsonl", "-q", "q")

    assert_refused(refused, db, "in.jsonl: looks like", "jq -c . in.jsonl | runqy-loader load -")
    assert_fine(advised(refused, tool))
    assert_fine(tool.load("in.jsonl", "-q", "w", "--format", "json-concat"))
    count = content.count(b"\n}") or 1
    assert db.llen("asynq:q.default:pending") == db.llen("asynq:w.default:pending") == count


@pytest.mark.parametrize("name", ["in.jsonl", "in.json", "-"])
def test_values_without_line_feeds_are_a_format_of_their_own(tool: Tool, db: Redis, name: str) -> None:
    content = b"".join(ELEMENTS)
    if name != "-":
        tool.write(name, content)

    assert_refused(tool.load(name, "-q", "q", stdin=content), db, "not one a line", "--format json-concat")
    assert_fine(tool.load(name, "-q", "q", "-w", "1", "--format", "json-concat", stdin=content))
    assert payloads(db, "q.default") == ELEMENTS


@pytest.mark.parametrize("title", UNREAD)
@pytest.mark.parametrize("options", [(), ("--format", "jsonl"), ("--format", "json-array")], ids=" ".join)
def test_compressed_data_is_named_with_the_command_that_loads_it(
    tool: Tool, db: Redis, title: str, options: tuple[str, ...]
) -> None:
    tool.write("my in.jsonl", COMPRESSED[title]())

    refused = tool.load("my in.jsonl", "-q", "q", *options)

    assert_refused(
        refused, db, f"my in.jsonl: looks like {title}-compressed data", "-dc 'my in.jsonl' | runqy-loader load"
    )
    if not options and title != "lzma":
        assert_fine(advised(refused, tool))
        assert payloads(db, "q.default") == LINES.splitlines()


@pytest.mark.parametrize("title", COMPRESSED)
@pytest.mark.parametrize("outer", ["gzip", "xz"])
def test_a_compression_within_another_is_named_with_the_command_that_loads_it(
    tool: Tool, db: Redis, title: str, outer: str
) -> None:
    tool.write("in.jsonl", (gzip if outer == "gzip" else lzma).compress(COMPRESSED[title]()))

    refused = tool.load("in.jsonl", "-q", "q")

    assert_refused(refused, db, f"in.jsonl: looks like {title}-compressed data inside {outer}")
    if title != "lzma":
        assert_fine(advised(refused, tool))
        assert payloads(db, "q.default") == LINES.splitlines()


@pytest.mark.parametrize(("title", "make"), [*ARCHIVES.items(), *DATA.items()], ids=[*ARCHIVES, *DATA])
@pytest.mark.parametrize("how", ["plain", "gzip", "stdin"])
def test_archives_and_binary_data_are_named(
    tool: Tool, db: Redis, title: str, make: Callable[[], bytes], how: str
) -> None:
    name = {"plain": "in.jsonl", "gzip": "in.jsonl.gz", "stdin": "-"}[how]
    stored = gzip.compress(make()) if how == "gzip" else make()
    if how != "stdin":
        tool.write(name, stored)

    done = tool.load(name, "-q", "q", stdin=stored)

    assert_refused(done, db, "standard input" if how == "stdin" else name, f"looks like {title}", "--force-format")


def test_a_file_whose_name_says_nothing_is_told_by_its_content(tool: Tool, db: Redis) -> None:
    tool.write("a.jsonl.lzma", lzma.compress(LINES, lzma.FORMAT_ALONE))
    tool.write("a.backup", gzip.compress(tar()))
    tool.write("a.txt", LINES)
    tool.write("a.bin", gzip.compress(LINES))
    tool.write("a.arr", ARRAY)
    tool.write("words", b"just some words\n")

    for name, status, words in (
        ("a.jsonl.lzma", 1, ("looks like lzma-compressed data", "xz --format=lzma -dc a.jsonl.lzma")),
        ("a.backup", 2, ("looks like a tar archive inside gzip. Give --format tar", "tar -xOf -")),
        ("a.txt", 2, ("no known ending, and it looks like JSON lines. Give --format jsonl",)),
        ("a.bin", 2, ("it looks like JSON lines inside gzip. Give --format jsonl",)),
        ("a.arr", 2, BOTH),
        ("words", 2, ("its name has no known ending. Give --format jsonl if ",)),
    ):
        done = tool.load(name, "-q", "q")
        assert_error(done, status, *words)
        assert "--force-format" not in done.stderr
    assert db.keys("*") == []
    assert_fine(tool.load("a.bin", "-q", "q", "--format", "jsonl"))


@pytest.mark.parametrize("name", ["in.jsonl", "in.jsonl.gz"])
def test_the_members_of_a_tar_archive_are_loaded_with_the_command(tool: Tool, db: Redis, name: str) -> None:
    tool.write(name, gzip.compress(tar()) if name.endswith(".gz") else tar())

    refused = tool.load(name, "-q", "q")

    assert_refused(refused, db, "a tar archive")
    assert_fine(advised(refused, tool))
    assert payloads(db, "q.default") == LINES.splitlines()


@pytest.mark.parametrize("name", ["in.jsonl", "in.jsonl.gz"])
def test_double_gzip(tool: Tool, db: Redis, name: str) -> None:
    tool.write(name, DOUBLE_GZIP)

    refused = tool.load(name, "-q", "q")

    assert_refused(refused, db, "gzip-compressed data inside gzip")
    assert_fine(advised(refused, tool))
    assert payloads(db, "q.default") == LINES.splitlines()


@pytest.mark.parametrize("title", ENCODINGS)
def test_encodings_are_named_with_the_command_that_loads_them(tool: Tool, db: Redis, title: str) -> None:
    tool.write("in.jsonl", LINES.decode().encode(ENCODINGS[title]))

    refused = tool.load("in.jsonl", "-q", "q")

    assert_refused(refused, db, f"text in {title}")
    assert_fine(advised(refused, tool))
    assert payloads(db, "q.default") == LINES.splitlines()


@pytest.mark.parametrize("title", TEXT)
@pytest.mark.parametrize("name", ["in.jsonl", "in.json", "-"])
def test_other_text_is_named(tool: Tool, db: Redis, title: str, name: str) -> None:
    if name != "-":
        tool.write(name, TEXT[title])

    assert_refused(tool.load(name, "-q", "q", stdin=TEXT[title]), db, f"looks like {title}")


def test_lines_that_end_with_cr_are_loaded_with_the_command(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", LINES.replace(b"\n", b"\r"))

    refused = tool.load("in.jsonl", "-q", "q")

    assert_fine(advised(refused, tool))
    assert payloads(db, "q.default") == LINES.splitlines()


def test_force_format_loads_anything(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", ARRAY)

    done = tool.load("in.jsonl", "-q", "q", "--force-format")

    assert_fine(done, 3)
    assert counts(done) == (5, 1, 0, 4)


@pytest.mark.parametrize(
    ("name", "content", "option"),
    [
        ("in.json", LINES, "json"),
        ("in.jsonl", DOCUMENT, "jsonl"),
        ("in.jsonl", ARRAY, "jsonl"),
        ("in.jsonl", LINES, "json-array"),
        ("in.jsonl", DOCUMENT, "json-array"),
    ],
)
def test_a_given_format_is_believed_only_where_it_can_be(
    tool: Tool, db: Redis, name: str, content: bytes, option: str
) -> None:
    tool.write(name, content)
    assert_refused(tool.load(name, "-q", "q", "--format", option), db, name, "looks like")


# --- standard input ---------------------------------------------------------------------------------------------------


def test_the_first_line_of_a_slow_pipe_is_enough(tool: Tool, db: Redis) -> None:
    """The pipe stays open until the first task is in."""
    with subprocess.Popen(
        command("load", "-", "-q", "q", "-b", "1", "--redis", tool.url, "--report", "-", "--quiet"),
        cwd=tool.folder,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(b'[{"first": 1}]\n')
        process.stdin.flush()
        while not db.llen("asynq:q.default:pending"):
            assert process.poll() is None
        process.stdin.write(b'[{"second": 1}]\n')
        out, err = process.communicate(timeout=60)

    assert (process.returncode, err) == (0, b"")
    assert json.loads(out)["loaded"] == 2


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([b"[\n", b'{"a":1},\n{"a":2}]\n'], "json-array"),
        ([b'{\n  "a"', b": 1\n}\n"], "json-concat"),
        ([b"\x1f", COMPRESSED["lzma"]()], "looks like"),
    ],
    ids=["array", "document", "not gzip"],
)
def test_the_beginning_of_a_pipe_is_looked_at_however_it_arrives(
    tool: Tool, db: Redis, pieces: list[bytes], words: str
) -> None:
    done = piped(tool, pieces, "-", "-q", "q")

    assert_error(done, 1, "standard input", words)
    assert db.keys("*") == []


# --- json-array -------------------------------------------------------------------------------------------------------


def test_bad_elements_are_rejects_with_their_places(tool: Tool, db: Redis) -> None:
    tool.write("in.json", b'[{"a":1},\n  {bad},\n\n "' + b"x" * 500 + b'", 2,]\n')

    done = tool.load("in.json", "-q", "q", "-w", "1", "--format", "json-array", "--max-record-bytes", "300")

    assert_fine(done, 3)
    assert counts(done) == (5, 2, 0, 3)
    assert payloads(db, "q.default") == [b'{"a":1}', b"2"]
    found = [(reject["line"], reject["byte_offset"], reject["code"]) for reject in rejects(tool, done)]
    assert found == [(2, 12, "invalid_json"), (4, 21, "too_large"), (4, 527, "invalid_json")]


def test_a_truncated_array_is_an_error_and_its_complete_elements_are_loaded(tool: Tool, db: Redis) -> None:
    tool.write("in.json", ARRAY[:-5])

    done = tool.load("in.json", "-q", "q", "-w", "1", "--format", "json-array")

    assert_error(done, 1, "in.json ends within the value", "line 4", "truncated")
    assert payloads(db, "q.default") == ELEMENTS[:2]


def test_what_follows_an_array_is_an_error(tool: Tool, db: Redis) -> None:
    tool.write("in.json", ARRAY + ARRAY)

    done = tool.load("in.json", "-q", "q", "-w", "1", "--format", "json-array", "--force-format")

    assert_error(done, 1, "in.json:5", "after the end of the array", "jq -c '.[]'")
    assert payloads(db, "q.default") == ELEMENTS


@pytest.mark.parametrize("content", [b"[]", b" [ \n] "])
def test_an_empty_array_has_no_record(tool: Tool, db: Redis, content: bytes) -> None:
    tool.write("in.json", content)
    assert_error(tool.load("in.json", "-q", "q", "--format", "json-array"), 1, "no record in in.json")


def test_an_array_is_loaded_once_however_often_and_with_any_number_of_processes(tool: Tool, db: Redis) -> None:
    tool.write("in.json", b"[" + LINES.replace(b"\n", b",\n")[:-2] + b"]")
    tool.write("in.jsonl", LINES)

    for options in ((), ("-p", "2"), ("-w", "1")):
        assert_fine(tool.load("in.json", "-q", "q", "--format", "json-array", "-b", "7", *options))

    assert sorted(payloads(db, "q.default")) == sorted(LINES.splitlines())


def test_an_array_of_any_size_takes_little_memory(tool: Tool, db: Redis) -> None:
    element = json.dumps({"a": ["x" * 50] * 20, "b": {"c": {"d": [1, 2]}}}, indent=1).encode()
    with (tool.folder / "in.json").open("wb") as file:
        file.write(b"[\n" + b",\n".join([element] * 1000))
        for _ in range(99):
            file.write(b",\n" + b",\n".join([element] * 1000))
        file.write(b"\n]\n")
    assert (tool.folder / "in.json").stat().st_size > 100_000_000

    done = tool.load("in.json", "-q", "q", "--format", "json-array", "--dry-run")

    assert_fine(done)
    assert done.report["valid"] == 100_000
    assert done.report["peak_rss_bytes"] < 150 * 1024 * 1024


# --- Python -----------------------------------------------------------------------------------------------------------


def test_the_python_api_says_the_same(tool: Tool, db: Redis) -> None:
    path = tool.write("in.jsonl", ARRAY)

    with pytest.raises(SourceError, match="looks like one JSON array over several lines") as caught:
        asyncio.run(loader.load(path, queue="q", redis=tool.url))

    assert caught.value.code == "source_format"
    assert db.keys("*") == []
    assert asyncio.run(loader.load(path, queue="q", redis=tool.url, format="json-array")).loaded == 3


def test_a_stop_while_standard_input_is_waited_for_ends_a_load(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()

    async def run() -> loader.LoadReport:
        async with loader.Loader(queue="q", redis=tool.url) as one:
            asyncio.get_running_loop().call_later(0.1, one.stop)
            report = await one.load("-")
        os.close(write)
        await asyncio.sleep(0.1)  # the event loop reads the end of the pipe, and closes it
        return report

    with os.fdopen(read) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        report = asyncio.run(run())

    assert (report.status, report.records_read) == ("interrupted", 0)

"""Inputs: files, directories, globs, standard input, gzip, and what may be wrong with them."""

from __future__ import annotations

import gzip
import random
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli import Outcome, command, environment
from tests.integration.stored import until
from tests.integration.tool import (
    Redis,
    Tool,
    assert_error,
    assert_fine,
    counts,
    payloads,
    piped,
    rejects,
    run_with_stdin,
)
from tests.unit.sources.archives.test_archives import zipped
from tests.unit.sources.archives.test_tar_reader import tar


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


@pytest.mark.parametrize("name", ["in.tar", "in.zip"])
def test_in_archives_too_blank_lines_are_none_and_empty_files_are_told(tool: Tool, db: Redis, name: str) -> None:
    pack = tar if name == "in.tar" else zipped
    tool.write(
        name,
        pack([("a.jsonl", b"1\r\n\r\n  2 \n\n\t\n3\n\n"), ("e.json", b""), ("s.json", b" \n"), ("z.jsonl", b"\n4")]),
    )

    done = tool.load(name, "-q", "q", "-w", "1")

    assert payloads(db, "q.default") == [b"1", b"2", b"3", b"4"]
    assert done.report["rejected_by_code"] == {"empty_file": 2}
    assert {one["source"] for one in rejects(tool, done)} == {f"{name}:e.json", f"{name}:s.json"}


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
        (("empty.jsonl.gz",), 1, ("empty.jsonl.gz", "is empty")),
        ((), 2, ("no input",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_an_unusable_input_is_named_in_one_line(
    tool: Tool, db: Redis, arguments: tuple[str, ...], status: int, words: tuple[str, ...]
) -> None:
    for name in ("in.jsonl", "notes.txt", "not-gzip.jsonl.gz"):
        tool.write(name, b"1\n")
    tool.write("empty.jsonl.gz", b"")
    (tool.folder / "empty-folder").mkdir()

    done = tool.load(*arguments, "-q", "q")

    assert_error(done, status, *words)
    assert db.keys("asynq:*") == []


@pytest.mark.parametrize("name", ["in.jsonl.gz", "in.json.gz"])
def test_a_truncated_gzip_file_is_an_error_and_what_came_before_is_loaded(tool: Tool, db: Redis, name: str) -> None:
    begin = b"1\n" * 10 if name == "in.jsonl.gz" else b'{"a":"'
    whole = gzip.compress(begin) + gzip.compress(random.Random(1).randbytes(90_000).hex().encode())
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


@pytest.mark.parametrize("form", ["jsonl.gz", "json-array.gz"])
@pytest.mark.parametrize("more", [(), ("--force-format",)], ids=["looked at", "forced"])
@pytest.mark.parametrize("given", ["null device", "pipe", "file"])
def test_an_empty_input_is_none_of_a_compression_wherever_it_comes_from(
    tool: Tool, db: Redis, form: str, more: tuple[str, ...], given: str
) -> None:
    arguments = ("-q", "q", "--format", form, *more)
    if given == "null device":
        done = run_with_stdin(tool, subprocess.DEVNULL, "-", *arguments)
    elif given == "pipe":
        done = tool.load("-", *arguments, stdin=b"")
    else:
        tool.write("in", b"")
        done = tool.load("in", *arguments)

    name = "in:" if given == "file" else "standard input"
    assert_error(done, 1, f"{name} is empty, which no gzip file is", "Get it again, or leave it out")
    assert db.keys("*") == []


@pytest.mark.parametrize("redirection", ["<&-", ">&-", "2>&-"])
def test_a_file_is_loaded_though_a_standard_stream_is_closed(tool: Tool, db: Redis, redirection: str) -> None:
    tool.write("in.jsonl", b"1\n")
    arguments = command("load", "in.jsonl", "-q", "q", "--redis", tool.url, "--quiet")

    shell = ["sh", "-c", f'exec "$@" {redirection}', "sh", *arguments]
    done = subprocess.run(shell, cwd=tool.folder, env=environment(), capture_output=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, b"")
    assert payloads(db, "q.default") == [b"1"]


@pytest.mark.parametrize("said", [b"", b"1\n"], ids=["silent", "after a line"])
def test_one_signal_ends_a_load_that_waits_for_standard_input(tool: Tool, db: Redis, said: bytes) -> None:
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
        try:
            if said:
                until(lambda: db.keys("runqy-loader:*:lease"), "it holds the lease, so it waits for its input alone")
            else:  # its input comes before all else
                until(lambda: _handles(process.pid, signal.SIGTERM), "it is at work")
            process.send_signal(signal.SIGINT)
            status = process.wait(60)
        finally:
            process.kill()

    assert status == 130


def _handles(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal that ends others."""
    path = Path(f"/proc/{pid}/status")
    if not path.exists():
        pytest.skip("/proc/PID/status, which tells how far the start is, is Linux's")
    (caught,) = (line.split()[1] for line in path.read_text().splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (number - 1) & 1)


def test_an_empty_document_file_is_rejected(tool: Tool, db: Redis) -> None:
    tool.write("docs/a.json", b"1")
    tool.write("docs/b.json", b"")

    done = tool.load("docs", "-q", "q")

    assert_fine(done, 3)
    assert counts(done) == (2, 1, 0, 1)
    assert [reject["source"] for reject in rejects(tool, done)] == ["docs/b.json"]


def test_a_rejects_file_that_a_shell_has_named_is_passed_over_and_the_job_stays_the_same(tool: Tool, db: Redis) -> None:
    tool.write("a.jsonl", b"1\nbad\n")
    first = tool.load("a.jsonl", "-q", "q")
    left = sorted(path.name for path in tool.folder.glob("*.jsonl"))

    again = tool.load(*left, "-q", "q")
    alone = tool.load(next(name for name in left if name.endswith(".rejects.jsonl")), "-q", "q")

    assert len(left) == 2
    assert again.report["job"] == first.report["job"]
    assert counts(again) == (2, 0, 1, 1)
    assert db.llen("asynq:q.default:pending") == 1
    assert_error(alone, 1, "no payloads")


@pytest.mark.parametrize("padding", [b"\n", b"\r\n", b"\0" * 512], ids=["LF", "CRLF", "zeros"])
@pytest.mark.parametrize("name", ["in.jsonl.gz", "in.json.gz", "in.jsonl", "-"])
def test_padding_after_a_gzip_stream_is_no_fault(tool: Tool, db: Redis, name: str, padding: bytes) -> None:
    content = gzip.compress(b"1\n") + padding
    if name != "-":
        tool.write(name, content)

    done = tool.load(name, "-q", "q", stdin=content) if name == "-" else tool.load(name, "-q", "q")

    assert_fine(done)
    assert payloads(db, "q.default") == [b"1"]


def test_a_line_feed_after_a_gzip_stream_may_arrive_later(tool: Tool, db: Redis) -> None:
    done = piped(tool, [gzip.compress(b"1\n"), b"\n"], "-", "-q", "q")

    assert_fine(done)
    assert payloads(db, "q.default") == [b"1"]


def test_parts_of_a_hadoop_job_are_input_with_a_format_and_its_marks_are_not(tool: Tool, db: Redis) -> None:
    for name in ("_SUCCESS", "._SUCCESS.crc", ".part-00000.crc", "part-00001.crc"):
        tool.write(f"out/{name}", b"crc\0\0")
    tool.write("out/part-00000", b"1\n")
    tool.write("out/part-00001", b"2\n")

    without = tool.load("out", "-q", "q")
    done = tool.load("out", "-q", "q", "-w", "1", "--format", "jsonl")

    assert_error(without, 1, "no payload file", "3 without an ending", "2 hidden", "--format")
    assert_fine(done)
    assert payloads(db, "q.default") == [b"1", b"2"]


def test_rotated_logs_are_loaded_in_the_order_of_their_numbers(tool: Tool, db: Redis) -> None:
    tool.write("logs/t.jsonl", b"0\n")
    tool.write("logs/t.jsonl.10.gz", gzip.compress(b"10\n"))
    for number in (2, 1, 9):
        tool.write(f"logs/t.jsonl.{number}", b"%d\n" % number)

    assert_fine(tool.load("logs", "-q", "q", "-w", "1"))
    assert payloads(db, "q.default") == [b"0", b"1", b"2", b"9", b"10"]

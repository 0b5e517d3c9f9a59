"""Files that cannot be read: told all at once, or skipped; and each record is loaded once, whatever is done next."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
from pathlib import Path

import pytest

import loader
from loader.sources import shards
from tests.cli import Outcome, run
from tests.integration.tool import Redis, Tool, assert_error, counts, payloads


def lines(first: int, count: int) -> bytes:
    """Lines that hardly can be compressed, each with its number."""
    draw = random.Random(first)
    return b"".join(
        b'{"n": %d, "x": "%s"}\n' % (n, draw.randbytes(30).hex().encode()) for n in range(first, first + count)
    )


def document(number: int) -> bytes:
    return b'{"n": %d, "x": "%s"}' % (number, random.Random(number).randbytes(60_000).hex().encode())


def numbers(db: Redis) -> list[int]:
    """The numbers of all tasks in the queue."""
    return sorted(int(payload.split(b",")[0].split(b": ")[1]) for payload in payloads(db, "q.default"))


def load(tool: Tool, *arguments: str) -> Outcome:
    """A run as a user sees it."""
    return run("load", *arguments, "-q", "q", "--redis", tool.url, "--no-progress", cwd=tool.folder)


@pytest.fixture
def damaged(tool: Tool) -> bytes:
    """A folder with a good file before and after one that is cut off. Returns what the latter should be."""
    whole = gzip.compress(lines(100, 1000), mtime=0)
    tool.write("d/a.jsonl", lines(0, 100))
    tool.write("d/b.jsonl.gz", whole[:-2000])
    tool.write("d/c.jsonl", lines(2000, 100))
    return whole


def test_all_files_that_cannot_be_read_are_told_at_once_and_nothing_is_written(tool: Tool, db: Redis) -> None:
    tool.write("d/a.jsonl", b"1\n")
    tool.write("d/b.jsonl.gz", b"")
    tool.write("d/c.json.gz", b"text")
    os.mkfifo(tool.folder / "d/e.jsonl")
    (tool.folder / "d/f.jsonl").symlink_to("nowhere")

    done = tool.load("d", "gone.jsonl", "-q", "q")

    assert done.status == 1
    first, *listed, last = done.stderr.splitlines()
    assert first == "runqy-loader: error: 5 of 6 inputs cannot be loaded:"
    assert sorted(line.split(":")[0].strip() for line in listed) == [
        *("d/b.jsonl.gz", "d/c.json.gz", "d/e.jsonl", "d/f.jsonl", "gone.jsonl")
    ]
    assert last == "Correct these inputs, or leave them out; --skip-bad-files loads the rest"
    assert db.keys("*") == []


def test_the_rest_is_loaded_and_what_is_skipped_is_told(tool: Tool, db: Redis) -> None:
    tool.write("d/a.jsonl", b"1\n")
    tool.write("d/b.jsonl.gz", b"")

    done = load(tool, "d", "gone.jsonl", "--skip-bad-files", "--report", "report.json")

    assert done.status == 3
    assert payloads(db, "q.default") == [b"1"]
    said = done.stderr.splitlines()
    assert "runqy-loader: going on without 2 of 3 inputs, which cannot be loaded" in said
    assert "  files skipped              2  (--skip-bad-files)" in said
    assert "    d/b.jsonl.gz: is empty, which no gzip file is" in said
    assert "    gone.jsonl: no such file or directory" in said
    assert "when a skipped file is repaired, load it alone: the other files are loaded" in said
    report = Path(tool.folder, "report.json").read_text()
    assert '"skipped_files": [' in report and '"gone.jsonl"' in report


def test_a_mended_file_is_loaded_alone(tool: Tool, db: Redis) -> None:
    tool.write("d/a.jsonl", lines(0, 10))
    tool.write("d/b.jsonl.gz", gzip.compress(lines(10, 10))[:-1])
    first = tool.load("d", "-q", "q", "--skip-bad-files")
    again = tool.load("d", "-q", "q", "--skip-bad-files")

    tool.write("d/b.jsonl.gz", gzip.compress(lines(10, 10)))
    mended = tool.load("d/b.jsonl.gz", "-q", "q")

    assert (first.status, again.status, mended.status) == (3, 3, 0)
    assert again.report["job"] == first.report["job"]
    assert (counts(first)[1], counts(again)[2], counts(mended)[1]) == (10, 10, 10)
    assert numbers(db) == list(range(20))


@pytest.mark.parametrize("processes", [1, 2])
def test_a_file_that_is_cut_ends_the_load_and_the_same_job_goes_on_without_the_rest_of_it(
    tool: Tool, db: Redis, damaged: bytes, processes: int
) -> None:
    arguments = ("d", "-q", "q", "-b", "100", "-p", str(processes))

    first = tool.load(*arguments)
    second = tool.load(*arguments, "--skip-bad-files")
    third = tool.load(*arguments, "--skip-bad-files")

    assert_error(first, 1, "d/b.jsonl.gz", "truncated", "--skip-bad-files goes on with the other files")
    assert (second.status, third.status) == (3, 3)
    assert first.report["job"] == second.report["job"] == third.report["job"]
    for done in (second, third):
        (skipped,) = done.report["skipped_files"]
        assert (skipped["name"], skipped["lines"]) == ("d/b.jsonl.gz", 900)
        assert skipped["reason"] == "ends in the middle of its gzip stream"
    assert counts(third)[1:3] == (0, 1100)
    assert numbers(db) == [*range(1000), *range(2000, 2100)]


def test_the_rest_of_a_mended_file_is_loaded_as_the_closing_lines_say(tool: Tool, db: Redis, damaged: bytes) -> None:
    done = load(tool, "d", "-b", "100", "--skip-bad-files")
    tool.write("d/b.jsonl.gz", damaged)
    rest = b"".join(gzip.decompress(damaged).splitlines(keepends=True)[900:])  # tail -n +901
    loaded = tool.load("-", "-q", "q", "--job", "rest", stdin=rest)

    said = done.stderr.splitlines()
    assert "    d/b.jsonl.gz: ends in the middle of its gzip stream (after 900 lines)" in said
    assert "of one damaged after N lines, load only the rest: gzip -dc FILE | tail -n +$((N+1))" in said
    assert loaded.status == 0
    assert numbers(db) == [*range(1100), *range(2000, 2100)]


def test_the_rest_of_mended_csv_is_loaded_by_its_records(tool: Tool, db: Redis) -> None:
    rows = b"n,x\n" + b"".join(b'%d,"%s\n"\n' % (n, random.Random(n).randbytes(30).hex().encode()) for n in range(2000))
    packed = gzip.compress(rows)
    tool.write("t.csv.gz", packed[: len(packed) * 7 // 10])
    done = load(tool, "t.csv.gz", "-b", "100", "--skip-bad-files", "--report", "r.json")
    report = json.loads((tool.folder / "r.json").read_bytes())
    (skipped,) = report["skipped_files"]
    assert (done.status, report["loaded"]) == (3, skipped["lines"])
    assert f"(after {skipped['lines']:,} records)" in done.stderr
    assert "tail -n" not in done.stderr

    tool.write("t.csv.gz", packed)
    rest = tool.load("t.csv.gz", "-q", "q", "--offset", str(skipped["lines"]), "--job", "rest")

    assert rest.status == 0, rest.stderr
    assert sorted(json.loads(one)["n"] for one in payloads(db, "q.default")) == sorted(map(str, range(2000)))


@pytest.mark.parametrize("processes", [1, 2])
def test_damaged_documents_are_left_out_of_their_batch(tool: Tool, db: Redis, processes: int) -> None:
    for number in range(30):
        whole = gzip.compress(document(number), mtime=0)
        tool.write(f"d/{number:02}.json.gz", whole[:-9] if number % 7 == 3 else whole)
    arguments = ("d", "-q", "q", "-b", "10", "-p", str(processes))
    good = [number for number in range(30) if number % 7 != 3]

    first = tool.load(*arguments)
    second = tool.load(*arguments, "--skip-bad-files")
    third = tool.load(*arguments, "--skip-bad-files")

    assert_error(first, 1, "d/03.json.gz", "truncated", "--skip-bad-files goes on with the other files")
    assert (second.status, third.status, third.report["already_loaded"]) == (3, 3, len(good))
    assert sorted(skipped["name"] for skipped in second.report["skipped_files"]) == [
        *("d/03.json.gz", "d/10.json.gz", "d/17.json.gz", "d/24.json.gz")
    ]
    assert numbers(db) == good


def test_each_process_tells_the_files_that_it_skips(
    tool: Tool, db: Redis, damaged: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "SHARD_BYTES", 1)
    tool.write("d/e.jsonl.gz", gzip.compress(lines(3000, 1000), mtime=0)[:-2000])

    report = asyncio.run(
        loader.load(str(tool.folder / "d"), queue="q", redis=tool.url, processes=2, batch_size=100, skip_bad_files=True)
    )

    assert (report.status, report.exit_status) == ("completed", 3)
    assert sorted((Path(file.name).name, file.lines) for file in report.skipped_files) == [
        *[("b.jsonl.gz", 900), ("e.jsonl.gz", 900)]
    ]
    assert numbers(db) == [*range(1000), *range(2000, 2100), *range(3000, 3900)]


def test_a_dry_run_finds_damaged_files_too(tool: Tool, db: Redis, damaged: bytes) -> None:
    done = load(tool, "d", "-b", "100", "--dry-run", "--skip-bad-files")

    assert done.status == 3
    assert "    d/b.jsonl.gz: ends in the middle of its gzip stream (after 900 lines)" in done.stderr
    assert "mended" not in done.stderr
    assert db.keys("*") == []


def test_a_file_that_changes_is_not_skipped(tool: Tool, db: Redis, damaged: bytes) -> None:
    tool.load("d", "-q", "q", "--job", "j", "--skip-bad-files")
    tool.write("d/b.jsonl.gz", damaged)

    assert_error(tool.load("d", "-q", "q", "--job", "j", "--skip-bad-files"), 1, "job j", "d/b.jsonl.gz")


def test_doctor_estimates_without_bad_files_if_they_are_skipped(tool: Tool, damaged: bytes) -> None:
    tool.write("d/e.jsonl.gz", b"")
    refused = run("doctor", "d", "-q", "q", "--redis", tool.url, cwd=tool.folder)
    skipping = run("doctor", "d", "-q", "q", "--redis", tool.url, "--skip-bad-files", cwd=tool.folder)

    assert refused.status == 1 and "d/e.jsonl.gz" in refused.stdout + refused.stderr
    assert skipping.status == 0, skipping


def test_a_file_alone_that_is_cut_is_not_to_be_skipped(tool: Tool, db: Redis, damaged: bytes) -> None:
    done = tool.load("d/b.jsonl.gz", "-q", "q")

    assert_error(done, 1, "d/b.jsonl.gz", "truncated")
    assert "--skip-bad-files" not in done.stderr


def test_names_with_line_feeds_stay_on_their_line(tool: Tool, db: Redis) -> None:
    tool.write("d/a\nb.jsonl", b"1\nbad\n")
    tool.write("d/c\nd.json.gz", b"text")

    done = load(tool, "d", "--skip-bad-files", "--report", "report.json")

    assert done.status == 3
    assert "    d/c\\nd.json.gz: is not a gzip file" in done.stderr.splitlines()
    report = json.loads(Path(tool.folder, "report.json").read_text())
    assert report["sources"][0]["name"] == "d/a\\nb.jsonl"
    assert payloads(db, "q.default") == [b"1"]

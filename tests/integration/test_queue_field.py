"""``--queue-field`` beside ``--queue``: fallbacks are counted, and a field that no record has is an error."""

from __future__ import annotations

import asyncio
import gzip
import random
from collections.abc import AsyncIterator

import pytest

import runqy_loader
from tests.cli import run
from tests.integration.tool import Redis, Tool, assert_error, assert_fine, piped

WITHOUT = b'{"n":1}\n'
WITH = b'{"model":"big"}\n'
LOAD = ("--queue-field", "model", "-q", "rest")


def test_fallbacks_are_counted_in_the_summary_and_the_report(tool: Tool, db: Redis) -> None:
    tool.write("a.jsonl", WITHOUT * 3 + WITH)
    tool.write("b.jsonl", b"5\n" + WITH)

    shown = run("load", "a.jsonl", "b.jsonl", *LOAD, "--redis", tool.url, cwd=tool.folder)
    again = tool.load("a.jsonl", "b.jsonl", *LOAD)

    assert shown.status == 0, shown.stderr
    (line,) = [line for line in shown.stderr.splitlines() if "without field" in line]
    assert line.split() == ["without", "field", "4", "'model':", "into", "rest.default"]
    assert again.report["queue_fallbacks"] == 4
    assert [source["queue_fallbacks"] for source in again.report["sources"]] == [3, 1]
    assert (db.llen("asynq:rest.default:pending"), db.llen("asynq:big.default:pending")) == (4, 2)


def test_without_a_fallback_none_is_told(tool: Tool) -> None:
    tool.write("a.jsonl", WITH)
    done = run("load", "a.jsonl", *LOAD, "--redis", tool.url, cwd=tool.folder)
    assert done.status == 0
    assert "without field" not in done.stderr


@pytest.mark.parametrize("more", [(), ("-b", "7"), ("--dry-run",), ("-p", "2")], ids=" ".join)
@pytest.mark.parametrize(
    ("count", "told"), [(3, "no record has this field"), (2500, "none of the first 1,000 records has this field")]
)
def test_a_field_that_no_record_has_is_an_error_before_the_first_task(
    tool: Tool, db: Redis, count: int, told: str, more: tuple[str, ...]
) -> None:
    tool.write("a.jsonl", WITHOUT * (count // 2))
    tool.write("b.jsonl", WITHOUT * (count - count // 2))

    done = run("load", "a.jsonl", "b.jsonl", *LOAD, *more, "--redis", tool.url, "--quiet", cwd=tool.folder)

    assert_error(done, 2, f"--queue-field 'model': {told}. Correct its name, or give only --queue to load all records")
    assert db.dbsize() == 0


def test_it_is_enough_that_one_of_the_first_records_has_the_field(tool: Tool) -> None:
    tool.write("a.jsonl", WITHOUT * 10)
    tool.write("b.jsonl", WITHOUT * 500 + WITH)
    done = tool.load("a.jsonl", "b.jsonl", *LOAD, "-b", "3")
    assert (done.status, done.report["queue_fallbacks"]) == (0, 510), done.stderr


def test_the_records_that_are_loaded_are_judged_not_those_that_are_left_out(tool: Tool, db: Redis) -> None:
    tool.write("a.jsonl", b'{"n":1,"model":"big"}\n' * 2000 + b'{"n":2}\n' * 2000)
    arguments = ("load", "a.jsonl", *LOAD, "--redis", tool.url)

    without = run(*arguments, "--where", "n == `2`", cwd=tool.folder)
    assert_error(without, 2, "--queue-field 'model': none of the first 1,000 records has this field")
    assert db.dbsize() == 0

    tool.write("a.jsonl", WITHOUT * 2000 + b'{"n":3,"model":"big"}\n')
    assert run(*arguments, "--where", "n == `3`", cwd=tool.folder).status == 0
    assert (db.llen("asynq:rest.default:pending"), db.llen("asynq:big.default:pending")) == (0, 1)


def test_only_the_first_bytes_are_searched_for_records_that_a_filter_keeps(tool: Tool) -> None:
    tool.write("a.jsonl", b'{"n":1}\n' + b'{"n":0,"x":"%b"}\n' % (b"x" * 20_000) * 900 + b'{"n":1}\n')
    done = tool.load("a.jsonl", *LOAD, "--where", "n == `1`")
    assert (done.status, done.report["loaded"], done.report["queue_fallbacks"]) == (0, 2, 2), done.stderr


@pytest.mark.parametrize("count", [3, 2500])
def test_a_pipe_is_judged_before_its_first_task_too(tool: Tool, db: Redis, count: int) -> None:
    done = piped(tool, [WITHOUT * count], "-", *LOAD)

    assert done.status == 2, done.stderr
    assert "--queue-field 'model'" in done.stderr
    assert db.llen("asynq:rest.default:pending") == 0


def test_a_pipe_in_which_one_record_has_the_field_is_loaded(tool: Tool) -> None:
    done = piped(tool, [WITHOUT * 5 + WITH + WITHOUT * 3000], "-", *LOAD)
    assert (done.status, done.report["queue_fallbacks"]) == (0, 3005), done.stderr


def test_from_python_the_error_names_the_parameter(tool: Tool) -> None:
    async def records() -> AsyncIterator[dict[str, int]]:
        for n in range(3):
            yield {"n": n}

    with pytest.raises(runqy_loader.UsageError, match="queue_field='model': no record has this field"):
        asyncio.run(runqy_loader.load(records(), queue="rest", queue_field="model", redis=tool.url))


@pytest.mark.parametrize("skip", [(), ("--skip-bad-files",)], ids=["", "skipped"])
def test_a_damaged_file_is_told_or_skipped_by_the_load_itself(tool: Tool, skip: tuple[str, ...]) -> None:
    draw = random.Random(1)
    whole = gzip.compress(b"".join(b'{"n":"%s"}\n' % draw.randbytes(900).hex().encode() for _ in range(1500)), mtime=0)
    tool.write("a.jsonl.gz", whole[: len(whole) // 2])
    tool.write("b.jsonl", WITH * 2)

    done = tool.load("a.jsonl.gz", "b.jsonl", *LOAD, *skip)

    if skip:
        assert done.status == 3, done.stderr
        assert [file["name"] for file in done.report["skipped_files"]] == ["a.jsonl.gz"]
        assert done.report["loaded"] == done.report["queue_fallbacks"] + 2 > 2
    else:
        assert_error(done, 1, "a.jsonl.gz", "ends in the middle of its gzip stream", "--skip-bad-files")


def test_a_pipe_that_ended_too_early_is_judged_by_its_real_end_the_next_time(tool: Tool, db: Redis) -> None:
    cut = piped(tool, [WITHOUT * 2], "-", *LOAD, "--job", "j")
    whole = piped(tool, [WITHOUT * 2 + WITH], "-", *LOAD, "--job", "j")

    assert (cut.status, "no record has this field" in cut.stderr) == (2, True)
    assert whole.status == 0, whole.stderr
    assert (db.llen("asynq:rest.default:pending"), db.llen("asynq:big.default:pending")) == (2, 1)


@pytest.mark.parametrize("end", [b"", b'{"n":'], ids=["whole", "cut off"])
def test_a_pipe_without_the_field_is_refused_with_any_end(tool: Tool, end: bytes) -> None:
    done = piped(tool, [WITHOUT * 5 + end], "-", *LOAD, "-b", "3")
    assert (done.status, "--queue-field 'model': no record has this field" in done.stderr) == (2, True)


PIPE = ("-", "--queue-field", "model", "--job", "j", "-b", "10", "-w", "1")
ROUTED = [b'{"n":%d,"model":"%b"}\n' % (n, b"gb" if 10 <= n < 20 else b"ga") for n in range(30)]


@pytest.mark.parametrize(
    "lines",
    [
        [line.replace(b'"gb"', b'"ga"') for line in ROUTED],
        [line.replace(b'"gb"', b'"gc"') for line in ROUTED],
        [line for line in ROUTED if b'"gb"' not in line],
        [line.replace(b'"gb"', b"{}") for line in ROUTED],
    ],
    ids=["to a known queue", "to a new queue", "to none", "to no queue"],
)
def test_records_of_a_pipe_that_have_left_their_queue_are_told(tool: Tool, db: Redis, lines: list[bytes]) -> None:
    assert_fine(tool.load(*PIPE, stdin=b"".join(ROUTED)))

    done = tool.load(*PIPE, "--max-errors", "none", stdin=b"".join(lines))

    assert_error(done, 1, "-:11 (byte 2", "the 10 records from here on are not the ones that job j has loaded")
    assert [db.llen(f"asynq:{queue}.default:pending") for queue in ("ga", "gb", "gc")] == [20, 10, 0]


def test_a_pipe_that_was_cut_off_goes_on(tool: Tool, db: Redis) -> None:
    whole = b"".join(ROUTED)
    cut = whole[: len(b"".join(ROUTED[:15])) + 5]
    first, again, rest = (tool.load(*PIPE, stdin=content) for content in (cut, cut, whole))

    assert (first.status, again.status) == (3, 3), again.stderr
    assert (again.report["loaded"], again.report["already_loaded"]) == (0, 15)
    assert_fine(rest)
    shorter = tool.load(*PIPE, stdin=whole[: len(b"".join(ROUTED[:10])) + 5])  # has nothing that was another record
    assert (shorter.status, shorter.report["already_loaded"], shorter.report["rejected"]) == (3, 10, 1), shorter.stderr
    assert [db.llen(f"asynq:{queue}.default:pending") for queue in ("ga", "gb")] == [20, 10]

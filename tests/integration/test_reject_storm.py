"""A load whose first records are mostly bad, as a user meets it: nothing is written, and the screen says why."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

import loader
from tests.cli import Outcome, run
from tests.integration.tool import NOWHERE, Redis, Tool, assert_error, assert_fine, counts, rejects
from tests.runqy_api import KEY, RunqyApi

PENDING = "asynq:q.default:pending"


def documents(count: int) -> list[dict[str, object]]:
    return [{"id": number, "name": f"né{number}", "tags": ["a", "b"]} for number in range(count)]


def pretty(count: int) -> str:
    return "\n".join(json.dumps(document, indent=2) for document in documents(count))


WRONG_INPUTS = {
    "pretty-printed": (pretty(300).encode(), "jq -c"),
    "python": ("\n".join(map(repr, documents(300))).encode(), "json.dumps"),
    "latin-1": (
        "\n".join(json.dumps(one, ensure_ascii=False) for one in documents(300)).encode("latin-1"),
        "iconv -f ISO-8859-1",
    ),
    "utf-16": ("\n".join(map(json.dumps, documents(300))).encode("utf-16-le"), "iconv -f UTF-16"),
    "csv": (b"id;name\n" + b"".join(b"%d;x\n" % n for n in range(300)), "--dry-run finds all bad records"),
    "nul": (b"\0" * 100 + b"\n" + (b"\0" * 50 + b"\n") * 300, "hole in the file"),
}


def assert_no_trace(tool: Tool, db: Redis, done: Outcome) -> None:
    """No task, no key of a job, no rejects file."""
    assert db.keys("*") == []
    assert list(tool.folder.glob("*.rejects.jsonl")) == []
    assert counts(done)[1] == 0
    assert done.report["rejects_file"] is None
    assert done.report["error_code"] == "reject_storm"


@pytest.mark.parametrize("kind", WRONG_INPUTS)
@pytest.mark.parametrize("way", ["file", "stdin", "named"])
def test_an_input_of_another_kind_is_stopped_before_anything_is_written(
    tool: Tool, db: Redis, kind: str, way: str
) -> None:
    content, hint = WRONG_INPUTS[kind]
    tool.write("in.jsonl", content)
    given = {"file": ("in.jsonl",), "stdin": ("-",), "named": ("in.jsonl", "--job", "j", "--layout", "asynq")}[way]

    done = tool.load(*given, "-q", "q", "--force-format", stdin=content if way == "stdin" else None)

    assert_error(done, 1, "nothing was loaded", "records are bad", hint)
    assert_no_trace(tool, db, done)
    assert done.report["rejected"] == sum(example["count"] for example in done.report["rejected_examples"]) > 100


def test_the_screen_shows_the_most_frequent_reasons_with_examples(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", pretty(300) + "\n\x1b[31mred\x07" + "x" * 500)

    done = run(
        *("load", "in.jsonl", "-q", "q", "--force-format", "--redis", tool.url, "--no-progress"), cwd=tool.folder
    )

    lines = done.stderr.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("  rejected"))
    assert lines[at].endswith("(no rejects file was written)")
    shown = "\n".join(lines[at + 1 : -1])
    assert shown.count(" like in.jsonl:") == 3
    assert "in.jsonl:1: the record ends, but an object does not" in shown.replace("\n        ", " ")
    assert all(len(line) <= 80 and line.isprintable() for line in lines[at:-1])
    assert "go on with" not in done.stderr
    assert lines[-1].startswith("runqy-loader: error: nothing was loaded: ")


def test_max_errors_none_loads_what_is_good(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b"bad\n" * 1500 + b"1\n" * 10)

    done = tool.load("in.jsonl", "-q", "q", "--max-errors", "none")

    assert_fine(done, 3)
    assert counts(done) == (1510, 10, 0, 1500)
    assert db.llen(PENDING) == 10
    assert len(rejects(tool, done)) == 1500


def test_a_corrected_input_is_loaded_after_a_storm_under_the_same_job(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b"bad\n" * 100)
    assert_error(tool.load("in.jsonl", "-q", "q", "--job", "j"), 1, "all 100 records are bad")
    tool.write("in.jsonl", b"1\n" * 100)

    done = tool.load("in.jsonl", "-q", "q", "--job", "j")

    assert_fine(done)
    assert (counts(done), done.report["resumed"]) == ((100, 100, 0, 0), False)


def test_a_resumed_job_keeps_its_record(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b"1\n" * 10 + b"bad\n" * 3000)
    stopped = tool.load("in.jsonl", "-q", "q", "--job", "j", "-b", "10", "--max-errors", "0")
    assert_error(stopped, 1, "--max-errors 0")
    assert counts(stopped)[1] == 10

    done = tool.load("in.jsonl", "-q", "q", "--job", "j", "-b", "10")

    assert done.status == 1
    assert db.exists("runqy-loader:{j}:job")
    assert db.llen(PENDING) == 10


def big(tool: Tool, bad: str, name: str = "in.jsonl") -> None:
    """An input of several shards of 16 MiB. ``bad``: where the bad records are."""
    filler = b'{"n":1,"pad":"%b"}\n' % (b"x" * 6000)
    with (tool.folder / name).open("wb") as file:
        for number in range(9000):
            wrong = {"first": number < 3000, "last": number >= 6000, "tenth": number % 10 == 0}[bad]
            file.write(b"oops\n" + filler if wrong and bad == "tenth" else b"oops\n" if wrong else filler)


@pytest.mark.slow
def test_of_several_processes_none_loads_before_the_first_records_are_judged(tool: Tool, db: Redis) -> None:
    big(tool, "first")

    done = tool.load("in.jsonl", "-q", "q", "-p", "3")

    assert_error(done, 1, "nothing was loaded: all of the first 1,000 records are bad", "in.jsonl:1")
    assert_no_trace(tool, db, done)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [(), ("--max-errors", "20%"), ("--max-errors", "none")], ids=str)
def test_several_processes_load_an_input_with_some_bad_records(tool: Tool, db: Redis, limit: tuple[str, ...]) -> None:
    big(tool, "tenth")

    done = tool.load("in.jsonl", "-q", "q", "-p", "3", *limit)

    assert_fine(done, 3)
    assert counts(done) == (9900, 9000, 0, 900)
    assert db.llen(PENDING) == 9000
    (example,) = done.report["rejected_examples"]
    assert (example["code"], example["count"], example["record"]) == ("invalid_json", 900, "oops")


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["1", "3"])
def test_a_share_is_judged_over_all_records_too(tool: Tool, db: Redis, processes: str) -> None:
    big(tool, "last")

    done = tool.load("in.jsonl", "-q", "q", "-p", processes, "--max-errors", "10%", "--job", "j")

    assert_error(done, 1, "more than --max-errors 10%")
    assert done.report["error_code"] == "too_many_rejects"
    assert db.llen(PENDING) == counts(done)[1] > 1000
    assert db.exists("runqy-loader:{j}:job")


@pytest.mark.parametrize(("limit", "status"), [("33%", 1), ("34%", 3)])
def test_a_share_applies_to_small_loads_before_anything_is_written(
    tool: Tool, db: Redis, limit: str, status: int
) -> None:
    tool.write("in.jsonl", b"1\nbad\n2\n")

    done = tool.load("in.jsonl", "-q", "q", "--max-errors", limit)

    assert done.status == status
    assert db.llen(PENDING) == (2 if status == 3 else 0)


def test_a_few_bad_records_of_a_few_are_set_aside(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b"1\nbad\nworse\n")

    done = tool.load("in.jsonl", "-q", "q")

    assert_fine(done, 3)
    assert counts(done) == (3, 1, 0, 2)
    assert len(rejects(tool, done)) == 2


def test_conflicts_count_for_a_share_but_not_for_the_first_records(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b"".join(b'{"id":"%d"}\n' % (n % 10) for n in range(100)))
    arguments = ("in.jsonl", "-q", "q", "--id-field", "id")

    done = tool.load(*arguments)
    again = tool.load(*arguments, "--max-errors", "50%", "--job", "other", "--again")

    assert_fine(done, 3)
    assert counts(done) == (100, 10, 0, 90)
    assert_error(again, 1, "100 of 100 records rejected, more than --max-errors 50%")


def test_a_dry_run_finds_all_bad_records_and_says_that_a_load_would_stop(tool: Tool) -> None:
    tool.write("in.jsonl", b"bad\n" * 3000 + b"1\n" * 10)
    arguments = (
        "load",
        "in.jsonl",
        "-q",
        "q",
        "--redis",
        NOWHERE,
        "--no-progress",
        "--dry-run",
        "--rejects",
        "r.jsonl",
    )

    done = run(*arguments, cwd=tool.folder)

    assert done.status == 3
    assert "without --dry-run, this load would stop: all of the first 1,000 records are bad" in done.stderr
    assert "      in.jsonl:1: 'b' where a value should begin (column 1)\n        bad\n" in done.stderr
    assert len((tool.folder / "r.jsonl").read_bytes().splitlines()) == 3000


@pytest.mark.parametrize(
    ("limit", "told"), [("1", "more than --max-errors 1 record rejected"), ("5%", "--max-errors 5%")]
)
def test_a_limit_that_is_given_stops_a_dry_run(tool: Tool, limit: str, told: str) -> None:
    tool.write("in.jsonl", b"bad\n" * 3000)
    assert_error(tool.load("in.jsonl", "-q", "q", "--dry-run", "--max-errors", limit, url=NOWHERE), 1, told)


@pytest.mark.parametrize("max_errors", ["none", 100, "100", "60%"])
def test_the_python_api_takes_the_same_limits(tool: Tool, db: Redis, max_errors: int | str) -> None:
    payloads = [b"bad"] * 55 + [b"1"] * 45
    report = asyncio.run(
        loader.load(payloads, queue="q", redis=tool.url, max_errors=max_errors, rejects=tool.folder / "r")
    )
    assert (report.loaded, report.rejected) == (45, 55)


def test_the_python_api_raises_for_a_storm(tool: Tool, db: Redis) -> None:
    payloads = [b"bad"] * 55 + [b"1"] * 45
    with pytest.raises(loader.RejectStormError, match="55 of 100 records are bad") as caught:
        asyncio.run(loader.load(payloads, queue="q", redis=tool.url))
    assert isinstance(caught.value, loader.TooManyRejectsError)
    assert db.keys("*") == []


@pytest.mark.parametrize("way", ["variable", "file", "number in the file"])
def test_the_limit_may_stand_in_the_environment_and_in_the_file(tool: Tool, way: str) -> None:
    tool.write("in.jsonl", b"1\nbad\n2\n")
    value = {"variable": "", "file": '"10%"', "number in the file": "0"}[way]
    tool.write("c.toml", f"[load]\nmax-errors = {value}\n" if value else "")
    env = {"RUNQY_LOADER_MAX_ERRORS": "10%"} if way == "variable" else {}

    done = tool.load("in.jsonl", "-q", "q", "--config", "c.toml", env=env)

    assert_error(done, 1, "--max-errors 0" if "number" in way else "--max-errors 10%")


def test_over_http_no_journal_is_left(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(b"bad\n" * 100)
    with RunqyApi("q.default") as api:
        done = run("load", "in.jsonl", "-q", "q", "--to", api.url, "--report", "-", "--quiet", cwd=tmp_path,
                   env={"RUNQY_API_KEY": KEY})  # fmt: skip
        assert_error(done, 1, "all 100 records are bad")
        assert api.bodies == []
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


# --- valid JSON that consumers do not read alike -------------------------------------------------------------------

PLAIN = b'{"id":"d","to":"q"}'
UNUSUAL = [rb'{"id":"a","s":"\ud800"}', rb'{"id":"b","n":-1e999}', b'{"id":"c","n":' + b"[" * 1100 + b"]" * 1100 + b"}"]


@pytest.mark.parametrize("options", [(), ("--id-field", "id"), ("--queue-field", "to"), ("--envelope",)], ids=str)
def test_such_records_are_rejected_or_loaded_byte_for_byte_whatever_reads_them(
    tool: Tool, db: Redis, options: tuple[str, ...]
) -> None:
    lines = [b'{"payload":%b}' % line if "--envelope" in options else line for line in [*UNUSUAL, PLAIN]]
    tool.write("in.jsonl", b"\n".join(lines))

    refused = tool.load("in.jsonl", "-q", "q", *options, "--job", "refused")
    db.flushall()
    taken = tool.load("in.jsonl", "-q", "q", *options, "--accept-any-json", "--job", "taken")

    assert_fine(refused, 3)
    assert refused.report["rejected_by_code"] == {"not_portable": 3}
    assert [reject["reason"].startswith("valid JSON, but ") for reject in rejects(tool, refused)] == [True] * 3
    assert_fine(taken)
    stored = {db.hget(key, "payload") for key in db.scan_iter("asynq:t:*")}
    assert stored == {*UNUSUAL, PLAIN}


def test_with_that_option_what_is_not_json_is_rejected_still(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b'NaN\n{"a":Infinity}\n"\xff"\n{"s":"\\ud800",}\n01\n"\\ud800"\n')

    done = tool.load("in.jsonl", "-q", "q", "--accept-any-json")

    assert_fine(done, 3)
    assert counts(done) == (6, 1, 0, 5)


def test_an_id_with_a_lone_surrogate_is_no_id(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", rb'{"id":"\ud800"}' + b"\n" + rb'{"id":1e400}' + b'\n{"id":"a"}\n')

    done = tool.load("in.jsonl", "-q", "q", "--id-field", "id", "--accept-any-json")

    assert_fine(done, 3)
    assert done.report["rejected_by_code"] == {"bad_id": 2}


def test_a_finished_job_of_mostly_bad_records_is_finished_when_it_is_run_again(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b"1\n" * 10 + b"bad\n" * 2000)
    assert_fine(tool.load("in.jsonl", "-q", "q", "-b", "100", "--max-errors", "none"), 3)

    again = tool.load("in.jsonl", "-q", "q", "-b", "100")

    assert_fine(again, 3)
    assert counts(again) == (2010, 0, 10, 2000)


def test_a_resume_needs_the_same_setting(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b'1\n"\\ud800"\n')
    assert_fine(tool.load("in.jsonl", "-q", "q", "--job", "a"), 3)
    assert_fine(tool.load("in.jsonl", "-q", "q", "--job", "b", "--again", "--accept-any-json"))

    assert_error(tool.load("in.jsonl", "-q", "q", "--job", "a", "--accept-any-json"), 1, "without --accept-any-json")
    assert_error(tool.load("in.jsonl", "-q", "q", "--job", "b"), 1, "--accept-any-json")

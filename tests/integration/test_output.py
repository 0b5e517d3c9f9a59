"""Dry run, report, closing lines, exit status and help."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import loader
from tests.cli import Outcome, command, environment, run
from tests.integration.tool import (
    NOWHERE,
    QUEUES,
    Redis,
    Tool,
    assert_error,
    assert_fine,
    counts,
    rejects,
)


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


def test_a_report_that_turns_out_to_be_unwritable_is_an_error_after_the_load(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b"1\n")

    done = run("load", "in.jsonl", "-q", "q", "--redis", tool.url, "--quiet", "--report", "/dev/full", cwd=tool.folder)

    assert_error(done, 1, "--report /dev/full cannot be written: No space left on device")
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
    assert any(
        line.startswith("go on with another --max-errors: runqy-loader load in.jsonl") and "--job" in line
        for line in before
    )


@pytest.mark.parametrize(("typed", "meant"), [("exprot", "export"), ("laod", "load"), ("doctr", "doctor")])
def test_a_misspelt_command_gets_a_suggestion(tmp_path: Path, typed: str, meant: str) -> None:
    assert_error(run(typed, "in.jsonl", cwd=tmp_path), 2, f"No such command '{typed}'. Did you mean '{meant}'?")


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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    "arguments", [("--help",), ("load", "--help"), ("--version",), ("inspect", "--json")], ids=" ".join
)
def test_output_onto_a_full_disk_is_told_as_such(tool: Tool, arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command(*arguments),
            env=environment(REDIS_URL=tool.url),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr == (
        "runqy-loader: error: the output cannot be written: No space left on device. Make room, or send it elsewhere.\n"
    )


def test_debug_shows_where_an_error_arose(tool: Tool) -> None:
    done = tool.load("missing.jsonl", "-q", "q", "--debug")

    assert done.status == 1
    *trace, last = done.stderr.splitlines()
    assert trace[0].startswith("Traceback")
    assert last.startswith("runqy-loader: error: missing.jsonl")


def test_a_load_that_failed_says_so_although_its_report_cannot_be_written(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b"1\n")
    db.set("asynq:q.default:pending", "no list")

    given = ("load", "in.jsonl", "-q", "q", "--redis", tool.url, "--no-progress", "--report", "/dev/full")
    done = run(*given, cwd=tool.folder)

    assert done.status == 1
    assert "--report /dev/full cannot be written" in done.stderr
    assert "go on with: runqy-loader load" in done.stderr
    assert "asynq:q.default:pending" in done.stderr.splitlines()[-1]


def test_a_dry_run_shows_bad_records(tool: Tool) -> None:
    tool.write("in.jsonl", b"1\nbad\n3\n")

    done = run("load", "in.jsonl", "-q", "q", "--dry-run", "--no-progress", cwd=tool.folder)

    assert done.status == 3
    assert "in.jsonl:2: 'b' where a value should begin (column 1)" in done.stderr


def test_a_load_that_fails_before_it_reads_anything_ends_with_its_error_alone(tool: Tool) -> None:
    tool.write("in.jsonl", b"1\n")

    done = run("load", "in.jsonl", "-q", "q", "--redis", NOWHERE, cwd=tool.folder)

    assert done.status == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("runqy-loader: error: ")


@pytest.mark.parametrize(
    ("arguments", "last"),
    [
        (("--redis", "embedded"), "the embedded server's data went with it; --embedded-dir DIR keeps it"),
        (
            ("--redis", "embedded", "--embedded-dir", "data", "--job", "j"),
            "job j loads nothing twice if it is run again",
        ),
        (("--redis", "discard"), "nothing was written: --redis discard drops the encoded tasks"),
        (("--dry-run",), "records read"),
    ],
    ids=["embedded", "embedded, kept", "discard", "dry run"],
)
def test_the_last_line_promises_only_what_holds(tool: Tool, arguments: tuple[str, ...], last: str) -> None:
    tool.write("in.jsonl", b"1\n")

    done = run("load", "in.jsonl", "-q", "q", *arguments, cwd=tool.folder)

    assert done.status == 0, done.stderr
    assert last in done.stderr.splitlines()[-1]

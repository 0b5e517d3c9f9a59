"""``generate``, and loads of generated records: like loads of the same records from a file."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import runqy_loader
from loader.errors import SourceChangedError
from loader.sources.generated.source import GeneratedSource
from loader.sources.generated.wanted import GeneratedRecords
from tests.cli import Outcome, command, environment, run
from tests.integration.stored import until
from tests.integration.tool import NOWHERE, Redis, Tool, assert_error, assert_fine, counts, payloads, rejects

TEMPLATE = '{"id": "{{ sequence }}", "prompt": "{{ text(uniform(20, 40)) }}", "seed": "{{ int(0, 4294967295) }}"}'
LARGE = '{"id": "{{ sequence }}", "filler": "{{ hex(6000) }}"}'
"""Records of 6 KB: 9,000 of them are four shards."""


@pytest.fixture
def template(tool: Tool) -> str:
    tool.write("t.json", TEMPLATE)
    return "t.json"


def generate(tool: Tool, *arguments: str) -> Outcome:
    return run("generate", *arguments, cwd=tool.folder)


def lines(tool: Tool, *arguments: str) -> list[bytes]:
    """The records that ``generate`` writes."""
    done = generate(tool, *arguments, "-o", "made.jsonl", "--quiet")
    assert_fine(done)
    return (tool.folder / "made.jsonl").read_bytes().splitlines()


def test_records_go_to_a_file_or_to_standard_output(tool: Tool, template: str) -> None:
    made = lines(tool, template, "--count", "2500")
    assert [json.loads(line)["id"] for line in made] == list(range(1, 2501))
    shown = generate(tool, template, "--count", "3", "--quiet")
    assert shown.stdout.encode().splitlines() == made[:3]
    zipped = generate(tool, template, "--count", "2500", "-o", "made.jsonl.gz", "--report", "report.json")
    assert gzip.decompress((tool.folder / "made.jsonl.gz").read_bytes()).splitlines() == made
    assert "2,500" in zipped.stderr
    report = json.loads((tool.folder / "report.json").read_text())
    assert (report["count"], report["seed"], report["first"], report["status"]) == (2500, 1, 1, "completed")
    assert report["bytes_written"] == sum(len(line) + 1 for line in made)


def test_a_part_is_that_part_of_the_whole_and_another_seed_is_other_records(tool: Tool, template: str) -> None:
    whole = lines(tool, template, "--count", "3000")
    assert lines(tool, template, "--first", "1001", "--count", "1500") == whole[1000:2500]
    assert not set(lines(tool, template, "--count", "3000", "--seed", "2")) & set(whole)


def test_a_size_or_a_time_ends_with_a_count_that_makes_the_same_again(tool: Tool, template: str) -> None:
    sized = lines(tool, template, "--bytes", "300kB", "--first", "5")
    size = sum(len(line) + 1 for line in sized)
    assert size >= 300_000 > size - len(sized[-1]) - 1
    assert lines(tool, template, "--count", str(len(sized)), "--first", "5") == sized
    timed = generate(tool, template, "--duration", "0.3", "-o", "timed.jsonl", "--seed", "7")
    written = (tool.folder / "timed.jsonl").read_bytes().splitlines()
    assert f"the same again: --count {len(written)} --seed 7" in timed.stderr
    assert lines(tool, template, "--count", str(len(written)), "--seed", "7") == written


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "generate takes one template, not 0"),
        (("t.json", "u.json", "--count", "1"), "generate takes one template, not 2"),
        (("t.json",), "how many records is not given"),
        (("t.json", "--count", "1", "--bytes", "1MB"), "--count and --bytes contradict each other"),
        (("t.json", "--bytes", "1XB"), "--bytes must be a size such as 500MB"),
        (("t.json", "--bytes", "0"), "--bytes must be a size such as 500MB"),
        (("t.json", "--like", "t.json"), "--like and a template contradict each other"),
        (("--like", "t.json", "--count", "1"), "--like and --count contradict each other"),
        (("none.json", "--count", "1"), "template none.json: No such file or directory"),
        (("t.json", "--count", "1", "-o", "made.json"), "says one JSON document"),
        (("t.json", "--count", "1", "--sample", "3"), "--sample needs --like"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    tool: Tool, template: str, arguments: tuple[str, ...], words: str
) -> None:
    assert_error(generate(tool, *arguments), 2, words)


def test_a_template_from_a_sample_makes_records_like_it(tool: Tool, template: str) -> None:
    made = lines(tool, template, "--count", "500")
    learnt = generate(tool, "--like", "made.jsonl")
    assert "template from 500 records" in learnt.stderr
    assert json.loads(learnt.stdout)["id"] == "{{ sequence }}"
    tool.write("learnt.json", learnt.stdout)
    again = lines(tool, "learnt.json", "--count", "500")
    assert sum(map(len, again)) == pytest.approx(sum(map(len, made)), rel=0.03)


def test_an_interrupted_run_keeps_no_file(tool: Tool, template: str) -> None:
    with subprocess.Popen(
        command("generate", template, "--duration", "1h", "-o", "made.jsonl"),
        cwd=tool.folder,
        env=environment(),
        stderr=subprocess.PIPE,
    ) as process:
        part = tool.folder / "made.jsonl.part"
        until(lambda: part.exists() and part.stat().st_size > 0, "records are written")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert list(tool.folder.iterdir()) == [tool.folder / "t.json"]


def test_a_load_has_the_records_of_the_file(tool: Tool, db: Redis, template: str) -> None:
    done = tool.load("--generate", template, "--count", "3456", "--seed", "4", "--first", "3", "-q", "q", "-w", "1")
    assert_fine(done)
    assert counts(done) == (3456, 3456, 0, 0)
    assert payloads(db, "q.default") == lines(tool, template, "--count", "3456", "--seed", "4", "--first", "3")
    again = tool.load("--generate", template, "--count", "3456", "--seed", "4", "--first", "3", "-q", "q")
    assert counts(again) == (3456, 0, 3456, 0)
    assert again.report["job"] == done.report["job"]


@pytest.mark.parametrize(
    "options", [("--count", "200"), ("--count", "100", "--seed", "2"), ("--count", "100", "--first", "2")]
)
def test_other_records_are_another_job(tool: Tool, db: Redis, template: str, options: tuple[str, ...]) -> None:
    first = tool.load("--generate", template, "--count", "100", "-q", "q", "--job", "j")
    assert_fine(first)
    other = tool.load("--generate", template, *options, "-q", "q", "--job", "j")
    assert_error(other, 1, "job j was begun with records 1 to 100 of t.json with seed 1, not records ")
    tool.write("t.json", TEMPLATE.replace("20", "21"))
    changed = tool.load("--generate", template, "--count", "100", "-q", "q", "--job", "j")
    assert_error(changed, 1, "job j was begun with another content of template t.json, or of its files")


def test_processes_share_the_records_and_a_killed_load_goes_on(tool: Tool, db: Redis) -> None:
    tool.write("large.json", LARGE)
    arguments = ("--generate", "large.json", "--count", "9000", "-q", "q", "--job", "j")
    with subprocess.Popen(
        command("load", *arguments, "--redis", tool.url, "--quiet"), cwd=tool.folder, env=environment()
    ) as process:
        until(lambda: db.llen("asynq:q.default:pending") >= 1000, "a batch is in")
        os.kill(process.pid, signal.SIGKILL)
    killed = db.llen("asynq:q.default:pending")
    assert killed < 9000

    done = tool.load(*arguments, "--processes", "3")

    assert_fine(done)
    assert done.report["processes"] == 3
    assert done.report["already_loaded"] >= killed
    assert sorted(payloads(db, "q.default")) == sorted(lines(tool, "large.json", "--count", "9000"))


def test_a_template_that_changes_while_processes_begin_is_refused(tool: Tool) -> None:
    path = tool.write("t.json", TEMPLATE)
    sent = pickle.dumps(GeneratedSource(GeneratedRecords(path, 10)))
    path.write_text(TEMPLATE.replace("20", "21"))

    async def read() -> None:
        async for _ in pickle.loads(sent).batches(10, 1000):  # noqa: S301 - it was just made
            pass

    with pytest.raises(SourceChangedError, match="has changed since the load began"):
        asyncio.run(read())


def test_rejects_have_the_number_of_the_record(tool: Tool, template: str) -> None:
    limit = 75
    made = lines(tool, template, "--count", "3000", "--first", "11")
    long = [number for number, line in enumerate(made, 11) if len(line) > limit]
    options = ("--max-record-bytes", str(limit), "--max-errors", "none")
    done = tool.load("--generate", template, "--count", "3000", "--first", "11", "-q", "q", *options)
    found = rejects(tool, done)
    assert long and [one["line"] for one in found] == long
    assert {one["source"] for one in found} == {"t.json"}
    assert found[0]["place"] == f"record {long[0]}"


def test_preview_verify_doctor_and_shaping_work_as_for_files(tool: Tool, db: Redis, template: str) -> None:
    records = ("--generate", template, "--count", "2000", "-q", "q")
    made = lines(tool, template, "--count", "2000")
    preview = run("load", *records, "--preview", "2", "--quiet", cwd=tool.folder)
    assert [json.loads(line)["payload"] for line in preview.stdout.splitlines()] == [
        json.loads(one) for one in made[:2]
    ]
    done = tool.load(*records)
    assert_fine(done)
    verified = run("verify", *records, "--redis", tool.url, "--report", "-", "--quiet", cwd=tool.folder)
    assert (verified.status, verified.report["same"]) == (0, 2000), verified.stderr
    by_job = run("verify", done.report["job"], "--redis", tool.url, "--report", "-", "--quiet", cwd=tool.folder)
    assert by_job.status == 0, by_job.stderr
    shown = run("jobs", "show", done.report["job"], "--redis", tool.url, cwd=tool.folder)
    doctor = run("doctor", *records[:2], "--count", "50000", "-q", "new", "--redis", tool.url, cwd=tool.folder)
    assert "tasks need about" in doctor.stdout, (doctor, shown)
    pytest.importorskip("jmespath")
    shaped = tool.load(*records[:4], "-q", "odd", "-w", "1", "--where", "id < `10`", "--select", "{n: id}")
    assert_fine(shaped)
    assert payloads(db, "odd.default") == [b'{"n":%d}' % number for number in range(1, 10)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--generate", "t.json"), "--generate needs --count"),
        (("--count", "3"), "--count needs --generate"),
        (("--seed", "3"), "--seed needs --generate"),
        (("--generate", "t.json", "--count", "3", "a.jsonl"), "--generate and other input contradict each other"),
        (("--generate", "t.json", "--count", "3", "--sql", "select 1"), "--generate and --sql contradict each other"),
        (("--generate", "t.json", "--count", "3", "--format", "csv"), "--generate and --format contradict each other"),
        (("--generate", "t.json", "--count", "3", "--delimiter", ";"), "--delimiter is for "),
    ],
)
def test_options_that_contradict_are_told(tool: Tool, template: str, arguments: tuple[str, ...], words: str) -> None:
    assert_error(tool.load(*arguments, "-q", "q", url=NOWHERE), 2, words)


def test_the_command_of_an_unfinished_job_names_the_records(tool: Tool, db: Redis, template: str) -> None:
    tool.write("large.json", LARGE)
    arguments = ("--generate", "large.json", "--count", "9000", "--seed", "3", "-q", "q", "--job", "j")
    with subprocess.Popen(
        command("load", *arguments, "--redis", tool.url, "--quiet"), cwd=tool.folder, env=environment()
    ) as process:
        until(lambda: db.llen("asynq:q.default:pending") >= 1000, "a batch is in")
        os.kill(process.pid, signal.SIGKILL)
    shown = run("jobs", "show", "j", "--redis", tool.url, cwd=tool.folder)
    assert "--generate large.json --count 9000 --seed 3" in shown.stdout, shown


def test_records_are_generated_from_python(tool: Tool, db: Redis) -> None:
    path = tool.write("t.json", TEMPLATE)
    report = asyncio.run(runqy_loader.load(generate=path, count=100, queue="q", redis=tool.url))
    assert (report.loaded, report.sources[0].format) == (100, "generated")


def test_without_the_extra_only_its_placeholders_are_refused(tool: Tool, template: str, tmp_path: Path) -> None:
    hidden = "import sys; sys.modules['mimesis'] = None; from loader.__main__ import main; sys.exit(main())"

    def bare(*arguments: str) -> Any:
        return subprocess.run(
            [sys.executable, "-c", hidden, "generate", *arguments, "--count", "2"],
            cwd=tool.folder, env=environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip

    assert bare(template).returncode == 0
    tool.write("names.json", '{"n": "{{ name }}"}')
    refused = bare("names.json")
    assert refused.returncode == 2
    assert "pip install 'runqy-loader[generate]'" in refused.stderr

"""``runqy-loader compare``: reports of loads beside each other."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli import Outcome, environment, run, run_without
from tests.conftest import Server
from tests.integration.tool import assert_error
from tests.unit.reports.reports import around, report


def compare(folder: Path, *arguments: str) -> Outcome:
    return run("compare", *arguments, cwd=folder)


def write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, rate, seed in (("a", 1000, 4), ("same", 1000, 5), ("slow", 800, 6)):
        write(tmp_path / f"{name}.json", report(around(rate, 62, seed)))
    return tmp_path


def test_reports_of_real_loads_are_compared(valkey: Server, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('{"n": "{{ int(1, 6) }}"}')
    for name, rate in (("a.json", "200/s"), ("b.json.gz", "400/s")):
        done = run(
            "load", "--generate", "t.json", "--count", "400", "-q", "q", "--redis", valkey.url, "--rate", rate,
            "--series", "0.1", "--report", name, "--job", name, "--again", "--quiet", cwd=tmp_path,
        )  # fmt: skip
        assert done.status == 0, done.stderr

    shown, found = compare(tmp_path, "a.json", "b.json.gz"), compare(tmp_path, "a.json", "b.json.gz", "--json")

    assert (shown.status, shown.stderr, found.status) == (0, "", 0)
    changes = {one["name"]: one for one in json.loads(found.stdout)["changes"]}
    assert {"tasks_per_second", "p50", "p99", "p99.9", "max"} <= changes.keys()
    reports = [
        json.loads((tmp_path / "a.json").read_text()),
        json.loads(gzip.decompress((tmp_path / "b.json.gz").read_bytes())),
    ]
    assert [changes["p99"]["before"], changes["p99"]["after"]] == [one["latency"]["p99"] for one in reports]
    assert "profile of the rate: 200/s → 400/s" in shown.stdout


def test_what_is_beyond_noise_is_said_to_be(folder: Path) -> None:
    slower, equal = compare(folder, "a.json", "slow.json"), compare(folder, "a.json", "same.json")

    (line,) = [line for line in slower.stdout.splitlines() if line.startswith("tasks_per_second")]
    assert "yes, worse (-" in line
    (line,) = [line for line in equal.stdout.splitlines() if line.startswith("tasks_per_second")]
    assert " no (-" in line
    assert "what differs from run to run" in equal.stdout


def test_folders_hold_runs_of_the_same_load(folder: Path) -> None:
    for name, level in (("before", 100), ("after", 90)):
        (folder / name).mkdir()
        for number in range(5):
            write(folder / name / f"{number}.json", report([level + number]))

    done = compare(folder, "before", "after")

    assert done.status == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("tasks_per_second")]
    assert "yes, worse (p = 0.00794)" in line
    assert "means of 5 and 5 runs" in done.stdout


def test_a_condition_over_a_change_beyond_noise_is_a_status(folder: Path) -> None:
    met = compare(folder, "a.json", "slow.json", "--fail-if", "tasks_per_second<-5%", "--json")
    not_met = compare(folder, "a.json", "same.json", "--fail-if", "tasks_per_second<-0.1%")

    assert met.status == 4
    assert met.stderr.startswith("runqy-loader: --fail-if tasks_per_second<-5%: tasks_per_second changed by -")
    assert len(json.loads(met.stdout)["failed_conditions"]) == 1
    assert (not_met.status, not_met.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("a.json",), "compare needs two reports"),
        (("a.json", "same.json", "slow.json"), "compare needs two reports"),
        (("a.json", "no.json"), "no.json cannot be read: No such file or directory"),
        (("a.json", "text.json"), "text.json is not JSON"),
        (("a.json", "list.json"), "list.json is no report of a load"),
        (("a.json", "other.json"), "other.json is no report of a load"),
        (("a.json", "dry.json"), "dry.json is the report of a dry run"),
        (("a.json", "points.json"), "points.json is no report of a load: Object missing required field"),
        (
            ("a.json", "text.seconds.json"),
            "text.seconds.json is no report of a load: Expected `float`",
        ),
        (("a.json", "damaged.json.gz"), "damaged.json.gz cannot be read"),
        (("a.json", "empty"), "no report in empty"),
        (("a.json", "cut.json.gz"), "cut.json.gz cannot be read"),
        (("a.json", "same.json", "--fail-if", "p99>50ms"), "--fail-if must have one of these units for p99: %"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_no_report_is_named(folder: Path, arguments: tuple[str, ...], told: str) -> None:
    (folder / "text.json").write_text("no JSON")
    (folder / "list.json").write_text("[]")
    (folder / "other.json").write_text('{"status":"completed"}')
    write(folder / "dry.json", {**report([1]), "dry_run": True})
    (folder / "cut.json.gz").write_bytes(gzip.compress((folder / "a.json").read_bytes())[:-20])
    write(folder / "points.json", {**report([1]), "series": {"interval": 1, "queues": [], "points": [{}]}})
    write(folder / "text.seconds.json", {**report([1]), "seconds": "3"})
    whole = gzip.compress((folder / "a.json").read_bytes())
    (folder / "damaged.json.gz").write_bytes(whole[:40] + b"\\xff" * 20 + whole[60:])
    (folder / "empty").mkdir()

    assert_error(compare(folder, *arguments), 2, told)


def test_only_reports_with_latencies_need_the_extra(folder: Path) -> None:
    write(folder / "paced.json", report([50] * 5, latency_ms=5))

    plain = run_without(("hdrh",), "compare", "a.json", "slow.json", cwd=folder)
    paced = run_without(("hdrh",), "compare", "paced.json", "paced.json", cwd=folder)

    assert (plain.status, plain.stderr) == (0, "")
    assert "yes, worse" in plain.stdout
    assert_error(paced, 2, "comparing latencies (paced.json) needs the package hdrhistogram", "runqy-loader[pace]")


def test_a_narrow_terminal_shows_every_figure(folder: Path) -> None:
    shutil.copy(folder / "a.json", folder / "b.json")

    done = run("compare", "a.json", "b.json", cwd=folder, env={"COLUMNS": "60"})

    assert done.status == 0
    assert "tasks_per_second" in done.stdout


def test_memory_is_freed_while_reports_are_compared(folder: Path) -> None:
    """The tool begins without a search for garbage, which a long comparison needs."""
    ask = "import atexit, gc; atexit.register(lambda: print('gc', gc.isenabled()))"
    program = f"{ask}\nfrom loader.cli import main\nmain(['compare', 'a.json', 'same.json'])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment(), capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-1] == "gc True"

"""The counts of faults at the end of a run: of all its processes, and a failure if there are too few."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fault_counts import GOALS, Fault, lacking, summary

ROOT = Path(__file__).parents[1]
ENOUGH = {str(fault): goal for fault, goal in GOALS.items()}


def test_what_is_made_often_enough_lacks_nothing_and_one_less_is_told() -> None:
    assert lacking(ENOUGH) == []
    assert lacking({**ENOUGH, Fault.CUT: 59}) == ["59 of 60 cuts of connections"]


def test_the_summary_leaves_out_what_was_not_made() -> None:
    assert summary({Fault.CUT: 2, Fault.LOADER_KILL: 3, Fault.FULL_DISK: 0}) == "3 loader kills, 2 cuts of connections"


def test_the_documentation_promises_what_is_demanded() -> None:
    rows = re.findall(r"^\| ([^|`]+) \| (\d+) \| \d+ \|$", (ROOT / "docs/testing.md").read_text(), re.MULTILINE)
    assert {kind: int(goal) for kind, goal in rows} == ENOUGH


@pytest.mark.slow
@pytest.mark.parametrize("processes", [(), ("-n", "2")], ids=["one process", "two processes"])
def test_a_run_prints_the_faults_of_all_its_processes_and_fails_if_they_are_too_few(
    tmp_path: Path, processes: tuple[str, ...]
) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_some.py").write_text(
        "import pytest\nfrom tests.fault_counts import GOALS, count\n\n"
        "@pytest.mark.parametrize('part', range(2))\ndef test(part):\n"
        "    for fault, goal in GOALS.items():\n        count(fault, goal // 2 + part * (goal % 2))\n"
        "\ndef test_more():\n    pass\n"
    )

    def run(*more: str) -> tuple[int, str]:
        words = (
            "-p",
            "xdist",
            "-p",
            "tests.fault_summary",
            "-p",
            "no:cacheprovider",
            "--all-faults",
            *processes,
            *more,
        )
        env = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }  # it takes most of the time
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *words], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout

    enough, few = run(), run("-k", "test_more or 0")

    assert enough[0] == 0, enough[1]
    assert f"faults: {GOALS[Fault.LOADER_KILL]} loader kills, " in enough[1]
    assert few[0] == 1
    assert "too few faults: 100 of 200 loader kills, " in few[1]

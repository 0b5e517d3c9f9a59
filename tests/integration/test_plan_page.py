"""docs/a-billion-tasks.md shows what its commands print."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from benchmarks.planning_page import PAGE, commands, renewed
from tests.cli import run

OTHER = re.compile(r"^runqy-loader (.+)$", re.MULTILINE)
"""Commands of the page whose output it does not show."""


def test_the_page_shows_what_its_commands_print() -> None:
    text = PAGE.read_text()
    assert len(commands(text)) >= 2
    assert renewed(text) == text, "renew it: python -m benchmarks.planning_page"


def test_lines_that_are_shown_fit_80_columns() -> None:
    for block in re.findall(r"^```console\n\$ .+\n((?:(?!```).*\n)*)```$", PAGE.read_text(), re.MULTILINE):
        assert max(map(len, block.splitlines())) <= 80


def test_the_page_names_every_figure_of_the_json_in_its_order(tmp_path: Path) -> None:
    every = ("--network", "1Gbit", "--workers-rate", "1000/s", "--memory", "64GB")
    outcome = run("plan", "--tasks", "1e9", "--payload", "300", *every, "--json", cwd=tmp_path)
    (table,) = re.findall(r"^\| section \| names \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE.read_text(), re.MULTILINE)
    assert re.findall(r"`(\w+)`", table) == list(json.loads(outcome.stdout)["figures"])


def test_options_that_the_page_names_are_there(tmp_path: Path) -> None:
    shown = {name: run(name, "--help", cwd=tmp_path).stdout for name in ("plan", "load")}
    for line in OTHER.findall(PAGE.read_text()):
        name, *words = shlex.split(line)
        for word in words:
            if word.startswith("--") and word not in ("--engine", "--scheduler"):  # docs/dask.md has these
                assert word in shown[name], line

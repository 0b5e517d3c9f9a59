"""The worked example of docs/load-testing.md, in small: a load with a rising rate shows what consumers can take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli import environment
from tests.conftest import Server

EXAMPLE = Path(__file__).parents[2] / "examples" / "find_the_knee.sh"


def test_the_knee_is_where_the_capacity_of_the_consumers_is(valkey: Server, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "runqy-loader").write_text(f'#!/bin/sh\nexec {sys.executable} -m runqy_loader "$@"\n')
    (programs / "runqy-loader").chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"

    done = subprocess.run(
        ["bash", str(EXAMPLE), valkey.url, "10"],
        cwd=tmp_path,
        env=environment(PATH=path, PYTHONPATH=str(EXAMPLE.parents[1])),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "knee.json").read_text())
    consumers = json.loads((tmp_path / "consumers.json").read_text())
    # Five consumers that need 50 ms a task. On a machine that cannot give them their time, they say what they reached.
    assert consumers["capacity"] == pytest.approx(100)
    assert report["series"]["knee"]["capacity"] == pytest.approx(consumers["achieved_capacity"], rel=0.05)
    assert f"{report['series']['knee']['capacity']:,.0f}/s  fell behind at" in done.stderr
    assert "consumers fall behind" in (tmp_path / "knee.html").read_text()
    assert report["loaded"] == 1600 and consumers["taken"] == consumers["done"] + consumers["put_back"]

"""Each fuzz target, for a fixed number of inputs: `make fuzz` runs them for long."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.__main__ import names

_RUNS = 2000

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is not installed: it has no wheel for this Python here"
)


def fuzz(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "tests.fuzz", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", names())
def test_a_target_agrees_with_its_oracle(name: str, tmp_path: Path) -> None:
    done = fuzz(name, "--runs", str(_RUNS), "--folder", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    # libFuzzer ends when it has come to so many, or a few more.
    ran = re.search(r"^Done (\d+) runs", done.stderr, re.MULTILINE)
    assert ran is not None and int(ran[1]) >= _RUNS, done.stderr


def test_a_disagreement_fails_the_run_and_is_kept_to_be_repeated(tmp_path: Path) -> None:
    """The target of this test has a fault: it takes no input with a certain byte."""
    target = tmp_path / "faulty.py"
    target.write_text(
        "def seeds():\n    yield b'seed'\n\ndef check(data):\n    assert b'\\x07' not in data, 'the fault'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", _WITH_ANOTHER_TARGET, tmp_path, "faulty", "--runs", "100000", "--folder", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "AssertionError: the fault" in done.stdout + done.stderr
    (found,) = (tmp_path / "faulty" / "found").iterdir()
    assert b"\x07" in found.read_bytes()


_WITH_ANOTHER_TARGET = """
import sys
from tests.fuzz import __main__, targets
targets.__path__.append(sys.argv.pop(1))
sys.exit(__main__.main())
"""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("no_such_target", "--runs", "1"), "there is no target no_such_target"),
        (("lines",), "give --seconds or --runs"),
    ],
)
def test_what_cannot_be_run_is_told(arguments: tuple[str, ...], told: str) -> None:
    done = fuzz(*arguments)
    assert done.returncode == 2
    assert told in done.stderr


def test_an_input_that_failed_can_be_given_again(tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(b"\x00\x001\n2\n")
    assert fuzz("lines", "--input", tmp_path / "input").returncode == 0

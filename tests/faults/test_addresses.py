"""Wrong addresses and credentials: one clear line, no password in it, and nothing is written."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import RedisServer, Server, free_port
from tests.faults.helpers import assert_one_error, load, numbered

MakeServer = Callable[..., RedisServer]


def test_a_wrong_password(redis_server: MakeServer, tmp_path: Path) -> None:
    own = redis_server("--requirepass", "right")
    own.start()
    numbered(tmp_path / "in.jsonl", 10)

    for login in (":wrong@", "somebody:right@"):
        url = f"redis://{login}127.0.0.1:{own.port}"
        failed = load("in.jsonl", "-q", "q", "--redis", url, "--quiet", cwd=tmp_path)

        line = assert_one_error(failed, "the server refuses this user name or password", "Check the credentials")
        assert failed.stderr == line + "\n"
        assert "right" not in line and "wrong" not in line  # no password in an error


def test_a_password_where_none_is_wanted(valkey: Server, tmp_path: Path) -> None:
    numbered(tmp_path / "in.jsonl", 10)

    failed = load("in.jsonl", "-q", "q", "--redis", f"redis://:secret@127.0.0.1:{valkey.port}", cwd=tmp_path)

    assert "secret" not in assert_one_error(failed, "credentials")


def test_no_password_where_one_is_wanted(redis_server: MakeServer, tmp_path: Path) -> None:
    own = redis_server("--requirepass", "right")
    own.start()
    numbered(tmp_path / "in.jsonl", 10)

    failed = load("in.jsonl", "-q", "q", "--redis", f"redis://127.0.0.1:{own.port}", "--quiet", cwd=tmp_path)

    line = assert_one_error(failed, "the server wants a password", "redis://:PASSWORD@")
    assert failed.stderr == line + "\n"


def test_a_database_that_does_not_exist(server: Server, tmp_path: Path) -> None:
    numbered(tmp_path / "in.jsonl", 10)

    failed = load("in.jsonl", "-q", "q", "--redis", f"redis://127.0.0.1:{server.port}/99", "--quiet", cwd=tmp_path)

    line = assert_one_error(failed, "the server has no such database")
    assert failed.stderr == line + "\n"


@pytest.mark.parametrize("url", ["redis://127.0.0.1:{port}/0", "unix://{path}/nothing.sock"], ids=["tcp", "unix"])
def test_a_refused_connection_is_told_at_once(tmp_path: Path, url: str) -> None:
    numbered(tmp_path / "in.jsonl", 10)
    address = url.format(port=free_port(), path=tmp_path)

    failed = load("in.jsonl", "-q", "q", "--redis", address, cwd=tmp_path)

    assert "trying again" not in failed.stderr  # more likely a mistake than a fault
    assert_one_error(failed, "Check that the server runs there, and the address in --redis")


# --- ports behind which there is no Redis -----------------------------------------------------------------------------


@contextmanager
def _http() -> Iterator[int]:
    """A web server; its port."""

    class Silently(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Silently) as web:
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield web.server_port
        finally:
            web.shutdown()
            thread.join()


@contextmanager
def _closing() -> Iterator[int]:
    """A port where every connection is closed at once, as by a balancer without a server behind it."""

    def close_all() -> None:
        while True:
            try:
                listener.accept()[0].close()
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=close_all)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def _silent() -> Iterator[int]:
    """A port that takes connections and says nothing, ever."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
@pytest.mark.parametrize("login", ["", ":secret@"], ids=["no login", "with a password"])
def test_a_port_that_speaks_http(tmp_path: Path, scheme: str, login: str) -> None:
    numbered(tmp_path / "in.jsonl", 10)

    with _http() as port:
        failed = load("in.jsonl", "-q", "q", "--redis", f"{scheme}://{login}127.0.0.1:{port}/0", cwd=tmp_path)

    line = assert_one_error(failed, f"127.0.0.1:{port}: ")
    assert ("Protocol error" if scheme == "redis" else "the port does not speak TLS") in line
    assert "secret" not in failed.stderr
    assert "trying again" not in failed.stderr


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_a_port_that_closes_every_connection(tmp_path: Path, scheme: str) -> None:
    numbered(tmp_path / "in.jsonl", 10)

    with _closing() as port:
        failed = load("in.jsonl", "-q", "q", "--redis", f"{scheme}://127.0.0.1:{port}/0", cwd=tmp_path)

    assert_one_error(failed, f"127.0.0.1:{port}: ", "Check that the server runs there, and the address in --redis")


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_a_port_that_says_nothing(tmp_path: Path, scheme: str) -> None:
    numbered(tmp_path / "in.jsonl", 10)

    with _silent() as port:
        address = f"{scheme}://127.0.0.1:{port}/0"
        failed = load("in.jsonl", "-q", "q", "--redis", address, "--timeout", "1", cwd=tmp_path)

    assert_one_error(failed, f"127.0.0.1:{port}: timed out", "the address in --redis")


def test_tls_where_the_server_speaks_none(valkey: Server, tmp_path: Path) -> None:
    numbered(tmp_path / "in.jsonl", 10)

    address = f"rediss://127.0.0.1:{valkey.port}/0"
    failed = load("in.jsonl", "-q", "q", "--redis", address, cwd=tmp_path)

    assert "trying again" not in failed.stderr
    assert_one_error(failed, f"127.0.0.1:{valkey.port} answers without TLS", "Use redis://", status=2)


def test_a_port_that_speaks_http_is_told_to_be_no_redis(tmp_path: Path) -> None:
    numbered(tmp_path / "in.jsonl", 10)

    with _http() as port:
        failed = load("in.jsonl", "-q", "q", "--redis", f"redis://127.0.0.1:{port}/0", "--quiet", cwd=tmp_path)

    assert_one_error(failed, "not a Redis", "the address in --redis")

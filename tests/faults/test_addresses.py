"""Wrong addresses and credentials: one clear line, no password in it, and nothing is written."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.cli import Outcome
from tests.conftest import RedisServer, Server, free_port
from tests.faults.helpers import assert_one_error, assert_only_error, load, numbered

MakeServer = Callable[..., RedisServer]
LoadInto = Callable[..., Outcome]


@pytest.fixture
def load_into(tmp_path: Path) -> LoadInto:
    """Loads ten records into the server at a URL."""

    def begin(url: str, *more: str) -> Outcome:
        numbered(tmp_path / "in.jsonl", 10)
        return load("in.jsonl", "-q", "q", "--redis", url, *more, cwd=tmp_path)

    return begin


def test_a_wrong_password(redis_server: MakeServer, load_into: LoadInto) -> None:
    own = redis_server("--requirepass", "right").start()

    for login in (":wrong@", "somebody:right@"):
        failed = load_into(f"redis://{login}127.0.0.1:{own.port}", "--quiet")

        line = assert_only_error(failed, "the server refuses this user name or password", "Check the credentials")
        assert "right" not in line and "wrong" not in line  # no password in an error


def test_a_password_where_none_is_wanted(valkey: Server, load_into: LoadInto) -> None:
    failed = load_into(f"redis://:secret@127.0.0.1:{valkey.port}")

    assert "secret" not in assert_one_error(failed, "credentials")


def test_no_password_where_one_is_wanted(redis_server: MakeServer, load_into: LoadInto) -> None:
    own = redis_server("--requirepass", "right").start()

    failed = load_into(f"redis://127.0.0.1:{own.port}", "--quiet")

    assert_only_error(failed, "the server wants a password", "redis://:PASSWORD@")


def test_a_database_that_does_not_exist(server: Server, load_into: LoadInto) -> None:
    failed = load_into(f"redis://127.0.0.1:{server.port}/99", "--quiet")

    assert_only_error(failed, "the server has no such database")


@pytest.mark.parametrize("url", ["redis://127.0.0.1:{port}/0", "unix://{path}/nothing.sock"], ids=["tcp", "unix"])
def test_a_refused_connection_is_told_at_once(load_into: LoadInto, tmp_path: Path, url: str) -> None:
    failed = load_into(url.format(port=free_port(), path=tmp_path))

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
def test_a_port_that_speaks_http(load_into: LoadInto, scheme: str, login: str) -> None:
    with _http() as port:
        failed = load_into(f"{scheme}://{login}127.0.0.1:{port}/0")

    line = assert_one_error(failed, f"127.0.0.1:{port}: ")
    assert ("Protocol error" if scheme == "redis" else "the port does not speak TLS") in line
    assert "secret" not in failed.stderr
    assert "trying again" not in failed.stderr


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_a_port_that_closes_every_connection(load_into: LoadInto, scheme: str) -> None:
    with _closing() as port:
        failed = load_into(f"{scheme}://127.0.0.1:{port}/0")

    assert_one_error(failed, f"127.0.0.1:{port}: ", "Check that the server runs there, and the address in --redis")


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_a_port_that_says_nothing(load_into: LoadInto, scheme: str) -> None:
    with _silent() as port:
        failed = load_into(f"{scheme}://127.0.0.1:{port}/0", "--timeout", "1")

    assert_one_error(failed, f"127.0.0.1:{port}: timed out", "the address in --redis")


def test_tls_where_the_server_speaks_none(valkey: Server, load_into: LoadInto) -> None:
    failed = load_into(f"rediss://127.0.0.1:{valkey.port}/0")

    assert "trying again" not in failed.stderr
    assert_one_error(failed, f"127.0.0.1:{valkey.port} answers without TLS", "Use redis://", status=2)


def test_a_port_that_speaks_http_is_told_to_be_no_redis(load_into: LoadInto) -> None:
    with _http() as port:
        failed = load_into(f"redis://127.0.0.1:{port}/0", "--quiet")

    assert_one_error(failed, "not a Redis", "the address in --redis")

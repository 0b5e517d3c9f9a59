"""Redirects between servers with and without TLS: what was asked for with TLS is never asked for without it."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from tests.integration.remote.test_s3 import lines, numbers
from tests.integration.tool import Redis, Tool, assert_error, assert_fine


class Server:
    """A server that keeps the paths it is asked for. It redirects each to its location, or answers with a file."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.location = ""
        self.url = ""

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        self.paths.append(handler.path)
        handler.send_response(302 if self.location else 200)
        if self.location:
            handler.send_header("Location", self.location)
        content = b"" if self.location else lines(1)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    found = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found.url = f"{'https' if tls else 'http'}://localhost:{server.server_address[1]}"
        yield found
        server.shutdown()


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    found = trustme.CA()
    found.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return found


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def env(authority: trustme.CA, tmp_path: Path) -> dict[str, str]:
    return {"SSL_CERT_FILE": str(tmp_path / "ca.pem")}


def test_a_redirect_with_tls_is_followed(tool: Tool, db: Redis, tls: ssl.SSLContext, env: dict[str, str]) -> None:
    with serving() as first, serving(tls) as second, serving(tls) as last:
        first.location, second.location = f"{second.url}/b.jsonl", f"{last.url}/c.jsonl"
        assert_fine(tool.load(f"{first.url}/a.jsonl", "-q", "q", env=env))
        assert set(last.paths) == {"/c.jsonl"}
    assert numbers(db) == [1]


@pytest.mark.parametrize("scheme", ["http", "HTTP"])
def test_no_request_is_made_without_tls_that_was_meant_with_it(
    tool: Tool, tls: ssl.SSLContext, env: dict[str, str], scheme: str
) -> None:
    with serving(tls) as first, serving() as plain:
        first.location = f"{scheme}{plain.url.removeprefix('http')}/b.jsonl?sig=geheim"
        done = tool.load(f"{first.url}/a.jsonl?sig=geheim", "-q", "q", env=env)
        assert_error(done, 1, f"{first.url}/a.jsonl", "redirects from https:// to http://")
        assert plain.paths == []
    assert "geheim" not in done.stderr


def test_a_way_back_to_tls_does_not_help(tool: Tool, tls: ssl.SSLContext, env: dict[str, str]) -> None:
    with serving(tls) as first, serving() as plain, serving(tls) as last:
        first.location, plain.location = f"{plain.url}/b.jsonl", f"{last.url}/c.jsonl"
        done = tool.load(f"{first.url}/a.jsonl", "-q", "q", env=env)
        assert_error(done, 1, "redirects from https:// to http://")
        assert (plain.paths, last.paths) == ([], [])


@pytest.mark.parametrize("location", ["http://[::1/x", "http://h:80:90/x", "ftp://h/x", f"http://{70 * 'a'}.invalid/x"])
def test_a_redirect_to_what_is_no_url_is_one_line(tool: Tool, location: str) -> None:
    with serving() as first:
        first.location = location
        done = tool.load(f"{first.url}/a.jsonl", "-q", "q")
    assert_error(done, 1, f"{first.url}/a.jsonl", "redirects to what is none")

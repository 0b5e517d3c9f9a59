"""Loads from HTTP servers: pinned by an ETag, or from a copy; cuts, changes, redirects, logins, and errors."""

from __future__ import annotations

import functools
import gzip
import http.server
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli import run
from tests.integration.remote.cutting import Cutter
from tests.integration.remote.servers import Web
from tests.integration.remote.test_s3 import large, lines, numbers, zipped
from tests.integration.tool import Redis, Tool, assert_error, assert_fine, counts, payloads, rejects


@pytest.fixture
def copies(tool: Tool) -> Path:
    """The folder for temporary files."""
    folder = tool.folder / "copies"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("where", ["", "no-etag/", "no-ranges/", "moved/"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.zip"])
def test_a_url_is_read(tool: Tool, db: Redis, web: Web, copies: Path, where: str, name: str) -> None:
    content = lines(*range(50))
    stored = {"a.jsonl": content, "a.jsonl.gz": gzip.compress(content), "a.zip": zipped(a_jsonl=content)}[name]
    web.put(name, stored)
    url = f"http://127.0.0.1:{web.port}/{where}{name}"
    done, again = (tool.load(url, "-q", "q", "-w", "1", env={"TMPDIR": str(copies)}) for _ in range(2))
    assert_fine(done)
    assert numbers(db) == list(range(50))
    assert (counts(done), counts(again)) == ((50, 50, 0, 0), (50, 0, 50, 0))
    assert [source["name"] for source in done.report["sources"]] == [url]
    assert list(copies.iterdir()) == []


@pytest.mark.parametrize("where", ["", "no-etag/", "no-ranges/"])
def test_a_load_that_is_cut_off_goes_on(tool: Tool, db: Redis, web: Web, where: str) -> None:
    content = large()
    web.put("a.jsonl", content)
    with Cutter(web.port, after=3_000_000, times=2) as cutter:
        done = tool.load(f"http://127.0.0.1:{cutter.port}/{where}a.jsonl", "-q", "q", "-w", "1")
    assert_fine(done)
    assert cutter.cuts == 2
    assert done.report["bytes_read"] == len(content)
    assert numbers(db) == list(range(60_000))
    parts = [int(found[1]) for line in web.requests if (found := re.search(r'" 206 (\d+) ', line))]
    assert any(size > 1_000_000 for size in parts) == (not where)  # the rest was asked for, or all of it again


def test_a_file_that_changes_while_it_is_read_is_refused(tool: Tool, db: Redis, web: Web) -> None:
    content = large()
    web.put("a.jsonl", content)
    with Cutter(web.port, 3_000_000, 1, on_cut=lambda: web.put("a.jsonl", content.replace(b"x", b"yy"))) as cutter:
        done = tool.load(f"http://127.0.0.1:{cutter.port}/a.jsonl", "-q", "q", "-w", "1")
    assert_error(done, 1, "a.jsonl was changed while it was being loaded")
    assert b"yy" not in b"".join(payloads(db, "q.default"))


def test_a_cut_that_does_not_end_can_be_resumed(tool: Tool, db: Redis, web: Web) -> None:
    web.put("a.jsonl", large())
    with Cutter(web.port, 3_000_000, 1, on_cut=lambda: cutter.close_once(lambda: numbers(db))) as cutter:
        url = f"http://127.0.0.1:{cutter.port}/a.jsonl"
        cut = tool.load(url, "-q", "q", "-w", "1", "--job", "j")
    assert_error(cut, 1, url, "no connection to")
    before = numbers(db)
    assert 0 < len(before) < 60_000
    with Cutter(web.port, 0, 0, port=cutter.port):  # another port would be another URL, and so another source
        done = tool.load(url, "-q", "q", "-w", "1", "--job", "j")
    assert_fine(done)
    assert counts(done) == (60_000, 60_000 - len(before), len(before), 0)
    assert numbers(db) == list(range(60_000))


@pytest.mark.parametrize("where", ["", "no-etag/"])
def test_a_signature_is_shown_nowhere_and_may_change(tool: Tool, db: Redis, web: Web, where: str) -> None:
    web.put("a.jsonl", lines(0, 1) + b"{\n")
    url = f"http://127.0.0.1:{web.port}/{where}a.jsonl"
    shared = ("-q", "q", "--redis", tool.url, "--job", "j", "--report", "r.json")
    done = run("load", f"{url}?X-Amz-Signature=geheim1&X-Amz-Date=1", *shared, cwd=tool.folder)
    again = run("load", f"{url}?X-Amz-Signature=geheim2&X-Amz-Date=2", *shared, cwd=tool.folder)
    assert (done.status, again.status) == (3, 3), done.stderr + again.stderr
    assert re.search(r"\n  loaded +2 ", done.stderr)
    assert re.search(r"\n  already loaded +2\n", again.stderr)
    assert json.loads((tool.folder / "r.json").read_text())["sources"][0]["name"] == f"{url}?…"
    stored = [db.dump(key) for key in db.keys("*")]
    kept = [path.read_bytes() for path in tool.folder.glob("*.jsonl")] + [
        path.read_bytes() for path in tool.folder.glob("*.json")
    ]
    assert kept
    for text in (done.stderr.encode(), again.stderr.encode(), *stored, *kept):
        assert b"geheim" not in text
    shown = run("jobs", "show", "j", "--redis", tool.url, cwd=tool.folder)
    assert f"{url}?…" in shown.stdout
    assert "geheim" not in shown.stdout


@pytest.mark.parametrize("where", ["", "no-etag/", "no-ranges/"])
def test_an_empty_file_is_an_empty_source(tool: Tool, db: Redis, web: Web, where: str) -> None:
    web.put("empty.jsonl", b"")
    url = web.put("a.jsonl", lines(1))
    done = tool.load(f"http://127.0.0.1:{web.port}/{where}empty.jsonl", url, "-q", "q")
    assert_fine(done)
    assert [source["size"] for source in done.report["sources"]] == [0, len(lines(1))]


def test_another_query_is_another_source(tool: Tool, web: Web) -> None:
    url = web.put("a.jsonl", lines(1))
    assert_fine(tool.load(f"{url}?id=1", f"{url}?id=2", "-q", "q"))
    done = tool.load(f"{url}?id=1", f"{url}?id=1", "-q", "q")
    assert_error(done, 2, "named twice")


def test_a_login_of_the_url_is_used_and_not_shown(tool: Tool, db: Redis, web: Web) -> None:
    web.put("a.jsonl", lines(1) + b"{\n")
    place = f"127.0.0.1:{web.port}/login/a.jsonl"
    done = tool.load(f"http://me:a%25b%2Fc@{place}", "-q", "q", "--job", "j")
    assert done.status == 3, done.stderr
    assert [one["source"] for one in rejects(tool, done)] == [f"http://…@{place}"]
    for wrong in ("me:geheim@", ""):
        refused = tool.load(f"http://{wrong}{place}", "-q", "q2")
        assert_error(refused, 1, "the server answers 401", ".netrc")
        assert "geheim" not in refused.stderr


@pytest.mark.parametrize(
    ("place", "status", "words"),
    [
        ("none.jsonl", 1, ("the server answers 404", "Check the URL")),
        ("secret/a.jsonl?sig=geheim", 1, ("the server answers 403", "its time may be over")),
        ("busy/a.jsonl", 1, ("the server answers 503",)),
        ("round/a.jsonl", 1, ("redirects",)),
        ("a.txt", 2, ("no known ending", "--format jsonl")),
        ("page.jsonl", 1, ("HTML",)),
    ],
)
def test_each_answer_that_is_none_is_one_line(
    tool: Tool, web: Web, place: str, status: int, words: tuple[str, ...]
) -> None:
    web.put("a.txt", lines(1))
    web.put("page.jsonl", b"<!doctype html><html><body>log in</body></html>")
    done = tool.load(f"http://127.0.0.1:{web.port}/{place}", "-q", "q")
    assert_error(done, status, f"http://127.0.0.1:{web.port}/{place.partition('?')[0]}", *words)
    assert "geheim" not in done.stderr


@pytest.mark.parametrize(
    ("url", "status", "words"),
    [
        ("http://127.0.0.1:1/a.jsonl", 1, ("no connection to 127.0.0.1:1",)),
        ("http://nobody.invalid/a.jsonl", 1, ("the name nobody.invalid is not found",)),
        ("https://127.0.0.1:{port}/a.jsonl", 1, ("TLS",)),
        ("http:///a.jsonl", 2, ("names no host",)),
        ("http://host:port/a.jsonl", 2, ("no port number",)),
        ("http://127.0.0.1:{port}:90/a.jsonl", 2, ("no port number",)),
        ("http://[::1/a.jsonl", 2, ("names no host",)),
        ("http://[::1]x:80/a.jsonl", 1, ("this is no URL",)),
        ("ftp://me:geheim@host/a.jsonl", 2, ("ftp:// is no input", "sftp://")),
        ("s3a://bucket/a.jsonl", 2, ("s3a:// is no input", "s3://")),
    ],
)
def test_each_url_that_leads_nowhere_is_one_line(
    tool: Tool, web: Web, url: str, status: int, words: tuple[str, ...]
) -> None:
    done = tool.load(url.format(port=web.port), "-q", "q")
    assert_error(done, status, *words)
    assert "geheim" not in done.stderr


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that gives this answer to each request. Yields its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(answer)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/a.jsonl"
        server.shutdown()


def test_an_answer_without_a_length_is_refused_unless_its_end_is_marked(tool: Tool, db: Redis) -> None:
    with answering(b"HTTP/1.0 200 OK\r\n\r\n" + lines(1)) as url:
        assert_error(tool.load(url, "-q", "q"), 1, url, "does not say how long it is")
    with answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n" + lines(1) + b"\r\n0\r\n\r\n") as url:
        assert_fine(tool.load(url, "-q", "q"))
    assert numbers(db) == [1]


@pytest.mark.parametrize("etag", ['W/"1"', "1", ""])
def test_a_weak_etag_is_none(tool: Tool, db: Redis, copies: Path, etag: str) -> None:
    head = f"HTTP/1.1 200 OK\r\nETag: {etag}\r\nContent-Length: {len(lines(1))}\r\n\r\n".encode()
    with answering(head + lines(1)) as url:
        assert_fine(tool.load(url, "-q", "q", env={"TMPDIR": str(copies)}))
        # A copy is the same source as a file with its content.
        again = tool.load(tool.write("here.jsonl", lines(1)), "-q", "q")
    assert counts(again) == (1, 0, 1, 0)


def test_a_plain_server_of_files_is_read(tool: Tool, db: Redis, tmp_path: Path) -> None:
    """Python's own server has neither ETags nor ranges."""
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown" / "a b.jsonl").write_bytes(lines(*range(20)))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path / "shown"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = tool.load(f"http://127.0.0.1:{server.server_address[1]}/a%20b.jsonl", "-q", "q", "-w", "1")
        server.shutdown()
    assert_fine(done)
    assert numbers(db) == list(range(20))

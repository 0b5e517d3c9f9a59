"""Servers: embedded, by socket, with a login, encrypted, missing, and keys of another type."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from loader.servers.embedded import EmbeddedServer
from tests.cli import run
from tests.conftest import RedisServer, free_port
from tests.integration.tool import (
    NOWHERE,
    Redis,
    Tool,
    assert_error,
    assert_fine,
    counts,
    payloads,
    rejects,
)


def test_the_embedded_server_keeps_its_data_in_a_directory(tool: Tool) -> None:
    tool.write("in.jsonl", b"1\n2\n")
    arguments = ("in.jsonl", "-q", "q", "--embedded-dir", "kept")

    first, again = tool.load(*arguments, url="embedded"), tool.load(*arguments, url="embedded")

    assert_fine(first)
    assert_fine(again)
    assert (counts(first), counts(again)) == ((2, 2, 0, 0), (2, 0, 2, 0))
    server = EmbeddedServer(tool.folder / "kept")
    try:
        with redis.Redis.from_url(server.start()) as client:
            assert sorted(payloads(client, "q.default")) == [b"1", b"2"]
    finally:
        server.stop()


def test_the_embedded_server_without_a_directory_is_new_each_time(tool: Tool) -> None:
    tool.write("in.jsonl", b"1\n2\n")

    for _ in range(2):
        done = tool.load("in.jsonl", "-q", "q", url="embedded")
        assert_fine(done)
        assert counts(done) == (2, 2, 0, 0)
    assert [path.name for path in tool.folder.iterdir()] == ["in.jsonl"]


def test_a_unix_socket_and_a_database_number(tool: Tool, redis_server: Callable[..., RedisServer]) -> None:
    tool.write("in.jsonl", b"1\n")
    path = Path(f"/tmp/runqy-loader-test-{os.getpid()}.sock")  # noqa: S108 - a socket's path must be short
    server = redis_server("--unixsocket", str(path)).start()
    try:
        assert_fine(tool.load("in.jsonl", "-q", "q", url=f"unix://{path}?db=2"))
        assert_fine(tool.load("in.jsonl", "-q", "q", url=f"redis://127.0.0.1:{server.port}/3"))
        for number in range(5):
            with redis.Redis(unix_socket_path=str(path), db=number) as client:
                assert client.llen("asynq:q.default:pending") == (1 if number in (2, 3) else 0)
    finally:
        path.unlink(missing_ok=True)


def test_a_login_in_the_url_is_used_and_never_shown(tool: Tool, redis_server: Callable[..., RedisServer]) -> None:
    tool.write("in.jsonl", b"1\n")
    tool.write("bad.jsonl", b"bad\n")
    server = redis_server("--requirepass", "s3cret&pass").start()
    with redis.Redis(port=server.port, password="s3cret&pass") as client:
        client.acl_setuser("loader", enabled=True, passwords=["+0ther:pw"], keys=["*"], commands=["+@all"])
    there = f"127.0.0.1:{server.port}/0"

    assert_fine(tool.load("in.jsonl", "-q", "q", url=f"redis://:s3cret%26pass@{there}"))
    assert_fine(tool.load("in.jsonl", "-q", "r", url=f"redis://loader:0ther%3Apw@{there}"))
    assert_error(tool.load("in.jsonl", "-q", "q", url=f"redis://{there}"), 1, "wants a password")
    assert_error(tool.load("in.jsonl", "-q", "q", url=f"redis://:wr0ng@{there}"), 1, "password")

    for url in (f"redis://:s3cret%26pass@{there}", f"redis://:wr0ng@{there}"):
        said = run(
            *("load", "bad.jsonl", "-q", "q", "--redis", url, "--max-errors", "0", "--verbose", "--report", "-"),
            cwd=tool.folder,
        )
        assert said.status == 1
        assert "s3cret" not in said.stdout + said.stderr and "wr0ng" not in said.stdout + said.stderr
    with redis.Redis(port=server.port, password="s3cret&pass") as client:
        recorded = b"".join(b"".join(client.hvals(key)) for key in client.keys("runqy-loader:*:job"))
    assert b"s3cret" not in recorded and b"0ther" not in recorded


def test_a_server_that_is_not_there_is_named(tool: Tool) -> None:
    tool.write("in.jsonl", b"1\n")

    assert_error(tool.load("in.jsonl", "-q", "q", url=NOWHERE), 1, "127.0.0.1:1", "connection refused")
    assert_error(tool.load("in.jsonl", "-q", "q", url="unix:///no/such.sock"), 1, "/no/such.sock")


@pytest.mark.parametrize("url", ["http://localhost", "localhost:6379", "", "redis://localhost/prod", "redis://h:port"])
def test_a_url_that_names_no_server_is_wrong_usage(tool: Tool, url: str) -> None:
    tool.write("in.jsonl", b"1\n")

    done = run("load", "in.jsonl", "-q", "q", "--redis", url, "--quiet", cwd=tool.folder)

    assert_error(done, 2, "--redis")


def test_a_database_that_the_server_does_not_have_is_named(tool: Tool) -> None:
    tool.write("in.jsonl", b"1\n")

    done = tool.load("in.jsonl", "-q", "q", url=tool.url.removesuffix("/0") + "/99")

    assert_error(done, 1, "database")
    assert "same command again" not in done.stderr


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: no certificate for a TLS server")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-keyout", str(key), "-out", str(cert)),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


def test_rediss_encrypts_and_checks_the_certificate(
    tool: Tool, redis_server: Callable[..., RedisServer], certificate: tuple[Path, Path]
) -> None:
    cert, key = map(str, certificate)
    lines = b"".join(b'{"n":%d}\n' % n for n in range(3000))
    tool.write("in.jsonl", lines)
    tls = free_port()
    server = redis_server(
        *("--tls-port", str(tls), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-auth-clients", "no")
    )
    plain = server.start()

    assert_fine(tool.load("in.jsonl", "-q", "q", url=f"rediss://127.0.0.1:{tls}/0?ssl_ca_certs={cert}"))
    with plain.client() as client:
        assert sorted(payloads(client, "q.default")) == sorted(lines.splitlines())
    trusting = tool.load("in.jsonl", "-q", "r", url=f"rediss://127.0.0.1:{tls}/0?ssl_cert_reqs=none")
    assert_fine(trusting)
    unknown = tool.load("in.jsonl", "-q", "q", url=f"rediss://127.0.0.1:{tls}/0")
    assert_error(unknown, 1, f"127.0.0.1:{tls}", "certificate")
    missing = tool.load("in.jsonl", "-q", "q", url=f"rediss://127.0.0.1:{tls}/0?ssl_ca_certs=/no/such.pem")
    assert_error(missing, 2, "ssl_ca_certs /no/such.pem: No such file")


@pytest.mark.parametrize("ids", [(), ("--id-field", "n")], ids=["generated ids", "own ids"])
def test_a_pending_key_of_another_type_stops_the_load_until_it_is_gone(
    tool: Tool, db: Redis, ids: tuple[str, ...]
) -> None:
    tool.write("in.jsonl", b'{"n":1}\n{"n":2}\n')
    db.set("asynq:q.default:pending", "not a list")

    refused = tool.load("in.jsonl", "-q", "q", *ids)

    assert_error(refused, 1, "asynq:q.default:pending", "WRONGTYPE")
    assert counts(refused)[1] == 0
    assert db.get("asynq:q.default:pending") == b"not a list"
    db.delete("asynq:q.default:pending")
    resumed = tool.load("in.jsonl", "-q", "q", *ids)
    assert_fine(resumed)
    assert counts(resumed) == (2, 2, 0, 0)
    assert db.llen("asynq:q.default:pending") == 2


def test_a_task_key_of_another_type_rejects_that_record_only(tool: Tool, db: Redis) -> None:
    tool.write("in.jsonl", b"1\n2\n3\n")
    arguments = ("in.jsonl", "-q", "q", "-w", "1", "--job", "j")
    assert_fine(tool.load(*arguments))
    taken = b"asynq:t:" + db.lindex("asynq:q.default:pending", 1)
    db.flushall()
    db.set(taken, "someone else's")

    done, again = tool.load(*arguments), tool.load(*arguments)

    assert_fine(done, 3)
    assert counts(done) == (3, 2, 0, 1)
    assert counts(again) == (3, 0, 2, 1)
    assert payloads(db, "q.default") == [b"1", b"3"]
    assert db.get(taken) == b"someone else's"
    assert [(reject["line"], reject["record"]) for reject in rejects(tool, again)] == [(2, "2")]

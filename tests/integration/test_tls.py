"""TLS: loads over it, and what goes wrong with it is named at once. Real servers, certificates made for the test."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis
import trustme
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from tests.cli import Outcome, run
from tests.conftest import RedisServer, Server, free_port, redis_binary
from tests.integration.sni_router import sni_router
from tests.integration.tool import assert_error

MakeServer = Callable[..., RedisServer]


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files of a CA and of two leaves that it has issued: the server's (for localhost), and a client's."""

    ca: Path
    server_certificate: Path
    server_key: Path
    client_certificate: Path
    client_key: Path


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    made = Certificates(*(folder / f"{name}.pem" for name in ("ca", "server", "server-key", "client", "client-key")))
    authority.cert_pem.write_to_path(str(made.ca))
    for leaf, certificate, key in (
        (authority.issue_cert("localhost"), made.server_certificate, made.server_key),
        (authority.issue_cert("client.example"), made.client_certificate, made.client_key),
    ):
        leaf.cert_chain_pems[0].write_to_path(str(certificate))
        leaf.private_key_pem.write_to_path(str(key))
    return made


class TlsServer:
    """A redis-server with a TLS port and no other."""

    def __init__(self, make: MakeServer, certificates: Certificates, *, wants_client: bool) -> None:
        self.port = free_port()
        files = (
            "--tls-cert-file",
            str(certificates.server_certificate),
            "--tls-key-file",
            str(certificates.server_key),
        )
        authority = ("--tls-ca-cert-file", str(certificates.ca), "--tls-auth-clients", "yes" if wants_client else "no")
        make("--tls-port", str(self.port), "--port", "0", *files, *authority).start(wait=False)
        self._certificates = certificates

    def client(self) -> Any:
        """A redis-py client with the client's certificate."""
        return redis.Redis(
            host="localhost",
            port=self.port,
            ssl=True,
            ssl_ca_certs=str(self._certificates.ca),
            ssl_certfile=str(self._certificates.client_certificate),
            ssl_keyfile=str(self._certificates.client_key),
        )

    def wait(self) -> None:
        """Returns once it answers."""
        client = self.client()
        client.set_retry(Retry(ConstantBackoff(0.05), 200))
        client.ping()

    def url(self, **parameters: object) -> str:
        query = "&".join(f"{name}={quote(str(value))}" for name, value in parameters.items())
        return f"rediss://localhost:{self.port}/0?{query}"


@pytest.fixture
def tls(redis_server: MakeServer, certificates: Certificates) -> TlsServer:
    server = TlsServer(redis_server, certificates, wants_client=False)
    server.wait()
    return server


@pytest.fixture
def strict(redis_server: MakeServer, certificates: Certificates) -> TlsServer:
    server = TlsServer(redis_server, certificates, wants_client=True)
    server.wait()
    return server


COMMANDS = {
    "load": ("load", "in.jsonl", "-q", "q", "--quiet", "--redis", "URL"),
    "inspect": ("inspect", "--redis", "URL"),
    "export": ("export", "-q", "q", "-o", "out.jsonl", "--quiet", "--redis", "URL"),
    "wait": ("wait", "--ids", "ids", "--out", "r", "--quiet", "--redis", "URL"),
    "migrate": ("migrate", "--from-queue", "q", "--to-queue", "r", "--move", "--quiet", "--from-redis", "URL"),
    "serve": ("serve", "--no-auth", "--port", "0", "--quiet", "--redis", "URL"),
}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "in.jsonl").write_bytes(b'{"n": 1}\n{"n": 2}\n')
    (tmp_path / "ids").write_bytes(b"a\n")
    return tmp_path


def outcome(files: Path, name: str, url: str) -> Outcome:
    return run(*(url if word == "URL" else word for word in COMMANDS[name]), cwd=files)


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_load_over_tls(tls: TlsServer, certificates: Certificates, tmp_path: Path, processes: str) -> None:
    (tmp_path / "in.jsonl").write_bytes(b"".join(b'{"n": %d}\n' % n for n in range(5000)))
    url = tls.url(ssl_ca_certs=certificates.ca)

    done = run("load", "in.jsonl", "-q", "q", "-b", "100", "-p", processes, "--redis", url, cwd=tmp_path)

    assert done.status == 0, done.stderr
    assert tls.client().llen("asynq:q.default:pending") == 5000


def test_the_name_of_the_server_is_sent_so_that_a_router_can_choose_by_it(
    valkey: Server, certificates: Certificates, files: Path
) -> None:
    with sni_router(certificates.server_certificate, certificates.server_key, "localhost", valkey.port) as (
        port,
        asked,
    ):
        url = f"rediss://localhost:{port}/0?ssl_ca_certs={quote(str(certificates.ca))}"
        loaded = run("load", "in.jsonl", "-q", "q", "--redis", url, cwd=files)
        seen = run("inspect", "--redis", url, "--json", cwd=files)
    assert (loaded.status, seen.status) == (0, 0), (loaded.stderr, seen.stderr)
    assert set(asked) == {"localhost"}
    with valkey.client() as client:
        assert client.llen("asynq:q.default:pending") > 0


def test_a_load_with_a_client_certificate(strict: TlsServer, certificates: Certificates, files: Path) -> None:
    url = strict.url(
        ssl_ca_certs=certificates.ca, ssl_certfile=certificates.client_certificate, ssl_keyfile=certificates.client_key
    )

    done = outcome(files, "load", url)

    assert done.status == 0, done.stderr
    assert strict.client().llen("asynq:q.default:pending") == 2


@pytest.mark.parametrize("name", COMMANDS)
def test_a_server_whose_ca_is_not_known(tls: TlsServer, files: Path, name: str) -> None:
    assert_error(outcome(files, name, tls.url()), 1, "certificate", "ssl_ca_certs=FILE")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_certificate_for_another_name(tls: TlsServer, certificates: Certificates, files: Path, name: str) -> None:
    url = tls.url(ssl_ca_certs=certificates.ca).replace("localhost", "127.0.0.1")

    assert_error(outcome(files, name, url), 1, "certificate is for another")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_missing_client_certificate(strict: TlsServer, certificates: Certificates, files: Path, name: str) -> None:
    url = strict.url(ssl_ca_certs=certificates.ca)

    assert_error(outcome(files, name, url), 1, "the server wants a client certificate", "ssl_certfile=FILE")


@pytest.mark.parametrize("name", COMMANDS)
def test_tls_to_a_port_without_it(valkey: Server, files: Path, name: str) -> None:
    assert_error(outcome(files, name, f"rediss://localhost:{valkey.port}/0"), 2, "answers without TLS", "redis://")


@pytest.mark.parametrize("name", COMMANDS)
def test_no_tls_to_a_port_that_wants_it(tls: TlsServer, files: Path, name: str) -> None:
    assert_error(outcome(files, name, f"redis://localhost:{tls.port}/0"), 2, "answers with TLS only", "rediss://")


def test_sentinel_and_its_primary_over_tls_with_client_certificates(
    certificates: Certificates, files: Path, redis_server: MakeServer
) -> None:
    primary_port, sentinel_port = free_port(), free_port()
    words = {
        "--tls-cert-file": str(certificates.server_certificate),
        "--tls-key-file": str(certificates.server_key),
        "--tls-ca-cert-file": str(certificates.ca),
        "--tls-auth-clients": "yes",
    }
    tls = [word for pair in words.items() for word in pair]
    primary = redis_server("--tls-port", str(primary_port), *tls)
    primary.start()
    settings = files / "sentinel.conf"
    lines = [
        "port 0",
        f"tls-port {sentinel_port}",
        "bind 127.0.0.1",
        "tls-replication yes",
        "sentinel resolve-hostnames yes",
        "sentinel announce-hostnames yes",
        f"sentinel monitor tasks localhost {primary_port} 1",
        *(f"{name.removeprefix('--')} {value}" for name, value in words.items()),
    ]
    settings.write_text("\n".join(lines) + "\n")
    sentinel = subprocess.Popen(
        [redis_binary("redis-server"), str(settings), "--sentinel"], cwd=files, stdout=subprocess.DEVNULL
    )
    files_of_client = {
        "ssl_ca_certs": certificates.ca,
        "ssl_certfile": certificates.client_certificate,
        "ssl_keyfile": certificates.client_key,
    }
    parameters = "&".join(f"{name}={quote(str(path))}" for name, path in files_of_client.items())
    url = f"rediss+sentinel://localhost:{sentinel_port}/tasks/0"
    (files / "in.jsonl").write_text('{"n":1}\n')
    try:
        while not _listens(sentinel_port):
            assert sentinel.poll() is None
        done = run("load", "in.jsonl", "-q", "q", "--redis", f"{url}?{parameters}", cwd=files)
        without = run("load", "in.jsonl", "-q", "q", "--redis", url, "--quiet", cwd=files)
    finally:
        sentinel.kill()
        sentinel.wait()

    assert done.status == 0, done.stderr
    assert_error(without, 1, "no Sentinel of tasks answers", "CA")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

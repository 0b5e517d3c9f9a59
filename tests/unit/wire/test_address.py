"""Addresses of servers: what redis-py understands, and no secrets in what is shown."""

from __future__ import annotations

import ssl

import pytest

from loader.errors import UsageError
from loader.wire.address import Address, parse_address


@pytest.mark.parametrize(
    ("url", "host", "port", "db", "username", "password"),
    [
        ("redis://", "localhost", 6379, 0, None, None),
        ("redis://h", "h", 6379, 0, None, None),
        ("redis://h:7000/3", "h", 7000, 3, None, None),
        ("redis://h/?db=4", "h", 6379, 4, None, None),
        ("redis://:secret@h", "h", 6379, 0, None, "secret"),
        ("redis://user:secret@h", "h", 6379, 0, "user", "secret"),
        ("redis://us%40er:s%2Fe%3Ac%23%25@h", "h", 6379, 0, "us@er", "s/e:c#%"),
        ("redis://[::1]:7000", "::1", 7000, 0, None, None),
        ("rediss://user:secret@h:6380/1", "h", 6380, 1, "user", "secret"),
    ],
)
def test_a_url_names_host_database_and_login(
    url: str, host: str, port: int, db: int, username: str | None, password: str | None
) -> None:
    address = parse_address(url)
    assert (address.host, address.port, address.db) == (host, port, db)
    assert (address.username, address.password, address.path) == (username, password, None)
    assert (address.tls is not None) == url.startswith("rediss")
    assert str(address) == f"{host}:{port}"


def test_a_unix_url_names_a_socket() -> None:
    address = parse_address("unix://user:secret@/run/redis/my%20redis.sock?db=2")
    assert address.path == "/run/redis/my redis.sock"
    assert (address.db, address.username, address.password, address.tls) == (2, "user", "secret", None)
    assert str(address) == "unix:///run/redis/my redis.sock"


def test_tls_checks_certificate_and_host_name_unless_told_otherwise() -> None:
    default, lax = parse_address("rediss://h").tls, parse_address("rediss://h?ssl_cert_reqs=none").tls
    assert default is not None and lax is not None
    assert (default.verify_mode, default.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert (lax.verify_mode, lax.check_hostname) == (ssl.CERT_NONE, False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost",
        "localhost:6379",
        "http://h",
        "redis://h:port",
        "redis://h:99999",
        "redis://[::1",
        "redis://h?db=first",
        "rediss://h?ssl_ca_certs=/no/such/file.pem",
        "rediss://h?ssl_cert_reqs=sometimes",
        "redis://h?no_such_parameter=1",
    ],
)
def test_what_is_no_usable_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="--redis"):
        parse_address(url)


@pytest.mark.parametrize("url", ["unix://", "unix://?db=1"])
def test_a_unix_url_without_a_path_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="--redis"):
        parse_address(url)


@pytest.mark.parametrize("url", ["redis://h/first", "redis://h/1/2", "redis:/h"])
def test_a_path_that_is_no_database_number_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="--redis"):
        parse_address(url)


@pytest.mark.parametrize("url", ["redis://user:hunter2@h:6379/1", "unix://user:hunter2@/run/redis.sock"])
def test_what_is_shown_of_an_address_holds_no_password(url: str) -> None:
    address: Address = parse_address(url)
    assert "hunter2" not in str(address) + repr(address)


@pytest.mark.parametrize(
    "url", ["redis://:hunter2/x@h:6379", "redis://:hunter2#x@h", "redis://:hunter2?x@h", "ftp://:hunter2@h"]
)
def test_a_refusal_shows_no_password(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_address(url)
    assert "hunter2" not in str(caught.value)

"""Addresses of servers: what redis-py understands, and no secrets in what is shown."""

from __future__ import annotations

import ssl
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio.connection import parse_url

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


SAFE = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffd"), min_size=1)


@given(
    scheme=st.sampled_from(["redis", "unix"]),
    username=st.none() | SAFE,
    password=st.none() | SAFE,
    host=st.sampled_from(["localhost", "10.0.0.7", "[::1]", "Redis.Example"]),
    port=st.none() | st.integers(1, 65_535),
    db=st.none() | st.integers(0, 99),
    as_parameters=st.booleans(),
)
def test_a_url_leads_where_redis_py_goes(
    scheme: str,
    username: str | None,
    password: str | None,
    host: str,
    port: int | None,
    db: int | None,
    as_parameters: bool,
) -> None:
    login = {"username": username, "password": password}
    at = "" if as_parameters else ":".join(quote(login[name] or "", safe="") for name in login) + "@"
    wanted = {name: value for name, value in {**login, "db": db}.items() if value is not None}
    query = "?" + urlencode(wanted if as_parameters else {name: wanted[name] for name in wanted if name == "db"})
    place = "/run/my%20redis.sock" if scheme == "unix" else host + (f":{port}" if port else "")
    url = f"{scheme}://{at if at != ':@' else ''}{place}{query if query != '?' else ''}"

    address, expected = parse_address(url), parse_url(url)

    assert address.url == url
    assert (address.username, address.password) == (expected.get("username"), expected.get("password"))
    assert (address.db, address.path) == (expected.get("db", 0), expected.get("path"))
    if scheme == "redis":
        assert (address.host, address.port) == (expected.get("host", "localhost"), expected.get("port", 6379))


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
        pytest.param("", id="empty"),
        pytest.param("localhost", id="no scheme"),
        pytest.param("localhost:6379", id="no scheme, a port"),
        pytest.param("http://h", id="another scheme"),
        pytest.param("redis://h:port", id="no port number"),
        pytest.param("redis://h:99999", id="port out of range"),
        pytest.param("redis://[::1", id="open bracket"),
        pytest.param("redis://h?db=first", id="no database number"),
        pytest.param("redis://h/first", id="path that is no number"),
        pytest.param("redis://h/1/2", id="path of two parts"),
        pytest.param("redis:/h", id="one slash"),
        pytest.param("unix://", id="unix without a path"),
        pytest.param("unix://?db=1", id="unix without a path, a database"),
        pytest.param("rediss://h?ssl_ca_certs=/no/such/file.pem", id="no such certificates"),
        pytest.param("rediss://h?ssl_cert_reqs=sometimes", id="unknown value"),
        pytest.param("redis://h?no_such_parameter=1", id="unknown parameter"),
    ],
)
def test_what_is_no_usable_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="--redis"):
        parse_address(url)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://:18200#s3cret@prod.example:6379/0", "a URL ends at its '#'"),
        ("redis://user:18200#s3cret@prod.example", "a URL ends at its '#'"),
        ("redis://h#", "a URL ends at its '#'"),
        ("redis://:18200?s3cret@prod.example:6379/0", "not of the form NAME=VALUE"),
        ("redis://:18200/s3cret@prod.example:6379/0", "not a database number"),
        ("redis://:18200?s3c=ret@prod.example:6379/0", "unknown parameter"),
        ("redis://h?db=", "db has no value"),
        ("redis://h?db=1&db=2", "db is given twice"),
        ("redis://h/1?db=2", "the database is given twice"),
        ("redis://:s3cret@h?password=s3cret", "the login is given twice"),
        ("redis://h?ssl_cert_reqs=none", "ssl_cert_reqs needs TLS. Write rediss://"),
        ("unix:///run/r.sock?ssl_cert_reqs=none", "ssl_cert_reqs needs TLS. Write rediss://"),
        (
            "rediss://h?ssl_cert_req=none",
            "unknown parameter ssl_cert_req. Known are db, username, password, ssl_ca_certs",
        ),
        ("redis://h?socket_timeout=3", "unknown parameter socket_timeout. Known are db, username, password"),
        ("rediss://h?ssl_cert_reqs=sometimes", "ssl_cert_reqs must be required, optional or none"),
        ("rediss://h?ssl_min_version=1.2", "ssl_min_version must be 771 for TLS 1.2, 772 for TLS 1.3"),
        ("rediss://h?ssl_min_version=2", "ssl_min_version must be 771 for TLS 1.2, 772 for TLS 1.3"),
        ("rediss://h?ssl_include_verify_flags=NONE_SUCH", "flags must be flags of Python's ssl.VerifyFlags"),
        ("rediss://h?ssl_ca_certs=/no/such/file.pem", "ssl_ca_certs /no/such/file.pem: No such file"),
        ("rediss://h?ssl_ca_path=/no/such", "ssl_ca_path /no/such is no directory"),
        ("rediss://h?ssl_keyfile=/dev/null", "ssl_keyfile needs ssl_certfile"),
        ("rediss://h?ssl_certfile=/dev/null", "ssl_certfile and ssl_keyfile are no usable pair"),
        ("rediss://h?ssl_ca_certs=/dev/null", "ssl_ca_certs /dev/null holds no PEM certificate"),
        ("rediss://h?ssl_ca_data=x", "ssl_ca_data holds no PEM certificate"),
        ("rediss://h?ssl_ca_data=%c3%a9", "ssl_ca_data holds no PEM certificate"),
        ("rediss://h?ssl_ca_certs=%00", "a NUL byte"),
        ("rediss://h?ssl_ciphers=%00", "a NUL byte"),
        ("redis://h?password_file=%00", "a NUL byte"),
        ("unix:///run/%00", "a NUL byte"),
        ("redis://" + "a" * 64, "a part of the host's name is empty or too long"),
        ("redis://a..b:1", "a part of the host's name is empty or too long"),
        ("rediss://h?ssl_ciphers=NONE-SUCH", "ssl_ciphers names no cipher suite"),
        ("rediss://h?ssl_check_hostname=maybe", "ssl_check_hostname must be true or false"),
        ("redis://h?db=-1", "db must be a number"),
        ("redis://:%zz@h", "a '%' in the URL is not followed by two hexadecimal digits. Write %25"),
        ("redis://:s3c%@h", "a '%' in the URL is not followed by two hexadecimal digits"),
        ("redis://h?password=s3c%2", "a '%' in the URL is not followed by two hexadecimal digits"),
        ("redis://:s3c%ff@h", "what the URL holds percent-encoded is not UTF-8"),
        ("redis:///0", "the URL names no host. Write redis://localhost:6379/0"),
        ("redis://user:s3cret@", "the URL names no host"),
        ("redis://:s3cret@/0", "the URL names no host"),
        ("redis://:6379", "the URL names no host"),
        ("redis://h:", "the URL has no port after the ':'"),
        ("redis://:s3cret@h:/0", "the URL has no port after the ':'"),
        ("unix://run/redis.sock", "a unix:// URL names no host"),
        ("redis://h\n", "the URL holds a line end"),
        (" redis://h", "the URL holds"),
        ("redis://h/1\t2", "the URL holds a line end, a tab"),
    ],
)
def test_nothing_of_a_url_is_passed_over(url: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_address(url)

    message = str(caught.value)
    assert told in message
    for part in ("s3c", "18200", "prod.example"):
        assert part not in message


def test_an_error_names_the_option_that_the_url_was_given_with() -> None:
    with pytest.raises(UsageError, match=r"^--from-redis is not a usable URL"):
        parse_address("ftp://h", "--from-redis")


@pytest.mark.parametrize("value", ["true", "False", "yes", "no", "1", "0"])
def test_whether_the_host_name_is_checked_is_said_in_any_usual_way(value: str) -> None:
    tls = parse_address(f"rediss://h?ssl_cert_reqs=required&ssl_check_hostname={value}").tls
    assert tls is not None
    assert tls.check_hostname is (value.lower() in ("true", "yes", "1"))


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

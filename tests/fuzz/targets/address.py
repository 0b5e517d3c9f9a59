"""Addresses: where redis-py goes, or one of our errors, which shows no part of a password."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from redis.asyncio.connection import parse_url

from loader.errors import UsageError
from loader.wire.address import parse_address

_SECRET = "hunter2secret"
_LEFT_OUT = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_ca_path")
"""Parameters that open files or run programs, which no made-up input may do."""


def seeds() -> Iterator[bytes]:
    yield from (
        b"redis://localhost",
        b"redis://user:%s@h:7000/3",
        b"redis://us%40er:%73%s@[::1]:7000/?db=4",
        b"rediss://h?ssl_cert_reqs=none&ssl_check_hostname=no&ssl_min_version=771",
        b"unix://user:%s@/run/my%20redis.sock?db=2",
        b"unix:///run/redis.sock?username=u&password=%s",
        b"redis://h/1?username=&password=x&db=",
        b"redis://:%s#x@h/1/2",
        b"rediss://h?ssl_ciphers=ALL&ssl_include_verify_flags=VERIFY_X509_STRICT&ssl_ca_data=x",
        b"redis://a..b",
        b"rediss://h?ssl_ca_data=%c3%a9&ssl_ciphers=%00",
        b"redis://h?socket_timeout=1&db=%31",
    )


def check(data: bytes) -> None:
    """An input is a URL; ``%s`` in it stands for a secret."""
    text = data.decode(errors="ignore")
    url = text.replace("%s", _SECRET)
    if _touches_files(url):
        return
    try:
        address = parse_address(url)
    except UsageError as error:
        message = str(error)
        assert "\n" not in message
        assert _SECRET not in message or re.search(rf"[?&]\w*{_SECRET}", unquote(url)), "a secret is shown"
        return
    assert address.url == url
    at_login = urlsplit(url).netloc.rpartition("@")[0]
    if f":{_SECRET}" in at_login and text.count("%s") == 1:
        assert _SECRET not in str(address) + repr(address), "a secret is shown"
    expected = parse_url(url)
    assert (address.username, address.password) == (expected.get("username"), expected.get("password"))
    assert (address.db, address.path) == (expected.get("db", 0), expected.get("path"))
    assert (address.tls is not None) == url.lower().startswith("rediss:")
    if address.path is None:
        assert (address.host, address.port) == (expected.get("host", "localhost"), expected.get("port", 6379))
    assert address.path or address.host.encode("idna")
    for part in (address.username or "", address.password or "", address.host):
        assert part.encode() or not part


def _touches_files(url: str) -> bool:
    return any(name in unquote(unquote(url.replace("+", " "))) for name in _LEFT_OUT)

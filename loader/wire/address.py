"""The server's address and login, read from a URL by redis-py's own rules."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import redis.exceptions
from redis.asyncio.connection import RedisSSLContext, SSLConnection, parse_url

from loader.errors import UsageError

_KNOWN = {"host", "port", "path", "db", "username", "password", "connection_class"}


@dataclass(frozen=True, slots=True)
class Address:
    """A server's address. ``url`` keeps the credentials; ``str()`` never shows them."""

    url: str = field(repr=False)
    host: str
    port: int
    path: str | None
    db: int
    username: str | None
    password: str | None = field(repr=False)
    tls: ssl.SSLContext | None

    def __str__(self) -> str:
        return f"unix://{self.path}" if self.path else f"{self.host}:{self.port}"


def parse_address(url: str) -> Address:
    """Parses ``redis://``, ``rediss://`` and ``unix://`` as redis-py does, ``ssl_*`` parameters included.

    Raises:
        UsageError: The text is not such a URL, or names TLS files that cannot be read.
    """
    how = "Write redis://[USER:PASSWORD@]HOST:PORT/DB, or unix:///PATH?db=N"
    try:
        options: dict[str, Any] = dict(parse_url(url))
        parts = urlsplit(url)
    except (ValueError, TypeError, redis.exceptions.RedisError):
        # The parser's message and the frames of the traceback may show a part of the password.
        raise UsageError("--redis is not a usable URL", how) from None
    is_unix = parts.scheme == "unix"
    if is_unix and not options.get("path"):
        raise UsageError("--redis: a unix:// URL needs the path of a socket", how)
    if not is_unix and not (re.fullmatch(r"(/[0-9]*)?", parts.path) and (parts.netloc or not parts.path)):
        raise UsageError("--redis: the part after the host is not a database number", how)
    for name in options:
        if name not in _KNOWN and not name.startswith("ssl_"):
            raise UsageError(f"--redis: unknown parameter {name}", "Known are db and the ssl_… ones of redis-py")
    if not is_unix and not options.get("host"):
        options["host"] = "localhost"
    try:
        db, port = int(options.get("db", 0)), int(options.get("port", 6379))
    except ValueError:
        raise UsageError("--redis: the database is not a number", how) from None
    tls = None
    if options.get("connection_class") is SSLConnection:
        names = ("keyfile", "certfile", "cert_reqs", "ca_certs", "ca_data", "ca_path", "check_hostname", "password")
        given: dict[str, Any] = {name: options[f"ssl_{name}"] for name in names if f"ssl_{name}" in options}
        given = {"cert_reqs": "required", "check_hostname": given.get("cert_reqs") != "none", **given}
        try:
            tls = RedisSSLContext(**given).get()
        except (OSError, ValueError, redis.exceptions.RedisError) as error:
            raise UsageError(f"--redis: TLS cannot be set up: {error}", "Check the ssl_… parameters") from error
    return Address(
        url,
        options.get("host", ""),
        port,
        options.get("path"),
        db,
        options.get("username"),
        options.get("password"),
        tls,
    )

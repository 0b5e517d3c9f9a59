"""Where the server is and how to log in, read from a URL by redis-py's own rules."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio.connection import RedisSSLContext, SSLConnection, parse_url

from loader.errors import UsageError


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
    """Understands ``redis://``, ``rediss://`` and ``unix://`` as redis-py does, ``ssl_*`` parameters included.

    Raises:
        UsageError: It is not such a URL, or names TLS files that cannot be read.
    """
    try:
        options: dict[str, Any] = dict(parse_url(url))
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"--redis is not a usable URL: {error}", "Write redis://[USER:PASSWORD@]HOST:PORT/DB, or unix:///PATH?db=N"
        ) from error
    if not urlsplit(url).scheme.startswith("unix") and not options.get("host"):
        options["host"] = "localhost"
    tls = None
    if options.get("connection_class") is SSLConnection:
        names = ("keyfile", "certfile", "cert_reqs", "ca_certs", "ca_data", "ca_path", "check_hostname", "password")
        given: dict[str, Any] = {name: options[f"ssl_{name}"] for name in names if f"ssl_{name}" in options}
        given = {"cert_reqs": "required", "check_hostname": given.get("cert_reqs") != "none", **given}
        try:
            tls = RedisSSLContext(**given).get()
        except (OSError, ValueError) as error:
            raise UsageError(f"--redis: TLS cannot be set up: {error}", "Check the ssl_… parameters") from error
    return Address(
        url,
        options.get("host", ""),
        int(options.get("port", 6379)),
        options.get("path"),
        int(options.get("db", 0)),
        options.get("username"),
        options.get("password"),
        tls,
    )

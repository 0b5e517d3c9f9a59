"""The server's address and login, read from a URL by the rules of redis-py."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field, replace
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from loader.errors import UsageError
from loader.wire.hosts import WRONG_NAME, can_be_a_name
from loader.wire.password import PasswordSource
from loader.wire.tls import TLS_OPTIONS, tls_context, tls_options

_FORM = "Write redis://[USER:PASSWORD@]HOST:PORT/DB, or unix:///PATH?db=N"
_PERCENT = "Write %25 for a '%' that is meant as it is"
_ENCODE = "In a user name or password, write # as %23, / as %2F, ? as %3F and @ as %40"
_BOOLEANS = ("true", "false", "yes", "no", "1", "0")
"""redis-py takes any other text for true."""

_SCHEMES = ("redis", "rediss", "unix")
_LOGIN = ("db", "username", "password")


@dataclass(frozen=True, slots=True)
class Place:
    """An address as the user gave it. Unlike an address, it can be sent to another process."""

    url: str = field(repr=False)
    secret: PasswordSource | None

    def address(self) -> Address:
        """Raises UsageError as ``parse_address``."""
        return parse_address(self.url, password=self.secret)


@dataclass(frozen=True, slots=True)
class Sentinels:
    """The Sentinels that know the primary of a service."""

    service: str
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Address:
    """A server's address. ``url`` keeps the credentials; ``str()`` never shows them.

    Attributes:
        secret: Where the password is from, if ``password`` is None.
        sentinels: Whom to ask for host and port, which are empty then; None if they are known.
    """

    url: str = field(repr=False)
    host: str
    port: int
    path: str | None
    db: int
    username: str | None
    password: str | None = field(repr=False)
    tls: ssl.SSLContext | None
    sentinels: Sentinels | None = None
    secret: PasswordSource | None = None

    @property
    def place(self) -> Place:
        """What another process makes this address from."""
        return Place(self.url, self.secret)

    def __str__(self) -> str:
        if self.sentinels is not None:
            return f"{self.sentinels.service} at Sentinel {', '.join(map(str, self.sentinels.addresses))}"
        return f"unix://{self.path}" if self.path else f"{self.host}:{self.port}"


def parse_address(url: str, option: str = "--redis", password: PasswordSource | None = None) -> Address:
    """Parses ``redis://``, ``rediss://`` and ``unix://`` as redis-py does, ``ssl_*`` parameters included; for
    ``redis+sentinel://`` and ``rediss+sentinel://`` see ``sentinel_url``.

    A parser passes over what it cannot place: a fragment, a parameter without a value, a second one of the same name.
    Most of these are a password that was not percent-encoded, and the rest of the URL then names another server. So
    each is refused here. No error shows a part of the URL but the names of parameters.

    Args:
        option: Where the URL was given, for errors.
        password: Where the password is from, if the URL has none.

    Raises:
        UsageError: The text is not such a URL, or names TLS files that cannot be used.
    """
    address = _parsed(url, option)
    if password is None or (address.password is not None and not password.option):
        return address
    if address.password is not None:
        raise UsageError(f"{password.option}: the URL has a password already", "Leave one of them out")
    return replace(address, secret=password)


def _parsed(url: str, option: str) -> Address:
    try:
        parts = urlsplit(url)
        if "sentinel" in parts.scheme:
            from loader.wire import sentinel_url  # only few loads need it

            if parts.scheme in sentinel_url.FOREIGN_SCHEMES:
                raise sentinel_url.foreign_form(option)
            if parts.scheme in sentinel_url.SCHEMES:
                _refuse_what_would_be_lost(url, parts, option)
                return sentinel_url.parse_sentinel_url(url, parts, option)
        place = _place(url, parts)
        options = tls_options(url) if parts.scheme == "rediss" else {}
    except ValueError as error:
        # The parser's message and the frames of the traceback may show a part of the password.
        raise UsageError(*_unusable(str(error), option)) from None
    _refuse_what_would_be_lost(url, parts, option)
    is_unix = parts.scheme == "unix"
    if is_unix and not place.path:
        raise UsageError(f"{option}: a unix:// URL needs the path of a socket", _FORM)
    if not is_unix and not re.fullmatch(r"(/[0-9]*)?", parts.path):
        raise UsageError(f"{option}: the part after the host is not a database number", f"{_FORM}. {_ENCODE}")
    has_tls = parts.scheme == "rediss"
    _check_parameters(parts, has_tls, option)
    if not is_unix:
        _require_host(parts, place.host, option)
    tls = None
    if has_tls:
        tls = tls_context(options, option)
    return replace(place, tls=tls)


def _place(url: str, parts: SplitResult) -> Address:
    """Where a URL leads, without TLS. Raises ValueError if its scheme, its port or its database is of no use."""
    if parts.scheme not in _SCHEMES:
        raise ValueError("another scheme")
    is_unix = parts.scheme == "unix"
    given = dict(reversed(parse_qsl(parts.query)))  # of a parameter that is given twice, the first
    after_host = parts.path.strip("/")
    return Address(
        url,
        "" if is_unix else unquote(parts.hostname or "localhost"),
        (None if is_unix else parts.port) or 6379,
        unquote(parts.path) if is_unix else None,
        _number("db", given.get("db") or (after_host if after_host.isdecimal() and not is_unix else "0")),
        unquote(parts.username) if parts.username else given.get("username"),
        unquote(parts.password) if parts.password else given.get("password"),
        None,
    )


def _number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"'{name}' is no number") from None


def _unusable(message: str, option: str) -> tuple[str, str]:
    """Error and hint for a URL that cannot be parsed."""
    for name in (*TLS_OPTIONS, *_LOGIN):
        if f"'{name}'" in message:
            return f"{option}: {name} must be {TLS_OPTIONS.get(name, 'a number')}", ""
    if "verify flag" in message:
        return f"{option}: ssl_…_verify_flags must be {TLS_OPTIONS['ssl_include_verify_flags']}", ""
    return f"{option} is not a usable URL", f"{_FORM}. {_ENCODE}"


def _refuse_what_would_be_lost(url: str, parts: SplitResult, option: str) -> None:
    """Refuses what Python's and redis-py's parsers drop without a word."""
    if "#" in url:
        raise UsageError(f"{option}: a URL ends at its '#', and what follows would be lost", _ENCODE)
    if re.search(r"[\x00-\x1f\x7f]", url) or url != url.strip():
        raise UsageError(f"{option}: the URL holds a line end, a tab, a control character or a space at an end", _FORM)
    if "%00" in url:
        raise UsageError(f"{option}: the URL holds a NUL byte (%00), which no name or password can hold", _FORM)
    if re.search(r"%(?![0-9a-fA-F]{2})", url):
        raise UsageError(f"{option}: a '%' in the URL is not followed by two hexadecimal digits", _PERCENT)
    if "\ufffd" in unquote(url):
        raise UsageError(f"{option}: what the URL holds percent-encoded is not UTF-8", "Encode its UTF-8 bytes")
    if parts.scheme == "unix" and parts.netloc.rpartition("@")[2]:
        raise UsageError(f"{option}: a unix:// URL names no host", "Write three slashes: unix:///run/redis.sock")


def _require_host(parts: SplitResult, host: str, option: str) -> None:
    """Refuses a URL without the host or the port, for which redis-py takes a default: often, a part was left out.

    Also one with a host that cannot be a name.
    """
    if not can_be_a_name(host):
        raise UsageError(f"{option}: {WRONG_NAME}", _FORM)
    place = parts.netloc.rpartition("@")[2]
    if place.endswith(":"):
        raise UsageError(f"{option}: the URL has no port after the ':'", _FORM)
    if not parts.hostname and (parts.netloc or parts.path.strip("/")):
        raise UsageError(f"{option}: the URL names no host", "Write redis://localhost:6379/0 for this machine")


def _check_parameters(parts: SplitResult, has_tls: bool, option: str) -> None:
    try:
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise UsageError(f"{option}: what follows the '?' is not of the form NAME=VALUE", _ENCODE) from None
    seen: set[str] = set()
    for name, value in given:
        if name not in _LOGIN and name not in TLS_OPTIONS:
            known = ", ".join([*_LOGIN, *TLS_OPTIONS] if has_tls else _LOGIN)
            # Only a plain word is shown: anything else may be a part of a password.
            shown = (
                f"unknown parameter {name}" if re.fullmatch(r"(ssl|socket|max|retry|health|client)_\w+", name) else ""
            )
            raise UsageError(f"{option}: {shown or 'unknown parameter'}", f"Known are {known}. {_ENCODE}")
        if name in TLS_OPTIONS and not has_tls:
            raise UsageError(f"{option}: {name} needs TLS", "Write rediss:// in place of " + parts.scheme + "://")
        if name in seen:
            raise UsageError(f"{option}: {name} is given twice", "Give it once")
        if not value:
            raise UsageError(f"{option}: {name} has no value", "Give one, or leave it out")
        if name == "ssl_check_hostname" and value.lower() not in _BOOLEANS:
            raise UsageError(f"{option}: {name} must be {TLS_OPTIONS[name]}")
        if name == "db" and not (value.isascii() and value.isdigit()):
            raise UsageError(f"{option}: db must be a number")
        seen.add(name)
    if "db" in seen and parts.scheme != "unix" and parts.path.strip("/"):
        raise UsageError(f"{option}: the database is given twice", "Give it after the host or as db=N")
    if parts.netloc.rpartition("@")[0] and seen & {"username", "password"}:
        raise UsageError(f"{option}: the login is given twice", "Give it before the host or as parameters")

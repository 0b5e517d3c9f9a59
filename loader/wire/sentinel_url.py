"""URLs of servers that Sentinel watches: ``redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB``.

This form is that of the packages redis-sentinel-url, limits, langchain and redisvl. The login before the hosts is the
servers', as there; Sentinel's own is in the parameters ``sentinel_username`` and ``sentinel_password``.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import SplitResult, unquote

from loader.errors import UsageError
from loader.wire.address import Address, Sentinels, parse_address

SCHEMES = ("redis+sentinel", "rediss+sentinel")
FOREIGN_SCHEMES = ("redis-sentinel", "rediss-sentinel", "sentinel")
"""Other forms, in which the service is not in the path: of asynq and Lettuce, and of Celery."""

FORM = "Write redis+sentinel://[USER:PASSWORD@]HOST:PORT,HOST:PORT/SERVICE/DB"
_PORT = 26379
_OWN = "sentinel_"
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")


def parse_sentinel_url(url: str, parts: SplitResult, option: str) -> Address:
    """The address of the primary of a service, to be asked of Sentinel.

    Args:
        parts: The URL, split.
        option: Where the URL was given, for errors.

    Raises:
        UsageError: The URL names no host or no service, or a part of it is not usable.
    """
    login, at, places = parts.netloc.rpartition("@")
    service, _, database = parts.path.strip("/").partition("/")
    if not places or not all(place and not place.endswith(":") for place in places.split(",")):
        raise UsageError(f"{option}: the URL needs hosts of Sentinels, separated by commas", FORM)
    if not service:
        raise UsageError(
            f"{option}: the URL names no service after the hosts", f"{FORM}; the service is often mymaster"
        )
    scheme = parts.scheme.removesuffix("+sentinel")
    for_servers, for_sentinels = _parameters(parts.query)
    hosts = [_with_port(place) for place in places.split(",")]
    # Each part is read, and refused, by the rules of an ordinary URL.
    server = parse_address(_url(scheme, login + at, hosts[0], database, for_servers), option)
    own = dict(for_sentinels)
    sentinel_scheme = _sentinel_scheme(own.pop("ssl", ""), scheme, option)
    if sentinel_scheme == "rediss" and not any(name.startswith("ssl_") for name in own):
        own |= {name: value for name, value in for_servers if name.startswith("ssl_")}
    sentinels = tuple(parse_address(_url(sentinel_scheme, "", host, "0", list(own.items())), option) for host in hosts)
    return replace(server, url=url, host="", port=0, sentinels=Sentinels(unquote(service), sentinels))


def _parameters(query: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The parameters of the servers, and those of the Sentinels without ``sentinel_``; still percent-encoded."""
    words = [word.partition("=") for word in query.split("&") if word]
    own = [(name.removeprefix(_OWN), value) for name, _, value in words if name.startswith(_OWN)]
    return [(name, value) for name, _, value in words if not name.startswith(_OWN)], own


def _sentinel_scheme(given: str, scheme: str, option: str) -> str:
    if given and given.lower() not in (*_TRUE, *_FALSE):
        raise UsageError(f"{option}: sentinel_ssl must be true or false", FORM)
    if not given:
        return scheme
    return "rediss" if given.lower() in _TRUE else "redis"


def _with_port(place: str) -> str:
    has_port = ":" in (place.rpartition("]")[2] if place.startswith("[") else place)
    return place if has_port else f"{place}:{_PORT}"


def _url(scheme: str, login: str, host: str, database: str, parameters: list[tuple[str, str]]) -> str:
    query = "&".join(f"{name}={value}" for name, value in parameters)
    return f"{scheme}://{login}{host}/{database}" + (f"?{query}" if query else "")


def foreign_form(option: str) -> UsageError:
    """The error for a URL in the form of another client."""
    return UsageError(f"{option}: a URL for Sentinel begins with redis+sentinel:// here, or rediss+sentinel://", FORM)

"""URLs of remote input. No I/O, and no secrets in what is shown."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from loader.errors import UsageError
from loader.extras import ExtraName
from loader.sources.base import one_line

EXTRA_OF: Mapping[str, ExtraName] = {
    "s3": "s3",
    "gs": "gs",
    "az": "az",
    "http": "http",
    "https": "http",
    "sftp": "sftp",
}
"""The schemes that are read, each with the extra that it needs."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_MEANT = {
    "s3a": "s3",
    "s3n": "s3",
    "gcs": "gs",
    "abfs": "az",
    "abfss": "az",
    "wasb": "az",
    "wasbs": "az",
    "azure": "az",
}
_DATABASES = ("postgresql", "postgres", "sqlite", "mysql", "mariadb", "oracle", "mssql")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_BUCKETS = ("s3", "gs", "az")
_WEB = ("http", "https")
_HIDDEN = "…"
_DOCUMENTS = re.compile(rf" {_HIDDEN} \(\d+ documents\)\Z")
"""How the name of a source ends that has several files; see ``FileSource.of``."""
_SIGNATURE = re.compile(
    r"x-(?:amz|goog)-.*|awsaccesskeyid|googleaccessid|signature|expires|policy|key-pair-id"
    r"|sig|s[eprstv]|srt|sip|spr|sdd|sk(?:oid|tid|t|e|s|v)",
    re.IGNORECASE,
)
"""Parameters that sign a URL and differ from one URL of an object to the next: of S3 and Google Cloud Storage (versions
2 and 4), CloudFront, and Azure's shared access signatures."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where remote input is.

    Attributes:
        scheme: One of ``EXTRA_OF``.
        host: The bucket or container, or the host with its port.
        path: The key of an object, as it is. Of HTTP, what follows the host, with its slash; of SFTP the same, without
            its percent-encoding.
        login: What stands before ``@``, as it is written; empty if there is nothing.
        query: What follows ``?`` in a URL of HTTP.
    """

    scheme: str
    host: str
    path: str
    login: str = field(default="", repr=False)
    query: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """The URL for people, manifests and reports: without a password, and without what follows ``?``."""
        return self.name_of(self.path) + (f"?{_HIDDEN}" if self.query else "")

    def name_of(self, path: str) -> str:
        """The URL of another object of the same place, for people."""
        slash = "/" if self.scheme in _BUCKETS else ""
        return one_line(f"{self.scheme}://{self._shown_login}{self.host}{slash}{path}")

    @property
    def _shown_login(self) -> str:
        """The user of SFTP; of HTTP nothing of it, because a login without a password is a token as a rule."""
        if not self.login or self.scheme != "sftp":
            return f"{_HIDDEN}@" if self.login else ""
        user = self.login.partition(":")[0]
        return f"{user}:{_HIDDEN}@" if self.password else f"{user}@" if user else ""

    @property
    def url(self) -> str:
        """The URL of HTTP that is asked for, without the login."""
        return f"{self.scheme}://{self.host}{self.path}" + (f"?{self.query}" if self.query else "")

    @property
    def content_url(self) -> str:
        """What says which object this is: the URL without its login and its signature."""
        kept = [pair for pair in parse_qsl(self.query, keep_blank_values=True) if not _SIGNATURE.fullmatch(pair[0])]
        return self.content_url_of(self.path) + (f"?{kept}" if kept else "")

    def content_url_of(self, path: str) -> str:
        """The same for another object of the same place."""
        return f"{self.scheme}://{self.host}/{path}"

    @property
    def file_name(self) -> str:
        """The last part of the path, which says the format."""
        last = self.path.rpartition("/")[2]
        return unquote(last) if self.scheme in _WEB else last

    @property
    def has_listing(self) -> bool:
        """Whether prefixes and patterns can be given: HTTP has no listing."""
        return self.scheme not in _WEB

    @property
    def user(self) -> str:
        """The user of the login; empty if there is none."""
        return unquote(self.login.partition(":")[0])

    @property
    def password(self) -> str:
        """The password of the login; empty if there is none."""
        return unquote(self.login.partition(":")[2])


def is_url(argument: str) -> bool:
    """Whether an input is written as a URL, of any scheme. What a file is called is none."""
    return _URL.fullmatch(argument) is not None and not os.path.lexists(argument)


def as_key(name: str) -> str:
    """A URL that means exactly this object, whatever characters of patterns its key has.

    Args:
        name: See ``Address.name``; nothing is hidden in it.
    """
    scheme, mark, rest = name.partition("://")
    if scheme in _WEB:
        return name
    place, slash, key = rest.partition("/")
    if scheme == "sftp":
        key = key.replace("%", "%25")  # names have paths as they are, and URLs have them encoded
    return scheme + mark + place + slash + glob.escape(key)


def hides_something(name: str) -> bool:
    """Whether the name of remote input lacks a part of its URL, so that it cannot be read by it.

    The mark for that may also be a character of a key, or of a path.
    """
    if _DOCUMENTS.search(name):
        return True
    scheme, _, rest = name.partition("://")
    login = rest.partition("/")[0].rpartition("@")[0]
    if scheme == "sftp":
        return login.endswith(f":{_HIDDEN}")
    return scheme in _WEB and (login == _HIDDEN or name.endswith(f"?{_HIDDEN}"))


def parse_address(argument: str) -> Address:
    """The address of remote input.

    Raises:
        UsageError: The scheme is not read, or the URL names no bucket or host. The message has no secrets.
    """
    found = _URL.fullmatch(argument)
    scheme = found[1].lower() if found is not None else ""
    if found is None or scheme not in EXTRA_OF:
        meant = _MEANT.get(scheme)
        known = ", ".join(f"{name}://" for name in EXTRA_OF)
        hint = f"Write {meant}://" if meant else f"Give one of {known}; or copy it to a file, or pipe it in"
        if scheme.partition("+")[0] in _DATABASES:
            hint = "A database is given with --from, and what to read from it with --sql"
        raise UsageError(f"{scheme}:// is no input that is read", hint)
    rest = found[2]
    if scheme in _BUCKETS:
        return _bucket(scheme, rest)
    query = ""
    before_path = rest.partition("/")[0]
    if any(mark in before_path.rpartition("@")[0] for mark in "?#"):
        raise UsageError(
            f"{scheme}://{_HIDDEN} has a password with characters that mean something", "Write ? as %3F, # as %23"
        )
    if scheme != "sftp":
        rest, _, query = rest.partition("#")[0].partition("?")
    host, slash, path = rest.partition("/")
    login, _, host = host.rpartition("@")
    shown = f"{scheme}://{_HIDDEN + '@' if login else ''}{one_line(host)}"
    if "@" in path and ":" in host and not host.rpartition(":")[2].isdigit():
        raise UsageError(f"{scheme}://{_HIDDEN} has a password with characters that mean something", "Write / as %2F")
    _check_host(scheme, host, shown)
    path = slash + path
    return Address(scheme, host, unquote(path) if scheme == "sftp" else path, login, query)


def _check_host(scheme: str, host: str, shown: str) -> None:
    """Raises UsageError if this is no host, or no host and port."""
    try:
        parts = urlsplit(f"//{host}")
    except ValueError:  # brackets that are not closed, or have no address of IPv6
        parts = urlsplit("")
    if not parts.hostname or any(mark.isspace() for mark in host):
        raise UsageError(f"{shown} names no host", f"Write {scheme}://HOST/PATH")
    try:
        has_port = parts.port != 0 and not host.endswith(":")
    except ValueError:
        has_port = False
    if not has_port:
        raise UsageError(f"{shown} has no port number after the colon", f"Write {scheme}://HOST:PORT/PATH")


def _bucket(scheme: str, rest: str) -> Address:
    bucket, _, key = rest.partition("/")
    if "@" in bucket or ":" in bucket:
        raise UsageError(
            f"{scheme}://{_HIDDEN} has a login or a port in it",
            "Write the bucket alone; docs/remote.md says where credentials and endpoints are found",
        )
    if not bucket or any(mark in "*?[" for mark in bucket):
        raise UsageError(f"{scheme}:// needs the name of a bucket", f"Write {scheme}://BUCKET/KEY")
    *folders, _ = key.split("/")
    if any(part in ("", ".", "..") for part in folders) or _CONTROLS.search(key):
        # obstore refuses most of them, and takes /a for a.
        raise UsageError(
            one_line(f"{scheme}://{bucket}/{key} has an empty part, a dot for a part, or a control character"),
            "Keys of this kind are not read: copy the object to another key",
        )
    return Address(scheme, bucket, key)

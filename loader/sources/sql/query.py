"""What is asked of which database, and how both are named where others may read it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, unquote_plus

from loader.errors import UsageError

FORMAT = "sql"
"""The name of the format in manifests and reports. It is no value of ``--format``: a file of SQL is no input."""

_POSTGRES = frozenset({"postgres", "postgresql", "postgresql+psycopg"})
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=:)")
_SECRET = re.compile(r"(?i)([?&][^=&]*(?:password|passwd|pwd|secret|token|key)[^=&]*=)[^&]*")
_LONG = 8
"""Characters of a password from which on it is no part of other words."""


@dataclass(frozen=True, slots=True)
class SqlQuery:
    """One statement for one database.

    Attributes:
        statement: The text as it is sent.
        url: Where the database is, with what logs in: it must not be shown. See ``shown_url``.
        key: What ``--sql-key`` names; None to take the key from ORDER BY.
    """

    statement: str
    url: str
    key: str | None = None

    @property
    def scheme(self) -> str:
        """The kind of database, in lower case; '' if the URL has none."""
        found = _SCHEME.match(self.url)
        return "" if found is None else found[0].lower()

    @property
    def is_postgres(self) -> bool:
        """Whether psycopg reads it."""
        return self.scheme in _POSTGRES

    @property
    def shown_url(self) -> str:
        """The address without user, password and options, for messages, reports and the job's record."""
        return shown_url(self.url)


def _split(url: str) -> tuple[str, str, str]:
    """What logs in, the place, and the options of a URL, without the marks between them.

    A login ends at the last ``@``: a password may hold any characters that nobody has encoded, also ``/`` and ``?``.
    There is none before ``/``: in ``sqlite:///FILE`` and ``postgresql:///DATABASE``, an ``@`` is a part of the rest.
    """
    rest = url.partition("://")[2]
    login, _, behind = ("", "", rest) if rest.startswith("/") else rest.rpartition("@")
    place, _, options = behind.partition("?")
    return login, place, options


def shown_url(url: str) -> str:
    """A URL without login and options: both may hold secrets."""
    scheme, colon, _ = url.partition("://")
    return f"{scheme}://{_split(url)[1]}" if colon else "…"


def require_plain_login(url: str) -> None:
    """Refuses a login with characters that end it, of which a part would be taken for the host, and be shown.

    Raises:
        UsageError: There is one. The message has no part of it.
    """
    if any(mark in _split(url)[0] for mark in "@/?#"):
        raise UsageError(
            "--from has an @ after a login with characters that mean something else",
            "In user, password and options, write @ as %40, / as %2F, ? as %3F, # as %23; or leave the password to "
            "~/.pgpass or PGPASSWORD",
        )


def without_secrets(text: str, url: str) -> str:
    """A message of a driver, in one line, without the URL's password where the driver repeats it."""
    for secret in sorted(_secrets(url), key=len, reverse=True):
        if len(secret) >= _LONG:
            text = text.replace(secret, "…")
        else:  # it may be a part of any word
            text = re.sub(rf"([:=]['\"]?){re.escape(secret)}(?!\w)", r"\1…", text)
    return _SECRET.sub(r"\1…", " ".join(text.split()))


def _secrets(url: str) -> set[str]:
    """The texts in a URL that log in: its password as it is written, and decoded; options of such names."""
    login, _, options = _split(url)
    found = {url}
    if password := login.partition(":")[2]:
        found |= {password, login}
    for option in options.split("&"):
        name, _, value = option.partition("=")
        if _SECRET.match(f"?{name}="):
            found |= {value, unquote_plus(value), quote(unquote(value), safe="")}
    found |= {unquote(secret) for secret in found}
    return {secret for secret in found if secret}


def digest_of(query: SqlQuery, address: str) -> str:
    """What identifies the query: its text, where it is asked, and its key. Users and passwords are no part of it.

    Args:
        address: The database that was reached: what the URL leaves open comes from elsewhere.
    """
    parts = (address, query.statement, query.key or "")
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()

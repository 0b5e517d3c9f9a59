"""Hides the logins and signatures of URLs in a text that the user sees, and that may end up in a log."""

from __future__ import annotations

import re

_LOGIN = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://)(?!\[|:PASSWORD@HOST)[^\s'\"]*@")
"""From the scheme to the last ``@``: a password may hold ``@`` and ``/`` that nobody has encoded. What our own
lines write in this place stays: ``[USER:PASSWORD@]`` and ``:PASSWORD@HOST``."""

_PASSWORD = re.compile(r"([?&]\w*password=)(?!PASSWORD\b)[^&\s'\"]*")
"""Also ``ssl_password``, ``sslpassword`` and ``sentinel_password``."""


_SIGNED = re.compile(r"(\bhttps?://[^\s?'\"]+\?)[^\s'\"…]+", re.IGNORECASE)
"""What follows ``?`` in a URL of HTTP, which may be a signature that gives access."""


_TOKEN = re.compile(r"(\bhttps?://)[^:@/\s'\"]+@", re.IGNORECASE)
"""A login of HTTP without a password is a token as a rule."""


def without_logins(text: str) -> str:
    """A text in which each URL shows ``…`` instead of a login, and one of HTTP also instead of what follows ``?``.

    A URL in the place of another value ends up in the message about that value.
    """
    return _PASSWORD.sub(r"\1…", _SIGNED.sub(r"\1…", _LOGIN.sub(r"\1…@", text)))


def without_password(argument: str) -> str:
    """An argument of the command line with ``PASSWORD`` in the place of the password of a URL, and with ``…`` after the
    ``?`` of one of HTTP."""
    argument = _TOKEN.sub(r"\1…@", _SIGNED.sub(r"\1…", argument))
    argument = re.sub(r"(?<=://)([^:@/]*):.*@", r"\1:PASSWORD@", argument, flags=re.DOTALL)
    return re.sub(r"([?&]\w*password=)[^&]*", r"\1PASSWORD", argument)

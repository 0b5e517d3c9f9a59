"""A file in an archive."""

from __future__ import annotations

from typing import NamedTuple


class Member(NamedTuple):
    """A member of an archive, as its header tells it.

    Attributes:
        path: Its path in the archive. It is only shown.
        what: ``file``, ``folder``, ``link``, ``sparse file``, ``special file``. Only files have content.
    """

    path: str
    what: str

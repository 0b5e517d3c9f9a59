"""Ids of the gateway's tasks: UUIDs that begin at a random one and go on by one within a request."""

from __future__ import annotations

import secrets

from loader.tasks.ids import id_prefix, id_suffixes

_PREFIX = 24
"""Characters of an id up to its last group, the dash included."""


def new_ids(count: int) -> list[bytes]:
    """Ids that nobody else has: 74 random bits common to a request, and 44 for where its count begins.

    A request's ids follow from its first, so that an Idempotency-Key's memory is a line, not 36 bytes a task.
    """
    return _ids(id_prefix(secrets.token_hex(16), 0, ""), secrets.randbits(44), count)


def ids_from(first: bytes, count: int) -> list[bytes]:
    """The ids of a request whose first one is known."""
    return _ids(first[:_PREFIX], int(first[_PREFIX:], 16), count)


def _ids(prefix: bytes, start: int, count: int) -> list[bytes]:
    return [prefix + suffix for suffix in id_suffixes(start, count)]

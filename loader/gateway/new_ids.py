"""Ids of the gateway's tasks: UUIDs. Those of a request start at a random UUID and increase by one."""

from __future__ import annotations

import secrets

from loader.tasks.ids import id_prefix, id_suffixes

_PREFIX = 24
"""Characters of an id up to its last group, the dash included."""


def new_ids(count: int) -> list[bytes]:
    """Unique ids: 74 random bits that a request's ids share, and 44 random bits for the first number.

    All ids of a request follow from the first. So Redis stores one line for an Idempotency-Key, not 36 bytes a task.
    """
    return _ids(id_prefix(secrets.token_hex(16), 0, ""), secrets.randbits(44), count)


def ids_from(first: bytes, count: int) -> list[bytes]:
    """The ids of a request, from its first id."""
    return _ids(first[:_PREFIX], int(first[_PREFIX:], 16), count)


def _ids(prefix: bytes, start: int, count: int) -> list[bytes]:
    return [prefix + suffix for suffix in id_suffixes(start, count)]

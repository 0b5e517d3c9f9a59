"""The longest value that servers accept.

Redis closes a connection that sends a longer one: after an error reply if it is over ``proto-max-bulk-len`` (512 MB by
default), without one if it is over ``client-query-buffer-limit`` (1 GB). Both can be set to 1 MB and more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from loader.wire.client import Client
from loader.wire.replies import parse_setting

SETTINGS = ("proto-max-bulk-len", "client-query-buffer-limit")

SMALLEST_LIMIT = 1024 * 1024
"""The smallest value that Redis and Valkey accept for these settings, in bytes."""

_BUFFER_MARGIN = 64 * 1024
"""The query buffer holds a value and what was read with it (measured: 100 bytes; at most two reads of 16 KiB)."""


@dataclass(frozen=True, slots=True)
class ValueLimit:
    """The longest value that all servers accept, in bytes, and the setting that limits it."""

    size: int
    setting: str


def value_limit(replies: Iterable[Any]) -> ValueLimit | None:
    """The limit, from the replies to ``CONFIG GET`` of ``SETTINGS`` of all servers; None if they are refused."""
    limits: list[ValueLimit] = []
    for reply in replies:
        if (setting := parse_setting(reply)) is None:
            continue
        name, value = setting
        if value.isdecimal() and int(value):
            margin = _BUFFER_MARGIN if name == "client-query-buffer-limit" else 0
            limits.append(ValueLimit(int(value) - margin, name))
    return min(limits, key=lambda limit: limit.size, default=None)


async def ask_value_limit(clients: Iterable[Client]) -> ValueLimit | None:
    """The limit of some servers, asked in a way that they may refuse.

    Raises:
        LoaderError: A server does not answer.
    """
    questions = [("CONFIG", "GET", name) for name in SETTINGS]
    return value_limit([reply for client in clients for reply in await client.ask_each(questions)])

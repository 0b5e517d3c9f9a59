"""Up to which length of payloads a dump pays, by the kind of the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loader.layouts.compact import ANY_LENGTH
from loader.settings import LoadOptions
from loader.tasks.profiles import LayoutName

REDIS: dict[LayoutName, int] = {"documented": 1500, "asynq": 500}
"""Bytes of a payload up to which a dump saves time, or at least memory at next to no cost of time.

``docs/benchmarks/compact.md`` has the figures with Redis 7.0 and 8.2. Of an HSET's cost at 110, 300 and 1000 bytes:

- documented: CPU time of the server 0.7, 0.8, 0.9 to 1.0; memory 0.5, 0.6, 0.8
- asynq: CPU time 0.9, 0.9, 1.0 to 1.1; memory 0.7, 0.75, 0.85

At 1500 bytes (documented), the time is the same; at 10 KB, a dump takes a third more, and saves no memory. With
``sanitize-dump-payload yes``, a server needs 0.3 us more for a dump, so that the first figure is 0.8.
"""

VALKEY: dict[LayoutName, int] = {"documented": 400, "asynq": 400}
"""The same for Valkey 9.1, whose HSETs are quicker, and which checks each dump: from 110 bytes on a dump takes a little
more time than an HSET, for 0.6 to 0.75 of the memory; at 1000 bytes it takes half as much again, for 0.85."""


def longest_dump(options: LoadOptions, info: Any = None) -> int:
    """The longest payload whose task is a dump, in bytes, if the server takes dumps; 0 for ``--compact never``.

    Args:
        options: Settled options.
        info: The server's reply to INFO, or an error or None in its place: then it counts as Redis.
    """
    if options.compact != "auto":
        return ANY_LENGTH if options.compact == "always" else 0
    is_valkey = isinstance(info, Mapping) and info.get("server_name") == "valkey"
    return (VALKEY if is_valkey else REDIS)[options.layout_name]

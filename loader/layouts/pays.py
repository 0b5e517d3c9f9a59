"""Up to which length of payloads a dump pays, by the kind of the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loader.layouts.compact import ANY_LENGTH, Dumps
from loader.layouts.dump import FormName
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


OLD_REDIS: dict[LayoutName, int] = {"documented": 1500, "asynq": 700}
"""The same for Redis 6.2, with dumps of ziplists. Of an HSET's cost at 110, 300, 700 and 1500 bytes:

- documented: CPU time of the server 0.6, 0.7, 0.85, 1.0; memory 0.4, 0.5, 0.65, 0.8
- asynq: CPU time 0.8, 0.85, 1.0, 1.1 to 1.4; memory 0.6, 0.7, 0.8, 0.85
"""


def dumps_that_pay(options: LoadOptions, info: Any = None, form: FormName | None = None) -> Dumps:
    """Which tasks are dumped if the server takes dumps.

    Args:
        options: Settled options, with ``--compact`` auto or always.
        info: The server's reply to INFO, or an error or None in its place: then it counts as Redis.
        form: The form that the server takes; None for the one that its version has.
    """
    form = form or usual_form(info)
    if options.compact == "always":
        return Dumps(ANY_LENGTH, form)
    lengths = OLD_REDIS if form == "ziplist" else VALKEY if _is_valkey(info) else REDIS
    return Dumps(lengths[options.layout_name], form)


def usual_form(info: Any) -> FormName:
    """The form of dumps that servers of this version take."""
    version = info.get("redis_version") if isinstance(info, Mapping) else None
    is_old = isinstance(version, str) and version.split(".")[0] in {"4", "5", "6"}
    return "ziplist" if is_old and not _is_valkey(info) else "listpack"


def _is_valkey(info: Any) -> bool:
    return isinstance(info, Mapping) and info.get("server_name") == "valkey"

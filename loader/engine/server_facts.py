"""What a server is, for reports of load tests: make, version, persistence, limits, and how far away it is."""

from __future__ import annotations

import logging
import time
from typing import Any

import hiredis

from loader.errors import LoaderError
from loader.servers.routing import Servers
from loader.wire.replies import parse_setting

_PINGS = 11

log = logging.getLogger("runqy_loader")


async def server_facts(servers: Servers) -> dict[str, Any] | None:
    """The facts of the first primary; None if it does not answer.

    The fields are ``address``, ``make``, ``version``, ``primaries`` (0 for a server that is no cluster),
    ``persistence`` (None if the server does not tell), ``maxmemory_bytes`` (0 for none), ``policy`` and
    ``round_trip_ms``, the median of eleven PINGs. If INFO is refused, only the address, the primaries and the round
    trip are there.
    """
    try:
        return await _facts(servers)
    except (hiredis.ReplyError, LoaderError) as error:  # the report does without
        log.debug("the server does not say what it is: %s", error)
        return None


async def _facts(servers: Servers) -> dict[str, Any]:
    client = servers.clients()[0]
    times = []
    for _ in range(_PINGS):
        begun = time.perf_counter()
        await client.execute("PING")
        times.append(time.perf_counter() - begun)
    found = {
        "address": str(servers.address),
        "primaries": servers.cluster_size or 0,
        "round_trip_ms": round(sorted(times)[_PINGS // 2] * 1e3, 3),
    }
    info, save = await client.ask_each([("INFO",), ("CONFIG", "GET", "save")])
    if not isinstance(info, dict):
        return found
    make = "valkey" if "valkey_version" in info else str(info.get("server_name", "redis"))
    return {
        "make": make,
        "version": str(info.get("valkey_version", info.get("redis_version", ""))),
        "persistence": _persistence(info, save),
        "maxmemory_bytes": int(info.get("maxmemory", 0)),
        "policy": str(info.get("maxmemory_policy", "")),
        **found,
    }


def _persistence(info: dict[str, Any], save: object) -> str | None:
    if int(info.get("aof_enabled", 0)):
        return "append-only file"
    setting = parse_setting(save)
    if setting is None:
        return None
    return f"snapshots ({setting[1]})" if setting[1] else "none"

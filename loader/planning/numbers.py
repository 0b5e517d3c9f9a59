"""Numbers as people write them in a plan: counts such as ``1e9``, sizes, networks such as ``10Gbit``."""

from __future__ import annotations

import math
import re

from loader.settings.sizes import size_of

_COUNT = re.compile(r"([0-9][0-9_,]*(?:\.[0-9]+)?(?:e\+?[0-9]{1,2})?) ?([kMGT]?)", re.ASCII)
_NETWORK = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kMGT]?)(bit|bps|B)(?:/s)?", re.ASCII)
_TIMES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
MOST = 10**15
"""Tasks. More are most likely a mistake."""

LONGEST = 512 * 1024 * 1024
"""Bytes: ``proto-max-bulk-len`` by default (``redis.conf``)."""

LEAST_MEMORY = 1_000_000


def count_of(text: str) -> int | None:
    """A count such as ``1e9``, ``1,000,000`` or ``250M``; None if the text is none."""
    found = _COUNT.fullmatch(text.strip())
    if found is None:
        return None
    number = float(found[1].replace("_", "").replace(",", "")) * _TIMES[found[2]]
    return round(number) if math.isfinite(number) and number < 2 * MOST else None


def count_problem(text: str) -> str | None:
    """The problem with a count."""
    found = count_of(text)
    if found is None or not 1 <= found <= MOST:
        return "must be a number from 1 to 1e15, such as 1e9, 250M or 1,000,000"
    return None


def network_of(text: str) -> float | None:
    """Bytes a second of a network such as ``10Gbit`` or ``1.25GB/s``; None if the text is none."""
    found = _NETWORK.fullmatch(text.strip())
    if found is None:
        return None
    return float(found[1]) * _TIMES[found[2]] / (1 if found[3] == "B" else 8)


def network_problem(text: str) -> str | None:
    """The problem with a network."""
    return None if network_of(text) else "must be a rate such as 10Gbit, 25Gbit or 500MB/s"


def payload_problem(text: str) -> str | None:
    """The problem with the length of a payload."""
    found = size_of(text)
    if not found:
        return "must be a size such as 300 or 2KB"
    return None if found <= LONGEST else "must not be above 512MB: no value of Redis is longer"


def memory_problem(text: str) -> str | None:
    """The problem with the memory of a machine."""
    found = size_of(text)
    if not found:
        return "must be a size such as 64GB"
    return None if found >= LEAST_MEMORY else "must be 1MB or more: most likely, its unit is missing"

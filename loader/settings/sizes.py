"""Sizes as people write them: ``500MB``, ``2GiB``, or a number of bytes."""

from __future__ import annotations

import re

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kmgt]i?)?b?", re.ASCII | re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def size_of(text: str) -> int | None:
    """The bytes of a size; None if the text is none. Units such as MB are decimal, and those such as MiB binary."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        return None
    unit = (found[2] or "").lower()
    factor: int = (1024 if unit.endswith("i") else 1000) ** _POWERS[unit.rstrip("i")]
    return round(float(found[1]) * factor)

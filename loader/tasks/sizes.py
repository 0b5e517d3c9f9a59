"""Sizes and counts for people."""

from __future__ import annotations


def in_bytes(size: float) -> str:
    """A size in decimal units: ``1.2 GB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(size) < 1000:
            return f"{size:,.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def counted(count: int, one: str, ending: str = "s") -> str:
    """So many of something, whose plural has an ending: ``1 replica``, ``2,000 replicas``."""
    return f"{count:,} {one}{'' if count == 1 else ending}"
